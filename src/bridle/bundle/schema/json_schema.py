"""JSON Schemas of tools: checked offline, closed, and walked. Draft 2020-12, references local only.

A schema that the validator would read in another way than its author is refused here: keywords of
older drafts, remote references, patterns that need backtracking. Validation of values is the
engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import jsonschema_rs

from bridle.language.plain import is_array, is_object

MAX_DEPTH = 64
"""Nesting of a schema. The validator recurses."""

MAX_NODES = 5_000
"""Objects, arrays and values in one schema."""

MAX_UNFOLDED = 1_000
"""Branches that apply to one value once references are followed: they can double at each step."""

MAX_EXPLAINED = 10_000
"""Parts of a schema, all references followed, up to which a misfit is explained."""

Schema = dict[str, Any]
Report = Callable[[str, str, str], None]
"""Takes a finding's code, message and hint."""

FORMATS = frozenset(
    {
        "date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname", "ipv4",
        "ipv6", "iri", "iri-reference", "json-pointer", "regex", "relative-json-pointer", "time",
        "uri", "uri-reference", "uri-template", "uuid",
    }
)  # fmt: skip
"""The formats that are checked (JSON Schema Validation 2020-12, section 7.3)."""

_DRAFTS = {
    "https://json-schema.org/draft/2020-12/schema",
    "https://json-schema.org/draft/2019-09/schema",
    "http://json-schema.org/draft-07/schema",
}
_DATA = {"const", "enum", "default", "examples"}
_ONE = {
    "additionalProperties", "items", "contains", "not", "if", "then", "else", "propertyNames",
    "unevaluatedItems", "unevaluatedProperties", "contentSchema",
}  # fmt: skip
_MANY = {"allOf", "anyOf", "oneOf", "prefixItems"}
_NAMED = {"properties", "patternProperties", "dependentSchemas", "$defs"}
_PLAIN = {
    "type", "title", "description", "$ref", "$comment", "$schema", "deprecated", "readOnly",
    "writeOnly", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "pattern", "format", "minItems", "maxItems", "uniqueItems",
    "minContains", "maxContains", "minProperties", "maxProperties", "required",
    "dependentRequired", "contentEncoding", "contentMediaType",
}  # fmt: skip
_OLD = {
    "definitions": "$defs",
    "dependencies": "dependentRequired or dependentSchemas",
    "additionalItems": "items beside prefixItems",
    "extends": "allOf",
    "disallow": "not",
    "divisibleBy": "multipleOf",
}
_REFUSED = {
    "$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor",
    "$vocabulary", "id",
}  # fmt: skip
RESERVED = frozenset({"__entity", "__extn", "__expr"})
"""Names of properties that Cedar would read as something else."""

_IN_PLACE = ("allOf", "anyOf", "oneOf")
_BRANCHES = ("then", "else")


def check(schema: Any, report: Report) -> Schema | None:
    """Return the schema as plain JSON, closed; or report why it cannot be used and return None."""
    if not is_object(schema):
        report("schema_invalid", "a schema is an object", "")
        return None
    plain = _plain(schema, report)
    if plain is None:
        return None
    good = [_keywords(part, report) for part in _subschemas(plain)]
    if not all(good) or not _references(plain, report):
        return None
    if not _unfolds(plain, report) or not _compiles(plain, report):
        return None
    return close(plain)


def validator(schema: Schema) -> jsonschema_rs.Draft202012Validator:
    """Return the validator of a checked schema: linear-time patterns, nothing fetched.

    `FORMATS` are asserted (JSON Schema 2020-12 leaves that open, and authors count on it).
    """
    return jsonschema_rs.Draft202012Validator(
        schema,
        pattern_options=jsonschema_rs.RegexOptions(),
        validate_formats=True,
        offline=True,
    )


def _plain(schema: Schema, report: Report) -> Schema | None:
    nodes = 0
    stack: list[tuple[Any, int]] = [(schema, 1)]
    while stack:
        value, depth = stack.pop()
        nodes += 1
        if nodes > MAX_NODES or depth > MAX_DEPTH:
            report("schema_too_large", "this schema is too large or nested too deeply", "")
            return None
        if is_object(value):
            stack += [(v, depth + 1) for v in value.values()]
        elif is_array(value):
            stack += [(v, depth + 1) for v in value]
        elif not isinstance(value, str | int | float | Decimal | None):
            report("schema_invalid", f"a {type(value).__name__} is no JSON", "write a string")
            return None
        elif isinstance(value, Decimal | float) and not Decimal(value).is_finite():
            report("schema_invalid", "NaN and infinities are no JSON", "")
            return None
    copy: Schema = _floats(schema)
    return copy


def _floats(value: Any) -> Any:
    """Copy, with fractions as the floats that the validator takes."""
    if is_object(value):
        return {k: _floats(v) for k, v in value.items()}
    if is_array(value):
        return [_floats(v) for v in value]
    return float(value) if isinstance(value, Decimal) else value


def _children(schema: Schema) -> Iterator[Any]:
    for key, value in schema.items():
        if key in _ONE:
            yield value
        elif key in _MANY and is_array(value):
            yield from value
        elif key in _NAMED and is_object(value):
            yield from value.values()


def _subschemas(schema: Schema) -> Iterator[Schema]:
    stack = [schema]
    while stack:
        part = stack.pop()
        yield part
        stack += [child for child in _children(part) if is_object(child)]


def _keywords(part: Schema, report: Report) -> bool:
    good = True
    for key in part:
        if key in _OLD:
            report("schema_keyword", f"`{key}` is of an older draft", f"use {_OLD[key]}")
            good = False
        elif key in _REFUSED:
            report("schema_keyword", f"`{key}` is not supported", "use $defs and local $ref")
            good = False
        elif key not in _DATA | _ONE | _MANY | _NAMED | _PLAIN and not key.startswith("x-"):
            hint = "a misspelt keyword would check nothing; names of your own begin with `x-`"
            report("schema_keyword", f"`{key[:80]}` is no keyword of JSON Schema", hint)
            good = False
    names = part.get("properties")
    for name in names if is_object(names) else ():
        if name in RESERVED:
            report("reserved_argument", f"an argument cannot be called {name}", "rename it")
            good = False
    return _draft(part, report) and good


def _draft(part: Schema, report: Report) -> bool:
    draft = part.pop("$schema", None)
    if draft is None or (isinstance(draft, str) and draft.rstrip("#") in _DRAFTS):
        return True
    report("schema_keyword", "this $schema is not supported", "write it in draft 2020-12")
    return False


def _references(schema: Schema, report: Report) -> bool:
    raw = schema.get("$defs")
    known = raw if is_object(raw) else {}
    for part in _subschemas(schema):
        target = part.get("$ref")
        if part is not schema and "$defs" in part:
            report("schema_reference", "$defs belongs to the top of a schema", "")
            return False
        if target is not None and reference(target) not in known:
            report(
                "schema_reference",
                "a $ref leads nowhere, or outside this schema",
                "refer to `#/$defs/NAME` only",
            )
            return False
    return True


def _unfolds(schema: Schema, report: Report) -> bool:
    named, counted = schema.get("$defs"), dict[int, int]()
    known = named if is_object(named) else {}

    def count(part: Any) -> int:
        if not is_object(part):
            return 1
        if id(part) not in counted:
            counted[id(part)] = 1  # a reference in a circle adds nothing
            total = 1 + sum(count(each) for each in _in_place(part, known))
            counted[id(part)] = min(total, MAX_UNFOLDED + 1)
        return counted[id(part)]

    try:
        if all(count(part) <= MAX_UNFOLDED for part in _subschemas(schema)):
            return True
    except RecursionError:
        pass  # a chain of references longer than anything that follows it could walk
    report("schema_too_large", "its branches and references unfold into too many", "")
    return False


def _in_place(part: Schema, known: dict[str, Any]) -> Iterator[Any]:
    """Yield the schemas that apply to the same value as `part` does."""
    if "$ref" in part:
        yield known.get(reference(part["$ref"]))
    for key in _IN_PLACE:
        found = part.get(key)
        yield from found if is_array(found) else ()
    yield from (part[key] for key in ("not", "if", *_BRANCHES) if key in part)
    dependent = part.get("dependentSchemas")
    yield from dependent.values() if is_object(dependent) else ()


def is_bounded(schema: Schema, most: int = MAX_EXPLAINED) -> bool:
    """Whether a checked schema, all references followed everywhere, has at most so many parts.

    One that refers to itself has not: explaining why a value does not fit it can take for ever.
    """
    known, count = schema.get("$defs", {}), 0
    stack: list[Any] = [schema]
    while stack and count <= most:
        part = stack.pop()
        count += 1
        if is_object(part):
            stack += _children(part)
            stack += [known.get(reference(part["$ref"]))] if "$ref" in part else []
    return not stack


def reference(target: Any) -> str:
    """Return NAME of `#/$defs/NAME`, or an empty string."""
    if not isinstance(target, str) or not target.startswith("#/$defs/"):
        return ""
    name = target.removeprefix("#/$defs/")
    return "" if "/" in name or "%" in name or "~" in name else name


def _compiles(schema: Schema, report: Report) -> bool:
    try:
        jsonschema_rs.meta.validate(
            {**schema, "$schema": "https://json-schema.org/draft/2020-12/schema"}
        )
        validator(schema)
    except jsonschema_rs.ValidationError as error:
        report(*_refusal(error))
        return False
    except (ValueError, TypeError, jsonschema_rs.ReferencingError) as error:
        report("schema_invalid", f"this is no JSON Schema: {_first_line(error)}", "")
        return False
    return True


def _refusal(error: jsonschema_rs.ValidationError) -> tuple[str, str, str]:
    where = "/".join(str(step) for step in error.instance_path)
    message = _first_line(error) + (f" (at {where[:120]})" if where else "")
    if "regex" in message:
        return (
            "schema_pattern",
            f"a pattern cannot be matched in linear time: {message}",
            "look-around and back-references are not available",
        )
    return "schema_invalid", f"this is no JSON Schema: {message}", ""


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]


# --- closing -------------------------------------------------------------------------------------


def close(schema: Schema) -> Schema:
    """Return a copy in which objects take declared properties only, unless they say otherwise.

    The root is closed even without properties. `not` and `if` stay as they are: closing what they
    negate or test would widen the whole.
    """
    closed: Schema = _close(schema, in_place=False)
    if not _says(closed):
        closed["unevaluatedProperties" if _composed(closed) else "additionalProperties"] = False
    return closed


def _close(schema: Any, *, in_place: bool) -> Any:
    if not is_object(schema):
        return schema
    part = schema
    found = {key: _closed_value(key, value) for key, value in part.items()}
    if in_place or _says(part):
        return found
    if _composed(part):
        if _declares(part):
            found["unevaluatedProperties"] = False
    elif "properties" in part or "patternProperties" in part:
        found["additionalProperties"] = False
    return found


def _closed_value(key: str, value: Any) -> Any:
    if key in {"not", "if", "propertyNames", "contains", "contentSchema"}:
        return value
    if key in _IN_PLACE and is_array(value):
        return [_close(v, in_place=True) for v in value]
    if key in _BRANCHES:
        return _close(value, in_place=True)
    if key in _NAMED and is_object(value):
        in_place = key == "dependentSchemas"
        return {k: _close(v, in_place=in_place) for k, v in value.items()}
    if key == "prefixItems" and is_array(value):
        return [_close(v, in_place=False) for v in value]
    return _close(value, in_place=False) if key in _ONE else value


def _says(part: Schema) -> bool:
    return "additionalProperties" in part or "unevaluatedProperties" in part


def _composed(part: Schema) -> bool:
    return any(k in part for k in (*_IN_PLACE, *_BRANCHES, "dependentSchemas", "$ref"))


def _declares(part: Schema) -> bool:
    """Whether a schema, or one applied in place, names properties (a bare $ref closes itself)."""
    stack = [part]
    while stack:
        inner = stack.pop()
        if "properties" in inner or "patternProperties" in inner:
            return True
        for key in _IN_PLACE:
            stack += filter(is_object, inner.get(key, ()))
        stack += [inner[k] for k in _BRANCHES if is_object(inner.get(k))]
        stack += filter(is_object, inner.get("dependentSchemas", {}).values())
    return False
