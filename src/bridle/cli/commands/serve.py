"""`bridle serve` and `bridle status`: the governor on its sockets, and how it is."""

from __future__ import annotations

from pathlib import Path

import click

from bridle.cli import choice, terminal
from bridle.cli.operator import connected
from bridle.cli.root import Command


@click.command(cls=Command)
@choice.bundle
@click.option(
    "--idle-exit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop once nobody has been connected for so long.",
)
@choice.as_json
def serve(bundle: Path, idle_exit: float | None, as_json: bool) -> None:
    """Run the governor of a bundle until it is told to stop (Ctrl-C or SIGTERM).

    One governor serves a store. Agents connect to agents.sock, operators to operator.sock.
    """
    from bridle import server

    server.serve(bundle, idle_exit=idle_exit, as_json=as_json)


@click.command(cls=Command)
@choice.bundle
@choice.as_json
def status(bundle: Path, as_json: bool) -> None:
    """Show how the governor is: active bundle, kills, what waits, size of the ledger."""
    with connected(bundle) as governor:
        row = governor.status()
    if as_json:
        terminal.document(row)
    else:
        kills = [f"{kill['scope']} {kill['subject']}".strip() for kill in row.get("kills", [])]
        terminal.pairs({**row, "kills": kills or "none"})
