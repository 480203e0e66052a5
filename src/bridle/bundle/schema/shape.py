"""A checked JSON Schema → the type Cedar gives its values, for schema text and for context.

What has no Cedar type (open objects, tuples, unions, recursion) is left out, and said with its
path.
Leaving out never widens anything: such a value is still validated, only policies cannot see it.
"""

from __future__ import annotations

from typing import Any, cast

from msgspec import Struct

from bridle.bundle.schema.json_schema import Schema, reference

MAX_DEPTH = 32
"""Levels of records and sets that Cedar is given."""

MAX_SHAPES = 2_000
"""Types in one tool: references may fan out."""


class Shape(Struct, frozen=True):
    """Base of the types."""


class Text(Shape, frozen=True):
    """String."""


class Truth(Shape, frozen=True):
    """Bool."""


class Integer(Shape, frozen=True):
    """Long."""


class Fraction(Shape, frozen=True):
    """decimal; whole numbers too, where the schema says `number`."""


class Many(Shape, frozen=True):
    """Set of one type; order and repetition are invisible."""

    item: Shape


class Field(Struct, frozen=True):
    """A property of a record. `nullable`: a null counts as absent, and it is never required."""

    shape: Shape
    required: bool = False
    nullable: bool = False


class Record(Shape, frozen=True):
    """Record. Properties of the JSON object that are not among `fields` are left out."""

    fields: dict[str, Field]


class Typing(Struct, frozen=True):
    """The type of a whole (None: it has none), and what was left out: path → why."""

    shape: Shape | None
    untyped: dict[str, str]


def input_typing(schema: Schema) -> Typing:
    """Type a tool's arguments. Always a record; what is not typed is left out of it."""
    walk = _Walk(schema)
    root = walk.resolve(schema, ())
    if root is None:
        return Typing(Record({}), {"input": "its schema is recursive"})
    if _is_open(root):
        walk.untyped["input"] = (
            "it may hold more than `properties` names, which neither policies nor detectors see"
        )
    return Typing(walk.record(root, "input", ()), walk.untyped)


def output_typing(schema: Schema) -> Typing:
    """Type a tool's result. Only a closed object has a type."""
    walk = _Walk(schema)
    found = walk.field(schema, "output", ())
    if found is not None and not isinstance(found.shape, Record):
        walk.untyped["output"] = "only objects are typed"
    shape = found.shape if found and isinstance(found.shape, Record) else None
    return Typing(shape, walk.untyped)


def texts(schema: Schema) -> tuple[str, ...]:
    """Return the top-level properties whose values may hold text: those that have `facts`."""
    walk = _Walk(schema)
    root = walk.resolve(schema, ()) or {}
    properties = cast("dict[str, Any]", root.get("properties", {}))
    return tuple(name for name, part in properties.items() if walk.may_hold_text(part))


def properties(schema: Schema) -> tuple[tuple[str, ...], bool]:
    """Return the top-level properties that may have a value, and whether there can be no others."""
    root = _Walk(schema).resolve(schema, ())
    if root is None:
        return (), False
    named = cast("dict[str, Any]", root.get("properties", {}))
    return tuple(name for name, part in named.items() if part is not False), not _is_open(root)


class _UntypedError(Exception):
    """Carries why something has no type."""


class _Walk:
    def __init__(self, root: Schema) -> None:
        self.defs = cast("dict[str, Any]", root.get("$defs", {}))
        self.untyped: dict[str, str] = {}
        self.count = 0

    def field(self, schema: Any, path: str, above: tuple[str, ...]) -> Field | None:
        try:
            shape, nullable = self.shape(schema, path, above)
        except _UntypedError as reason:
            self.untyped[path] = str(reason)
            return None
        return Field(shape, nullable=nullable)

    def record(self, part: Schema, path: str, above: tuple[str, ...]) -> Record:
        required = cast("list[str]", part.get("required", []))
        fields = dict[str, Field]()
        for name, inner in cast("dict[str, Any]", part.get("properties", {})).items():
            if inner is False:
                continue
            found = self.field(inner, f"{path}.{name}", above)
            if found is not None:
                needed = name in required and not found.nullable
                fields[name] = Field(found.shape, needed, found.nullable)
        return Record(fields)

    def shape(self, schema: Any, path: str, above: tuple[str, ...]) -> tuple[Shape, bool]:
        self.count += 1
        if self.count > MAX_SHAPES:
            raise _UntypedError("the schema is too large")
        if not isinstance(schema, dict):
            raise _UntypedError("it may be anything")
        part, nullable = cast("Schema", schema), False
        while True:
            inner, above, null = self._unwrap(part, above)
            nullable |= null
            if inner is part:
                break
            part = inner
        if len(above) > MAX_DEPTH:
            raise _UntypedError("it is nested too deeply")
        name, null = _type(part)
        return self._build(name, part, path, (*above, "")), nullable or null

    def resolve(self, schema: Schema, above: tuple[str, ...]) -> Schema | None:
        try:
            part = schema
            while True:
                inner, above, _ = self._unwrap(part, above)
                if inner is part:
                    return part
                part = inner
        except _UntypedError:
            return None

    def may_hold_text(self, schema: Any) -> bool:
        if not isinstance(schema, dict):
            return schema is not False
        part = self.resolve(cast("Schema", schema), ()) or {}
        if "enum" in part or "const" in part:
            return any(not isinstance(v, int | float | None) for v in _values(part))
        types = part.get("type")
        found = {types} if isinstance(types, str) else set(cast("list[str]", types or []))
        return not found or bool(found - {"boolean", "integer", "number", "null"})

    def _unwrap(self, part: Schema, above: tuple[str, ...]) -> tuple[Schema, tuple[str, ...], bool]:
        """Follow a reference, or the one branch of a union that is not null."""
        if "$ref" in part:
            name = reference(part["$ref"])
            target = self.defs.get(name)
            if name in above:
                raise _UntypedError("it is recursive")
            if not isinstance(target, dict):
                raise _UntypedError("it may be anything")
            return cast("Schema", target), (*above, name), False
        if "type" in part or "enum" in part or "const" in part:
            return part, above, False
        for key in ("anyOf", "oneOf", "allOf"):
            branches = cast("list[Any]", part.get(key, []))
            others = [b for b in branches if b != {"type": "null"}]
            if len(others) == 1 and isinstance(others[0], dict):
                return cast("Schema", others[0]), above, len(branches) > 1
        return part, above, False

    def _build(self, name: str, part: Schema, path: str, above: tuple[str, ...]) -> Shape:
        match name:
            case "string":
                return Text()
            case "boolean":
                return Truth()
            case "integer":
                return Integer()
            case "number":
                return Fraction()
            case "array":
                return self._many(part, path, above)
            case _:
                if _is_open(part):
                    raise _UntypedError("it is an open object")
                return self.record(part, path, above)

    def _many(self, part: Schema, path: str, above: tuple[str, ...]) -> Shape:
        if "prefixItems" in part:
            raise _UntypedError("it is a tuple")
        if "items" not in part:
            raise _UntypedError("its items may be anything")
        item, nullable = self.shape(part["items"], f"{path}[]", above)
        if nullable:
            raise _UntypedError("its items may be null")
        return Many(item)


def _type(part: Schema) -> tuple[str, bool]:
    """Return the one JSON type of a schema, and whether null is allowed beside it."""
    raw = part.get("type")
    types = {raw} if isinstance(raw, str) else set(cast("list[str]", raw or []))
    if "enum" in part or "const" in part:
        return _type_of_values(_values(part), types)
    null = "null" in types
    types.discard("null")
    if types == {"integer", "number"}:
        types = {"number"}
    if len(types) != 1:
        raise _UntypedError("it has several types" if types else "it has no type")
    return types.pop(), null


def _type_of_values(values: list[Any], types: set[str]) -> tuple[str, bool]:
    null = None in values and (not types or "null" in types)
    rest = [v for v in values if v is not None]
    if rest and all(isinstance(v, str) for v in rest):
        return "string", null
    if rest and all(isinstance(v, bool) for v in rest):
        return "boolean", null
    if rest and all(isinstance(v, int) and not isinstance(v, bool) for v in rest):
        if "number" in types:
            raise _UntypedError("decimals in an enum are not typed")
        return "integer", null
    raise _UntypedError("its values have several types, or none that Cedar knows")


def _values(part: Schema) -> list[Any]:
    return [part["const"]] if "const" in part else cast("list[Any]", part["enum"])


def _is_open(part: Schema) -> bool:
    combined = ("allOf", "anyOf", "oneOf", "then", "else", "dependentSchemas", "patternProperties")
    return part.get("additionalProperties") is not False or any(key in part for key in combined)
