"""`@modify` operators on values: exact, pure, idempotent, and an error where types do not fit."""

import copy
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.remedies import RemedyError, apply
from bridle.language.remedy import Clamp, Drop, Mask, Path, Redact, Replace, SetTo, Truncate
from engine.reading import detectors

ALL = detectors()


def path(text):
    return Path("input", tuple(s for s in text.replace("[]", ".[]").split(".") if s))


def change(value, *ops):
    before = copy.deepcopy(value)
    made = apply(ops, "input", value, ALL)
    assert value == before, "the input was changed"
    return made


HALF = Decimal("0.50")
CASES = [
    # set
    (SetTo(path("a"), 5), {"a": "x", "b": 1}, {"a": 5, "b": 1}),
    (SetTo(path("a"), None), {"a": 1}, {"a": None}),
    (SetTo(path("a.b"), HALF), {"a": {"b": 1, "c": 2}}, {"a": {"b": HALF, "c": 2}}),
    (SetTo(path("l[]"), 0), {"l": [1, "x", None]}, {"l": [0, 0, 0]}),
    (SetTo(path("l[].k"), 0), {"l": [{"k": 1}, {}]}, {"l": [{"k": 0}, {"k": 0}]}),
    (SetTo(path("new"), True), {"a": 1}, {"a": 1, "new": True}),
    (SetTo(path("gone.new"), True), {"a": 1}, {"a": 1}),
    # drop
    (Drop(path("a")), {"a": 1, "b": 2}, {"b": 2}),
    (Drop(path("a")), {"b": 2}, {"b": 2}),
    (Drop(path("a.b")), {"a": {"b": 1, "c": 2}}, {"a": {"c": 2}}),
    (Drop(path("a.b")), {"a": None}, {"a": None}),
    (Drop(path("l[]")), {"l": [1, 2]}, {"l": []}),
    (Drop(path("l[].k")), {"l": [{"k": 1, "m": 2}, {}]}, {"l": [{"m": 2}, {}]}),
    # clamp
    (Clamp(path("n"), 1, 10), {"n": 11}, {"n": 10}),
    (Clamp(path("n"), 1, 10), {"n": 0}, {"n": 1}),
    (Clamp(path("n"), 1, 10), {"n": 10}, {"n": 10}),
    (Clamp(path("n"), None, 10), {"n": -(10**30)}, {"n": -(10**30)}),
    (Clamp(path("n"), 1, None), {"n": 10**30}, {"n": 10**30}),
    (Clamp(path("n"), 0, HALF), {"n": Decimal("0.5001")}, {"n": HALF}),
    (Clamp(path("n"), None, 200), {"n": Decimal("200.0001")}, {"n": 200}),
    (Clamp(path("n"), None, 2**53), {"n": 2**53 + 1}, {"n": 2**53}),
    (Clamp(path("n"), 1, 2), {"n": None}, {"n": None}),
    (Clamp(path("l[]"), 1, 2), {"l": [0, 1, 2, 3]}, {"l": [1, 1, 2, 2]}),
    # truncate
    (Truncate(path("s"), 3), {"s": "👍éxyz"}, {"s": "👍éx"}),
    (Truncate(path("s"), 3), {"s": "ab"}, {"s": "ab"}),
    (Truncate(path("s"), 0), {"s": "ab"}, {"s": ""}),
    (Truncate(path("l"), 2), {"l": [1, 2, 3]}, {"l": [1, 2]}),
    (Truncate(path("l[]"), 1), {"l": ["ab", "c"]}, {"l": ["a", "c"]}),
    # mask
    (Mask(path("s"), 4), {"s": "4111111111111111"}, {"s": "************1111"}),
    (Mask(path("s"), 4), {"s": "abc"}, {"s": "abc"}),
    (Mask(path("s"), 0), {"s": "👍é"}, {"s": "**"}),
    # replace
    (Replace(path("s"), "[0-9]+", r"\0$1"), {"s": "a12b3"}, {"s": r"a\0$1b\0$1"}),
    (Replace(path("s"), "é+", "e"), {"s": "👍éé-é"}, {"s": "👍e-e"}),
    (Replace(path("s"), "x*", "-"), {"s": "abc"}, {"s": "abc"}),
    (Replace(path("l[]"), "(?i)b", ""), {"l": ["aBb", ""]}, {"l": ["a", ""]}),
    # redact
    (Redact(path("s"), ("email",)), {"s": "to ana@example.com!"}, {"s": "to [redacted:email]!"}),
    (Redact(path("n"), ("email",)), {"n": 5}, {"n": 5}),
]  # fmt: skip


@pytest.mark.parametrize(("op", "value", "expected"), CASES)
def test_an_operator_changes_what_it_names_and_nothing_else(op, value, expected):
    assert change(value, op) == expected


def test_operators_apply_in_order():
    ops = (Truncate(path("s"), 4), Mask(path("s"), 1), SetTo(path("n"), 7), Clamp(path("n"), 0, 5))
    assert change({"s": "abcdef", "n": 1}, *ops) == {"s": "***d", "n": 5}
    assert change({"s": "x"}) == {"s": "x"}


def test_results_may_be_changed_as_a_whole():
    whole = Path("output")
    assert apply([Truncate(whole, 2)], "output", "abc", ALL) == "ab"
    assert apply([Redact(whole, ("email",))], "output", ["a@b.example"], ALL) == [
        "[redacted:email]"
    ]
    assert apply([SetTo(whole, "gone")], "output", {"a": 1}, ALL) == "gone"


UNFIT = [
    (Clamp(path("n"), 0, 5), {"n": "s3cret"}),
    (Clamp(path("n"), 0, 5), {"n": True}),
    (Clamp(path("n"), 5, 0), {"n": 3}),
    (Clamp(path("n"), 0, 5), {"n": [7]}),
    (Truncate(path("s"), 2), {"s": 123}),
    (Truncate(path("s"), 2), {"s": {"s3cret": 1}}),
    (Mask(path("s"), 2), {"s": 123}),
    (Mask(path("s"), 2), {"s": ["s3cret"]}),
    (Replace(path("s"), "a", "b"), {"s": ["a"]}),
    (Replace(path("s"), "(?=a)", "b"), {"s": "a"}),
    (SetTo(path("a.b"), 1), {"a": "s3cret"}),
    (SetTo(path("l[]"), 1), {"l": {"s3cret": 1}}),
    (SetTo(path("a.b"), 1), {"a": [1]}),
    (Drop(path("a.b")), {"a": 5}),
    (Drop(path("")), {"a": 5}),
    (Redact(path("o"), ("email",)), {"o": {"s3cret@b.example": 1, "c@d.example": 2}}),
    (SetTo(Path("output", ("a",)), 1), {"a": 1}),
]


@pytest.mark.parametrize(("op", "value"), UNFIT)
def test_what_does_not_fit_is_an_error_that_names_no_value(op, value):
    with pytest.raises(RemedyError) as caught:
        change(value, op)
    assert caught.value.code == "remedy_failed"
    assert "s3cret" not in str(caught.value)


numbers = st.integers(-1000, 1000) | st.decimals(-1000, 1000, places=4)
values = st.fixed_dictionaries(
    {"s": st.text(max_size=20), "n": numbers, "l": st.lists(st.text(max_size=8), max_size=4)},
    optional={"o": st.fixed_dictionaries({}, optional={"k": st.text(max_size=8)})},
)
bounds = st.tuples(numbers, numbers).map(sorted)
idempotent = st.one_of(
    st.sampled_from(["s", "n", "x", "o.k", "l[]"]).map(lambda p: SetTo(path(p), "set")),
    st.sampled_from(["s", "x", "o.k", "o", "l[]", "l"]).map(lambda p: Drop(path(p))),
    bounds.map(lambda b: Clamp(path("n"), *b)),
    st.builds(
        Truncate,
        st.sampled_from([path("s"), path("l"), path("l[]"), path("o.k")]),
        st.integers(0, 9),
    ),
    st.builds(Mask, st.sampled_from([path("s"), path("l[]"), path("o.k")]), st.integers(0, 9)),
)


@given(values, idempotent)
def test_applying_an_operator_twice_is_applying_it_once(value, op):
    once = change(value, op)
    try:
        twice = change(once, op)
    except RemedyError:
        # What was replaced or dropped may no longer have the type below it.
        assert isinstance(op, SetTo | Drop)
    else:
        assert twice == once


@given(numbers, bounds)
def test_clamping_is_exact(number, limits):
    low, high = limits
    made = change({"n": number}, Clamp(path("n"), low, high))["n"]
    assert low <= made <= high
    assert made == number or (made == low > number) or (made == high < number)
