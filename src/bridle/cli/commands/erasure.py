"""`bridle audit redact` and `bridle audit retention`: what was sealed is erased; what still is."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridle.cli import choice, terminal
from bridle.cli.operator import connected_or_opened
from bridle.cli.root import FINDINGS, Command
from bridle.model.errors import UsageError

if TYPE_CHECKING:
    from bridle.audit.retention import Retained, Retention

_ERASED = ("mission", "record", "records", "rows", "fields")
_LEFT = ("mission", "refused", "message")
_HELD = ("mission", "user", "template", "ended", "records", "bytes", "oldest", "newest", "erased")


@click.command("redact", cls=Command)
@choice.governor
@click.option("--mission", default="", metavar="ID", help="All that this mission sealed.")
@click.option("--user", default="", metavar="USER", help="All that this user's missions sealed.")
@click.option("--record", type=click.IntRange(min=0), help="What one record sealed (its index).")
@click.option("--field", "fields", multiple=True, metavar="NAME", help="Only this of the record.")
@click.option("--basis", required=True, metavar="TEXT", help="Why; stands in the record for all.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@choice.as_user()
@choice.passphrase
@choice.as_json
@click.pass_context
def redact(
    ctx: click.Context,
    *,
    bundle: Path,
    mission: str,
    user: str,
    record: int | None,
    fields: tuple[str, ...],
    basis: str,
    yes: bool,
    as_user: str,
    as_json: bool,
) -> None:
    """Erase sealed values for good: of a mission that is over, of a user's missions, of a record.

    Arguments, results and people's words go, and with a mission the key they were sealed under;
    the records stay, and their proofs hold. Shows what will go and asks. Works through the governor
    that serves the bundle, or on its store where none does. Exit code 1 when something could not
    be erased yet: a mission that is not over, or a store that somebody reads.
    """
    if sum((bool(mission), bool(user), record is not None)) != 1:
        raise click.UsageError("name one of --mission, --user and --record")
    if fields and record is None:
        raise click.UsageError("--field belongs to --record")
    what: dict[str, Any] = {
        "mission": mission,
        "user": user,
        "record": -1 if record is None else record,
        "fields": fields,
        "basis": basis,
        "as_user": as_user,
    }
    with connected_or_opened(bundle) as governor:
        if not yes:
            _ask(governor.redact(**what, preview=True))
        rows = governor.redact(**what)
    erased = [row for row in rows if "refused" not in row]
    left = [row for row in rows if "refused" in row]
    unscrubbed = str(erased[-1]["unscrubbed"]) if erased else ""
    if as_json:
        terminal.document({"erased": erased, "left": left, "scrubbed": not unscrubbed})
    else:
        _tell(erased, left, unscrubbed)
    ctx.exit(FINDINGS if left or unscrubbed else 0)


def _ask(rows: list[dict[str, Any]]) -> None:
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to say yes", hint="pass --yes")
    _show(rows)
    click.confirm("Erase this for good?", abort=True, err=True)


def _show(rows: list[dict[str, Any]]) -> None:
    erased = [_plain(row) for row in rows if "refused" not in row]
    left = [row for row in rows if "refused" in row]
    terminal.table(erased, _ERASED, empty="nothing to erase")
    if left:
        terminal.line("not yet:")
        terminal.table(left, _LEFT, empty="")


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "record": row["record"] if row["record"] >= 0 else None}


def _tell(erased: list[dict[str, Any]], left: list[dict[str, Any]], unscrubbed: str) -> None:
    _show([*erased, *left])
    if any(row["leaf"] >= 0 for row in erased):
        terminal.line(f"{terminal.styled('✓', 'ok')} erased, and on record")
    if unscrubbed:
        warning = f"older copies may still be in the store's files: {unscrubbed}"
        terminal.line(f"{terminal.styled('!', 'warning')} {terminal.visible(warning)}")


@click.command("retention", cls=Command)
@choice.of_store
@click.option(
    "--older-than",
    type=click.IntRange(min=0),
    metavar="DAYS",
    help="Only missions that ended longer ago and still have something sealed.",
)
@choice.as_json
@click.pass_context
def retention(
    ctx: click.Context,
    bundle: Path | None,
    store: Path | None,
    older_than: int | None,
    as_json: bool,
) -> None:
    """Report what is kept sealed, of which mission and since when; and what was erased and why.

    With --older-than those that are due, with the command that erases each. Works whether a
    governor serves the store or not, and writes nothing.
    """
    from bridle.audit import retention as kept

    found = kept.report(choice.stored(ctx, bundle, store), older_than)
    if as_json:
        terminal.document(found)
    else:
        _report(found, due=older_than is not None)


def _report(found: Retention, *, due: bool) -> None:
    terminal.table([_row(each) for each in found.missions], _HELD, empty="nothing is kept sealed")
    terminal.pairs(
        {
            "missions": len(found.missions),
            "records": found.records,
            "bytes": found.bytes,
            "of no mission": f"{found.system.records} records, {found.system.bytes} bytes",
            **({} if found.scrubbed else {"files": "older copies of what was erased may be left"}),
        }
    )
    for each in found.missions if due else ():
        # It is there to be pasted into a shell, and the store may not be ours.
        mission = shlex.quote(each.mission)
        terminal.line(terminal.visible(f'bridle audit redact --mission {mission} --basis "…"'))


def _row(each: Retained) -> dict[str, Any]:
    erased = "; ".join(
        f"{terminal.time(one.time)} {one.by}: {one.basis}"
        + (f" ({one.what})" if one.record >= 0 else "")
        for one in each.erased
    )
    times = {name: terminal.time(getattr(each, name)) for name in ("ended", "oldest", "newest")}
    return {
        "mission": each.mission,
        "user": each.user,
        "template": each.template,
        "records": each.records,
        "bytes": each.bytes,
        "erased": erased,
        **times,
    }
