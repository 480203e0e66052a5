"""`bridle demo`: two agents at work in a back office on real parts, under Bridle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridle.cli import choice, terminal
from bridle.cli.root import ENVIRONMENT, FINDINGS, Command, report
from bridle.model.errors import BridleError

if TYPE_CHECKING:
    from bridle.cli.demo.run import Day


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
    """Run two agents in a small back office and print each verdict and why.

    The parts are real: an order database, a mail server and a web site on loopback, files. The
    agents' plans are scripted in place of a model. Afterwards the ledger is verified.
    """
    try:
        import aiosmtpd.smtp as _installed  # noqa: F401
    except ModuleNotFoundError as missing:
        hint = "pip install 'bridle[demo]'"
        error = BridleError("the demo's mail server is not installed", code="missing", hint=hint)
        report(error, as_json=as_json)
        raise click.exceptions.Exit(ENVIRONMENT) from missing
    from bridle.cli import audit
    from bridle.cli.demo import run, show

    with run.day(keep) as day:
        if as_json:
            day.live(lambda told: terminal.document(show.entry(told)), lambda _: None)
        else:
            day.live(show.judgement, show.heading)
        report_ = audit.verify(day.place)
        counts = show.summary(day.told)
        if as_json:
            _document(day, counts, report_)
        else:
            _tell(day, counts, report_, kept=keep is not None)
    ctx.exit(0 if report_.ok else FINDINGS)
