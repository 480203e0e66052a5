"""What Cedar sees of arguments and results; Cedar itself checks it against the generated schema."""

import json
from decimal import Decimal

import cedarpy
import pytest

from bridle.bundle.schema.shape import Record, input_typing
from engine.reading import closed, detectors, normaliser, tool

OPEN = {"type": "object", "additionalProperties": True}
SCHEMA = closed(
    "need",
    need="string",
    count="integer",
    price="number",
    yes="boolean",
    maybe={"type": ["string", "null"]},
    prices={"type": "array", "items": {"type": "number"}},
    grid={"type": "array", "items": {"type": "array", "items": {"type": "integer"}}},
    open=OPEN,
    pair={"type": "array", "prefixItems": [{"type": "string"}, {"type": "integer"}]},
    union={"type": ["string", "integer"]},
    inner=closed("a", a="number", b={"anyOf": [{"type": "integer"}, {"type": "null"}]}, c=OPEN),
)
ONE = tool(SCHEMA)


def seen(value):
    return normaliser(ONE).cedar_input("t", value)


def test_decimals_are_strings_with_a_fraction_and_integers_at_a_number_too():
    value = {"need": "x", "price": 3, "prices": [1, Decimal("2.50"), Decimal("-0.0001")]}
    assert seen(value) == {"need": "x", "price": "3.0", "prices": ["1.0", "2.5", "-0.0001"]}


def test_nulls_are_left_out_for_policies_only():
    value = {"need": "x", "maybe": None, "inner": {"a": 1, "b": None}}
    assert seen(value) == {"need": "x", "inner": {"a": "1.0"}}
    assert value["maybe"] is None


def test_what_has_no_cedar_type_is_left_out():
    value = {
        "need": "x",
        "open": {"a": 1},
        "pair": ["a", 1],
        "union": "x",
        "inner": {"a": 1, "c": {}},
    }
    assert seen(value) == {"need": "x", "inner": {"a": "1.0"}}


CEDAR_TYPES = {
    "need": "String", "count": "Long", "price": "decimal", "yes": "Bool", "maybe": "String",
    "prices": "Set<decimal>", "grid": "Set<Set<Long>>",
    "inner": '{"a": decimal, "b"?: Long}',
}  # fmt: skip


def cedar_accepts(view):
    required = {"need"}
    attributes = ", ".join(
        f'"{n}"{"" if n in required else "?"}: {t}' for n, t in CEDAR_TYPES.items()
    )
    schema = (
        f"entity P; action act appliesTo {{ principal: P, resource: P, "
        f'context: {{"input": {{{attributes}}}}} }};'
    )
    answer = cedarpy.is_authorized(
        {
            "principal": 'P::"p"',
            "action": 'Action::"act"',
            "resource": 'P::"p"',
            "context": {"input": view},
        },
        'permit (principal, action, resource) when { context.input.need != "" };',
        [],
        schema=schema,
    )
    return answer.allowed


def test_cedar_accepts_every_projection():
    assert input_typing(SCHEMA).shape.fields.keys() == CEDAR_TYPES.keys()
    full = {
        "need": "x", "count": 2**53 - 1, "price": Decimal("922337203685477.5807"), "yes": True,
        "maybe": "y", "prices": [0, Decimal("1.10"), 1], "grid": [[1], []], "open": {"x": 1},
        "pair": ["a", 1], "union": 5, "inner": {"a": Decimal("-0.5"), "b": 1, "c": {}},
    }  # fmt: skip
    assert cedar_accepts(seen(full))
    assert cedar_accepts(seen({"need": "x", "maybe": None, "prices": []}))
    assert not cedar_accepts({**seen(full), "price": "3"})


def test_forged_entities_reach_cedar_as_nothing_at_all():
    reader = normaliser(ONE)
    forged = reader.normalise("t", '{"need":{"__entity":{"type":"Agent","id":"root"}}}')
    assert forged.code.value == "reserved_input"


RESULT = closed(
    "id",
    id="string",
    score="number",
    seen="integer",
    rows={"type": "array", "items": {"type": "number"}},
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"id":"a","score":0.5}', {"id": "a", "score": "0.5"}),
        ('{"id":"a","score":1e3,"seen":5.0}', {"id": "a", "score": "1000.0", "seen": 5}),
        ('{"id":"a","score":12.50000}', {"id": "a", "score": "12.5"}),
        ('{"id":"a","score":0.123456}', None),
        ('{"id":"a","score":1e400}', None),
        ('{"id":"a","score":1e-999999999}', None),
        ('{"id":"a","score":-0}', {"id": "a", "score": "0.0"}),
        ('{"id":"a","seen":1e30}', None),
        ('{"id":"a","rows":[1,0.00001]}', None),
    ],
)
def test_a_result_is_typed_exactly_or_not_at_all(text, expected):
    reader = normaliser(tool(output=RESULT))
    assert reader.cedar_output("t", reader.output("t", text).value) == expected


@pytest.mark.parametrize("output", [None, OPEN, {"type": "array"}, {"type": "string"}])
def test_a_result_without_a_type_is_not_shown(output):
    reader = normaliser(tool(output=output))
    text = {"array": "[]", "string": '"x"'}.get((output or {}).get("type"), "{}")
    assert reader.cedar_output("t", reader.output("t", text).value) is None


def test_json_can_carry_every_projection():
    value = {"need": "x", "price": Decimal("1.5"), "prices": [Decimal("0.1")]}
    assert json.loads(json.dumps(seen(value))) == seen(value)
    assert isinstance(input_typing(SCHEMA).shape, Record)
    assert detectors(ONE).facts("t", value) == {"need": {"length": 1, "found": []}}
