"""The digest of a tool's definition: the same for the same object, another for any change."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.bundle.definition import definition_digest

TOOL: dict[str, Any] = {
    "name": "read",
    "title": "Read",
    "description": "Reads a file.",
    "inputSchema": {"type": "object", "properties": {"path": {"type": "string", "maxLength": 9}}},
    "annotations": {"readOnlyHint": True},
    "_meta": {"vendor/x": [1, 0.5, None]},
}

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    max_leaves=20,
)  # fmt: skip


def test_the_digest_is_the_one_that_other_tools_compute() -> None:
    # printf '{"a":[1,"é"],"name":"x"}' | sha256sum
    assert definition_digest({"name": "x", "a": [1.0, "é"]}) == (
        "96cd867081c77de23106a949209588057d2bc89727d4bfcd6b869d1489caee43"
    )


@pytest.mark.parametrize("key", sorted(TOOL))
def test_any_changed_or_missing_key_changes_the_digest(key: str) -> None:
    less = {k: v for k, v in TOOL.items() if k != key}
    digests = {definition_digest(t) for t in (TOOL, less, {**TOOL, key: "other"})}
    assert len(digests) == 3


def test_an_added_key_that_nobody_knows_changes_the_digest() -> None:
    assert definition_digest({**TOOL, "x-new": None}) != definition_digest(TOOL)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), VALUES))
def test_spelling_and_order_of_the_json_do_not_count(tool: dict[str, Any]) -> None:
    turned = dict(reversed(tool.items()))
    for text in (json.dumps(turned), json.dumps(tool, ensure_ascii=False, indent=3)):
        assert definition_digest(json.loads(text)) == definition_digest(tool)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(10**40), 10**40))
def test_readers_that_keep_decimals_agree_with_those_that_do_not(number: float) -> None:
    text = json.dumps({"n": number})
    exact = json.loads(text, parse_int=Decimal, parse_float=Decimal)
    assert definition_digest(exact) == definition_digest(json.loads(text))


def test_equal_numbers_are_one_and_different_ones_are_not() -> None:
    one = {definition_digest({"n": n}) for n in (1, 1.0, json.loads("1e0"))}
    assert len(one) == 1
    others = (True, "1", 1.5, -1, None, [1], 2**53 + 1)
    assert len(one | {definition_digest({"n": n}) for n in others}) == 1 + len(others)


@pytest.mark.parametrize(
    "odd",
    [float("nan"), float("inf"), "\ud800", b"x", object()],
    ids=["nan", "infinity", "surrogate", "bytes", "object"],
)
def test_what_is_no_json_has_no_digest(odd: Any) -> None:
    with pytest.raises(ValueError):
        definition_digest({"name": odd})


def test_an_endlessly_nested_definition_is_refused() -> None:
    deep: Any = 0
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="deep"):
        definition_digest({"name": deep})


def test_an_integer_of_a_million_digits_is_refused_before_it_is_read() -> None:
    """Reading it would take minutes, during which nothing else of the process runs."""
    with pytest.raises(ValueError, match="a number that nothing can hold"):
        definition_digest({"name": "x", "n": Decimal("9" * 3_000_000)})
