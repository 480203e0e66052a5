"""A line of a trace → the event that history holds, and the reader of its request.

The two are apart: history holds what was logged, a condition reads the scope, the entities and the
request context of the line that decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.event import Atom, Event, Path, Read
from bridle.language.temporal.ast import EntityLiteral
from bridle.language.trace import TracedEvent, Value

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def event(line: TracedEvent, atoms: Atomiser) -> Event:
    """Return the entry of history: what was logged, taken apart by dotted path."""
    name = ("::".join(line.namespace), line.action)
    fields = {path: atoms.plain(value) for path, value in _leaves("", line.logged)}
    return Event(line.time * 1000, name, line.kind, fields)


def reader(line: TracedEvent, atoms: Atomiser) -> Read:
    """Return the reader of the request that a line makes."""
    attributes = {each.entity: each.attributes for each in line.entities}

    def read(path: Path) -> Atom | None:
        root, *rest = path
        if root == "context":
            return _atom(_descend(line.context, rest), atoms) if rest else None
        value = line.scope.get(root)
        if not rest:
            return _atom((value,) if root in line.scope else None, atoms)
        if not isinstance(value, EntityLiteral):
            return None
        found = _descend(attributes.get(value, {}), rest)
        return _atom(_of_entity(value, rest) if found is None else found, atoms)

    return read


def _leaves(above: str, value: Mapping[str, Value]) -> Iterator[tuple[str, Value]]:
    for name, inner in value.items():
        # A name with a dot in it never stands for a path through a record.
        if not _NAME.fullmatch(name):
            continue
        if isinstance(inner, dict):
            yield from _leaves(f"{above}{name}.", inner)
        else:
            yield above + name, inner


def _descend(record: Mapping[str, Value], path: list[str]) -> tuple[Value] | None:
    """Return what a path leads to, as a tuple of one: a null is there."""
    value: Value = dict(record)
    for name in path:
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return (value,)


def _of_entity(entity: EntityLiteral, path: list[str]) -> tuple[Value] | None:
    """Return what every entity has, unless an attribute of that name says otherwise."""
    match path:
        case ["id"]:
            return (entity.id,)
        case ["type"]:
            return (entity.type,)
        case _:
            return None


def _atom(found: tuple[Value] | None, atoms: Atomiser) -> Atom | None:
    return None if found is None else atoms.plain(found[0])
