"""`bridle delegations`: who handed what to whom, with what it allows and how it is used."""

from __future__ import annotations

from pathlib import Path

import click

from bridle.cli import choice, grants, terminal
from bridle.cli.operator import connected
from bridle.cli.root import Command
from bridle.model.calls import Delegations


@click.command(cls=Command)
@choice.governor
@click.option("--mission", default="", metavar="ID", help="Those of one mission.")
@click.option("--grant", default="", metavar="GRANT", help="One, and what is below it.")
@click.option("--all", "every", is_flag=True, help="Those that have ended as well.")
@click.option("--limit", default=1_000, show_default=True, help="At most so many.")
@choice.as_json
def delegations(
    *, bundle: Path, mission: str, grant: str, every: bool, limit: int, as_json: bool
) -> None:
    """Show grants as trees: who handed what to whom, what it allows, what it did so far.

    A mission's agents hold its root grants; below each stands what it was handed on as. An action
    needs the consent of every grant above it. GRANT is a digest, or the first digits of it.
    """
    with connected(bundle) as governor:
        one = grants.named(governor, grant)
        rows = governor.rows(Delegations(mission=mission, grant=one, all=every, limit=limit))
    if as_json:
        terminal.document(rows)
    elif rows:
        grants.show(rows)
    else:
        terminal.line("no grants")
