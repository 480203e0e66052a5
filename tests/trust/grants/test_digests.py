"""A digest stands for one JSON value, whatever its size, and for no other."""

import json
from decimal import Decimal
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bridle
from bridle.model.errors import UsageError
from bridle.trust.grants.claims import Predicate
from bridle.trust.grants.matching import matchers, overlap
from bridle.trust.grants.matching.digests import canonical, digest_of
from bridle.trust.grants.wording import condition

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | texts
numbers = st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-9, max_value=9)
values = st.recursive(
    scalars | numbers,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


def holds(predicate: Predicate, value: Any) -> bool:
    return matchers.compiled(predicate)(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "true"),
        (7, "7"),
        (Decimal("1.50"), "1.5"),
        (Decimal("2.0"), "2"),
        (Decimal("-0.0"), "0"),
        (Decimal("1E+3"), "1000"),
        ('a\u20ac\n"\\\x01/', '"a\u20ac\\n\\"\\\\\\u0001/"'),
        ({"b": [1, {}], "a": []}, '{"a":[],"b":[1,{}]}'),
        # By UTF-16 code units: what lies beyond them comes before the end of the plane.
        ({"\uff5e": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\uff5e":1}'),
    ],
)
def test_a_value_has_one_text(value: Any, text: str) -> None:
    assert canonical(value) == text
    assert digest_of(value) == sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "value",
    [1.5, float("nan"), Decimal("NaN"), Decimal("Infinity"), "\ud800", {"\ud800": 1}, {1: 2}],
)
def test_what_is_no_value_has_no_digest_and_satisfies_nothing(value: Any) -> None:
    assert digest_of(value) == ""
    assert not holds(bridle.same(None), value)


def test_what_is_nested_too_deeply_has_no_digest() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    assert digest_of(deep) == ""


@given(values, values)
def test_two_values_have_one_digest_only_if_they_are_one_value(one: Any, other: Any) -> None:
    same = canonical(one) == canonical(other)
    assert (digest_of(one) == digest_of(other)) is same
    if same and type(one) is type(other) and not isinstance(one, (list, dict)):
        assert one == other


@given(values)
def test_the_same_value_written_in_another_way_is_the_same(value: Any) -> None:
    text = canonical(value)
    assert canonical(json.loads(text, parse_float=Decimal)) == text
    spaced = json.dumps(json.loads(text, parse_float=str), indent=2)
    if "." not in text:
        assert canonical(json.loads(spaced)) == text


def test_an_argument_of_any_type_is_granted_exactly() -> None:
    given = {
        "a": [1, {"b": None}],
        "n": None,
        "x": "short",
        "y": "long" * 100,
        "z": 0.1,
        "i": 2**70,
    }
    made = bridle.exactly(given)
    assert (made["x"], made["a"].eq) == (bridle.eq("short"), None)
    read = {**given, "z": Decimal("0.1")}
    assert all(holds(made[name], value) for name, value in read.items())
    assert not holds(made["a"], [1, {"b": 0}])
    assert not holds(made["n"], False)
    assert not holds(made["z"], Decimal("0.10001"))


def test_what_is_no_json_makes_no_condition() -> None:
    for value in (float("nan"), {1, 2}, object(), b"x"):
        with pytest.raises(UsageError) as refused:
            bridle.same(value)
        assert refused.value.code == "predicate_invalid"


@pytest.mark.parametrize("digest", ["", "0" * 63, "0" * 65, "A" * 64, "g" * 64, 7, " " + "0" * 63])
def test_a_digest_that_is_none_is_refused(digest: Any) -> None:
    assert matchers.ill_formed(Predicate(sha256=digest))
    assert not holds(Predicate(sha256=digest), None)


def test_digests_are_told_apart_and_said_in_words() -> None:
    one, other = bridle.same([1]), bridle.same([2])
    assert overlap.disjoint(one, other)
    assert not overlap.disjoint(one, one)
    assert overlap.disjoint(bridle.eq("a"), one)
    assert not overlap.disjoint(bridle.eq("a"), bridle.same("a"))
    assert not overlap.disjoint(bridle.prefix("a"), one)
    assert condition(one).startswith("is the value of digest ")
