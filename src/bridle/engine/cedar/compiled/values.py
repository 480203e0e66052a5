"""Cedar's values as Python ones, when two of them are equal, and how evaluating them fails.

A Bool is a `bool`, a Long an `int`, a String a `str`, an entity a `Ref`, a decimal a `Fixed`, a
record a `dict`, a set a `frozenset` of the keys of its elements. Python holds `True == 1`, Cedar
does not: nothing here compares two values without their types.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any, NamedTuple, cast

from msgspec import Struct

LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1
"""The range of Cedar's Long, and in ten-thousandths of its decimal."""

_DECIMAL = re.compile(r"(-?)([0-9]+)\.([0-9]{1,4})")
_DIGITS = 20  # More than any Long has; the rest can only be too large.


class Unsupported(Exception):  # noqa: N818 - no error: whoever meets it asks Cedar instead
    """Something that is not understood exactly."""


class EvaluationError(Exception):
    """A policy that cannot be evaluated. `why` never repeats a value."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


NO_ATTRIBUTE = "reads an attribute that is not there"
NO_TAG = "reads a tag that is not there"
NO_ENTITY = "names an entity that does not exist"
OVERFLOW = "integer overflow"
TYPE = "type error"
EXTENSION = "an extension function failed"


class Ref(NamedTuple):
    """An entity's uid. No other value is a tuple."""

    kind: str
    name: str


class Fixed(Struct, frozen=True):
    """A decimal, in ten-thousandths. Equal to no number."""

    units: int


class _Truth(Enum):
    """A Bool as an element: a Python set would take it for 0 or 1."""

    NO = 0
    YES = 1


class _Fields(Struct, frozen=True):
    """A record as an element: its names with the keys of their values."""

    items: frozenset[tuple[str, Any]]


def key(value: Any) -> Any:
    """Return what stands for `value` in a set: equal keys are equal values, types included."""
    kind = cast("object", type(value))
    if kind is bool:
        return _Truth.YES if value else _Truth.NO
    if kind is dict:
        return _Fields(frozenset((name, key(v)) for name, v in value.items()))
    return value


def equal(left: Any, right: Any) -> bool:
    """Cedar's `==`: false, never an error, between different types."""
    kind = cast("object", type(left))
    if kind is not type(right):
        return False
    return bool(key(left) == key(right)) if kind is dict else bool(left == right)


def decimal(text: str) -> Fixed:
    """Read what Cedar's `decimal()` takes; raise `EvaluationError` for anything else."""
    found = _DECIMAL.fullmatch(text)
    whole = found[2].lstrip("0") if found else ""
    if not found or len(whole) > _DIGITS:
        raise EvaluationError(EXTENSION)
    units = int(found[1] + (whole + found[3].ljust(4, "0")))
    if not LONG_MIN <= units <= LONG_MAX:
        raise EvaluationError(EXTENSION)
    return Fixed(units)


def well_formed(text: str) -> bool:
    """Whether a text has a UTF-8 form. Cedar takes no other."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
