"""`bridle demo`: agents at work in a back office on real parts, under Bridle."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridle.cli import choice, terminal
from bridle.cli.root import FINDINGS, Command
from bridle.model.errors import BridleError

if TYPE_CHECKING:
    from bridle.audit.stores import Verified
    from bridle.cli.demo.run import Day

_NEXT = (
    ("bridle test", "the bundle's scenarios"),
    ("bridle audit verify", "the ledger of this run"),
    ("bridle audit export --out record", "for auditors: programs of others verify it"),
    ("bridle serve &", "the governor, on its sockets"),
    ("bridle missions", "what was worked on"),
    ("bridle approvals --all", "what a human was asked"),
    ("bridle delegations --all", "who handed what to whom, and what was taken back"),
    ("bridle kill list", "the refunds agent is still stopped"),
    ("bridle resume agent refunds --as ben", "another human lifts that"),
)


@click.command(cls=Command)
@click.option(
    "--keep",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Keep bundle, office and store to play with; DIR must be empty or not be there.",
)
@choice.as_json
@click.pass_context
def demo(ctx: click.Context, keep: Path | None, as_json: bool) -> None:
    """Run agents in a small back office and print each verdict and why.

    The parts are real: an order database, a mail server and a web site on loopback, files. The
    agents' plans are scripted in place of a model. Afterwards the ledger is verified.
    """
    _require_mail_server()
    from bridle.audit import stores
    from bridle.cli.demo import run, show
    from bridle.cli.verdicts import document

    with run.day(keep) as day:
        if as_json:
            day.live(lambda told: terminal.document(show.entry(told)), lambda _: None)
        else:
            day.live(show.judgement, show.heading)
        found = stores.verify(day.place)
        if as_json:
            terminal.document({"type": "seen", **day.seen})
            terminal.document({"type": "summary", **show.summary(day.told)})
            terminal.document({"type": "ledger", **document(found.report, day.place.folder)})
        else:
            _tell(day, found)
            if keep is not None:
                _next_steps(day)
    ctx.exit(0 if found.ok else FINDINGS)


def _require_mail_server() -> None:
    if find_spec("aiosmtpd") is None:
        raise BridleError(
            "the demo's mail server, aiosmtpd, is not installed",
            code="not_installed",
            hint="install it with: pip install 'bridle[demo]'",
        )


def _tell(day: Day, found: Verified) -> None:
    from bridle.cli.demo import show

    ledger = found.report
    show.seen(day.seen)
    show.heading("Summary")
    terminal.line(f"  {show.counted(show.summary(day.told))}")
    icon = terminal.styled("✓", "ok") if ledger.ok else terminal.styled("✗", "error")
    word = "verifies" if ledger.ok else f"does not verify: {terminal.counted(ledger.flaws, 'flaw')}"
    terminal.line(
        f"  {icon} the ledger {word}: {ledger.size} records, root {ledger.root[:16]}…, "
        f"{'all' if not found.unsigned else ledger.size - found.unsigned} signed"
    )
    terminal.line(f"  {day.seconds:.1f} s")


def _next_steps(day: Day) -> None:
    from bridle.cli.demo import show

    show.heading(f"Kept in {day.folder}; the store is in {day.place.folder}")
    terminal.line(f"  export BRIDLE_BUNDLE={day.bundle}")
    for command, what in _NEXT:
        terminal.line(f"  {command:<44}# {what}")
