"""`bridle pin`: a human looks at what an MCP server says of its tools, and pins it."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from msgspec.structs import asdict

from bridle.bundle.pins import Change, Field, Pinned, compare, pinned
from bridle.cli import choice, terminal
from bridle.cli.root import FINDINGS, Command
from bridle.model.errors import BundleError, UsageError

_MARKS = {"added": ("+", "ok"), "changed": ("~", "warning"), "removed": ("-", "error")}
_AROUND = 40


@click.command(cls=Command)
@click.argument("bundle", type=click.Path(path_type=Path), callback=choice.chosen)
@click.argument("server", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- SERVER...")
@click.option("--system", required=True, help="The system of the bundle that SERVER is.")
@click.option("--check", is_flag=True, help="Change nothing; exit with 1 when something differs.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds to wait for SERVER.")
@choice.as_json
@click.pass_context
def pin(
    ctx: click.Context,
    bundle: Path,
    server: tuple[str, ...],
    *,
    system: str,
    check: bool,
    yes: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """Pin the tools of a system as the MCP server SERVER (a command) defines them now.

    Shows every difference from what is pinned and, once confirmed, writes the system's
    tools/*.json anew. `bridle activate` then puts it in force.
    """
    from bridle.gateway.listing import list_tools

    before = pinned(_texts(bundle), system)
    tools = list_tools(server, timeout=timeout).tools
    changes = compare(before, tools)
    if not as_json:
        _show(changes)
    in_file = bool(before.file) and any(not change.by_hand for change in changes)
    writes = in_file and not check and (yes or _agreed(before.file))
    if writes:
        _write(bundle / before.file, list(tools))
    if as_json:
        rows = [asdict(change) for change in changes]
        document = {"system": system, "file": before.file, "changes": rows, "written": writes}
        terminal.document(document)
    else:
        _told(before, writes=writes)
    ctx.exit(FINDINGS if check and changes else 0)


def _texts(bundle: Path) -> dict[str, str]:
    from bridle.bundle import folder
    from bridle.bundle.parse.table import Findings

    return folder.read(bundle, Findings())


def _show(changes: Iterable[Change]) -> None:
    for change in changes:
        mark, style = _MARKS[change.kind]
        known = "" if change.used else " (not in systems.toml: nobody can call it)"
        if change.kind == "removed":
            known = " (systems.toml still names it)" if change.used else ""
        name = terminal.visible(change.wire)
        terminal.line(f"{terminal.styled(mark, style)} {name} {change.kind}{known}")
        if change.by_hand:
            shown = f'write pin = "{change.digest}" yourself' if change.digest else "it is gone"
            terminal.line(f"    pinned in systems.toml: {shown}")
        for field in change.fields if change.kind != "removed" else ():
            _show_field(field)
    if not changes:
        terminal.line("everything is as pinned")


def _show_field(field: Field) -> None:
    """Show old and new in full where they differ: what is hidden at the end of a text counts."""
    terminal.line(f"    {terminal.visible(field.path)}")
    old, new = _without_the_same(field.old, field.new)
    for mark, style, text in (("-", "error", old), ("+", "ok", new)):
        if text is not None:
            terminal.line(f"      {terminal.styled(f'{mark} {terminal.visible(text)}', style)}")


def _without_the_same(old: str | None, new: str | None) -> tuple[str | None, str | None]:
    """Leave out what both texts begin and end with, but for some characters around."""
    if old is None or new is None:
        return old, new
    start = len(os.path.commonprefix((old, new)))
    rest = len(os.path.commonprefix((old[start:][::-1], new[start:][::-1])))
    first = start - _AROUND if start > _AROUND + 1 else 0
    last = rest - _AROUND if rest > _AROUND + 1 else 0
    old, new = (
        ("…" if first else "") + text[first : len(text) - last] + ("…" if last else "")
        for text in (old, new)
    )
    return old, new


def _agreed(file: str) -> bool:
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to say yes", hint="look at what changed, then pass --yes")
    if not click.confirm(f"Pin this in {file}?"):
        raise click.Abort
    return True


def _write(path: Path, tools: list[dict[str, Any]]) -> None:
    from bridle.bundle.definition import definitions_text

    try:
        text = definitions_text(tools)
    except ValueError as error:
        raise BundleError(f"the definitions cannot be written down: {error}") from None
    path.parent.mkdir(exist_ok=True)
    # In one step: a governor that reads the bundle meanwhile sees the old file or the new one.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False) as file:
        file.write(text)
    Path(file.name).chmod(0o644)
    Path(file.name).replace(path)


def _told(before: Pinned, *, writes: bool) -> None:
    if not writes:
        return
    terminal.line(f"{terminal.styled('✓', 'ok')} {terminal.visible(before.file)} is written")
    terminal.line("  `bridle check` it, then `bridle activate` puts it in force")
