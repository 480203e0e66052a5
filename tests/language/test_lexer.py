"""Tokens, their places, and what a policy file may not hide."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.language.errors import LanguageError
from bridle.language.lexer import Kind, Source, tokens, unescape


def lex(text: str) -> list[str]:
    return [t.text for t in tokens(Source("p.dw", text))]


def place(text: str) -> tuple[int, int, str]:
    with pytest.raises(LanguageError) as caught:
        tokens(Source("p.dw", text))
    finding = caught.value.finding
    return finding.location.line, finding.location.column, finding.code


def test_words_strings_numbers_and_punctuation_are_told_apart() -> None:
    text = '@id("a \\" // b") permit(x::"y", 12<=3) // a comment "\n&&!z ?p$t'
    assert lex(text) == [
        "@", "id", "(", '"a \\" // b"', ")", "permit", "(", "x", "::", '"y"', ",", "12", "<=", "3",
        ")", "&&", "!", "z", "?p", "$t",
    ]  # fmt: skip
    kinds = {t.kind for t in tokens(Source("p.dw", text))}
    assert kinds == set(Kind)


def test_every_character_is_part_of_a_token_a_comment_or_white_space() -> None:
    text = '@id("x")\r\npermit (principal, action, resource); // done'
    words = tokens(Source("p.dw", text))
    assert all(text[t.start : t.end] == t.text for t in words)


@pytest.mark.parametrize(
    ("text", "line", "column", "code"),
    [
        ('permit "never closed', 1, 8, "policy_syntax"),
        ("a\n  # b", 2, 3, "policy_syntax"),
        ("a\n'b'", 2, 1, "policy_syntax"),
        ("\ufeffpermit", 1, 1, "hidden_character"),
        ("a\x00b", 1, 2, "hidden_character"),
        ("a // comment\rforbid", 1, 13, "hidden_character"),
        ("a \u202e b", 1, 3, "hidden_character"),
        ('"a\u200bb"', 1, 3, "hidden_character"),
        ("// \u2066 in a comment", 1, 4, "hidden_character"),
        ("a\u2028b", 1, 2, "hidden_character"),
        ("a\u0085b", 1, 2, "hidden_character"),
        ("a\u00a0b", 1, 2, "policy_syntax"),
        ("pеrmit", 1, 2, "policy_syntax"),  # noqa: RUF001  (a Cyrillic letter is the attack)
    ],
)
def test_what_a_reader_cannot_see_or_cedar_cannot_read_is_refused(text, line, column, code) -> None:
    assert place(text) == (line, column, code)


def test_dos_line_ends_are_fine() -> None:
    assert lex("a\r\nb\r\n") == ["a", "b"]


def test_an_escaped_string_has_a_value_and_each_character_a_place() -> None:
    source = Source("p.dw", 'x "a\\n\\u{e9}\\x41\\\\"')
    value, places = unescape(source, tokens(source)[1])
    assert value == "a\néA\\"
    assert [source.text[p] for p in places] == ["a", "\\", "\\", "\\", "\\", '"']


@pytest.mark.parametrize("escape", ["\\q", "\\*", "\\u{110000}", "\\u{d800}", "\\x80", "\\u{}"])
def test_an_escape_that_means_nothing_is_refused(escape: str) -> None:
    source = Source("p.dw", f'"{escape}"')
    with pytest.raises(LanguageError):
        unescape(source, tokens(source)[0])


@pytest.mark.parametrize(
    "text",
    ['"' * 300_001, "(" * 65_536, "\\" * 300_000, '"\\' * 150_000, "@" * 300_000, "a." * 150_000],
)
def test_a_huge_file_of_anything_takes_linear_time(text: str) -> None:
    def cost(size: int) -> float:
        start = time.process_time()
        with suppress(LanguageError):
            tokens(Source("p.dw", text[:size]))
        return time.process_time() - start

    # Quadratic work would take minutes here; the bound only tells the two apart.
    assert cost(len(text)) < 30


@given(st.text(max_size=200))
def test_any_text_gives_tokens_or_one_located_error(text: str) -> None:
    source = Source("p.dw", text)
    places = []
    try:
        found = tokens(source)
    except LanguageError as error:
        places = [error.finding.location]
    else:
        assert [text[t.start : t.end] for t in found] == [t.text for t in found]
    assert all(p.line >= 1 and p.column >= 1 for p in places)
