"""What of a result can be read that does not fit its schema: the declared parts of their own type.

For history alone: an event that bore nothing of such a result would be one that no rule over its
content could see, while the agent sees all of it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from bridle.bundle.schema.shape import Fraction, Integer, Many, Record, Shape, Text, Truth
from bridle.language.plain import is_array, is_object


def readable(value: dict[str, Any], shape: Record) -> dict[str, Any]:
    """Return the declared parts of a value that have their type. The rest is left out."""
    found: dict[str, Any] = {}
    for name, field in shape.fields.items():
        item = value.get(name)
        if isinstance(field.shape, Record) and is_object(item):
            found[name] = readable(item, field.shape)
        elif _has_type(item, field.shape):
            found[name] = item
    return found


def _has_type(value: Any, shape: Shape) -> bool:
    match shape:
        case Text():
            return isinstance(value, str)
        case Truth():
            return isinstance(value, bool)
        case Integer() | Fraction():
            return isinstance(value, int | Decimal) and not isinstance(value, bool)
        case Many():
            return is_array(value) and all(_has_type(item, shape.item) for item in value)
        case Record():
            return is_object(value) and all(
                value.get(name) is None or _has_type(value[name], field.shape)
                for name, field in shape.fields.items()
            )
        case _:
            return False
