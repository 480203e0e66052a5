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

    __slots__ = ("_before", "_ends", "chunks", "parts", "readings", "room", "whole")

    def __init__(self, before: Known | None = None) -> None:
        self.chunks: dict[str, bytes] = {"": b""}
        self.whole: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
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
        before.chunks, before.whole, before.parts = self.chunks, self.whole, self.parts
        return Known(before)

    def note(self, text: str) -> bool:
        """Make room for one more text; False if there is none."""
        self.room -= _ENTRY + len(text)
        return self.room >= 0

    def learn(self, runs: Iterable[str], of: Fingerprint, sentences: Sentences) -> None:
        """Read the runs that are not known yet."""
        unseen = {r for r in runs if r not in self.chunks}
        self.room -= _ENTRY * len(unseen) + sum(map(len, unseen))
        if self._before:
            unseen -= self._recalled(self._before, unseen)
        words = [r for r in unseen if _PLAIN.fullmatch(r)]
        if words:
            self._words(words, of)
        if len(words) < len(unseen):
            self._read(list(unseen.difference(words)), of, sentences)

    def _words(self, words: Sequence[str], of: Fingerprint) -> None:
        if not self._ends:
            marks = of([chunks.TRAILING + stop for stop in _STOPS])
            self._ends = {s: marks[i * WIDTH : (i + 1) * WIDTH] for i, s in enumerate(_STOPS)}
        ends = self._ends
        marks = of([chunks.CHUNK + w.rstrip(_STOPS).lower() for w in words])
        for word, place in zip(words, range(0, len(marks), WIDTH), strict=True):
            self.chunks[word] = marks[place : place + WIDTH] + ends.get(word[-1], b"")

    def _recalled(self, before: Known, unseen: Iterable[str]) -> set[str]:
        recalled = {r for r in unseen if r in before.chunks}
        for run in recalled:
            for kept, known in ((self.whole, before.whole), (self.parts, before.parts)):
                if run in known:
                    kept[run] = known[run]
            self.chunks[run] = before.chunks[run]
        return recalled

    def _read(self, unseen: Sequence[str], of: Fingerprint, sentences: Sentences) -> None:
        read = [_told(run) for run in unseen]
        marks = of([token for told in read for tokens in told[:3] for token in tokens])
        place = 0
        for run, told in zip(unseen, read, strict=True):
            ends = [place := place + len(tokens) * WIDTH for tokens in told[:3]]
            start = ends[0] - len(told.whole) * WIDTH
            if told.whole:
                self.whole[run] = marks[start : ends[0]]
            if found := marks[ends[0] : ends[1]] + (sentences(told.hidden) if told.hidden else b""):
                self.parts[run] = found
            # The chunks last: where they are known, the others are.
            self.chunks[run] = marks[ends[1] : ends[2]]


class _Told(NamedTuple):
    """The identifiers in a run, its parts and its tokens, and the texts that it hides."""

    whole: list[str]
    parts: list[str]
    chunks: list[str]
    hidden: list[str]


def hints(found: Iterable[str]) -> list[str]:
    """Return what is looked for as tokens of a kind that no value as a whole has.

    # INVARIANT: I2. It can tell a source, and never make a value trusted.
    """
    return [_HINT + part for part in found]


def _told(run: str) -> _Told:
    tokens = chunks.tokens(run)
    forms = {core: said(core) for core in chunks.cores(tokens)}
    whole = dict.fromkeys(form for own in forms.values() for form in own)
    found = parts.of_run(run, forms)
    return _Told(list(whole), hints(found.told), tokens, found.hidden)
