"""Nothing that reaches a terminal can hide, reverse or move what is read there."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.cli import terminal


@pytest.mark.parametrize(
    ("char", "shown"),
    [
        ("\u202e", "<U+202E>"),
        ("\u2066", "<U+2066>"),
        ("\u200b", "<U+200B>"),
        ("\u200d", "<U+200D>"),
        ("\ufeff", "<U+FEFF>"),
        ("\u00ad", "<U+00AD>"),
        ("\u2028", "<U+2028>"),
        ("\x1b", "<U+001B>"),
        ("\x9b", "<U+009B>"),
        ("\r", "<U+000D>"),
        ("\x00", "<U+0000>"),
        ("\u00a0", "<U+00A0>"),
        ("\u3164", "<U+3164>"),
        ("\u2800", "<U+2800>"),
        ("\ufe0f", "<U+FE0F>"),
        ("\U000e0041", "<U+E0041>"),
        ("\U000e0100", "<U+E0100>"),
        ("\ud800", "<U+D800>"),
    ],
)
def test_what_cannot_be_seen_is_spelled_out(char: str, shown: str) -> None:
    assert terminal.visible(f"a{char}b") == f"a{shown}b"


def test_what_can_be_seen_stays() -> None:
    assert terminal.visible("Größe 5 €, 日本, naïve") == "Größe 5 €, 日本, naïve"


def test_newlines_and_tabs_stay_only_where_lines_are_meant() -> None:
    assert terminal.visible("a\n\tb") == "a<U+000A><U+0009>b"
    assert terminal.visible("a\n\tb\r", lines=True) == "a\n\tb<U+000D>"


@given(st.text())
def test_no_text_brings_a_control_or_format_character_through(text: str) -> None:
    shown = terminal.visible(text)
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}


def test_columns_are_aligned_whatever_stands_in_them(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"id": "a", "why": "short"}, {"id": "a\u202elong", "why": ["x", "y"]}]
    terminal.table(rows, ("id", "why"), empty="none")
    assert capsys.readouterr().out == (
        "ID             WHY\na              short\na<U+202E>long  x, y\n"
    )


def test_an_empty_table_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table([], ("id",), empty="nothing waits")
    assert capsys.readouterr().out == "nothing waits\n"


def test_json_is_one_ascii_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.document({"text": "\u202e\x9b\nü"})
    assert capsys.readouterr().out == '{"text":"\\u202e\\u009b\\n\\u00fc"}\n'


def test_times_are_utc() -> None:
    assert terminal.time(1_700_000_000_999) == "2023-11-14 22:13:20Z"
    assert terminal.time(0) == ""
