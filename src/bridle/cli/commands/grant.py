"""`bridle grant`: chains of grants and the list of what is revoked, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from bridle.cli import choice, terminal
from bridle.cli.root import FINDINGS, Group
from bridle.cli.texts import Texts
from bridle.trust.grants.codes import GrantError

_file = click.argument("file", type=click.Path(path_type=Path))


@click.group(cls=Group)
def grant() -> None:
    """Look at chains of grants and verify them, without a governor."""


@grant.command("inspect")
@_file
@choice.as_json
@click.pass_context
def inspect_chain(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Show what a chain says, link by link. Nothing of it is verified.

    FILE (`-`: standard input) holds one link on each line, or a JSON array of them, root first. A
    chain is no secret, and no authority without the key it is bound to. Exit code 1 when it cannot
    be read.
    """
    from bridle.cli import chains
    from bridle.trust.grants.chain import read

    links = chains.texts_of(file, Texts())
    try:
        chain = read(links)
    except GrantError as error:
        _refused(ctx, error, links, as_json=as_json)
    if as_json:
        rows = [chains.row(link) for link in chain.links]
        terminal.document({"verified": False, "links": rows})
        return
    warning = "not verified: anybody can have written this"
    terminal.line(f"{terminal.styled('!', 'warning')} {terminal.styled(warning, 'warning')}")
    terminal.line()
    chains.show(chain)


def _refused(ctx: click.Context, error: GrantError, links: list[str], *, as_json: bool) -> NoReturn:
    from bridle.cli import chains

    if as_json:
        told: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
        terminal.document({"error": told | {"link": error.link}, "findings": []})
    where = chains.fault(links, error.link)
    terminal.complain(
        f"{where}: {error.message}" if where else error.message, error.code, error.hint
    )
    ctx.exit(FINDINGS)
