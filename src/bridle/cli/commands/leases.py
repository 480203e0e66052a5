"""`bridle leases`: which credentials are given out, for what, until when. Never what they are."""

from __future__ import annotations

from pathlib import Path

import click

from bridle.cli import choice, terminal
from bridle.cli.operator import connected
from bridle.cli.root import Command
from bridle.model.calls import Leases

_COLUMNS = ("id", "state", "system", "executor", "agent", "mission", "expires", "code")


@click.command(cls=Command)
@choice.governor
@click.option("--mission", default="", metavar="ID", help="Those of one mission.")
@click.option("--all", "every", is_flag=True, help="Those that have ended as well.")
@click.option("--limit", default=100, show_default=True, help="At most so many.")
@choice.as_json
def leases(*, bundle: Path, mission: str, every: bool, limit: int, as_json: bool) -> None:
    """Show credentials that were given out for actions, newest first.

    One that is `ending` is over, and not known to be taken back where it opens: that is tried until
    it is. `code` says what went wrong last.
    """
    with connected(bundle) as governor:
        rows = governor.rows(Leases(mission=mission, all=every, limit=limit))
    if as_json:
        terminal.document(rows)
    else:
        shown = [{**row, "expires": terminal.time(row["expires"])} for row in rows]
        terminal.table(shown, _COLUMNS, empty="no credentials are given out")
