"""`bridle kill` and `bridle resume`: stop everything in a scope, and lift that again."""

from __future__ import annotations

from pathlib import Path

import click

from bridle.cli import choice, grants, terminal
from bridle.cli.operator import connected
from bridle.cli.root import Group

_SCOPES = {
    "tool": "everything that uses one tool",
    "agent": "everything one agent does",
    "mission": "everything in one mission",
    "grant": "everything under one grant",
}


@click.group(cls=Group)
def kill() -> None:
    """Stop everything in a scope at once: nothing in it starts from here on."""


@click.group(cls=Group)
def resume() -> None:
    """Lift a kill: by a human other than the one who pulled it, where there are two operators."""


@kill.command("list")
@choice.governor
@choice.as_json
def list_kills(bundle: Path, as_json: bool) -> None:
    """List the kills in force."""
    with connected(bundle) as governor:
        rows = governor.status().get("kills", [])
    if as_json:
        terminal.document(rows)
        return
    shown = [{**row, "time": terminal.time(row.get("time", 0))} for row in rows]
    columns = ("scope", "subject", "by", "time", "reason")
    terminal.table(shown, columns, empty="nothing is stopped")


@kill.command("all")
@choice.governor
@click.option("--reason", default="", help="Why; stands in the record.")
@choice.as_user()
@choice.as_json
def kill_all(bundle: Path, reason: str, as_user: str, as_json: bool) -> None:
    """Stop everything."""
    _kill(bundle, "all", "", reason, as_user, as_json=as_json)


@resume.command("all")
@choice.governor
@choice.as_user()
@choice.passphrase
@choice.as_json
def resume_all(bundle: Path, as_user: str, as_json: bool) -> None:
    """Lift the kill on everything; kills on one tool, agent, mission or grant stay."""
    _resume(bundle, "all", "", as_user, as_json=as_json)


def _scoped(scope: str, what: str) -> None:
    @kill.command(scope, help=f"Stop {what}.")
    @click.argument("subject", metavar=scope.upper())
    @choice.governor
    @click.option("--reason", default="", help="Why; stands in the record.")
    @choice.as_user()
    @choice.as_json
    def kill_one(subject: str, bundle: Path, reason: str, as_user: str, as_json: bool) -> None:
        _kill(bundle, scope, subject, reason, as_user, as_json=as_json)

    @resume.command(scope, help=f"Lift the kill on {what}.")
    @click.argument("subject", metavar=scope.upper())
    @choice.governor
    @choice.as_user()
    @choice.passphrase
    @choice.as_json
    def resume_one(subject: str, bundle: Path, as_user: str, as_json: bool) -> None:
        _resume(bundle, scope, subject, as_user, as_json=as_json)


for _scope, _what in _SCOPES.items():
    _scoped(_scope, _what)


def _kill(
    bundle: Path, scope: str, subject: str, reason: str, as_user: str, *, as_json: bool
) -> None:
    with connected(bundle) as governor:
        subject = grants.named(governor, subject) if scope == "grant" else subject
        running = governor.kill(scope, subject, reason=reason, as_user=as_user)
    if as_json:
        terminal.document({"scope": scope, "subject": subject, "running": running})
        return
    terminal.line(f"stopped: {terminal.visible(f'{scope} {subject}'.strip())}")
    if running:
        terminal.line("already started, and not called back:")
        terminal.table(running, ("id", "agent", "tool", "mission"), empty="")


def _resume(bundle: Path, scope: str, subject: str, as_user: str, *, as_json: bool) -> None:
    with connected(bundle) as governor:
        subject = grants.named(governor, subject) if scope == "grant" else subject
        governor.resume(scope, subject, as_user=as_user)
    if as_json:
        terminal.document({"scope": scope, "subject": subject})
    else:
        terminal.line(f"resumed: {terminal.visible(f'{scope} {subject}'.strip())}")
