"""Strict JSON: one reading of every text, or a refusal."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.case import Refusal
from bridle.engine.strict_json import DEEPEST, RESERVED, parse_arguments, parse_result


def arguments(text, size=65_536, depth=16):
    return parse_arguments(text, size=size, depth=depth)


def result(text, size=65_536, depth=16):
    return parse_result(text, size=size, depth=depth)


def code(parsed):
    return parsed.code.value if isinstance(parsed, Refusal) else "ok"


NOT_JSON = [
    "",
    " ",
    "{",
    '{"a":1',
    '{"a":1,}',
    "{'a':1}",
    "{a:1}",
    '{"a":1}{"a":2}',
    '{"a":1} x',
    '{"a":1}//c',
    '/*c*/{"a":1}',
    '{"a":01}',
    '{"a":+1}',
    '{"a":.5}',
    '{"a":5.}',
    '{"a":0x10}',
    '{"a":1_000}',
    '{"a":\u0661}',
    '{"a":NaN}',
    '{"a":Infinity}',
    '{"a":-Infinity}',
    '{"a":nan}',
    '{"a":True}',
    '{"a":"x\\x2e"}',
    '{"a":"\\u00g0"}',
    '{"a":"\\u+123"}',
    '{"a":"\\u 123"}',
    '{"a":"\n"}',
    '{"a":"\t"}',
    '{"a":"\0"}',
    '{"a":"unended}',
    "\ufeff{}",
    "\u00a0{}",
    "{}\u2028",
    "{}\x00",
    '{"a":"\\ud800"}',
    '{"a":"\\udc00\\ud800"}',
    '{"\\udfff":1}',
    '{"a":["\\uD83D"]}',
    '{"a":"\ud800"}',
    '{"a":1,"a":1}',
    '{"a":1,"\\u0061":2}',
    '{"o":{"b":1,"b":2}}',
    '{"o":[{"b":1,"b":2}]}',
]


@pytest.mark.parametrize("text", NOT_JSON)
def test_what_is_not_json_or_ambiguous_is_malformed(text):
    assert code(arguments(text)) == "malformed"
    assert code(result(text)) == "malformed"


@pytest.mark.parametrize("text", ["[]", '"{}"', "1", "null", "true", "[{}]", "1.5"])
def test_arguments_are_an_object_and_results_may_be_anything(text):
    assert code(arguments(text)) == "malformed"
    assert code(result(text)) == "ok"


@pytest.mark.parametrize("key", ["__entity", "__extn", "__expr", "\\u005f_entity", "__e\\u0078tn"])
@pytest.mark.parametrize("place", ["%s", '{"a":%s}', '{"a":[%s]}', '{"a":{"b":[1,%s]}}'])
def test_a_reserved_key_is_refused_at_every_depth(place, key):
    text = place % f'{{"{key}":"principal"}}'
    assert code(arguments(text)) == code(result(text)) == "reserved_input"


def test_reserved_words_in_strings_and_other_odd_keys_mean_nothing():
    text = '{"a":"__entity","__proto__":1,"constructor":2,"__Entity":3}'
    assert arguments(text) == json.loads(text)


@pytest.mark.parametrize(
    "lexeme",
    ["-0", "-0.0", "-0.0000", "1e3", "1E3", "1.5e0", "1e999", "-1e999", "0.00001", "1.12345",
     "9223372036854775808", "-9223372036854775809", "9" * 30, "1" * 20_000,
     "1234567890123456789.5"],
)  # fmt: skip
def test_arguments_have_one_spelling_for_each_number(lexeme):
    assert code(arguments(f'{{"n":{lexeme}}}')) == "not_canonical"
    assert code(arguments(f'{{"o":[{{"n":{lexeme}}}]}}')) == "not_canonical"


@pytest.mark.parametrize("lexeme", ["0", "-1", "9223372036854775807", "-9223372036854775808"])
def test_integers_of_64_bits_are_read_as_integers(lexeme):
    value = arguments(f'{{"n":{lexeme}}}')["n"]
    assert type(value) is int
    assert str(value) == lexeme


@pytest.mark.parametrize("lexeme", ["0.0", "-0.5", "1.50", "0.0001", "99.9999", "1.1000"])
def test_fractions_are_exact_and_keep_their_spelling(lexeme):
    value = arguments(f'{{"n":{lexeme}}}')["n"]
    assert type(value) is Decimal
    assert str(value) == lexeme


@pytest.mark.parametrize(
    "lexeme",
    ["-0", "-0.0", "1e3", "1E-300", "1e999", "0.1234567890123456789", "9" * 500, "1e308"],
)
def test_a_result_may_hold_any_number_exactly_as_written(lexeme):
    value = result(f"[{lexeme}]")[0]
    assert value == Decimal(lexeme)
    assert type(value) is Decimal


def test_an_exponent_that_nothing_can_hold_is_refused():
    assert code(result("1e99999999999999999999")) == "not_canonical"


def test_size_counts_bytes_and_is_looked_at_first():
    assert code(arguments('{"a":"xx"}', size=10)) == "ok"
    assert code(arguments('{"a":"xxx"}', size=10)) == "limit_exceeded"
    assert code(arguments('{"a":"é"}', size=10)) == "ok"
    assert code(arguments('{"a":"éé"}', size=10)) == "limit_exceeded"
    assert code(arguments("[" * 70_000)) == "limit_exceeded"


def nested(levels: int) -> str:
    return '{"a":' + "[" * (levels - 1) + "]" * (levels - 1) + "}"


def test_depth_counts_containers_and_brackets_in_strings_do_not():
    assert code(arguments(nested(16))) == "ok"
    assert code(arguments(nested(17))) == "limit_exceeded"
    assert code(arguments('{"a":"' + "[" * 500 + '"}')) == "ok"
    assert code(arguments('{"a":"\\\\","b":"\\"' + "{[" * 500 + '"}')) == "ok"
    assert code(arguments('{"a\\"[[[[[[[[[[[[[[[[[":' + "[" * 15 + "]" * 15 + "}")) == "ok"
    assert code(arguments('{"a":' + "[]," * 40 + "[]}")) == "malformed"
    assert code(arguments('{"a":[' + "[]," * 40 + "[]]}")) == "ok"


@pytest.mark.parametrize("bomb", ["[", '{"a":', '[{"":'])
def test_a_depth_bomb_never_reaches_the_parsers_stack(bomb):
    text = '{"a":' + bomb * 9_000
    assert code(arguments(text, size=10**6, depth=10**9)) == "limit_exceeded"
    assert code(result(bomb * 9_000, size=10**6, depth=10**9)) == "limit_exceeded"
    assert code(arguments(nested(DEEPEST), depth=10**9)) == "ok"


@pytest.mark.parametrize("piece", ['"\\', '"', "\\", '"["', '"\\u', "{}", "[],", '"a":1,', "1e"])
def test_megabytes_of_anything_are_answered(piece):
    """What cost the square of its length would run into the suite's timeout."""
    for text in ('{"a":[' + piece * 500_000, piece * 500_000):
        assert code(result(text, size=10**8)) in {"malformed", "limit_exceeded"}
    assert code(result("9" * 500_000, size=10**8)) == "ok"
    assert code(arguments('{"a":' + "9" * 500_000 + "}", size=10**8)) == "not_canonical"


keys = st.text().filter(lambda key: key not in RESERVED)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(keys, json_values, max_size=5), st.booleans())
def test_every_plain_object_reads_as_the_standard_library_reads_it(value, ascii_only):
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert arguments(text, size=10**6, depth=64) == value


@given(st.text() | st.text(alphabet='{}[]":,\\u0123456789.eE-+_ntrxadflsN', max_size=60))
def test_any_text_gives_a_value_or_a_refusal_and_agrees_with_json(text):
    parsed = arguments(text)
    if not isinstance(parsed, Refusal):
        assert parsed == json.loads(text, parse_float=Decimal)
    other = result(text)
    if not isinstance(other, Refusal):
        assert other == json.loads(text, parse_float=Decimal)


@given(st.binary(max_size=200))
def test_any_bytes_decoded_any_way_give_a_value_or_a_refusal(data):
    for text in (data.decode("latin-1"), data.decode("utf-8", "surrogateescape")):
        arguments(text)
        result(text)
