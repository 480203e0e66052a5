"""The types of a Cedar schema as written → as meant: names looked up where Cedar looks them up.

A name means, in this order, something of its own namespace, something outside namespaces, a type
that Cedar brings along. Common types are written out by sharing, and what would be too long or too
deep if it were not shared is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from msgspec import Struct

from bridle.language.errors import LanguageError, fault
from bridle.language.events.actions import Attribute, CedarType, Form
from bridle.language.lexer import Source

MAX_DEPTH = 64
"""Levels of a type, its names written out."""

MAX_SIZE = 10_000
"""Fields of a type, its names written out."""

PLAIN = {"String", "Long", "Bool", "decimal", "ipaddr", "datetime", "duration"}
"""What Cedar brings along, as `__cedar::` names."""


class Named(Struct, frozen=True):
    """A name as written."""

    name: str


class RawSet(Struct, frozen=True):
    """`Set<item>`."""

    item: Raw


class RawRecord(Struct, frozen=True):
    """`{ … }`: by name, the type and whether it is required."""

    fields: dict[str, tuple[Raw, bool]]


Raw: TypeAlias = Named | RawSet | RawRecord


class Resolver:
    """Looks names up. `commons` maps a qualified name to its namespace and its text's type."""

    def __init__(
        self, source: Source, commons: Mapping[str, tuple[str, Raw]], entities: frozenset[str]
    ) -> None:
        self._source = source
        self._commons = commons
        self._entities = entities
        self._known = dict[str, CedarType]()

    def type(self, raw: Raw, namespace: str) -> CedarType:
        """Return the type meant. Raises `LanguageError` where there is none, or a limit is met."""
        return self._type(raw, namespace, 0)

    def entity(self, named: Named, namespace: str) -> str:
        """Return the qualified name of an entity type."""
        found = next((n for n in _meanings(named.name, namespace) if n in self._entities), None)
        if found is None:
            raise self._fault(f"no entity type is called `{named.name}`")
        return found

    def _type(self, raw: Raw, namespace: str, level: int) -> CedarType:
        if level > MAX_DEPTH:
            raise self._fault(f"a type is nested more than {MAX_DEPTH} deep, or contains itself")
        if isinstance(raw, Named):
            return self._named(raw.name, namespace, level)
        if isinstance(raw, RawSet):
            item = self._type(raw.item, namespace, level + 1)
            return self._limited(
                CedarType(Form.SET, item=item, size=item.size + 1, depth=item.depth + 1)
            )
        attributes = {
            name: Attribute(self._type(kind, namespace, level + 1), required)
            for name, (kind, required) in raw.fields.items()
        }
        size = 1 + sum(a.type.size for a in attributes.values())
        depth = 1 + max((a.type.depth for a in attributes.values()), default=0)
        return self._limited(CedarType(Form.RECORD, attributes=attributes, size=size, depth=depth))

    def _named(self, name: str, namespace: str, level: int) -> CedarType:
        for meant in _meanings(name, namespace):
            if meant in self._commons:
                if meant not in self._known:
                    space, raw = self._commons[meant]
                    self._known[meant] = self._type(raw, space, level + 1)
                return self._known[meant]
            if meant in self._entities:
                return CedarType(Form.ENTITY, meant)
        plain = name.removeprefix("__cedar::")
        if plain not in PLAIN:
            raise self._fault(f"no type is called `{name}`")
        return CedarType(Form.PLAIN, plain)

    def _limited(self, made: CedarType) -> CedarType:
        if made.size > MAX_SIZE:
            raise self._fault(f"a type has more than {MAX_SIZE} fields once its names are replaced")
        if made.depth > MAX_DEPTH:
            raise self._fault(f"a type is nested more than {MAX_DEPTH} deep")
        return made

    def _fault(self, message: str) -> LanguageError:
        return fault(self._source.at(0), "policy_schema", message, "mend the Cedar schema")


def _meanings(name: str, namespace: str) -> tuple[str, ...]:
    if "::" in name or not namespace:
        return (name,)
    return f"{namespace}::{name}", name
