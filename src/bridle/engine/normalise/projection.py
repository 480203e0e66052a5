"""From a canonical value to what Cedar sees of it: typed parts, without nulls, decimals printed.

Works along the same shape that the Cedar schema was made from, so that the two cannot disagree.
Values are trusted to fit their JSON Schema.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from bridle.bundle.schema.shape import Fraction, Integer, Many, Record, Shape
from bridle.engine.normalise.canonical import DECIMAL_MAX, DECIMAL_MIN
from bridle.engine.normalise.encoding import decimal_text
from bridle.engine.strict_json import LONG_MAX, LONG_MIN

Projector = Callable[[Any], Any]
RecordProjector = Callable[[dict[str, Any]], dict[str, Any]]


class UntypableError(Exception):
    """A number that Cedar cannot hold exactly."""


def _projector(shape: Shape) -> Projector | None:
    """Return the function that makes Cedar's JSON of a value; None where that is the value."""
    if isinstance(shape, Record):
        return record_projector(shape)
    if isinstance(shape, Many):
        item = _projector(shape.item)
        return _array(item) if item else None
    if isinstance(shape, Fraction):
        return _decimal
    return _long if isinstance(shape, Integer) else None


def record_projector(shape: Record) -> RecordProjector:
    """Return the function that makes Cedar's JSON of an object, its typed properties only.

    It raises `UntypableError` for a number that Cedar cannot hold.
    """
    fields = [(n, _projector(f.shape)) for n, f in shape.fields.items()]

    def project(value: dict[str, Any]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for name, inner in fields:
            item = value.get(name)
            # A null counts as absent for policies; what executes keeps it.
            if item is None:
                continue
            # INVARIANT: I2. A number that cannot be shown is never left out: `has` would say that
            # it is absent, and a forbid that guards itself so would not apply.
            made[name] = item if inner is None else inner(item)
        return made

    return project


def holds_decimals(shape: Shape | None) -> bool:
    """Whether Cedar is given a decimal anywhere in a value of this type."""
    if isinstance(shape, Record):
        return any(holds_decimals(f.shape) for f in shape.fields.values())
    return holds_decimals(shape.item) if isinstance(shape, Many) else isinstance(shape, Fraction)


def _array(item: Projector) -> Projector:
    return lambda value: [item(v) for v in value]


def _long(value: int | Decimal) -> int:
    if isinstance(value, int):
        return value
    if LONG_MIN <= value <= LONG_MAX and value == value.to_integral_value():
        return int(value)
    raise UntypableError


def _decimal(value: int | Decimal) -> str:
    if not DECIMAL_MIN <= value <= DECIMAL_MAX:
        raise UntypableError
    if isinstance(value, int):
        return f"{value}.0"
    if value.adjusted() < -4 and value:
        raise UntypableError
    text = decimal_text(value)
    if len(text) - text.index(".") > 5:
        raise UntypableError
    return text
