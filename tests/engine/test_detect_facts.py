"""Facts: per top-level argument with text, its length and what was found in it."""

import pytest

from bridle.bundle.schema.cedar import fact_keys, result_fact_keys
from engine.reading import closed, detectors, tool

OPEN = {"type": "object", "additionalProperties": True}
STRINGS = {"type": "array", "items": {"type": "string"}}


def facts(one, value, **own):
    return detectors(one, **own).facts(one.name, value)


def test_content_is_searched_by_everything_and_steering_by_nothing():
    one = tool(closed(to="string", body="string", n="integer"), body="content")
    value = {"to": "ana@example.com", "body": "C-123456 ana@example.com", "n": 5}
    assert facts(one, value, customer_id="C-[0-9]{6}") == {
        "to": {"length": 15, "found": []},
        "body": {"length": 24, "found": ["customer_id", "email"]},
    }


def test_a_declaration_chooses_the_detectors():
    one = tool(
        closed(to="string", body="string"),
        to={"sink": "recipient", "detect": ("email",)},
        body={"sink": "content", "detect": ("ip",)},
    )
    text = "ana@example.com 192.0.2.1"
    assert facts(one, {"to": text, "body": text}) == {
        "to": {"length": 25, "found": ["email"]},
        "body": {"length": 25, "found": ["ip"]},
    }


def test_nested_strings_unite_and_lengths_are_code_points():
    one = tool(closed(o=closed(a="string", l=STRINGS, d=closed(x="string"))), o="content")
    value = {"o": {"a": "👍é", "l": ["ana@example.com", ""], "d": {"x": "192.0.2.1"}}}
    assert facts(one, value) == {"o": {"length": 2 + 15 + 9, "found": ["email", "ip"]}}


def test_deeper_declarations_hold_for_what_they_name():
    one = tool(
        closed(o=closed(a="string", b="string")),
        o="content",
        o__b={"sink": "locator", "detect": ("url",)},
    )
    value = {"o": {"a": "http://x.example 192.0.2.1", "b": "http://x.example 192.0.2.1"}}
    assert facts(one, value)["o"]["found"] == ["ip", "url"]
    assert facts(one, {"o": {"b": "http://x.example 192.0.2.1"}})["o"]["found"] == ["url"]


def test_keys_of_open_objects_are_text_and_declared_names_are_not():
    one = tool(closed(o=OPEN, c=closed(mail="string")), o="content", c="content")
    value = {"o": {"ana@example.com": [{"k": 1}]}, "c": {"mail": ""}}
    assert facts(one, value) == {
        "o": {"length": 16, "found": ["email"]},
        "c": {"length": 0, "found": []},
    }


@pytest.mark.parametrize("value", [{}, {"n": 5}, {"l": []}, {"o": {}}, {"b": True}, {"s": None}])
def test_an_argument_without_text_has_no_facts(value):
    one = tool(closed(n="integer", l=STRINGS, o=OPEN, b="boolean", s={"type": ["string", "null"]}))
    assert facts(one, value) == {}


def test_only_what_the_cedar_schema_knows_has_facts():
    one = tool(closed(s="string", n="integer") | {"additionalProperties": True})
    assert facts(one, {"s": "x", "extra": "y"}) == {"s": {"length": 1, "found": []}}
    assert fact_keys(one) == ("s",)


def facts_output(one, value):
    return detectors(one).facts_output(one.name, value)


def test_a_typed_result_has_facts_by_property():
    one = tool(output=closed(text="string", n="integer"))
    assert facts_output(one, {"text": "ana@example.com", "n": 1}) == {
        "text": {"length": 15, "found": ["email"]}
    }
    assert result_fact_keys(one) == ("text",)


@pytest.mark.parametrize("output", [None, OPEN, {"type": "array"}, {"type": "string"}])
def test_any_other_result_has_facts_of_the_whole(output):
    one = tool(output=output)
    assert result_fact_keys(one) == ("value",)
    assert facts_output(one, ["ana@example.com", {"192.0.2.1": 5}]) == {
        "value": {"length": 24, "found": ["email", "ip"]}
    }
    assert facts_output(one, 5) == {}


def test_results_are_searched_by_what_the_tool_declares():
    one = tool(output=closed(text="string"), detect_output=("ip",))
    assert facts_output(one, {"text": "ana@example.com 192.0.2.1"})["text"]["found"] == ["ip"]
