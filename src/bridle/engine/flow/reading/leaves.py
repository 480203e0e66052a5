"""The texts of a JSON value: every string, every number as written, every key that is data."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bridle.language.plain import is_array, is_object

_WIDEST = 40  # digits of a number that is written out


def leaves(value: Any) -> Iterator[str]:
    """Yield the texts of a value in order, a key before what stands under it, and only once.

    Truth values and null say nothing. Works at any depth, without recursion.
    """
    pending, keys = [value], set[str]()
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            yield item
        elif is_object(item):
            for key, below in reversed(item.items()):
                pending.append(below)
                if key not in keys:
                    keys.add(key)
                    pending.append(key)
        elif is_array(item):
            pending += reversed(item)
        elif text := number_text(item):
            yield text


def number_text(value: Any) -> str:
    """Return a number as text, a whole one without a fraction; "" for what is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return ""
    if isinstance(value, Decimal) and value.is_finite() and abs(value.adjusted()) < _WIDEST:
        return f"{value:f}"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    try:
        return str(value)
    except ValueError:  # an integer with more digits than Python prints
        return hex(value) if isinstance(value, int) else ""
