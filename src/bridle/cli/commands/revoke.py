"""`bridle revoke`: take trust back, after a look at what that stops."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import click
from msgspec import structs

from bridle.cli import choice, grants, terminal
from bridle.cli.operator import connected
from bridle.cli.root import FINDINGS, Command
from bridle.client import revoking
from bridle.client.bridle import Bridle
from bridle.client.transport.channel import ask
from bridle.model.calls import Fenced, Revoke
from bridle.model.errors import UsageError

_KINDS = ("grant", "key", "agent", "mission", "user")
_STOPPED = ("kind", "id", "agent", "mission", "line")
_RUNNING = ("id", "agent", "tool", "mission", "state")

# Between two looks at what still runs, in seconds.
_PAUSE = 0.2


@click.command(cls=Command)
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("subject")
@choice.governor
@click.option("--reason", default="", help="Why; stands in the record.")
@click.option("--preview", is_flag=True, help="Only show what it would stop.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", type=click.FloatRange(min=0), metavar="SECONDS", help="… for what runs.")
@choice.as_user()
@choice.as_json
@click.pass_context
def revoke(
    ctx: click.Context,
    *,
    kind: str,
    subject: str,
    bundle: Path,
    reason: str,
    preview: bool,
    yes: bool,
    wait: float | None,
    as_user: str,
    as_json: bool,
) -> None:
    """Take trust back, for good: nothing that rests on it starts from here on.

    SUBJECT is a grant (its digest or the first digits of it: everything below it ends too), a key
    (its fingerprint), an agent, a mission or a user. What an agent or a user was granted so far
    ends; what is granted later does not. Shows what that stops, and asks. What had started before
    is listed: only that may still take effect. With --wait, waits for it, and until credentials
    given out for it are taken back; exit code 1 when something of it is left then.
    """
    with connected(bundle) as governor:
        meant = grants.named(governor, subject) if kind == "grant" else subject
        call = Revoke(
            kind=kind, subject=meant, reason=reason, as_user=as_user, preview=preview or not yes
        )
        fenced = ask(governor.operator, call, Fenced)
        if call.preview and not as_json:
            _show(fenced, "this would end:", "this runs, and would not be called back:")
        if call.preview and not preview:
            call = _confirmed(call, as_json=as_json)
            fenced = ask(governor.operator, call, Fenced)
        if not call.preview and not as_json:
            _tell(fenced, call)
        waits = wait is not None and not call.preview
        running = [*fenced.running, *revoking.leases_of(fenced.stopped)]
        left = _quiesced(governor, call, running, wait or 0) if waits else running
    if as_json:
        terminal.document(_document(call, fenced, left if waits else None))
    elif waits:
        _waited(left)
    ctx.exit(FINDINGS if waits and left else 0)


def _confirmed(call: Revoke, *, as_json: bool) -> Revoke:
    if as_json or not sys.stdin.isatty():
        raise UsageError("nobody is there to say yes", hint="pass --yes")
    click.confirm(f"Revoke {_name(call)} for good?", abort=True, err=True)
    return structs.replace(call, preview=False)


def _document(call: Revoke, fenced: Fenced, left: list[dict[str, Any]] | None) -> dict[str, Any]:
    return {
        "kind": call.kind,
        "subject": call.subject,
        "preview": call.preview,
        "epoch": fenced.epoch,
        "stopped": fenced.stopped,
        "running": fenced.running,
        "left": left,
    }


def _name(call: Revoke) -> str:
    return terminal.visible(f"{call.kind} {call.subject}")


def _tell(fenced: Fenced, call: Revoke) -> None:
    word = terminal.styled("revoked", "revoked")
    terminal.line(f"{word}: {_name(call)}; epoch {fenced.epoch}")
    _show(fenced, "ended:", "already started, and not called back:")


def _show(fenced: Fenced, ends: str, runs: str) -> None:
    if fenced.stopped:
        terminal.line(ends)
        rows = [{**row, "id": _short(row)} for row in fenced.stopped]
        terminal.table(rows, _STOPPED, empty="")
    else:
        terminal.line("nothing rests on it now")
    if fenced.running:
        terminal.line(runs)
        terminal.table(fenced.running, _RUNNING, empty="")


def _short(row: dict[str, Any]) -> str:
    name = str(row["id"])
    return name[: grants.SHORT] if row["kind"] == "grant" else name


def _quiesced(
    governor: Bridle, call: Revoke, running: list[dict[str, Any]], seconds: float
) -> list[dict[str, Any]]:
    """Wait for attempts to end, at most so long; return those that have not."""
    end = time.monotonic() + seconds
    whole = len(running)
    with terminal.progress("have ended") as tell:
        left = _left(governor, call, running)
        while left and time.monotonic() < end:
            tell(whole - len(left), whole)
            time.sleep(min(_PAUSE, max(0.0, end - time.monotonic())))
            left = _left(governor, call, left)
    return left


def _left(governor: Bridle, call: Revoke, running: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not running:
        return []
    # What a second revocation would find running is all of it, however much that is.
    looked = ask(governor.operator, structs.replace(call, preview=True), Fenced)
    return revoking.still(running, looked)


def _waited(left: list[dict[str, Any]]) -> None:
    if not left:
        terminal.line(f"{terminal.styled('✓', 'ok')} nothing of it runs any more")
        return
    terminal.line(f"{terminal.styled('!', 'warning')} not known to have ended:")
    terminal.table(left, _RUNNING, empty="")
