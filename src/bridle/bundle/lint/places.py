"""Where in a policy file something stands that Cedar or a lint complains about without a place."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from cedarpy import pst

from bridle.language.errors import LanguageError
from bridle.language.lexer import Kind, Source, Token, tokens, unescape
from bridle.language.policy import Policy
from bridle.model.finding import Location


class Places:
    """Finds words and strings in the policies of a bundle's files."""

    def __init__(self, files: dict[str, str]) -> None:
        self._files = files
        self._read: dict[str, tuple[Source, list[Token]]] = {}

    def entity(self, policy: Policy, uid: pst.EntityUid) -> Location:
        """Return where a policy names an entity, or where the policy begins."""
        source, words = self._words(policy)
        for index, token in enumerate(words):
            if (
                index >= 2
                and token.kind is Kind.STRING
                and words[index - 1].text == "::"
                and words[index - 2].text == uid.type.basename
                and unescape(source, token)[0] == uid.id
            ):
                return source.at(token.start)
        return policy.location

    def attribute(self, policy: Policy, path: str) -> Location:
        """Return where a policy names the last part of an attribute path such as `input.body`."""
        source, words = self._words(policy)
        names = path.split(".")
        best, most = policy.location, 0
        for index, token in enumerate(words):
            depth = _matched(words, index, names)
            if depth > most:
                best, most = source.at(token.start), depth
        return best

    def annotation(self, policy: Policy, name: str) -> Location:
        """Return where an annotation of a policy stands."""
        source, words = self._words(policy)
        for index, token in enumerate(words[:-1]):
            if token.text == "@" and words[index + 1].text == name:
                return source.at(token.start)
        return policy.location

    def _words(self, policy: Policy) -> tuple[Source, list[Token]]:
        file = policy.location.file
        text = self._files.get(file, "")
        if file not in self._read:
            source = Source(file, text)
            try:
                self._read[file] = (source, tokens(source))
            except LanguageError:
                self._read[file] = (source, [])
        source, words = self._read[file]
        start = text.find(policy.text)
        first = bisect_left(words, start, key=_start)
        return source, words[first : bisect_left(words, start + len(policy.text), key=_start)]


def _start(token: Token) -> int:
    return token.start


def _matched(words: list[Token], index: int, names: list[str]) -> int:
    """Return how many names, from the last backwards, end at this token: `a.b` or `a has b`."""
    depth = 0
    for name, token in zip(reversed(names), _backwards(words, index), strict=False):
        if token.text not in {name, f'"{name}"'}:
            break
        depth += 1
    return depth


def _backwards(words: list[Token], index: int) -> Iterator[Token]:
    while index >= 0:
        yield words[index]
        if index < 1 or words[index - 1].text not in {".", "has", "["}:
            return
        index -= 2
