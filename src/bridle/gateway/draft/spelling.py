"""Values as TOML and comments spell them, whatever is in them: nothing from outside breaks out."""

from __future__ import annotations

import json
import re
from typing import Any

from bridle.language.plain import is_array, is_object

_LONGEST_COMMENT = 200
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def text(value: str) -> str:
    """Return a TOML basic string."""
    inner = "".join(_escaped(char) for char in value)
    return f'"{inner}"'


def _escaped(char: str) -> str:
    if char in '"\\':
        return f"\\{char}"
    # Controls, formats and spaces of other kinds do not show, or move what does.
    if char.isprintable():
        return char
    code = ord(char)
    return f"\\u{code:04X}" if code <= 0xFFFF else f"\\U{code:08X}"


def key(name: str) -> str:
    """Return a TOML key."""
    return name if _BARE.fullmatch(name) else text(name)


def value(plain: Any) -> str:
    """Return an inline TOML value. Raises `ValueError` for what TOML does not have: null."""
    if is_object(plain):
        pairs = ", ".join(f"{key(name)} = {value(each)}" for name, each in plain.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if is_array(plain):
        return f"[{', '.join(value(each) for each in plain)}]"
    if isinstance(plain, str):
        return text(plain)
    if plain is None:
        raise ValueError("TOML has no null")
    return json.dumps(plain)


def comment(words: str) -> str:
    """Return a text that stays within one comment, cut to a length that is read."""
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in words)
    return shown if len(shown) <= _LONGEST_COMMENT else shown[: _LONGEST_COMMENT - 1] + "…"
