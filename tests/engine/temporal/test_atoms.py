"""Two values have one atom exactly when Dogwood says they are equal."""

from __future__ import annotations

import hashlib
from itertools import product

import cedarpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.bundle.schema.shape import Field, Fraction, Integer, Many, Record, Text, Truth
from bridle.engine.temporal.atoms import NULL, Atomiser, decimal_units
from bridle.language.temporal.ast import (
    ArrayLiteral,
    DecimalLiteral,
    EntityLiteral,
    IntegerLiteral,
    TextLiteral,
    TruthLiteral,
    Wildcard,
)
from bridle.model.errors import UsageError

PLAIN = Atomiser()
TRACED = Atomiser(ordered=True)
KEYED = Atomiser(lambda text: hashlib.blake2b(text.encode(), key=b"k").hexdigest())

_SPELLINGS = ["1.0", "1.00", "01.0", "1", "-0.0", "0.0", "-1.0", "1.2345", "1.23450", ".5", "0.5"]


def _decimals() -> st.SearchStrategy[DecimalLiteral]:
    return st.sampled_from(_SPELLINGS).map(DecimalLiteral)


def _values() -> st.SearchStrategy[object]:
    entities = st.builds(EntityLiteral, st.sampled_from(["A", "A::B"]), st.text(max_size=3))
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-2, 2)
        | st.text(max_size=3)
        | _decimals()
        | entities
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3)
        ),
        max_leaves=6,
    )


def _equal(left: object, right: object) -> bool:
    """The specification's equality, written down a second time and recursively."""
    if isinstance(left, DecimalLiteral) and isinstance(right, DecimalLiteral):
        units = decimal_units(left.text), decimal_units(right.text)
        return units[0] == units[1] if None not in units else left.text == right.text
    if type(left) is not type(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(_equal(v, right[k]) for k, v in left.items())
    return left == right


@given(_values(), _values())
@pytest.mark.parametrize("keyed", [None, lambda text: hashlib.sha256(text.encode()).hexdigest()])
def test_atoms_of_traces_are_equal_exactly_when_the_values_are(keyed, left, right):
    atomiser = Atomiser(keyed, ordered=True)
    assert (atomiser.plain(left) == atomiser.plain(right)) is _equal(left, right)


def test_no_two_kinds_of_value_share_an_atom():
    scalars = [None, True, False, 0, 1, 10_000, "", "n", "b1", "1", "s:1", "d:10000"]
    composed = [[], {}, [1], ["1"], {"1": 1}, [None], ["n"], [True], ["b1"], [[]], [{}]]
    decimals = [DecimalLiteral(text) for text in ("1.0", "1", "10000")]
    values = [*scalars, *composed, *decimals, EntityLiteral("A", "1")]
    for atomiser in (PLAIN, TRACED, KEYED):
        atoms = [atomiser.plain(value) for value in values]
        assert len({(type(atom), atom) for atom in atoms}) == len(values) == len(set(atoms))


def test_composed_values_cannot_be_forged_by_text_that_looks_like_them():
    forged = [["a", "b"], ["a3:s:b"], ["a", "b", ""], [["a", "b"]], {"a": "b"}, {"a3:s:b": ""}]
    assert len({TRACED.plain(value) for value in forged}) == len(forged)
    first, second = EntityLiteral("A", 'B::"x"'), EntityLiteral("A", "B::x")
    assert PLAIN.plain(first) != PLAIN.plain(second)


def test_an_array_has_an_order_in_traces_and_none_in_bridle():
    assert TRACED.plain(["a", "b"]) != TRACED.plain(["b", "a"])
    assert TRACED.plain(["a", "a"]) != TRACED.plain(["a"])
    for atomiser in (PLAIN, KEYED):
        assert atomiser.cedar(["a", "b", "a"]) == atomiser.cedar(["b", "a"])
        literal = ArrayLiteral((TextLiteral("b"), TextLiteral("a")))
        assert atomiser.literal(literal) == atomiser.cedar(["a", "b"])
        assert atomiser.cedar(["a"]) != atomiser.cedar(["a", "b"])


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("1.0", 10_000),
        ("01.0000", 10_000),
        ("-0.0", 0),
        ("-0.5", -5_000),
        ("922337203685477.5807", 2**63 - 1),
        ("-922337203685477.5808", -(2**63)),
        ("922337203685477.5808", None),
        ("1", None),
        ("1.", None),
        (".5", None),
        ("-.5", None),
        ("1.00000", None),
        ("+1.0", None),
        ("1.0 ", None),
        ("1.0\n", None),
        ("٣.0", None),
        ("0" * 5000 + "1.0", 10_000),
    ],
)
def test_a_decimal_has_the_value_that_cedar_gives_it(text, units):
    assert decimal_units(text) == units
    policy = (
        f'permit(principal, action, resource) when {{ decimal("{text}") == decimal("{text}") }};'
    )
    request = {"principal": 'U::"a"', "action": 'A::"a"', "resource": 'U::"a"', "context": {}}
    if "\n" not in text:
        assert cedarpy.is_authorized(request, policy, []).allowed is (units is not None)


def test_what_cedar_would_not_take_for_a_decimal_equals_only_its_own_spelling():
    for left, right in product(("1", "1.00000", "2"), repeat=2):
        assert (PLAIN.decimal(left) == PLAIN.decimal(right)) is (left == right)
    assert PLAIN.decimal("1") != PLAIN.decimal("1.0")


def test_projected_values_meet_the_literals_of_a_policy():
    shape = Record({"n": Field(Integer()), "d": Field(Fraction()), "t": Field(Text()),
                    "b": Field(Truth()), "m": Field(Many(Fraction()))})  # fmt: skip
    value = {"n": 5, "d": "1.50", "t": "1.50", "b": True, "m": ["2.0", "1.0"]}
    for atomiser in (PLAIN, KEYED):
        atoms = {name: atomiser.cedar(value[name], shape.fields[name].shape) for name in value}
        assert atoms["n"] == atomiser.literal(IntegerLiteral(5)) == 5
        assert atoms["d"] == atomiser.literal(DecimalLiteral("1.5"))
        assert atoms["t"] == atomiser.literal(TextLiteral("1.50")) != atoms["d"]
        assert atoms["b"] == atomiser.literal(TruthLiteral(True)) != atomiser.cedar(1)
        decimals = (DecimalLiteral("1.00"), DecimalLiteral("2.00"))
        assert atoms["m"] == atomiser.literal(ArrayLiteral(decimals))
        assert atomiser.cedar(value, shape) == atomiser.record(atoms)


def test_cedars_explicit_forms_are_understood_without_a_type():
    assert PLAIN.cedar({"__extn": {"fn": "decimal", "arg": "1.0"}}) == PLAIN.decimal("1.0")
    entity = {"__entity": {"type": "Agent", "id": "a"}}
    assert PLAIN.cedar(entity) == PLAIN.literal(EntityLiteral("Agent", "a"))


def test_a_keyed_atom_shows_nothing_of_a_text():
    secret = "4111111111111111"
    values = [secret, EntityLiteral("User", secret), [secret], {secret: secret}]
    for value in [*values, DecimalLiteral(secret), [values], {"x": values}]:
        assert secret not in str(KEYED.plain(value))


def test_what_is_no_value_is_refused():
    assert PLAIN.plain(None) == NULL
    with pytest.raises(UsageError):
        PLAIN.cedar(1.5)
    with pytest.raises(UsageError):
        PLAIN.literal(Wildcard())
