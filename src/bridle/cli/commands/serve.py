"""`bridle serve` and `bridle status`: the governor on its sockets, and how it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bridle.cli import choice, terminal
from bridle.cli.operator import connected
from bridle.cli.root import Command

# Whose they are, and whether that will do, is looked at where they are used.
_FOLDER = click.Path(path_type=Path, file_okay=False, readable=False)


@click.command(cls=Command)
@choice.bundle
@click.option(
    "--idle-exit",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Stop once nobody has been connected for so long.",
)
@click.option("--user", default="", metavar="NAME", help="As root: become this user for good.")
@click.option(
    "--operator",
    "operators",
    multiple=True,
    metavar="NAME",
    help="As root: a user with an operator's socket. May be repeated.",
)
@click.option("--agents-group", default="", metavar="GROUP", help="Who may open agents.sock.")
@click.option("--state", type=_FOLDER, metavar="DIR", help="Where the store lies.")
@click.option("--runtime", type=_FOLDER, metavar="DIR", help="Where the sockets lie.")
@choice.as_json
def serve(*, bundle: Path, **options: Any) -> None:
    """Run the governor of a bundle until it is told to stop (Ctrl-C or SIGTERM).

    One governor serves a store. Agents connect to agents.sock, operators to operator.sock. As root
    with --user it makes folders and sockets, becomes that user, and only then reads the bundle.
    """
    from bridle import server

    server.serve(bundle, server.Settings(**options))


@click.command(cls=Command)
@choice.governor
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
