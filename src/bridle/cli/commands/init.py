"""`bridle init`: a first bundle, from the starter that ships with Bridle or from an MCP server."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridle.cli import choice, copying, terminal
from bridle.cli.root import Command

if TYPE_CHECKING:
    from bridle.gateway.draft.drafting import Draft

_SYSTEM = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@click.command(cls=Command)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("server", nargs=-1, type=click.UNPROCESSED, metavar="[-- SERVER...]")
@click.option("--name", default="", help="The bundle's name [default: the folder's].")
@click.option("--mcp", is_flag=True, help="Take the tools of SERVER, a command of an MCP server.")
@click.option("--system", default="", help="With --mcp: its name [default: made of the server's].")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for SERVER.")
@choice.as_json
def init(
    folder: Path,
    server: tuple[str, ...],
    *,
    name: str,
    mcp: bool,
    system: str,
    timeout: float,
    as_json: bool,
) -> None:
    """Write a starter bundle into DIR: commented, checked, with scenarios that pass.

    With --mcp, for the tools that an MCP server has: what reads may run, what writes waits for a
    human, the rest is denied. `bridle mcp DIR -- SERVER` then stands in front of it.
    """
    if mcp != bool(server):
        raise click.UsageError("--mcp and the command of a server belong together: --mcp -- SERVER")
    if system and not (mcp and _SYSTEM.fullmatch(system)):
        raise click.UsageError("--system is a name of a-z 0-9 and -, and goes with --mcp")
    named = re.sub(r"[^A-Za-z0-9_.-]+", "-", name or folder.resolve().name).strip("-.")
    named = named or "starter"
    if not mcp:
        copying.claim(folder)
        files = copying.starter(folder, named)
        _told(folder, named, files, as_json=as_json)
        return
    copying.require_free(folder)
    draft = _drafted(named, system, server, timeout)
    copying.claim(folder)
    copying.write(folder, draft.files)
    _told(folder, named, sorted(draft.files), draft, server, as_json=as_json)


def _drafted(name: str, system: str, server: tuple[str, ...], timeout: float) -> Draft:
    from bridle.gateway.draft.drafting import draft, system_name
    from bridle.gateway.listing import list_tools

    listed = list_tools(server, timeout=timeout)
    known = listed.name or Path(server[0]).name
    shown = f"{known} {listed.version}".strip()
    return draft(name, system or system_name(known), shown, listed.tools)


def _told(
    folder: Path,
    name: str,
    files: list[str],
    draft: Draft | None = None,
    server: tuple[str, ...] = (),
    *,
    as_json: bool,
) -> None:
    if as_json:
        document: dict[str, Any] = {"bundle": str(folder), "name": name, "files": files}
        if draft is not None:
            effects = {tool.name: tool.effect.value for tool in draft.tools}
            document |= {"tools": effects, "left_out": draft.left_out}
        terminal.document(document)
        return
    terminal.line(f"{terminal.styled('✓', 'ok')} {name}, a bundle of {len(files)} files")
    steps = [("check", "every finding"), ("test", "its scenarios")]
    if draft is not None:
        _show(draft)
    else:
        steps.append(("serve", "the governor, on its sockets"))
    terminal.line()
    for command, what in steps:
        example = terminal.visible(f"bridle {command} {shlex.quote(str(folder))}")
        terminal.line(f"  {example:<40}  # {what}")
    if draft is not None:
        before = terminal.visible(f"bridle mcp {shlex.quote(str(folder))} -- {shlex.join(server)}")
        terminal.line(f"  {before}")


def _show(draft: Draft) -> None:
    effects = [tool.effect.value for tool in draft.tools]
    for effect, what in (
        ("read", "to run"),
        ("write", "to wait for a human"),
        ("irreversible", "to be denied"),
    ):
        if effect in effects:
            count = terminal.counted(effects.count(effect), "tool")
            terminal.line(f"  {effect:<12}  {count} {what}")
    terminal.line("  these are guesses: read systems.toml before anyone relies on it")
    for wire, why in draft.left_out.items():
        shown = f"left out: {wire}: {why}"
        terminal.line(f"  {terminal.styled('!', 'warning')} {terminal.visible(shown)}")
