"""Traces of the reference: what a line says, and what is refused with its place."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.language.errors import LanguageError
from bridle.language.temporal.ast import DecimalLiteral, EntityLiteral
from bridle.language.trace import MAX_DEPTH, MAX_LINE, TracedEvent, parse

FULL = (
    '@12 scope(principal: D::User::"ana", resource: D::Gate::"g") '
    'entities(D::User::"ana": { team: "ops", level: 3 } in [D::Team::"a", D::Team::"b"], '
    'D::Team::"a": {}) '
    'request_context(input: { user: "x", amount: 5 }, system: { now: 1 }) '
    'D::Action::"mail.send"::request(input: { user: "x" }, callerPrincipal: D::User::"ana")'
)


def one(text: str) -> TracedEvent:
    (event,) = parse("t.log", text)
    return event


def refusal(text: str) -> str:
    """Return the code a text is refused with; nothing for a trace."""
    try:
        parse("t.log", text)
    except LanguageError as error:
        return error.code if error.finding.location.line else "no place"
    return ""


def value(text: str):
    return one(f'@0 A::"a"::request(v: {text})').logged["v"]


def test_every_part_of_a_line_is_read():
    event = one(FULL)
    ana = EntityLiteral("D::User", "ana")
    assert (event.time, event.namespace, event.action, event.kind) == (
        12,
        ("D", "Action"),
        "mail.send",
        "request",
    )
    assert event.scope == {"principal": ana, "resource": EntityLiteral("D::Gate", "g")}
    assert event.context == {"input": {"user": "x", "amount": 5}, "system": {"now": 1}}
    assert event.logged == {"input": {"user": "x"}, "callerPrincipal": ana}
    first, second = event.entities
    assert first.entity == ana
    assert first.attributes == {"team": "ops", "level": 3}
    assert first.parents == (EntityLiteral("D::Team", "a"), EntityLiteral("D::Team", "b"))
    assert (second.attributes, second.parents) == ({}, ())


def test_empty_lines_are_no_events_and_lines_are_numbered():
    events = parse("t.log", f'\n{FULL}\r\n\n   \n@-5 A::"a"::request()\n')
    assert [(event.line, event.time) for event in events] == [(2, 12), (5, -5)]
    assert events[1].scope == events[1].context == events[1].logged == {}


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("5", 5),
        ("-5", -5),
        ("9223372036854775807", 2**63 - 1),
        ("true", True),
        ("false", False),
        ("null", None),
        ("1.50", DecimalLiteral("1.50")),
        ("-0.0", DecimalLiteral("-0.0")),
        ("1.", DecimalLiteral("1.")),
        ('""', ""),
        ('"1.0"', "1.0"),
        ('"a, b: (c) [d] {e}"', "a, b: (c) [d] {e}"),
        (r'"a\"b\\c\n\u{41}\x42\'"', "a\"b\\c\nAB'"),
        (r'"\q"', r"\q"),
        (r'"\u{0_1_2_3}"', "\u0123"),
        (r'"\u{d800}"', r"\u{d800}"),
        (r'"\u{_}"', r"\u{_}"),
        ("bare", "bare"),
        ('decimal("1.0")', 'decimal("1.0")'),
        ("[]", []),
        ('[1, "a", [true]]', [1, "a", [True]]),
        ("[1, 2,]", [1, 2]),
        ('{ a: 1, "b c": { d: null } }', {"a": 1, "b c": {"d": None}}),
        (r'D::User::"a\"b"', EntityLiteral("D::User", 'a"b')),
        ('User::"a::b"', EntityLiteral("User", "a::b")),
    ],
)
def test_values(text, meaning):
    found = value(text)
    assert (type(found), found) == (type(meaning), meaning)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("x", "1:1", "time of the event"),
        ("@ 5", "1:1", "time of the event"),
        ("@5", "1:1", "time of the event"),
        ('@99999999999999999999 A::"a"::request()', "1:1", "time of the event"),
        ('@9223372036854775808 A::"a"::request()', "1:1", "time of the event"),
        ("@0 )(", "1:4", "expected an event"),
        ("@0 A::b::request()", "1:4", "expected an event"),
        ('@0 A::"a"::request', "1:19", "`(`"),
        ('@0 A::"a"()', "1:10", "`::`"),
        ('@0 A::"a"::()', "1:12", "kind of the event"),
        ('@0 A::"a::request()', "1:7", "never closed"),
        ('@0 A::"a"::request() x', "1:22", "nothing may follow"),
        ('@0 A::"a"::request(v: 1, v: 2)', "1:26", "twice"),
        ('@0 A::"a"::request(v: { w: 1, w: 2 })', "1:31", "twice"),
        ('@0 A::"a"::request(v: )', "1:23", "expected a value"),
        ('@0 A::"a"::request(v 1)', "1:22", "`:`"),
        ('@0 A::"a"::request(v: 1 w: 2)', "1:25", "`,`"),
        ('@0 A::"a"::request(v: [1}', "1:25", "`,`"),
        ('@0 A::"a"::request(v: "x)', "1:23", "never closed"),
        ('@0 A::"a"::request(5: 1)', "1:20", "name of a field"),
        ('@0 A::"a"::request(v: 9223372036854775808)', "1:23", "64 bits"),
        (f'@0 A::"a"::request(v: {"9" * 5000})', "1:23", "64 bits"),
        ('@0 entities(x: {}) A::"a"::request()', "1:13", "expected an entity"),
        ('@0 entities(U::"a": {}, U::"a": {}) A::"a"::request()', "1:25", "twice"),
        ('@0 entities(U::"a": {} in [1]) A::"a"::request()', "1:27", "are entities"),
        ('@0 A::"a"::request()\n@0 scope(principal', "2:19", "`:`"),
    ],
)
def test_what_is_no_trace_is_refused_where_it_goes_wrong(text, place, message):
    with pytest.raises(LanguageError) as caught:
        parse("t.log", text)
    finding = caught.value.finding
    assert str(finding.location) == f"t.log:{place}"
    assert finding.code == "trace_syntax"
    assert message in finding.message


@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_nesting_is_read_up_to_its_limit_and_refused_beyond(brackets):
    opening, closing = ("[", "]") if brackets == "[]" else ("{a:", "}")
    deep = opening * (MAX_DEPTH - 1) + "1" + closing * (MAX_DEPTH - 1)
    assert value(deep)
    for levels in (MAX_DEPTH + 1, 100_000):
        with pytest.raises(LanguageError, match="nested"):
            value(opening * levels + "1" + closing * levels)


def test_a_line_has_a_greatest_length():
    with pytest.raises(LanguageError, match="characters"):
        value('"' + "x" * MAX_LINE + '"')


_WORDS = ["null", "true", "1.5", "99999999999999999999", "in[", "\u202e"]
_GROUPS = ["scope(", "entities(", "request_context("]
_PIECES = [*'@():,[]{}"\\\n .-_', "::", 'A::"a"', "::request(", "\\u{", *_WORDS, *_GROUPS]


@given(st.text() | st.lists(st.sampled_from(_PIECES)).map("".join))
def test_any_text_is_a_trace_or_refused_with_its_place(text):
    for given_text in (text, "@0 " + text, FULL[:200] + text, f'@0 A::"a"::request({text}'):
        assert refusal(given_text) in {"", "trace_syntax"}


@given(st.data())
def test_a_mutated_trace_is_read_or_refused(data):
    at = data.draw(st.integers(0, len(FULL)))
    end = data.draw(st.integers(at, min(len(FULL), at + 9)))
    mutated = FULL[:at] + data.draw(st.text(string.printable, max_size=3)) + FULL[end:]
    assert refusal(mutated) in {"", "trace_syntax"}


@pytest.mark.parametrize(
    "piece", ["[", "{a:", '"', "\\", '"\\', "a::", " ", "(", ",", "-", "9", "1.", 'U::"a"', "in "]
)
def test_hostile_repetition_takes_one_pass(piece):
    """A reader that is quadratic in a line would run into the time limit of a test."""
    for start in ("@0 ", '@0 A::"a"::request(v: ', "@0 entities(", '@0 A::"'):
        text = (start + piece * (MAX_LINE // len(piece)))[:MAX_LINE]
        assert refusal(text) == "trace_syntax"
