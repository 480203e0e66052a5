"""Paths into a JSON Schema: what a path names, of which types, and whether it may be absent."""

from __future__ import annotations

from typing import Any, cast

from msgspec import Struct

from bridle.bundle.schema.json_schema import Schema, reference
from bridle.language.plain import is_object

ELEMENT = "[]"
_ALL = frozenset({"string", "integer", "number", "boolean", "null", "array", "object"})
_MAX_VISITS = 1_000
_MAX_DEPTH = 8


class Place(Struct, frozen=True):
    """What a path names.

    `direct` are the subschemas that stand there, `applied` those and what they refer to or combine.
    `removable`: an optional property or an element of an array. `types` are the JSON types that the
    value may have (`number` covers `integer`).
    """

    direct: tuple[Any, ...]
    applied: tuple[Schema, ...]
    removable: bool
    types: frozenset[str]


def split(path: str) -> tuple[str, ...]:
    """Split `fields.note` or `to[]` into steps (no quoting: names with dots need a remedy path)."""
    steps = list[str]()
    for part in path.split("."):
        name = part
        while name.endswith(ELEMENT):
            name = name[: -len(ELEMENT)]
        steps.append(name)
        steps += [ELEMENT] * ((len(part) - len(name)) // len(ELEMENT))
    return tuple(steps)


def find(root: Schema, steps: tuple[str, ...]) -> Place | None:
    """Return what `steps` name below `root`, or None when nothing can stand there."""
    walk = _Walk(root)
    here: list[Any] = [root]
    removable = False
    for step in steps:
        applied = walk.applied(here)
        here, removable = _step(applied, step)
        if not here:
            return None
    applied = walk.applied(here)
    return Place(tuple(here), tuple(applied), removable, _types(here, walk.defs))


def _step(applied: list[Schema], step: str) -> tuple[list[Any], bool]:
    found = list[Any]()
    if step == ELEMENT:
        for part in applied:
            found += [part["items"]] if "items" in part else []
            found += cast("list[Any]", part.get("prefixItems", []))
        return [f for f in found if f is not False], True
    required = False
    for part in applied:
        properties = cast("dict[str, Any]", part.get("properties", {}))
        found += [properties[step]] if step in properties else []
        required |= step in cast("list[str]", part.get("required", []))
    return [f for f in found if f is not False], not required


def _types(direct: list[Any], defs: dict[str, Any]) -> frozenset[str]:
    found = frozenset[str]()
    for part in direct:
        found |= _types_of(part, defs, 0)
    return found


def _types_of(part: Any, defs: dict[str, Any], depth: int) -> frozenset[str]:
    """Return the JSON types that a schema lets through; all where it is too deep to tell."""
    if not is_object(part) or depth > _MAX_DEPTH:
        return frozenset() if part is False else _ALL
    found = _own_types(part)
    if "$ref" in part:
        found &= _types_of(defs.get(reference(part["$ref"])), defs, depth + 1)
    for branch in part.get("allOf", ()):
        found &= _types_of(branch, defs, depth + 1)
    for key in ("anyOf", "oneOf"):
        if key in part:
            branches = (_types_of(b, defs, depth + 1) for b in part[key])
            found &= frozenset[str]().union(*branches)
    return found


def _own_types(part: Schema) -> frozenset[str]:
    found, raw = _ALL, part.get("type")
    if raw is not None:
        types = {raw} if isinstance(raw, str) else set(cast("list[str]", raw))
        found = frozenset(types | ({"integer"} if "number" in types else set()))
    if "const" in part or "enum" in part:
        values = [part["const"]] if "const" in part else part["enum"]
        found &= frozenset(_type_of(value) for value in values)
    return found


def _type_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if value is None:
        return "null"
    names = ((str, "string"), (int, "integer"), (float, "number"), (list, "array"))
    return next((n for k, n in names if isinstance(value, k)), "object")


class _Walk:
    def __init__(self, root: Schema) -> None:
        self.defs = cast("dict[str, Any]", root.get("$defs", {}))

    def applied(self, schemas: list[Any]) -> list[Schema]:
        """Return every object schema that applies to a value, or may, through $ref and branches."""
        found, stack, visits = list[Schema](), list(schemas), 0
        seen = set[int]()
        while stack and visits < _MAX_VISITS:
            visits += 1
            part = stack.pop()
            if not is_object(part) or id(part) in seen:
                continue
            schema = part
            seen.add(id(schema))
            found.append(schema)
            if "$ref" in schema:
                stack.append(self.defs.get(reference(schema["$ref"])))
            for key in ("allOf", "anyOf", "oneOf"):
                stack += cast("list[Any]", schema.get(key, []))
            stack += [schema[key] for key in ("then", "else") if key in schema]
        return found
