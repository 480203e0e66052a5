"""The plain values of a request's context → Cedar's, along the schema's types.

Reads exactly the forms that Bridle writes. Anything else, also what Cedar itself might take, raises
`Unsupported`, so that Cedar gets to read (and mostly to refuse) it: nothing passes here that does
not fit the schema.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any, cast

from msgspec import Struct

from bridle.engine.cedar.compiled.graph import elements
from bridle.engine.cedar.compiled.values import (
    LONG_MAX,
    LONG_MIN,
    EvaluationError,
    Fixed,
    Ref,
    Unsupported,
    decimal,
    well_formed,
)

Read = Callable[[Any], Any]

_ARRAYS: tuple[type, ...] = (list, tuple)
_BOOLS: frozenset[type] = frozenset((bool,))


class Field(Struct, frozen=True):
    """An attribute of a record type."""

    read: Read
    required: bool


def string(given: Any) -> str:
    """Read a String."""
    if type(given) is not str or not well_formed(given):
        raise Unsupported
    return given


def long(given: Any) -> int:
    """Read a Long. A Python bool is none."""
    if type(given) is not int or not LONG_MIN <= given <= LONG_MAX:
        raise Unsupported
    return given


def boolean(given: Any) -> bool:
    """Read a Bool."""
    if type(given) is not bool:
        raise Unsupported
    return given


def fixed(given: Any) -> Fixed:
    """Read a decimal, which Bridle writes as text."""
    if type(given) is not str:
        raise Unsupported
    try:
        return decimal(given)
    except EvaluationError as e:
        raise Unsupported from e


def entity(kind: str) -> Read:
    """Return the reader of a uid of this type."""

    def read(given: Any) -> Ref:
        if type(given) is not dict or given.keys() != {"type", "id"} or given["type"] != kind:
            raise Unsupported
        return Ref(kind, string(given["id"]))

    return read


def uid(given: Any) -> Ref:
    """Read a uid of any type."""
    if type(given) is not dict or given.keys() != {"type", "id"}:
        raise Unsupported
    return Ref(string(given["type"]), string(given["id"]))


def many(item: Read) -> Read:
    """Return the reader of a Set."""

    def read(given: Any) -> frozenset[Any]:
        if type(given) not in _ARRAYS:
            raise Unsupported
        return elements(map(item, given))

    return read


def _truths(required: AbstractSet[str], names: AbstractSet[str]) -> Read:
    """Return the reader of a closed record of nothing but Bools, all of them at once."""

    def read(given: Any) -> dict[str, Any]:
        if type(given) is not dict or not required <= given.keys() <= names:
            raise Unsupported
        held = cast("dict[str, Any]", given)
        if not _BOOLS.issuperset(map(type, held.values())):
            raise Unsupported
        return held.copy()

    return read


def record(fields: dict[str, Field]) -> Read:
    """Return the reader of a closed record."""
    required = frozenset(name for name, field in fields.items() if field.required)
    reads = {name: field.read for name, field in fields.items()}
    if all(inner is boolean for inner in reads.values()):
        return _truths(required, reads.keys())

    def read(given: Any) -> dict[str, Any]:
        if type(given) is not dict or not given.keys() >= required:
            raise Unsupported
        made: dict[str, Any] = {}
        for name, value in cast("dict[Any, Any]", given).items():  # type: ignore[redundant-cast]
            inner = reads.get(name)
            if inner is None:
                raise Unsupported
            made[name] = inner(value)
        return made

    return read
