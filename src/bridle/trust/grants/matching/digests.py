"""One digest for each JSON value: what a predicate compares where the value itself is not carried.

RFC 8785 in form: members in the order of their UTF-16 code units, no space, shortest escapes. Other
than there a number is its exact decimal, however many digits it has, without exponent or needless
zeros: 1.50 and 1.5 are one number, and so are 2.0 and 2.
"""

from __future__ import annotations

import json
from decimal import Decimal
from hashlib import sha256
from typing import Any, cast


def digest_of(value: Any) -> str:
    """Return the SHA-256 (hex) of a value's canonical text; empty for what has none.

    A `float` has none, nor a text with half of a surrogate pair, nor what is no JSON value.
    """
    try:
        return sha256(canonical(value).encode()).hexdigest()
    except (TypeError, ValueError, RecursionError):
        return ""


def canonical(value: Any) -> str:
    """Return a value's canonical text. Raises `TypeError`, `ValueError`, `RecursionError`."""
    if type(value) is dict:
        found = cast("dict[str, Any]", value)
        if any(type(name) is not str for name in found):
            raise TypeError("no JSON value")
        members = sorted(found, key=_order)
        return "{" + ",".join(f"{_text(m)}:{canonical(found[m])}" for m in members) + "}"
    if type(value) is list:
        return "[" + ",".join(map(canonical, cast("list[object]", value))) + "]"
    if type(value) is Decimal:
        return _number(value)
    if type(value) in (str, int, bool, type(None)):
        return _text(value)
    raise TypeError("no JSON value")


def _order(name: str) -> bytes:
    return name.encode("utf-16-be")


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError("no number")
    text = f"{value:f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
