"""What a JSON Schema (2020-12) says about the places of a value: their types and their children.

Only as much as reading arguments needs; whether a value conforms is for the validator. Where
branches (`anyOf`, `if`, …) disagree, the answer covers all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from bridle.bundle.schema.json_schema import Schema
from bridle.language.plain import is_object

_BRANCHES = ("allOf", "anyOf", "oneOf")
_CONDITIONAL = ("if", "then", "else")


class Document:
    """One schema document; it resolves references within itself."""

    __slots__ = ("root",)

    def __init__(self, root: Schema) -> None:
        self.root = root

    def applicable(self, schemas: tuple[Any, ...]) -> list[Schema]:
        """Return every object schema that can apply to a place that `schemas` describe."""
        found: list[Schema] = []
        seen: set[int] = set()
        pending = list(schemas)
        while pending:
            schema = pending.pop(0)
            if not is_object(schema) or id(schema) in seen:
                continue
            seen.add(id(schema))
            found.append(schema)
            pending.extend(self._branches(schema))
        return found

    def _branches(self, schema: Schema) -> Iterator[Any]:
        if "$ref" in schema:
            yield self.resolve(schema["$ref"])
        for keyword in _BRANCHES:
            yield from schema.get(keyword, ())
        for keyword in _CONDITIONAL:
            if keyword in schema:
                yield schema[keyword]
        yield from schema.get("dependentSchemas", {}).values()

    def resolve(self, reference: str) -> Any:
        """Return what a reference `#/$defs/NAME` points at, or None."""
        node: Any = self.root
        if not reference.startswith("#"):
            return None
        for step in reference[1:].split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            node = node.get(key) if is_object(node) else None
        return node

    def kinds(self, schema: Any) -> frozenset[str] | None:
        """Return the JSON types a schema allows, or None when it does not say."""
        return self._kinds(schema, frozenset())

    def _kinds(self, schema: Any, above: frozenset[int]) -> frozenset[str] | None:
        if schema is False:
            return frozenset()
        if not is_object(schema) or id(schema) in above:
            return None
        above |= {id(schema)}
        kinds = _declared(schema)
        if "$ref" in schema:
            kinds = _both(kinds, self._kinds(self.resolve(schema["$ref"]), above))
        for part in schema.get("allOf", ()):
            kinds = _both(kinds, self._kinds(part, above))
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                options = [self._kinds(part, above) for part in schema[keyword]]
                kinds = _both(kinds, _either(options))
        return kinds


def _declared(schema: Schema) -> frozenset[str] | None:
    kinds: frozenset[str] | None = None
    if "type" in schema:
        named = schema["type"]
        kinds = frozenset((named,) if isinstance(named, str) else named)
        kinds -= {"integer"} if "number" in kinds else set[str]()
    if "enum" in schema:
        kinds = _both(kinds, frozenset(_kind(v) for v in schema["enum"]))
    if "const" in schema:
        kinds = _both(kinds, frozenset((_kind(schema["const"]),)))
    return kinds


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float | Decimal):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _both(one: frozenset[str] | None, two: frozenset[str] | None) -> frozenset[str] | None:
    if one is None or two is None:
        return two if one is None else one
    common = one & two
    # Every integer is a number: where one side says the narrower, that is what both allow.
    if ("integer" in one and "number" in two) or ("integer" in two and "number" in one):
        common |= {"integer"}
    return common


def _either(options: list[frozenset[str] | None]) -> frozenset[str] | None:
    known = [o for o in options if o is not None]
    return frozenset[str]().union(*known) if len(known) == len(options) else None
