"""The smallest arguments that a schema seems to allow, for a first scenario. A guess, not a proof.

Whoever uses one asks the engine whether it fits.
"""

from __future__ import annotations

from typing import Any

from bridle.bundle.schema.json_schema import Schema, reference
from bridle.language.plain import is_array, is_object

_MAX_DEPTH = 8
_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "time": "12:00:00Z",
    "duration": "PT1H",
    "email": "ana@example.com",
    "idn-email": "ana@example.com",
    "hostname": "example.com",
    "idn-hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uri": "https://example.com/",
    "uri-reference": "https://example.com/",
    "iri": "https://example.com/",
    "iri-reference": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
_TEXT = "example"


def sample(schema: Schema) -> dict[str, Any]:
    """Return the required properties, each with a plain value."""
    found: Any = _value(schema, schema.get("$defs", {}), 0)
    return found if is_object(found) else {}


def _value(schema: Any, defs: dict[str, Any], depth: int) -> Any:
    if not is_object(schema) or depth > _MAX_DEPTH:
        return _TEXT
    if "const" in schema:
        return schema["const"]
    for key in ("enum", "examples"):
        values: Any = schema.get(key)
        if is_array(values) and values:
            return values[0]
    if schema.get("default") is not None:
        return schema["default"]
    inner = _inner(schema, defs)
    return _typed(schema, defs, depth) if inner is None else _value(inner, defs, depth + 1)


def _inner(schema: Schema, defs: dict[str, Any]) -> Any:
    if "$ref" in schema:
        return defs.get(reference(schema["$ref"]), True)
    for key in ("anyOf", "oneOf"):
        branches: Any = schema.get(key)
        if is_array(branches) and branches and "properties" not in schema:
            return next((b for b in branches if b != {"type": "null"}), branches[0])
    return None


def _typed(schema: Schema, defs: dict[str, Any], depth: int) -> Any:
    kind: Any = schema.get("type")
    if is_array(kind):
        kind = next((each for each in kind if each != "null"), "null")
    match kind:
        case "object":
            named: dict[str, Any] = schema.get("properties", {})
            wanted = [name for name in schema.get("required", []) if name in named]
            return {name: _value(named[name], defs, depth + 1) for name in wanted}
        case "array":
            return [_value(schema.get("items"), defs, depth + 1)] * schema.get("minItems", 0)
        case "integer" | "number":
            return _number(schema)
        case "boolean":
            return False
        case "null":
            return None
        case _:
            return _text(schema)


def _number(schema: Schema) -> int:
    least, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    most = schema.get("maximum")
    low = max(int(least) if least is not None else 0, int(above) + 1 if above is not None else 0)
    return min(low, int(most)) if most is not None else low


def _text(schema: Schema) -> str:
    text = _FORMATS.get(schema.get("format", ""), _TEXT)
    text = text.ljust(min(schema.get("minLength", 0), 1_000), "x")
    most = schema.get("maxLength")
    return text[:most] if most is not None else text
