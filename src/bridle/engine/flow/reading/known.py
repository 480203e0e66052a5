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
# In such a word nothing hides and, short as it is, nothing tells.
_PLAIN = re.compile(r"[A-Za-z][a-z]{0,14}")

Fingerprint = Callable[[Sequence[str]], bytes]
Sentences = Callable[[Iterable[str]], bytes]


class Known:
    """Of runs their chunks, the identifiers in them and their parts; of short values the reading.

    It only grows. Whoever finds it full takes a new one.
    """

    __slots__ = ("chunks", "parts", "readings", "room", "whole")

    def __init__(self) -> None:
        self.chunks: dict[str, bytes] = {"": b""}
        self.whole: dict[str, bytes] = {}
        self.parts: dict[str, bytes] = {}
        self.readings: dict[str, Reading] = {}
        self.room = _MOST

    @property
    def full(self) -> bool:
        """Whether no more should be learnt."""
        return self.room < 0

    def note(self, text: str) -> bool:
        """Make room for one more text; False if there is none."""
        self.room -= _ENTRY + len(text)
        return self.room >= 0

    def learn(self, runs: Iterable[str], of: Fingerprint, sentences: Sentences) -> None:
        """Read the runs that are not known yet."""
        unseen = {r for r in runs if r not in self.chunks}
        self.room -= _ENTRY * len(unseen) + sum(map(len, unseen))
        words = [r for r in unseen if _PLAIN.fullmatch(r)]
        marks = of([chunks.CHUNK + w.lower() for w in words])
        places = range(0, len(marks), WIDTH)
        self.chunks.update(zip(words, [marks[p : p + WIDTH] for p in places], strict=True))
        self._read(list(unseen.difference(words)), of, sentences)

    def _read(self, unseen: Sequence[str], of: Fingerprint, sentences: Sentences) -> None:
        read = [_told(run) for run in unseen]
        marks = of([token for told in read for tokens in told[:3] for token in tokens])
        place = 0
        for run, told in zip(unseen, read, strict=True):
            ends = [place := place + len(tokens) * WIDTH for tokens in told[:3]]
            start = ends[0] - len(told.whole) * WIDTH
            if told.whole:
                self.whole[run] = marks[start : ends[0]]
            if found := marks[ends[0] : ends[1]] + sentences(told.hidden):
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
