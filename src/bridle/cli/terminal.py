"""What a command prints: JSON, aligned columns, colours on a terminal only. Nothing else prints.

Text that came from agents, tools or policies can carry characters that move the cursor, reverse
the reading direction or hide; `visible` spells them out, and everything printed goes through it.
"""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, cast

import click
import msgspec

# Styles by meaning, as click and rich both know them.
STYLES = {
    "allow": "green",
    "modify": "cyan",
    "hold": "yellow",
    "deny": "red",
    "ok": "green",
    "warning": "yellow",
    "error": "red",
    "info": "blue",
    "active": "green",
    "approved": "green",
    "pending": "yellow",
    "suspended": "yellow",
    "unknown": "yellow",
    "denied": "red",
    "expired": "red",
    "retired": "red",
    "revoked": "red",
    "offered": "yellow",
}
ICONS = {"allow": "✓", "modify": "✎", "hold": "⏸", "deny": "✗"}

# Letters and marks that show nothing although their category says otherwise.
_BLANK = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0x16FE4}
_HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def visible(text: str, *, lines: bool = False) -> str:
    """Spell out what cannot be seen as `<U+202E>`; with `lines`, newlines and tabs stay."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(char, lines=lines) for char in text)


def _shown(char: str, *, lines: bool) -> str:
    if " " <= char <= "~" or (lines and char in "\n\t"):
        return char
    code = ord(char)
    selector = 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF or 0x180B <= code <= 0x180F
    category = unicodedata.category(char)
    if category in _HIDDEN or category == "Zs" or selector or code in _BLANK:
        return f"<U+{code:04X}>"
    return char


def colours() -> bool:
    """Whether standard output is a terminal that wants colour (https://no-color.org)."""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return sys.stdout.isatty() and not plain


def styled(text: str, style: str = "", *, bold: bool = False, dim: bool = False) -> str:
    """Return `text`, made visible, in the colour of a meaning: plain unless on a terminal."""
    shown = visible(text, lines=True)
    if not colours() or not (style in STYLES or bold or dim):
        return shown
    return click.style(shown, fg=STYLES.get(style), bold=bold or None, dim=dim or None)


def line(text: str = "") -> None:
    """Print one line (already made visible) and flush it, so that a reader follows live."""
    click.echo(text, color=colours())
    sys.stdout.flush()


def document(value: Any) -> None:
    """Print one JSON document on one line, ASCII only: safe on any terminal and in any pipe."""
    plain = msgspec.to_builtins(value)
    line(json.dumps(plain, separators=(",", ":")))


def table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], *, empty: str) -> None:
    """Print rows in aligned columns; a cell whose text names a meaning gets its colour."""
    if not rows:
        line(empty)
        return
    cells = [[cell(row.get(column)) for column in columns] for row in rows]
    if colours() and _rich_table(cells, columns):
        return
    widths = [max(len(each) for each in column) for column in zip(columns, *cells, strict=True)]
    line("  ".join(map(str.ljust, map(str.upper, columns), widths)).rstrip())
    for row in cells:
        padded = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        line("  ".join(styled(text, text.strip()) for text in padded).rstrip())


def _rich_table(cells: list[list[str]], columns: Sequence[str]) -> bool:
    try:
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    grid = Table(*(column.upper() for column in columns), box=None, pad_edge=False)
    for row in cells:
        grid.add_row(*(Text(text, style=STYLES.get(text, "")) for text in row))
    Console().print(grid)
    return True


def cell(value: Any) -> str:
    """Return a value as one line of visible text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        named = cast("Mapping[str, Any]", value)
        return visible(", ".join(f"{name} {cell(each)}" for name, each in named.items()))
    if isinstance(value, list | tuple):
        return visible(", ".join(map(cell, cast("Sequence[Any]", value))))
    return visible(str(value))


def pairs(values: Mapping[str, Any]) -> None:
    """Print names and values below each other, values aligned."""
    width = max(map(len, values), default=0)
    for name, value in values.items():
        text = cell(value)
        line(f"{styled(name.ljust(width), dim=True)}  {styled(text, text)}".rstrip())


def time(milliseconds: int) -> str:
    """Return a time as humans read it, in UTC; nothing for 0."""
    if not milliseconds:
        return ""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{milliseconds} ms after 1970"  # no calendar has it; a record may say it


def counted(number: int, what: str) -> str:
    """Return `3 tools`, `1 tool`, `2 policies`."""
    if number == 1:
        return f"1 {what}"
    return f"{number} {what[:-1]}ies" if what.endswith("y") else f"{number} {what}s"


def shortened(text: str, length: int) -> str:
    """Return at most `length` characters, the last one an ellipsis when something is missing."""
    return text if len(text) <= length else text[: length - 1] + "…"


@contextmanager
def progress(what: str) -> Generator[Callable[[int, int], None]]:
    """Yield what tells of progress on standard error, in place; of nothing unless on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _done, _all: None
        return
    try:
        yield lambda done, whole: click.echo(f"\r{done} of {whole} {what}", nl=False, err=True)
    finally:
        click.echo("\r\x1b[K", nl=False, err=True)


def complain(message: str, code: str, hint: str = "") -> None:
    """Say on standard error what went wrong, with its code and the way out."""
    click.echo(f"bridle: {visible(message, lines=True)} [{visible(code)}]", err=True)
    if hint:
        click.echo(f"  {visible(hint, lines=True)}", err=True)
