"""Numbers have one spelling, stand where the schema lets them, and stay exact."""

from decimal import Decimal

import pytest

from engine.reading import closed, code, read, tool

SAFE = 2**53 - 1


@pytest.mark.parametrize("value", [SAFE, -SAFE, 0])
def test_integers_that_every_parser_reads_alike_pass(value):
    assert code(read(tool(closed(n="integer")), {"n": value})) == "ok"


@pytest.mark.parametrize("value", [SAFE + 1, -SAFE - 1, 2**63 - 1, -(2**63)])
def test_larger_integers_need_a_declared_int64(value):
    for schema in (closed(n="integer"), closed(n={}), closed(n={"type": "object"})):
        plain = (
            {"n": value}
            if schema["properties"]["n"].get("type") != "object"
            else {"n": {"m": value}}
        )
        assert code(read(tool(schema), plain)) == "not_canonical"
    assert code(read(tool(closed(n="integer"), n={"int64": True}), {"n": value})) == "ok"
    array = tool(
        closed(n={"type": "array", "items": {"type": "integer"}}), **{"n[]": {"int64": True}}
    )
    assert code(read(array, {"n": [value]})) == "ok"
    assert (
        code(read(tool(closed(n="integer"), n={"int64": True}), {"n": value * 2**11}))
        == "not_canonical"
    )


@pytest.mark.parametrize("lexeme", ["1.0", "1.5", "-0.5", "100.00"])
@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "integer"}, "schema_mismatch"),
        ({"type": ["integer", "null"]}, "schema_mismatch"),
        ({"allOf": [{"type": "number"}, {"type": "integer"}]}, "schema_mismatch"),
        ({"type": "string"}, "schema_mismatch"),
        ({}, "not_canonical"),
        ({"type": "number"}, "ok"),
        ({"type": ["number", "null"]}, "ok"),
        ({"type": ["integer", "number"]}, "ok"),
        ({"$ref": "#/$defs/amount"}, "ok"),
        ({"anyOf": [{"type": "string"}, {"type": "number"}]}, "ok"),
    ],
)
def test_a_fraction_stands_only_where_the_schema_says_number(schema, expected, lexeme):
    one = tool(closed(n=schema) | {"$defs": {"amount": {"type": "number"}}})
    assert code(read(one, f'{{"n":{lexeme}}}')) == expected


def test_where_branches_disagree_a_whole_number_has_one_spelling():
    one = tool(closed(n={"anyOf": [{"type": "integer"}, {"type": "number", "minimum": 5}]}))
    assert code(read(one, '{"n":7}')) == "ok"
    assert code(read(one, '{"n":7.5}')) == "ok"
    assert code(read(one, '{"n":7.0}')) == "not_canonical"


def test_fractions_hidden_in_open_objects_are_refused():
    one = tool(closed(o={"type": "object", "additionalProperties": True}))
    assert code(read(one, '{"o":{"n":1.0}}')) == "not_canonical"
    priced = tool(closed(o={"type": "object", "additionalProperties": {"type": "number"}}))
    assert code(read(priced, '{"o":{"n":1.0}}')) == "ok"


@pytest.mark.parametrize(
    ("lexeme", "expected"),
    [
        ("922337203685477.5807", "ok"),
        ("-922337203685477.5808", "ok"),
        ("922337203685477.5808", "limit_exceeded"),
        ("-922337203685477.5809", "limit_exceeded"),
        ("922337203685478", "limit_exceeded"),
        ("0.00001", "not_canonical"),
        ("1e2", "not_canonical"),
    ],
)
def test_a_number_fits_cedars_decimal_or_is_refused(lexeme, expected):
    assert code(read(tool(closed(n="number")), f'{{"n":{lexeme}}}')) == expected


def test_the_schema_compares_fractions_exactly():
    one = tool(closed(n={"type": "number", "multipleOf": 0.01, "maximum": 0.3}))
    for lexeme, expected in (("0.3", "ok"), ("0.29", "ok"), ("0.3001", "schema_mismatch")):
        assert code(read(one, f'{{"n":{lexeme}}}')) == expected
    assert read(one, '{"n":0.10}').value == {"n": Decimal("0.10")}
