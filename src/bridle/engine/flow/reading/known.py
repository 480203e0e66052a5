"""What was read of single runs, remembered within bounds since words repeat. Never stored."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bridle.engine.flow.identifiers import said
from bridle.engine.flow.reading import chunks, parts
from bridle.engine.flow.reading.fingerprints import WIDTH

if TYPE_CHECKING:
    from bridle.engine.flow.reading.reader import Reading

_MOST = 2**21  # characters that are remembered, before the last batch
_ENTRY = 128
_HINT = "~"
_STOPS = ".,;:!?"
# In such a word nothing hides and, short as it is, nothing tells.
_PLAIN = re.compile(r"[A-Za-z][a-z]{0,14}[.,;:!?]?")

Fingerprint = Callable[[Sequence[str]], bytes]
Sentences = Callable[[Iterable[str]], bytes]


class Known:
    """Of runs their chunks, the identifiers in them and their parts; of short values the reading.

    It only grows. Whoever finds it full takes the `next`, which still has what is used again.
    """

    __slots__ = ("_before", "_ends", "chunks", "parts", "readings", "room", "unread", "whole")

    def __init__(self, before: Known | None = None) -> None:
        self.chunks: dict[str, bytes] = {"": b""}
        self.whole: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        # Runs of which only the chunks are known so far, with their tokens.
        self.unread: dict[str, list[str]] = {}
        self.readings: dict[str, Reading] = {}
        self.room = _MOST
        self._before = before
        self._ends: dict[str, bytes] = {}

    @property
    def full(self) -> bool:
        """Whether no more should be learnt."""
        return self.room < 0

    def next(self) -> Known:
        """Return an empty one that recalls what this one knows, and no more than that.

        This one is left as it is, since others may still be reading it.
        """
        before = Known()
        before.chunks, before.unread = self.chunks, self.unread
        before.whole, before.parts = self.whole, self.parts
        return Known(before)

    def note(self, text: str) -> bool:
        """Make room for one more text; False if there is none."""
        self.room -= _ENTRY + len(text)
        return self.room >= 0

    def learn(self, runs: Iterable[str], of: Fingerprint) -> None:
        """Read the chunks of the runs that are not known yet."""
        unseen = set(runs).difference(self.chunks)
        self.room -= _ENTRY * len(unseen) + sum(map(len, unseen))
        if self._before:
            unseen -= self._recalled(self._before, unseen)
        words = [r for r in unseen if _PLAIN.fullmatch(r)]
        others = {r: chunks.tokens(r) for r in unseen.difference(words)}
        self.room -= _ENTRY * len(others) + sum(map(len, others))
        told = [chunks.CHUNK + w.rstrip(_STOPS).lower() for w in words]
        marks = of(told + [token for tokens in others.values() for token in tokens])
        self._words(words, marks, of)
        # The chunks last: where they are known, the rest is known or to be read.
        self.unread.update(others)
        end = len(words) * WIDTH
        for run, tokens in others.items():
            start, end = end, end + len(tokens) * WIDTH
            self.chunks[run] = marks[start:end]

    def look_into(
        self, runs: Iterable[str], more: Sequence[str], of: Fingerprint, sentences: Sentences
    ) -> bytes:
        """Read the identifiers in runs and their parts, where only their chunks are known.

        Returns the fingerprints of `more`, which are made on the way.
        """
        read = [(run, _told(run, self.unread.get(run))) for run in self.unread.keys() & runs]
        marks = of([*more, *[t for _, told in read for t in (*told.whole, *told.parts)]])
        end = len(more) * WIDTH
        for run, told in read:
            start, middle = end, end + len(told.whole) * WIDTH
            end = middle + len(told.parts) * WIDTH
            if told.whole:
                self.whole[run] = marks[start:middle]
            if found := marks[middle:end] + (sentences(told.hidden) if told.hidden else b""):
                self.parts[run] = found
            # Last: what is not among the unread is taken for read.
            self.unread.pop(run, None)
        return marks[: len(more) * WIDTH]

    def _words(self, words: Sequence[str], marks: bytes, of: Fingerprint) -> None:
        if not self._ends:
            stops = of([chunks.TRAILING + stop for stop in _STOPS])
            self._ends = {s: stops[i * WIDTH : (i + 1) * WIDTH] for i, s in enumerate(_STOPS)}
        ends = self._ends
        for place, word in enumerate(words):
            chunk = marks[place * WIDTH : (place + 1) * WIDTH]
            self.chunks[word] = chunk + ends.get(word[-1], b"")

    def _recalled(self, before: Known, unseen: Iterable[str]) -> set[str]:
        recalled = before.chunks.keys() & unseen
        # First: what somebody reads meanwhile is read again, and never left out.
        self.unread.update({r: t for r in recalled if (t := before.unread.get(r)) is not None})
        for run in recalled:
            for kept, known in ((self.whole, before.whole), (self.parts, before.parts)):
                if run in known:
                    kept[run] = known[run]
            self.chunks[run] = before.chunks[run]
        return recalled


class _Told(NamedTuple):
    """The identifiers in a run, its parts, and the texts that it hides."""

    whole: list[str]
    parts: list[str]
    hidden: list[str]


def hints(found: Iterable[str]) -> list[str]:
    """Return what is looked for as tokens of a kind that no value as a whole has.

    # INVARIANT: I2. It can tell a source, and never make a value trusted.
    """
    return [_HINT + part for part in found]


def _told(run: str, tokens: list[str] | None) -> _Told:
    known = chunks.tokens(run) if tokens is None else tokens
    forms = {core: said(core) for core in chunks.cores(known)}
    whole = dict.fromkeys(form for own in forms.values() for form in own)
    found = parts.of_run(run, forms)
    return _Told(list(whole), hints(found.told), found.hidden)
