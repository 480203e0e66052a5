"""The tokens of one condition over history, read from left to right. One job: place and refusal."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, TypeVar

from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Kind, Source, Token, tokens, unescape
from bridle.language.temporal.ast import Span

MAX_DEPTH = 64
"""Conditions and terms within one another; every `&&` of a chain and every `!` is a level, too."""

MAX_TOKENS = 20_000
"""Tokens of one condition."""


def too_deep(source: Source, offset: int) -> LanguageError:
    """Return (not raise) the refusal of a condition that is nested too deeply."""
    return fault(
        source.at(offset),
        "policy_too_large",
        f"this condition over history is nested more than {MAX_DEPTH} deep",
        "split it into several policies; every && of a chain counts",
    )


Item = TypeVar("Item")


class Cursor:
    """A position in the tokens of one condition."""

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source = source
        self.words = tokens(source, start, end)
        self.next = 0
        self.level: int = 0
        self.stop = Token(Kind.PUNCTUATION, "", end, end)
        if len(self.words) > MAX_TOKENS:
            self.fail(
                f"a condition over history has more than {MAX_TOKENS} words", "policy_too_large"
            )

    @property
    def token(self) -> Token:
        """The token to be read next; an empty one at the end."""
        return self.ahead(0)

    @property
    def text(self) -> str:
        """The text of the next token, quotes and all."""
        return self.token.text

    @property
    def at(self) -> int:
        """Where the next token begins."""
        return self.token.start

    @property
    def behind(self) -> int:
        """Where the last token that was read ends."""
        return self.words[self.next - 1].end if self.next else self.at

    def ahead(self, count: int) -> Token:
        """Look `count` tokens beyond the next one."""
        place = self.next + count
        return self.words[place] if place < len(self.words) else self.stop

    def take(self) -> Token:
        """Read the next token, whatever it is."""
        token = self.token
        self.next = min(self.next + 1, len(self.words))
        return token

    def word(self, wanted: str) -> Token:
        """Read a name. Raises `LanguageError` where none stands."""
        if self.token.kind is not Kind.WORD:
            self.fail(f"expected {wanted}")
        return self.take()

    def expect(self, text: str, hint: str = "") -> None:
        """Read exactly this token. Raises `LanguageError` where another one stands."""
        if not self.accept(text):
            self.fail(f"expected `{text}`", hint=hint)

    def finish(self, hint: str = "") -> None:
        """Raise `LanguageError` unless all has been read."""
        if self.next < len(self.words):
            self.fail("expected `&&`, `since` or the end of the condition", hint=hint)

    def fail(self, message: str, code: str = "history_syntax", hint: str = "") -> NoReturn:
        """Refuse the condition at the next token."""
        token = self.token
        if code == "history_syntax":
            message += f", found {_shown(token.text)}"
            behind = self.words[self.next - 1].text if self.next else ""
            hint = _HINTS_BEHIND.get(behind) or _HINTS.get(token.text) or hint
        raise fault(self.source.at(token.start), code, message, hint)

    def missing_operator(self, hint: str = "") -> NoReturn:
        """Refuse a value where a condition should be."""
        self.fail("a value alone is no condition: expected a comparison", hint=hint)

    def accept(self, text: str) -> bool:
        """Read exactly this token if it stands here, and say whether it did."""
        if self.text != text:
            return False
        self.take()
        return True

    def separated(self, close: str, read: Callable[[], Item]) -> tuple[Item, ...]:
        """Read items with commas between them, up to and including `close`."""
        found = list[Item]()
        while self.text != close:
            found.append(read())
            if not self.accept(","):
                break
            if self.text == close:
                self.fail("nothing follows this comma")
        self.expect(close)
        return tuple(found)

    def string(self) -> str:
        """Read a string, its escapes decoded."""
        return unescape(self.source, self.take())[0]

    def enter(self) -> None:
        """Go one level down. Whoever does sets `level` back. Raises `LanguageError` if too deep."""
        self.level += 1
        if self.level > 2 * MAX_DEPTH:
            raise too_deep(self.source, self.at)

    def since(self, start: int) -> Span:
        """Return the span from `start` to the last token that was read."""
        return Span(start, self.behind)


_HINTS = {
    "||": "a condition over history has no `||`: write two policies, or `!(!a && !b)`",
    "=": "equality is `==`",
    "formerly": "put it in parentheses: operators apply to something simple or in parentheses",
    "previous": "put it in parentheses: operators apply to something simple or in parentheses",
    "exists": "put it in parentheses",
}

_HINTS_BEHIND = {
    "let": "there is no `let`: bind the value with `exists (n: Long). ((count …) == n && …)`",
    "formerly": "say how far back it looks: `formerly within 10m …`",
    "previous": "say how far back it looks: `previous within 10m …`",
}


def _shown(text: str) -> str:
    if not text:
        return "the end"
    return f"`{text}`" if len(text) <= 40 else f"`{text[:37]}…`"
