"""Made-up arguments: they fit what schemas usually ask for, and never fail on what they do not."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.bundle.schema.json_schema import check, validator
from bridle.gateway.draft.samples import sample

PARTS: list[dict[str, Any]] = [
    {"type": "string"},
    {"type": "string", "minLength": 20},
    {"type": "string", "maxLength": 2},
    {"type": "string", "format": "date"},
    {"type": "string", "format": "uuid"},
    {"enum": ["b", "a"]},
    {"const": 7},
    {"type": "string", "default": "x"},
    {"type": "string", "pattern": "^z{3}$", "examples": ["zzz"]},
    {"type": "integer", "minimum": 3},
    {"type": "integer", "exclusiveMinimum": 3},
    {"type": "number", "maximum": -2},
    {"type": "boolean"},
    {"type": ["null", "integer"]},
    {"anyOf": [{"type": "null"}, {"type": "string"}]},
    {"type": "array", "items": {"type": "string"}, "minItems": 2},
    {"$ref": "#/$defs/point"},
    {"type": "object", "required": ["a"], "properties": {"a": {"type": "integer"}, "b": {}}},
]


@pytest.mark.parametrize("part", PARTS, ids=str)
def test_a_sample_fits(part: dict[str, Any]) -> None:
    point = {"type": "object", "required": ["x"], "properties": {"x": {"type": "number"}}}
    schema = {
        "type": "object",
        "required": ["value"],
        "properties": {"value": part, "other": {"type": "string"}},
        "$defs": {"point": point},
    }
    closed = check(schema, lambda *said: pytest.fail(str(said)))
    assert closed is not None
    made = sample(schema)
    assert list(made) == ["value"]
    assert validator(closed).is_valid(made), made


def test_a_schema_that_refers_to_itself_ends() -> None:
    node = {"type": "object", "required": ["next"], "properties": {"next": {"$ref": "#/$defs/n"}}}
    assert sample({"type": "object", "$ref": "#/$defs/n", "$defs": {"n": node}})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["type", "enum", "required", "properties", "items", "anyOf", "a"]),
            inner,
        )
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(["type", "enum", "anyOf", "properties", "a"]), JSON))
def test_what_the_checker_lets_through_never_fails_here(schema: dict[str, Any]) -> None:
    closed = check({**schema, "type": "object"}, lambda *_: None)
    if closed is not None:
        assert isinstance(sample(closed), dict)
