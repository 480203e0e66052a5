"""Cedar text → tokens, each with its offsets. One job: where words begin and end.

Stricter than Cedar on purpose: what a reader cannot see (a lone carriage return, a byte order mark,
control, format and bidirectional characters) is refused, since Cedar and an editor may disagree on
what such a file says. Linear time on any input. Does not know what a policy is.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from enum import StrEnum

from msgspec import Struct

from bridle.language.errors import fault
from bridle.model.finding import Location


class Kind(StrEnum):
    """What a token is. Comments and white space are no tokens."""

    WORD = "word"
    NUMBER = "number"
    STRING = "string"
    PUNCTUATION = "punctuation"
    SIGIL = "sigil"


class Token(Struct, frozen=True):
    """A piece of text: `text` is `source.text[start:end]`, exactly as written."""

    kind: Kind
    text: str
    start: int
    end: int


# Possessive quantifiers: an unterminated string costs one pass, not one per character.
_TOKEN = re.compile(
    r"""(?P<space>[ \t\n\r]++|//[^\n]*+)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*+)
      | (?P<number>[0-9]++)
      | (?P<string>"(?:[^"\\]++|\\.)*+")
      | (?P<sigil>[?$][A-Za-z_][A-Za-z0-9_]*+)
      | (?P<punctuation>::|==|!=|<=|>=|&&|\|\||[][(){},;:.<>+\-*/%!?@=])""",
    re.VERBOSE | re.DOTALL,
)
_KINDS = {kind.value: kind for kind in Kind}
_SUSPECT = re.compile(r"[^\n\t -~]")
_ESCAPE = re.compile(r"\\(?:x([0-7][0-9A-Fa-f])|u\{([0-9A-Fa-f_]{1,8})\}|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "0": "\0", "'": "'", '"': '"'}


class Source:
    """A text with its name, and the way from an offset to line and column (code points from 1)."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.text = text
        self._starts = [0, *(m.end() for m in re.finditer("\n", text))]

    def at(self, offset: int) -> Location:
        """Return the location of the character at `offset`."""
        line = bisect_right(self._starts, offset)
        return Location(self.file, line, offset - self._starts[line - 1] + 1)


def tokens(source: Source, start: int = 0, end: int | None = None) -> list[Token]:
    """Return the tokens of `source`, or of a part of it.

    Raises `LanguageError` at the first thing that is none.
    """
    text, found, offset = source.text, list[Token](), start
    stop = len(text) if end is None else end
    _refuse_invisible(source, start, stop)
    while offset < stop:
        match = _TOKEN.match(text, offset, stop)
        if match is None:
            raise _no_token(source, offset)
        if match.lastgroup != "space":
            found.append(Token(_KINDS[match.lastgroup or ""], match[0], offset, match.end()))
        offset = match.end()
    return found


def unescape(source: Source, token: Token) -> tuple[str, list[int]]:
    """Return a string token's value, and for each of its characters the offset in the file.

    The list has one entry more than the value: the offset of the closing quote.
    """
    value, places, offset, end = list[str](), list[int](), token.start + 1, token.end - 1
    while offset < end:
        places.append(offset)
        if source.text[offset] != "\\":
            value.append(source.text[offset])
            offset += 1
            continue
        match = _ESCAPE.match(source.text, offset, end)
        decoded = _decode(match)
        if match is None or decoded is None:
            raise fault(source.at(offset), "policy_syntax", "this escape means nothing")
        value.append(decoded)
        offset = match.end()
    return "".join(value), [*places, end]


def _decode(match: re.Match[str] | None) -> str | None:
    if match is None:
        return None
    if match[3] is not None:
        return _SIMPLE.get(match[3])
    code = int((match[1] or match[2]).replace("_", "") or "110000", 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else None


def _refuse_invisible(source: Source, start: int, stop: int) -> None:
    for match in _SUSPECT.finditer(source.text, start, stop):
        char, offset = match[0], match.start()
        if char == "\r" and source.text.startswith("\n", offset + 1):
            continue
        if char == "\r" or unicodedata.category(char) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}:
            raise fault(
                source.at(offset),
                "hidden_character",
                f"U+{ord(char):04X} cannot be seen, so the text may not say what it seems to",
                "remove it; inside a string write it as an escape such as \\u{200d}",
            )


def _no_token(source: Source, offset: int) -> Exception:
    if source.text[offset] == '"':
        return fault(
            source.at(offset), "policy_syntax", "this string is never closed", 'end it with `"`'
        )
    char = source.text[offset]
    return fault(source.at(offset), "policy_syntax", f"`{char}` (U+{ord(char):04X}) is no Cedar")
