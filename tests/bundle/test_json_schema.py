"""Schemas of tools: refused when they could be read in two ways, closed, and typed for Cedar."""

from typing import Any

import pytest

from bridle.bundle.schema.json_schema import check, close, validator
from bridle.bundle.schema.paths import find, split
from bridle.bundle.schema.shape import input_typing, output_typing, texts


def codes(schema: Any) -> list[str]:
    found: list[str] = []
    check(schema, lambda code, _message, _hint: found.append(code))
    return found


def accepts(schema: dict, value: Any) -> bool:
    closed = check(schema, lambda *finding: pytest.fail(str(finding)))
    assert closed is not None
    return validator(closed).is_valid(value)


A = {"properties": {"a": {"type": "integer"}}}
B = {"properties": {"b": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "object"}, {}, {"x": 1}),
        ({"type": "object", **A}, {"a": 1}, {"a": 1, "x": 1}),
        (
            {"type": "object", "properties": {"o": {"type": "object", **A}}},
            {"o": {"a": 1}},
            {"o": {"x": 1}},
        ),
        (
            {"type": "object", "properties": {"l": {"type": "array", "items": A}}},
            {"l": [{"a": 1}]},
            {"l": [{"x": 1}]},
        ),
        ({"type": "object", **A, "allOf": [B]}, {"a": 1, "b": 1}, {"a": 1, "x": 1}),
        ({"type": "object", "anyOf": [A, B]}, {"a": 1}, {"x": 1}),
        ({"type": "object", **A, "if": A, "then": B}, {"a": 1, "b": 1}, {"a": 1, "x": 1}),
        (
            {"type": "object", "$ref": "#/$defs/t", "$defs": {"t": {"type": "object", **A}}},
            {"a": 1},
            {"x": 1},
        ),
        (
            {"type": "object", "patternProperties": {"^n_": {"type": "integer"}}},
            {"n_1": 1},
            {"x": 1},
        ),
        ({"type": "object", **A, "dependentSchemas": {"a": B}}, {"a": 1, "b": 1}, {"a": 1, "x": 1}),
    ],
)
def test_objects_take_declared_properties_only(schema: dict, good: Any, bad: Any) -> None:
    assert accepts(schema, good)
    assert not accepts(schema, bad)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "additionalProperties": True},
        {"type": "object", **A, "additionalProperties": {"type": "string"}},
        {"type": "object", "properties": {"o": {"type": "object"}}},
        {"type": "object", **A, "unevaluatedProperties": True},
    ],
)
def test_a_schema_that_says_it_is_open_stays_open(schema: dict) -> None:
    assert accepts(schema, {"x": "s"} if "properties" not in schema or "a" in schema["properties"]
                   else {"o": {"x": "s"}})  # fmt: skip


def test_what_a_schema_negates_or_tests_is_not_closed() -> None:
    inner = {"properties": {"a": {"const": 1}}, "required": ["a"]}
    schema = {"type": "object", "properties": {"a": {}, "b": {}}, "not": inner}
    # Closed, the negation would fail on the extra `b` and let the forbidden `a` through.
    assert not accepts(schema, {"a": 1, "b": 2})
    assert close(schema)["not"] == inner


@pytest.mark.parametrize(
    ("schema", "code"),
    [
        ([], "schema_invalid"),
        ({"type": "text"}, "schema_invalid"),
        ({"$ref": None, "$defs": None}, "schema_invalid"),
        ({"type": "object", "required": "a"}, "schema_invalid"),
        ({"minimum": float("nan")}, "schema_invalid"),
        ({"items": [{"type": "string"}]}, "schema_invalid"),
        ({"patern": "^a$"}, "schema_keyword"),
        ({"definitions": {}}, "schema_keyword"),
        ({"dependencies": {}}, "schema_keyword"),
        ({"$id": "https://x.example/"}, "schema_keyword"),
        ({"$dynamicRef": "#x"}, "schema_keyword"),
        ({"$schema": "http://json-schema.org/draft-03/schema#"}, "schema_keyword"),
        ({"$ref": "https://x.example/schema"}, "schema_reference"),
        ({"$ref": "#/$defs/a"}, "schema_reference"),
        ({"$ref": "#/$defs/a/properties/b", "$defs": {"a": {}}}, "schema_reference"),
        ({"$ref": "#"}, "schema_reference"),
        ({"properties": {"a": {"$defs": {"x": {}}}}}, "schema_reference"),
        ({"pattern": "(?=a)"}, "schema_pattern"),
        ({"pattern": r"(a)\1"}, "schema_pattern"),
        ({"pattern": "a{1000}{1000}"}, "schema_pattern"),
        ({"patternProperties": {"(?<!a)": {}}}, "schema_pattern"),
        ({"properties": {"__extn": {}}}, "reserved_argument"),
        ({"enum": list(range(6_000))}, "schema_too_large"),
    ],
)
def test_a_schema_that_could_be_read_in_two_ways_is_refused(schema: Any, code: str) -> None:
    assert codes(schema)[0] == code


def test_a_schema_may_nest_only_so_deep() -> None:
    schema: dict = {}
    for _ in range(10_000):
        schema = {"items": schema}
    assert codes(schema) == ["schema_too_large"]


def test_keywords_inside_data_are_data() -> None:
    assert codes({"enum": [{"$ref": "x", "patern": 1}], "default": {"$id": "x"}, "x-note": 1}) == []


def test_the_drafts_that_servers_write_are_read_as_2020_12() -> None:
    assert codes({"$schema": "http://json-schema.org/draft-07/schema#", "type": "object"}) == []


# --- types for Cedar ------------------------------------------------------------------------------


def typed(part: Any, defs: dict | None = None) -> tuple[str, dict[str, str]]:
    from bridle.bundle.schema.cedar import _text

    schema = close({"type": "object", "properties": {"p": part}, "$defs": defs or {}})
    found = input_typing(schema)
    return _text(found.shape), found.untyped


@pytest.mark.parametrize(
    ("part", "cedar"),
    [
        ({"type": "string"}, "String"),
        ({"enum": ["a", "b"]}, "String"),
        ({"const": "a"}, "String"),
        ({"type": "string", "anyOf": [{"pattern": "a"}, {"pattern": "b"}]}, "String"),
        ({"type": "boolean"}, "Bool"),
        ({"enum": [True]}, "Bool"),
        ({"type": "integer"}, "Long"),
        ({"enum": [1, 2]}, "Long"),
        ({"type": "number"}, "decimal"),
        ({"type": ["integer", "number"]}, "decimal"),
        ({"type": ["string", "null"]}, "String"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "String"),
        ({"oneOf": [{"type": "null"}, {"$ref": "#/$defs/d"}]}, "Long"),
        ({"allOf": [{"$ref": "#/$defs/d"}]}, "Long"),
        ({"$ref": "#/$defs/d"}, "Long"),
        ({"type": "array", "items": {"type": "string"}}, "Set<String>"),
        ({"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
         "Set<Set<Long>>"),
        ({"type": "object", "properties": {"x y": {"type": "string"}, 'q"': {"type": "integer"}},
          "required": ["x y"]}, '{"x y": String, "q\\""?: Long}'),
    ],
)  # fmt: skip
def test_a_schema_has_its_cedar_type(part: dict, cedar: str) -> None:
    assert typed(part, {"d": {"type": "integer"}}) == (f'{{"p"?: {cedar}}}', {})


@pytest.mark.parametrize(
    ("part", "why"),
    [
        ({}, "no type"),
        (True, "anything"),
        ({"type": "object"}, "open object"),
        ({"type": "object", "additionalProperties": True, "properties": {}}, "open object"),
        ({"type": "object", "properties": {}, "patternProperties": {"x": {}}}, "open object"),
        ({"type": ["string", "integer"]}, "several types"),
        ({"enum": ["a", 1]}, "several types"),
        ({"type": "number", "enum": [1.5]}, "several types"),
        ({"type": "number", "enum": [1]}, "decimals in an enum"),
        ({"anyOf": [{"type": "string"}, {"type": "integer"}]}, "no type"),
        ({"type": "array"}, "items may be anything"),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, "tuple"),
        ({"type": "array", "items": {"type": ["string", "null"]}}, "items may be null"),
        ({"$ref": "#/$defs/loop"}, "recursive"),
    ],
)
def test_what_has_no_type_is_left_out_and_said(part: Any, why: str) -> None:
    text, untyped = typed(part, {"loop": {"allOf": [{"$ref": "#/$defs/loop"}]}})
    assert text == "{}"
    assert why in untyped["input.p"]


def test_a_recursive_tree_is_typed_as_far_as_it_goes() -> None:
    node = {"type": "object", "properties": {"v": {"type": "integer"},
                                             "next": {"$ref": "#/$defs/node"}}}  # fmt: skip
    text, untyped = typed({"$ref": "#/$defs/node"}, {"node": node})
    assert text == '{"p"?: {"v"?: Long}}'
    assert list(untyped) == ["input.p.next"]


def test_references_that_fan_out_are_bounded() -> None:
    defs: dict = {"d0": {"type": "string"}}
    for level in range(1, 30):
        both = {name: {"$ref": f"#/$defs/d{level - 1}"} for name in ("x", "y")}
        defs[f"d{level}"] = {"type": "object", "properties": both}
    text, untyped = typed({"$ref": "#/$defs/d29"}, defs)
    assert len(text) < 100_000
    assert "too large" in str(untyped) or "deeply" in str(untyped)


def test_required_optional_and_nullable_differ() -> None:
    schema = close(
        {
            "type": "object",
            "required": ["a", "b"],
            "properties": {"a": {"type": "string"}, "b": {"type": ["string", "null"]}, "c": False},
        }
    )
    fields = input_typing(schema).shape.fields
    assert (fields["a"].required, fields["b"].required, fields["b"].nullable) == (True, False, True)
    assert "c" not in fields


def test_only_closed_objects_are_typed_as_results() -> None:
    assert output_typing(close({"type": "object", **A})).shape is not None
    assert output_typing(close({"type": "array", "items": {"type": "string"}})).shape is None
    assert output_typing(close({"type": "object", "additionalProperties": True})).shape is None


def test_facts_exist_for_whatever_may_hold_text() -> None:
    parts = {
        "s": {"type": "string"}, "n": {"type": "integer"}, "b": {"type": ["boolean", "null"]},
        "l": {"type": "array"}, "o": {"type": "object"}, "any": {}, "never": False,
        "e": {"enum": [1, 2]}, "es": {"enum": [1, "x"]}, "r": {"$ref": "#/$defs/n"},
    }  # fmt: skip
    schema = {"type": "object", "properties": parts, "$defs": {"n": {"type": "number"}}}
    assert set(texts(schema)) == {"s", "l", "o", "any", "es"}


# --- paths ----------------------------------------------------------------------------------------

DEEP = close(
    {
        "type": "object",
        "required": ["a"],
        "properties": {
            "a": {"type": "array", "items": {"$ref": "#/$defs/x"}},
            "n": {"anyOf": [{"type": "array", "items": {"type": "number"}}, {"type": "null"}]},
            "e": {"enum": ["x", None]},
        },
        "$defs": {"x": {"type": "object", "properties": {"t": {"type": "string"}}}},
    }
)


@pytest.mark.parametrize(
    ("path", "types", "removable"),
    [
        ("a", {"array"}, False),
        ("a[]", {"object"}, True),
        ("a[].t", {"string"}, True),
        ("n", {"array", "null"}, True),
        ("n[]", {"integer", "number"}, True),
        ("e", {"string", "null"}, True),
    ],
)
def test_a_path_leads_to_what_may_stand_there(path: str, types: set, removable: bool) -> None:
    place = find(DEEP, split(path))
    assert place is not None
    assert (place.types, place.removable) == (types, removable)


@pytest.mark.parametrize("path", ["b", "a.t", "a[].u", "a[][]", "", "a.[]", "e[]"])
def test_a_path_that_leads_nowhere_is_none(path: str) -> None:
    assert find(DEEP, split(path)) is None
