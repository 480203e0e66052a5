"""Digests and exact text: equal exactly when the typed values are equal, bound to the tool."""

import hashlib
import json
import unicodedata
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bridle.engine.case import Typed
from bridle.engine.normalise import encode
from bridle.engine.strict_json import RESERVED
from engine.reading import closed, normaliser, read, tool

OPEN = {"type": "object", "additionalProperties": True}
SCHEMA = closed(
    s="string",
    i="integer",
    w="integer",
    n="number",
    b="boolean",
    l={"type": "array", "items": {"type": "number"}},
    o=OPEN,
    m={"type": ["string", "number", "null"]},
)
MANY = tool(SCHEMA, s="content", o="content", w={"int64": True})


def by_hand(value, name="t", part="args"):
    """RFC 8785 of ASCII keys, small integers and strings, by the standard library."""
    text = json.dumps(
        {"tool": name, part: value}, sort_keys=True, ensure_ascii=False, separators=(",", ":")
    )
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("{}", {}),
        ('{"s":"a","i":-5}', {"s": "a", "i": -5}),
        ('{ "i" : 3, "b":false}', {"b": False, "i": 3}),
        ('{"w":9223372036854775807}', {"w": "9223372036854775807"}),
        ('{"w":7}', {"w": "7"}),
        ('{"n":1.50}', {"n": "1.5"}),
        ('{"n":3}', {"n": "3.0"}),
        ('{"n":0.0}', {"n": "0.0"}),
        ('{"n":100}', {"n": "100.0"}),
        ('{"l":[1,2.25,-0.1]}', {"l": ["1.0", "2.25", "-0.1"]}),
        (
            '{"o":{"k":[1,null,{"z":"\\u00e9\\n\\t\\u2028"}]}}',
            {"o": {"k": [1, None, {"z": "é\n\t\u2028"}]}},
        ),
        ('{"m":1.5}', {"m": {"__extn": "1.5"}}),
        ('{"m":"1.5"}', {"m": "1.5"}),
        ('{"m":null}', {"m": None}),
    ],
)
def test_the_digest_is_sha_256_over_rfc_8785_of_the_typed_form(text, canonical):
    assert read(MANY, text).digest == by_hand(canonical)


def test_escapes_of_control_characters_are_those_of_rfc_8785():
    result = normaliser(MANY).output("t", '"\\u0000\\b\\t\\n\\f\\r\\u001f\\u007f\\/\\\\\\""')
    text = '{"output":"\\u0000\\b\\t\\n\\f\\r\\u001f\x7f/\\\\\\"","tool":"t"}'
    assert result.digest == hashlib.sha256(text.encode()).hexdigest()


def test_keys_sort_by_utf_16_units():
    """U+1F600 is a surrogate pair and so sorts before U+FF5E, against code point order."""
    typed = read(MANY, '{"o":{"\uff5e":1,"\U0001f600":2,"b":{"\ue000":3,"\U00010000":4}}}')
    text = '{"args":{"o":{"b":{"\U00010000":4,"\ue000":3},"\U0001f600":2,"\uff5e":1}},"tool":"t"}'
    assert typed.digest == hashlib.sha256(text.encode()).hexdigest()


def test_another_tool_and_a_result_have_other_digests():
    reader = normaliser(tool(name="a"), tool(name="b"))
    digests = {
        reader.normalise("a", "{}").digest,
        reader.normalise("b", "{}").digest,
        reader.output("a", "{}").digest,
        reader.output("b", "{}").digest,
    }
    assert len(digests) == 4


def test_a_null_is_not_the_same_as_nothing():
    """The bytes that execute are the caller's, and a tool may tell the two apart."""
    assert read(MANY, '{"m":null}').digest != read(MANY, "{}").digest
    assert read(MANY, '{"m":null}').value == {"m": None}


def test_a_number_is_not_the_string_it_prints_as():
    assert read(MANY, '{"m":1.5}').digest != read(MANY, '{"m":"1.5"}').digest
    reader = normaliser(tool())
    pairs = [
        ("1.5", '"1.5"'),
        ("1e400", '"1E400"'),
        ("18446744073709551616", '"18446744073709551616"'),
    ]
    for number, text in pairs:
        assert reader.output("t", number).digest != reader.output("t", text).digest


def test_results_are_equal_whatever_the_spelling_of_their_numbers():
    reader = normaliser(tool(output={"type": "number"}))
    assert len({reader.output("t", n).digest for n in ("100", "1e2", "100.0", "1E+2")}) == 1
    assert len({reader.output("t", n).digest for n in ("1e500", "10e499", "1.0E500")}) == 1
    assert reader.output("t", "1e500").digest != reader.output("t", "1e501").digest


letters = st.characters(codec="utf-8", categories=("L", "N", "P", "S"))
text_ = (
    st.text(alphabet=letters, max_size=8)
    .map(lambda t: unicodedata.normalize("NFC", t))
    .filter(lambda t: t not in RESERVED)
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text_,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text_, inner, max_size=3),
    max_leaves=6,
)
decimals = st.decimals(-(10**9), 10**9, places=4, allow_nan=False).map(
    lambda d: abs(d) if d == 0 else d
)
values = st.fixed_dictionaries(
    {},
    optional={
        "s": text_,
        "i": st.integers(-(2**53) + 1, 2**53 - 1),
        "w": st.integers(-(2**63), 2**63 - 1),
        "n": decimals | st.integers(-(10**12), 10**12),
        "b": st.booleans(),
        "l": st.lists(decimals | st.integers(-9, 9), max_size=3),
        "o": st.dictionaries(text_, plain, max_size=3),
        "m": st.none() | decimals | text_,
    },
)


def strict_equal(one, two):
    """Equality that tells true from 1, and nothing else apart (3 and 3.0 at a number are one)."""
    return one == two and repr(_shape(one)) == repr(_shape(two))


def _shape(value):
    if isinstance(value, dict):
        return sorted((k, _shape(v)) for k, v in value.items())
    if isinstance(value, list):
        return [_shape(v) for v in value]
    return isinstance(value, bool)


@given(values)
def test_what_is_encoded_reads_back_as_the_same_value(value):
    typed = read(MANY, encode(value))
    assert isinstance(typed, Typed)
    assert strict_equal(typed.value, value)
    assert encode(typed.value) == typed.text == encode(value)
    assert normaliser(MANY).digest("t", value) == typed.digest


@given(values, st.data())
def test_digests_are_equal_exactly_when_the_values_are(value, data):
    other = data.draw(
        st.just(value)
        | values
        | st.fixed_dictionaries(
            value
            and {
                k: st.just(v) | values.map(lambda x, k=k, v=v: x.get(k, v))
                for k, v in value.items()
            }
        )
    )
    one, two = read(MANY, encode(value)), read(MANY, encode(other))
    assert (one.digest == two.digest) == strict_equal(value, other)


@given(values)
def test_neither_order_nor_white_space_nor_escapes_change_a_digest(value):
    text = encode(value)
    assume(isinstance(read(MANY, text), Typed))
    turned = json.loads(text, parse_float=Decimal, object_pairs_hook=lambda p: dict(reversed(p)))
    spelled = json.dumps(json.loads(encode(turned)), indent=1, ensure_ascii=True)
    if not any(
        isinstance(v, Decimal) for v in (value.get("n"), value.get("m"), *value.get("l", []))
    ):
        assert read(MANY, spelled).digest == read(MANY, text).digest
    assert read(MANY, encode(turned)).digest == read(MANY, text).digest


def test_encode_writes_decimals_as_the_numbers_they_were():
    value = {"a": [Decimal("1.50"), Decimal("-0.0001"), 2**63 - 1, None, "é\n"]}
    assert encode(value) == '{"a":[1.50,-0.0001,9223372036854775807,null,"é\\n"]}'
