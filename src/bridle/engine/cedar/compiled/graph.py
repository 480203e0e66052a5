"""The entities of a world as Cedar prints them: attributes, tags, and who is in what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import msgspec
from msgspec import Struct

from bridle.engine.cedar.compiled.values import (
    LONG_MAX,
    LONG_MIN,
    Ref,
    Unsupported,
    decimal,
    key,
)


class Node(Struct, frozen=True):
    """One entity. `within` are all it is in, itself included."""

    attrs: dict[str, Any]
    tags: dict[str, Any]
    within: frozenset[Ref]


class _Uid(Struct, frozen=True, forbid_unknown_fields=True):
    type: str
    id: str


class _Printed(Struct, frozen=True, forbid_unknown_fields=True):
    uid: _Uid
    attrs: dict[str, Any]
    parents: list[_Uid]
    tags: dict[str, Any] = {}


class Graph:
    """Entities by uid. One that is not in it has neither attributes nor parents."""

    __slots__ = ("nodes",)

    def __init__(self, printed: str) -> None:
        entities = msgspec.json.decode(printed, type=list[_Printed])
        above = {_ref(e.uid): tuple(map(_ref, e.parents)) for e in entities}
        self.nodes = {
            ref: Node(_record(e.attrs), _record(e.tags), _closure(ref, above))
            for ref, e in zip(above, entities, strict=True)
        }

    def within(self, ref: Ref) -> frozenset[Ref]:
        """Return everything an entity is in, itself included."""
        node = self.nodes.get(ref)
        return frozenset((ref,)) if node is None else node.within


def _ref(uid: _Uid) -> Ref:
    return Ref(uid.type, uid.id)


def _closure(ref: Ref, above: dict[Ref, tuple[Ref, ...]]) -> frozenset[Ref]:
    found: set[Ref] = set()
    waiting = [ref]
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting.extend(above.get(each, ()))
    return frozenset(found)


def _record(printed: dict[str, Any]) -> dict[str, Any]:
    return {name: _value(v) for name, v in printed.items()}


def _value(printed: Any) -> Any:
    """Read a value in Cedar's explicit JSON form (Cedar docs, "Entities syntax")."""
    kind = cast("object", type(printed))
    if kind is str or kind is bool:
        return printed
    if kind is int and LONG_MIN <= printed <= LONG_MAX:
        return printed
    if kind is list:
        return elements(_value(v) for v in printed)
    if kind is not dict:
        raise Unsupported
    match printed:
        case {"__entity": {"type": str(entity), "id": str(name)}}:
            return Ref(entity, name)
        case {"__extn": {"fn": "decimal", "arg": str(text)}}:
            return decimal(text)
        case _ if any(name.startswith("__") for name in printed):
            raise Unsupported
        case _:
            return _record(printed)


def elements(values: Iterable[Any]) -> frozenset[Any]:
    """Return the set of these values."""
    return frozenset(map(key, values))
