"""Searching is bounded, and what could not be searched counts as found."""

import base64

import pytest

from bridle.engine.detect import MAX_TEXT, UNSEARCHED, PatternError
from bridle.engine.detect.expression import Expression
from bridle.model.errors import BundleError
from engine.reading import closed, detectors, tool

ALL = detectors()


def test_a_text_too_large_to_search_counts_as_everything_found():
    text = "a" * (MAX_TEXT + 1)
    assert ALL.found(text, ["email", "ip"]) == {"email", "ip", UNSEARCHED}
    assert ALL.found(text[1:], ["email", "ip"]) == set()
    assert {(s.start, s.end) for s in ALL.find(text, ["email"])} == {(0, len(text))}


def test_a_text_that_unfolds_without_end_counts_as_everything_found():
    bomb = "\ufdfa" * 50_000
    assert UNSEARCHED in ALL.found(bomb + " 1", ["email"])


def test_facts_say_so():
    one = tool(closed(s="string"), s="content")
    small = detectors(one)
    found = small.facts("t", {"s": "x" * (MAX_TEXT + 1)})["s"]["found"]
    assert found == sorted([*small.names, UNSEARCHED])


PIECES = [
    "1", "4", "41", "a@", "@a.", "%41", "a ", ":", "1.", "1:", "DE12", "+", "00", "=", "é", "0x41",
    "-----BEGIN PRIVATE KEY-----", "password=a1", "//", "eyJ", "AKIA", "&#65;", "\\u0041", "a@b.co",
    "A1", "[", "w", "www.", "\n", "4 ", "aA-", "\u0661", "\u0301", "(2", "sk-", "1-", "http://",
]  # fmt: skip


@pytest.mark.parametrize("piece", PIECES)
def test_a_quarter_megabyte_of_anything_is_searched(piece):
    """What cost the square of its length would run into the suite's timeout."""
    text = (piece * (2**18 // len(piece) + 1))[: 2**18]
    assert ALL.find(text) == ALL.find(text)


def test_encodings_inside_encodings_are_searched_to_an_end():
    text = "4111 1111 1111 1111 " * 2_000
    for _ in range(4):
        text = base64.b64encode(text.encode()).decode()
        ALL.find(text)


def test_an_unknown_detector_is_an_error_and_not_silence():
    with pytest.raises(BundleError) as caught:
        ALL.find("x", ["emial"])
    assert caught.value.code == "unknown_detector"


@pytest.mark.parametrize("pattern", ["(?=a)", r"(a)\1", "(", "a{2000}"])
def test_a_pattern_that_is_not_linear_is_refused(pattern):
    with pytest.raises(PatternError):
        Expression(pattern)
    with pytest.raises(BundleError, match="own"):
        detectors(own=pattern)


def test_text_that_is_no_unicode_is_searched_all_the_same():
    own = detectors(word="secret")
    assert own.found("\ud800 secret ana@example.com") == {"word", "email"}
