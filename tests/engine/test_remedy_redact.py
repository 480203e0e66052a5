"""Redaction removes what it names: in the open, overlapping, encoded, and for good."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.detect import BUILT_IN, MAX_TEXT, UNSEARCHED
from bridle.engine.remedies import apply, redact_text
from bridle.language.remedy import Path, Redact
from engine.reading import detectors

ALL = detectors(customer_id="C-[0-9]{6}")
NAMES = (*BUILT_IN, "customer_id")


def redact(text, *names):
    return redact_text(text, names or NAMES, ALL)


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("ana@example.com", ("email",), "[redacted:email]"),
        ("a ana@example.com, b@c.example.", ("email",), "a [redacted:email], [redacted:email]."),
        ("ana@example.com 192.0.2.1", ("ip",), "ana@example.com [redacted:ip]"),
        ("nothing here", NAMES, "nothing here"),
        ("", NAMES, ""),
        ("pay 4111-1111-1111-1111 now", ("payment_card",), "pay [redacted:payment_card] now"),
        ("id C-123456.", ("customer_id",), "id [redacted:customer_id]."),
        ("password=hunter2xyz9", ("secret_key",), "password=[redacted:secret_key]"),
    ],
)
def test_whole_spans_are_replaced_by_a_label(text, names, expected):
    assert redact_text(text, names, ALL) == expected


def test_overlapping_finds_become_one_named_after_the_widest_first():
    assert redact("https://ana@example.com/x", "email", "url") == "[redacted:url]"
    assert redact("http://192.0.2.1/", "ip", "url") == "[redacted:url]"
    assert redact("x 192.0.2.1 y", "url", "ip") == "x [redacted:ip] y"


def test_encoded_finds_are_replaced_whole():
    hidden = base64.b64encode(b"hello ana@example.com bye").decode()
    assert redact(f"see {hidden} ok", "email") == "see [redacted:email] ok"
    assert redact("see ana%40example.com ok", "email") == "see [redacted:email] ok"
    assert redact("see \uff41na\uff20example.com ok", "email") == "see [redacted:email] ok"


def test_pieces_that_join_after_redaction_do_not_survive():
    text = "41111111" + "ana@example.com" + "11111111"
    assert ALL.found(redact(text), NAMES) == set()


def test_texts_and_keys_at_and_below_a_path_are_redacted():
    value = {
        "to": "ana@example.com",
        "body": {"a": ["ana@example.com", 5, None], "ana@example.com": {"x": "b@c.example"}},
    }
    made = apply([Redact(Path("input", ("body",)), ("email",))], "input", value, ALL)
    assert made == {
        "to": "ana@example.com",
        "body": {
            "a": ["[redacted:email]", 5, None],
            "[redacted:email]": {"x": "[redacted:email]"},
        },
    }


def test_what_cannot_be_searched_is_replaced_as_a_whole():
    assert redact("x" * (MAX_TEXT + 1), "ip") == "[redacted:ip]"


def test_a_detector_that_matches_its_own_label_ends_too():
    greedy = detectors(word="[a-z]+")
    assert redact_text("some words", ("word",), greedy) == "[redacted:word]"


EXAMPLES = [
    "ana@example.com", "+49 30 1234567", "DE89 3704 0044 0532 0130 00", "4111111111111111",
    "AKIAIOSFODNN7EXAMPLE", "https://evil.example/x", "192.0.2.17", "C-123456", "fe80::1",
    "password=hunter2xyz9", "ana%40example.com", "&#64;b.example", "YW5hQGV4YW1wbGUuY29t",
    "4111 1111",
]  # fmt: skip
parts = (
    st.sampled_from(EXAMPLES) | st.text(max_size=6) | st.sampled_from(list(" .-:@=/%&\n\u200b1"))
)
texts = st.lists(parts, max_size=8).map("".join)


@given(texts, st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
def test_after_redaction_nothing_is_found_and_again_changes_nothing(text, names):
    once = redact_text(text, tuple(names), ALL)
    assert ALL.found(once, names) - {UNSEARCHED} == set()
    assert redact_text(once, tuple(names), ALL) == once
    if not ALL.found(text, names):
        assert once == text
