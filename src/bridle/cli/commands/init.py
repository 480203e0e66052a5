"""`bridle init`: a first bundle, from the starter that ships with Bridle or from an MCP server."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridle.cli import choice, copying, passphrase, terminal
from bridle.cli.root import Command
from bridle.trust import credential
from bridle.trust import folder as keys

if TYPE_CHECKING:
    from bridle.gateway.draft.drafting import Draft

# The user of every bundle that is made here.
_OPERATOR = "me"

_SYSTEM = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")


@click.command(cls=Command)
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("server", nargs=-1, type=click.UNPROCESSED, metavar="[-- SERVER...]")
@click.option("--name", default="", help="The bundle's name [default: the folder's].")
@click.option("--mcp", is_flag=True, help="Take the tools of SERVER, a command of an MCP server.")
@click.option("--system", default="", help="With --mcp: its name [default: made of the server's].")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for SERVER.")
@click.option("--no-key", is_flag=True, help="Make no key for the bundle's operator.")
@choice.passphrase
@choice.as_json
def init(
    folder: Path,
    server: tuple[str, ...],
    *,
    name: str,
    mcp: bool,
    system: str,
    timeout: float,
    no_key: bool,
    as_json: bool,
) -> None:
    """Write a starter bundle into DIR: commented, checked, with scenarios that pass.

    With --mcp, for the tools that an MCP server has: what reads may run, what writes waits for a
    human, the rest is denied. `bridle mcp DIR -- SERVER` then stands in front of it.

    Makes a key for the bundle's operator, `me`, whose passphrase the terminal is asked for: from
    then on nobody else can approve or activate as `me`. With --mcp only if a passphrase is given,
    since `bridle mcp` starts missions as `me` by itself.
    """
    if mcp != bool(server):
        raise click.UsageError("--mcp and the command of a server belong together: --mcp -- SERVER")
    if system and not (mcp and _SYSTEM.fullmatch(system)):
        raise click.UsageError("--system is a name of a-z 0-9 and -, and goes with --mcp")
    named = re.sub(r"[^A-Za-z0-9_.-]+", "-", name or folder.resolve().name).strip("-.")
    named = named or "starter"
    copying.require_free(folder)
    draft = _drafted(named, system, server, timeout) if mcp else None
    key = None if no_key else _key(mcp=mcp)
    copying.claim(folder)
    if draft is None:
        files = copying.starter(folder, named)
    else:
        copying.write(folder, draft.files)
        files = sorted(draft.files)
    if key is not None:
        copying.give_key(folder, _OPERATOR, key["public"])
    _told(folder, named, files, draft, server, key=key, as_json=as_json)


def _key(*, mcp: bool) -> dict[str, str] | None:
    """Make and keep a key, if somebody is there to give it a passphrase: as `--json` tells it."""
    if not passphrase.source().given and (mcp or not sys.stdin.isatty()):
        return None
    made = credential.generate("user", _OPERATOR)
    path = keys.write(made, passphrase.chosen(f"{_OPERATOR}'s new key"))
    return {"file": str(path), "fingerprint": made.fingerprint, "public": made.public}


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
    key: dict[str, str] | None,
    as_json: bool,
) -> None:
    if as_json:
        document: dict[str, Any] = {"bundle": str(folder), "name": name, "files": files}
        document |= {"key": key}
        if draft is not None:
            effects = {tool.name: tool.effect.value for tool in draft.tools}
            document |= {"tools": effects, "left_out": draft.left_out}
        terminal.document(document)
        return
    terminal.line(f"{terminal.styled('✓', 'ok')} {name}, a bundle of {len(files)} files")
    if key is not None:
        terminal.line(f"  {_OPERATOR}'s key: {terminal.visible(key['file'])}")
    else:
        terminal.line(f"  {_OPERATOR} has no key: whoever reaches the operator's socket acts as")
        terminal.line(f"  {_OPERATOR}; `bridle operator new-key --user {_OPERATOR}` makes one")
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
