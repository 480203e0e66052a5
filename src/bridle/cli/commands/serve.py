"""`bridle serve` and `bridle status`: the governor on its sockets, and how it is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridle.cli import choice, terminal
from bridle.cli.commands.activation import scope_line
from bridle.cli.operator import connected
from bridle.cli.root import Command

if TYPE_CHECKING:
    from bridle.emit.targets import Target

# Whose they are, and whether that will do, is looked at where they are used.
_FOLDER = click.Path(path_type=Path, file_okay=False, readable=False)


def _targets(
    ctx: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> tuple[Target, ...]:
    """Read what --emit names; files relative to where the command was given."""
    from bridle.emit.errors import EmitError
    from bridle.emit.targets import target

    try:
        return tuple(target(each) for each in values)
    except EmitError as problem:
        raise click.BadParameter(f"{problem.message}. {problem.hint}", ctx, param) from problem


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
@click.option(
    "--checkpoint-copy",
    "copies",
    type=click.Path(path_type=Path, dir_okay=False, readable=False),
    multiple=True,
    metavar="FILE",
    help="Put each signed checkpoint here, too. May be repeated.",
)
@click.option("--runtime", type=_FOLDER, metavar="DIR", help="Where the sockets lie.")
@click.option(
    "--emit",
    multiple=True,
    metavar="TARGET",
    callback=_targets,
    help="Tell of each record: ocsf:FILE, cloudevents:FILE, otel[:ENDPOINT]. May be repeated.",
)
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
        history = [scope_line(scope) for scope in row.get("history", [])]
        terminal.pairs({**row, "kills": kills or "none", "history": history or "none"})
