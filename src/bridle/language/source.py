"""A policy file → its statements: annotations, effect, exact text, each with its place.

Everything in a file is either part of a statement or refused at its location; nothing is skipped.
Conditions over history (`when temporal`, `unless temporal`, `def`) are recognised and refused: a
set that were stripped of them would permit more. Cedar itself judges the inside of a statement;
this module only keeps from it what it could not survive (it recurses without a limit of its own).
"""

from __future__ import annotations

from msgspec import Struct

from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Kind, Source, Token, tokens, unescape
from bridle.model.finding import Finding, Location

MAX_NESTING = 40
"""Brackets within brackets. Cedar's parser overflows the stack at several hundred."""

MAX_OPERATORS = 500
"""Operators, member accesses and `if`s in one policy, for the same reason."""

MAX_FINDINGS = 50
"""After so many in one file the rest of it is not read: it is no policy file."""

_OPEN, _CLOSE = {"(": ")", "[": "]", "{": "}"}, {")", "]", "}"}
_COUNTED = {"==", "!=", "<=", ">=", "<", ">", "&&", "||", "+", "-", "*", "/", "%", "!", ".", "["}
_COUNTED_WORDS = {"if", "has", "like", "is", "in", "when", "unless"}
_NOT_YET = "history in policies is not supported yet"
_NOT_YET_HINT = "remove the condition over history; the rest of the policy can stay"


class Annotation(Struct, frozen=True):
    """`@name("value")`. `places` maps each character of the value to its offset in the file."""

    name: str
    value: str
    location: Location
    places: tuple[int, ...] = ()


class Statement(Struct, frozen=True):
    """One policy as it stands in its file. `text` runs from the first annotation to the `;`."""

    annotations: tuple[Annotation, ...]
    effect: str
    text: str
    start: int
    location: Location
    body: tuple[Token, ...]

    def annotation(self, name: str) -> Annotation | None:
        """Return the annotation of that name, if there is one."""
        return next((a for a in self.annotations if a.name == name), None)


def statements(source: Source) -> tuple[tuple[Statement, ...], tuple[Finding, ...]]:
    """Split a file. Statements that are refused are absent from the first part of the answer."""
    try:
        words = tokens(source)
    except LanguageError as error:
        return (), (error.finding,)
    return _Splitter(source, words).run()


class _Splitter:
    def __init__(self, source: Source, words: list[Token]) -> None:
        self.source = source
        self.words = words
        self.next = 0

    def run(self) -> tuple[tuple[Statement, ...], tuple[Finding, ...]]:
        found, findings = list[Statement](), list[Finding]()
        while self.next < len(self.words) and len(findings) < MAX_FINDINGS:
            begin = self.next
            try:
                found.append(self._statement())
            except LanguageError as error:
                findings.append(error.finding)
                self._skip(begin)
        return tuple(found), tuple(findings)

    def _statement(self) -> Statement:
        first = self.words[self.next]
        annotations = self._annotations()
        begin = self.next
        effect = self._take("a policy (`permit` or `forbid`)")
        if effect.text == "def":
            raise self._fault(effect, "temporal_not_yet", _NOT_YET, _NOT_YET_HINT)
        if effect.text not in {"permit", "forbid"}:
            raise self._fault(
                effect,
                "not_a_policy",
                f"expected a policy (`permit` or `forbid`), found `{_short(effect.text)}`",
                "everything in a policy file is a policy or a // comment",
            )
        end = self._end(effect)
        text = self.source.text[first.start : end.end]
        body = tuple(self.words[begin : self.next])
        place = self.source.at(effect.start)
        return Statement(annotations, effect.text, text, first.start, place, body)

    def _annotations(self) -> tuple[Annotation, ...]:
        found = list[Annotation]()
        while self.next < len(self.words) and self.words[self.next].text == "@":
            at = self._take("@")
            name = self._take("the name of an annotation")
            if name.kind is not Kind.WORD:
                raise self._fault(name, "policy_syntax", "expected the name of an annotation")
            if name.text == "temporal":
                raise self._fault(at, "temporal_not_yet", _NOT_YET, _NOT_YET_HINT)
            found.append(self._annotation(at, name.text))
        return tuple(found)

    def _annotation(self, at: Token, name: str) -> Annotation:
        location = self.source.at(at.start)
        if self.next >= len(self.words) or self.words[self.next].text != "(":
            return Annotation(name, "", location)
        self.next += 1
        string = self._take("a string")
        if string.kind is not Kind.STRING:
            raise self._fault(string, "policy_syntax", "an annotation holds one string")
        value, places = unescape(self.source, string)
        close = self._take("`)`")
        if close.text != ")":
            raise self._fault(close, "policy_syntax", "an annotation holds one string, then `)`")
        return Annotation(name, value, location, tuple(places))

    def _end(self, effect: Token) -> Token:
        """Walk to the `;` that ends the statement, refusing what Cedar could not survive."""
        closers, operators = list[str](), 0
        while True:
            token = self._take(f"`;` after this `{effect.text}`", effect)
            if not closers and token.text == ";":
                return token
            self._brackets(token, closers)
            operators += token.text in (_COUNTED if token.kind is not Kind.WORD else _COUNTED_WORDS)
            if operators > MAX_OPERATORS:
                raise self._fault(
                    token,
                    "policy_too_large",
                    f"this policy has more than {MAX_OPERATORS} operators",
                    "split it into several policies",
                )
            if not closers:
                self._refuse_history(token)

    def _brackets(self, token: Token, closers: list[str]) -> None:
        if token.text in _OPEN:
            closers.append(_OPEN[token.text])
            if len(closers) > MAX_NESTING:
                raise self._fault(
                    token,
                    "policy_too_large",
                    f"brackets are nested more than {MAX_NESTING} deep",
                    "split the condition into several policies",
                )
        elif token.text in _CLOSE:
            if not closers or closers[-1] != token.text:
                raise self._fault(token, "policy_syntax", f"`{token.text}` closes nothing here")
            closers.pop()

    def _refuse_history(self, token: Token) -> None:
        if token.text not in {"when", "unless"} or self.next >= len(self.words):
            return
        if self.words[self.next].text == "temporal":
            raise self._fault(token, "temporal_not_yet", _NOT_YET, _NOT_YET_HINT)

    def _take(self, wanted: str, begin: Token | None = None) -> Token:
        if self.next >= len(self.words):
            place = begin or self.words[-1]
            raise self._fault(place, "policy_syntax", f"the file ends where {wanted} should follow")
        token = self.words[self.next]
        self.next += 1
        return token

    def _skip(self, begin: int) -> None:
        """Go on after the next `;` outside brackets, so that one file can have several findings."""
        self.next, depth = begin, 0
        while self.next < len(self.words):
            text = self.words[self.next].text
            depth += (text in _OPEN) - (text in _CLOSE and depth > 0)
            self.next += 1
            if text == ";" and depth == 0:
                return

    def _fault(self, token: Token, code: str, message: str, hint: str = "") -> LanguageError:
        return fault(self.source.at(token.start), code, message, hint)


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "…"
