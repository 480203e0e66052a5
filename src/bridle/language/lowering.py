"""One statement → Cedar: `temporal { … }` becomes a truth of the context, macros what they mean.

What is neither stays as it is written, so a policy without history is its own lowering. A Cedar
macro is expanded word by word: its body and what stands for a parameter keep their parentheses, so
the result means what the trees would. Each word of the result knows where its file it comes from.
"""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Kind, Source, Token
from bridle.language.source import Limits, Marker, Statement
from bridle.language.temporal.ast import AggregateCall, Call, Condition, Span
from bridle.language.temporal.macros import Macro, MacroKind, Macros, expand
from bridle.language.temporal.parse import condition
from bridle.language.temporal.tree import walk

MAX_WORDS = 20_000
"""Words of one statement with its macros expanded; parts of its conditions likewise."""

MAX_EXPANDED = 200_000
"""Words and parts of all statements of a bundle or program that call macros, expanded."""

_WORDLIKE = {Kind.WORD, Kind.NUMBER}

Name = Callable[[int, int, Condition], str]
"""Number of the policy, number of the condition in it, the condition → the name of its truth."""


class Word(Struct, frozen=True):
    """A word of the lowered text: `end` is where it ends there, `origin` its place in the file."""

    kind: Kind
    text: str
    origin: int
    end: int = 0


class Hoisted(Struct, frozen=True):
    """A condition over history that lowering took out; macros are expanded. `span` is its text.

    `written` is the same with its macros called.
    """

    name: str
    condition: Condition
    span: Span
    written: Condition | None = None


class Lowered(Struct, frozen=True):
    """A statement as plain Cedar.

    `expanded` tells whether it called macros; `size` is what came of it then, in words and parts of
    conditions.
    """

    text: str
    words: tuple[Word, ...]
    leaves: tuple[Hoisted, ...]
    expanded: bool
    size: int = 0


class Room:
    """How much the macros of a bundle or program may still expand to.

    Each statement has its own limit, and a short text has room for thousands of statements.
    """

    def __init__(self, left: int = MAX_EXPANDED) -> None:
        self.left = left

    def lowered(self, statement: Statement, lowering: Callable[[], Lowered]) -> Lowered:
        """Return the statement lowered, and count it. Raises `LanguageError` where it is too much.

        What has gone too far already costs as much as what just fits.
        """
        if self.left >= 0:
            try:
                found = lowering()
            except LanguageError as error:
                self.left -= MAX_WORDS if error.finding.code == "policy_too_large" else 0
                raise
            self.left -= found.size
            if self.left >= 0:
                return found
        raise fault(
            statement.location,
            "policy_too_large",
            f"macros expand to more than {MAX_EXPANDED} words in all, up to this policy",
            "pass shorter arguments to macros, or call them in fewer policies",
        )


class _Piece(Struct, frozen=True):
    """A word on its way: `gap` stands before it; a marker is replaced at the very end."""

    kind: Kind
    text: str
    origin: int
    gap: str = " "
    marker: Marker | None = None


def lower(  # noqa: PLR0913 - one statement, what it may call, and how its truths are called
    source: Source,
    statement: Statement,
    macros: Macros,
    name: Name,
    *,
    number: int = 0,
    record: tuple[str, ...] = ("history",),
) -> Lowered:
    """Lower one statement of `source`; `number` is that of the policy.

    A condition over history becomes `context.<record>.<name>`, or `context.<name>` with an empty
    record. Raises `LanguageError`.
    """
    return _Lowering(source, statement, macros).run(name, number, record)


class _Lowering:
    def __init__(self, source: Source, statement: Statement, macros: Macros) -> None:
        self.source, self.statement, self.macros = source, statement, macros
        self.markers = {marker.first: marker for marker in statement.markers}
        self.expanded = False

    def run(self, name: Name, number: int, record: tuple[str, ...]) -> Lowered:
        pieces = self._pieces(0, len(self.statement.body))
        if self.expanded:
            _check_limits(self.source, pieces)
        found, text = _Output(self, name, number, record), list[str]()
        for piece in pieces:
            text += found.written(piece)
        expanded = self.expanded or found.expanded
        return Lowered(
            self._head() + "".join(text),
            tuple(found.words),
            tuple(found.leaves),
            expanded,
            len(found.words) + found.size if expanded else 0,
        )

    def _head(self) -> str:
        return self.source.text[self.statement.start : self.statement.body[0].start]

    def _pieces(self, first: int, last: int) -> list[_Piece]:
        """Return the words of a part of the body, macros expanded."""
        found, index = list[_Piece](), first
        while index < last:
            marker = self.markers.get(index)
            if marker is not None:
                found.append(self._marked(index, marker))
                index = marker.last
            elif self._calls(index):
                index = self._call(index, found)
            else:
                if index not in self.statement.guardrails:
                    found.append(self._as_written(index))
                index += 1
            if len(found) > MAX_WORDS:
                raise self._too_long(first)
        return found

    def _as_written(self, index: int) -> _Piece:
        token = self.statement.body[index]
        return _Piece(token.kind, token.text, token.start, self._gap(index))

    def _marked(self, index: int, marker: Marker) -> _Piece:
        token = self.statement.body[index]
        return _Piece(token.kind, token.text, token.start, self._gap(index), marker)

    def _gap(self, index: int) -> str:
        body = self.statement.body
        return self.source.text[body[index - 1].end : body[index].start] if index else ""

    def _calls(self, index: int) -> bool:
        body = self.statement.body
        return (
            body[index].text in self.macros
            and body[index].kind is Kind.WORD
            and index + 1 < len(body)
            and body[index + 1].text == "("
            and index > 0
            and body[index - 1].text not in {".", "::"}
        )

    def _call(self, index: int, found: list[_Piece]) -> int:
        """Expand the call that begins here; return the index behind it."""
        self.expanded = True
        name = self.statement.body[index]
        macro = self.macros[name.text]
        if macro.kind is not MacroKind.CEDAR:
            raise fault(
                self.source.at(name.start),
                "macro_kind",
                f"`{macro.name}` is about history and cannot be called in Cedar",
                f"call it within `temporal {{ … }}`; it is defined at {macro.location}",
            )
        ranges, end = self._arguments(index + 2)
        if len(ranges) != len(macro.parameters):
            raise fault(
                self.source.at(name.start),
                "macro_arity",
                f"`{macro.name}` takes {len(macro.parameters)} arguments, not {len(ranges)}",
                f"it is defined at {macro.location}",
            )
        arguments = [self._pieces(first, last) for first, last in ranges]
        bound = dict(zip(macro.parameters, arguments, strict=True))
        found += self._substituted(macro, bound, index)
        return end

    def _substituted(
        self, macro: Macro, bound: dict[str, list[_Piece]], index: int
    ) -> list[_Piece]:
        origin = self.statement.body[index].start
        made = [_Piece(Kind.PUNCTUATION, "(", origin, self._gap(index))]
        for token in macro.tokens:
            if token.kind is Kind.SIGIL:
                made.append(_Piece(Kind.PUNCTUATION, "(", origin))
                made += bound[token.text[1:]]
                made.append(_Piece(Kind.PUNCTUATION, ")", origin))
            else:
                made.append(_Piece(token.kind, token.text, origin))
            if len(made) > MAX_WORDS:
                raise self._too_long(index)
        made.append(_Piece(Kind.PUNCTUATION, ")", origin))
        return made

    def _arguments(self, index: int) -> tuple[list[tuple[int, int]], int]:
        """Return where the arguments of a call stand, and the index behind its bracket."""
        body, depth, begin = self.statement.body, 0, index
        found = list[tuple[int, int]]()
        while depth or body[index].text != ")":
            text = body[index].text
            if text == "," and not depth:
                found.append((begin, index))
                begin = index + 1
            depth += (text in {"(", "[", "{"}) - (text in {")", "]", "}"})
            index += 1
        if index > begin or found:
            found.append((begin, index))
        return found, index + 1

    def _too_long(self, index: int) -> LanguageError:
        return fault(
            self.source.at(self.statement.body[index].start),
            "policy_too_large",
            f"with its macros expanded this policy has more than {MAX_WORDS} words",
            "split it into several policies",
        )


class _Output:
    """Writes the words of the result, and takes out the conditions over history as it goes."""

    def __init__(
        self, lowering: _Lowering, name: Name, number: int, record: tuple[str, ...]
    ) -> None:
        self.source, self.macros = lowering.source, lowering.macros
        self.name, self.number, self.record = name, number, record
        self.length = len(lowering.source.text[lowering.statement.start : _begin(lowering)])
        self.words = list[Word]()
        self.leaves = list[Hoisted]()
        self.expanded, self.size = False, 0

    def written(self, piece: _Piece) -> list[str]:
        """Return the text of a piece, and keep its words."""
        if piece.marker is None:
            return [self._word(piece.kind, piece.text, piece.origin, piece.gap)]
        truth = ["context", *self.record, self._hoisted(piece.marker)]
        words = [part for name in truth for part in (".", name)][1:]
        words = ["{", *words, "}"] if piece.marker.clause else words
        gaps = [piece.gap, *[""] * (len(words) - 1)]
        if piece.marker.clause:
            gaps[1] = gaps[-1] = " "
        return [
            self._word(_kind(word), word, piece.origin, gap)
            for word, gap in zip(words, gaps, strict=True)
        ]

    def _word(self, kind: Kind, text: str, origin: int, gap: str) -> str:
        # `temporal { … }then` is two words; without its bracket it must not become one.
        if not gap and kind in _WORDLIKE and self.words and self.words[-1].kind in _WORDLIKE:
            gap = " "
        self.length += len(gap) + len(text)
        self.words.append(Word(kind, text, origin, self.length))
        return gap + text

    def _hoisted(self, marker: Marker) -> str:
        start, end = marker.inside
        written = condition(self.source, start, end)
        found = expand(written, self.macros, self.source)
        if any(isinstance(node, Call | AggregateCall) for node in walk(written)):
            self.expanded = True
            self.size += sum(1 for _ in walk(found))
        if self.size > MAX_WORDS:
            raise fault(
                self.source.at(start),
                "policy_too_large",
                f"with their macros expanded the conditions over history of this policy have more "
                f"than {MAX_WORDS} parts",
                "split it into several policies",
            )
        name = self.name(self.number, len(self.leaves), found)
        self.leaves.append(Hoisted(name, found, Span(start, end), written))
        return name


def _kind(text: str) -> Kind:
    return Kind.PUNCTUATION if text in {"{", "}", "."} else Kind.WORD


def _begin(lowering: _Lowering) -> int:
    return lowering.statement.body[0].start


def _check_limits(source: Source, pieces: list[_Piece]) -> None:
    """Refuse what Cedar could not survive, now that macros are expanded."""
    limits = Limits()
    for piece in pieces:
        refused = limits.read(Token(piece.kind, piece.text, piece.origin, piece.origin))
        if refused:
            code, message, hint = refused
            raise fault(source.at(piece.origin), code, f"with its macros expanded, {message}", hint)
