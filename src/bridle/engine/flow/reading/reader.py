"""Texts into fingerprints: a value's to look for, and a source's to keep.

The same text gives the same fingerprints under the same key, whatever was read before. The time is
linear in the text. What was read of short runs is remembered in the process, within bounds, since
words repeat; nothing of it is ever stored.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator, Sequence

from bridle.engine.flow.identifiers import accepted, said, standing
from bridle.engine.flow.reading import chunks, parts
from bridle.engine.flow.reading.fingerprints import BREAK, WIDTH, Fingerprints
from bridle.engine.flow.reading.known import Known, hints
from bridle.engine.flow.source import Imprint

MOST_CHUNKS = 131_072
"""Chunks of one source that are kept, and as many identifiers and parts each."""

MOST_TEXT = 2**20
"""Characters of one text of a source that are read."""

_SHORT = 64  # characters of a value of which the whole reading is remembered
_HEAD = 96  # characters of a long value that are read first
_WRAPPED = 16_384  # characters of a text whose lines are joined as well
_BATCH = 4_096
# One chunk in eight begins a shingle; which ones, only the key tells.
_ANCHOR = re.compile(rb"[\x00-\x1f]")
_MASK = 2**64 - 1


# Some runs, and what is known of them.
Batch = tuple[Known, Sequence[str]]


class Reading:
    """What is looked for of one value. Each of it is read when somebody first asks for it.

    Which of it is asked for depends on what a mission has read, and never changes what it is.
    """

    __slots__ = ("_exact", "_parts", "_reader", "_runs", "_text", "_whole")

    def __init__(self, reader: Reader, text: str) -> None:
        self._reader = reader
        self._text = text
        self._runs: list[Batch] = []
        self._exact: array[int] | None = None
        self._whole: array[int] | None = None
        self._parts: array[int] | None = None

    @property
    def empty(self) -> bool:
        """Whether there are no chunks: every run that is not empty has one."""
        return not chunks.stripped(self._text)

    @property
    def head(self) -> array[int]:
        """The first few chunks of a long value, all of a short one."""
        if self._exact is None:
            end = self._text.rfind(" ", 0, _HEAD) if len(self._text) > _HEAD else -1
            if end > 0:
                return self._reader.exact(self._text[:end])[1]
        return self.exact

    @property
    def exact(self) -> array[int]:
        """The chunks in order."""
        if self._exact is None:
            self._runs, self._exact = self._reader.exact(self._text)
        return self._exact

    @property
    def whole(self) -> array[int]:
        """The forms of any one of which a source may have said it.

        There are some only if as a whole it is a typed identifier.
        """
        if self._whole is None:
            self._whole = self._reader.whole(self._text)
        return self._whole

    @property
    def parts(self) -> array[int]:
        """Identifiers inside, telling chunks and shingles, through all encodings.

        They tell sources, never trust.
        """
        if self._parts is None:
            exact = self.exact
            self._parts = self._reader.parts(self._text, exact, self._runs)
        return self._parts


class _Taken:
    """What was taken of a source so far."""

    __slots__ = ("chunks", "cut", "most", "parts", "whole")

    def __init__(self, most: int) -> None:
        self.most = most
        self.chunks = bytearray()
        self.whole = bytearray()
        self.parts = bytearray()
        self.cut = False

    def add(self, told: bytes) -> None:
        room = self.most * WIDTH - len(self.chunks)
        self.chunks += told[:room]
        self.cut = self.cut or len(told) > room

    def distinct(self, marks: bytes | bytearray) -> bytes:
        kept = array("Q", dict.fromkeys(array("Q", bytes(marks))))
        self.cut = self.cut or len(kept) > self.most
        return kept[: self.most].tobytes()


class Reader:
    """Reads under one key. May be used by several threads."""

    __slots__ = ("_known", "_marks")

    def __init__(self, key: bytes) -> None:
        self._marks = Fingerprints(key)
        self._known = Known()

    def read(self, text: str) -> Reading:
        """Return what to look for of one value. Never raises on account of the text."""
        known = self._known
        found: Reading | None = known.readings.get(text)
        if found is None:
            found = Reading(self, text)
            if len(text) <= _SHORT and known.note(text):
                known.readings[text] = found
        return found

    def exact(self, text: str) -> tuple[list[Batch], array[int]]:
        """Return the chunks of a value in order, after its runs."""
        runs, found = list[Batch](), array("Q")
        for batch in _batches(chunks.runs(text)):
            known, told = self._read(batch)
            runs.append((known, batch))
            found.frombytes(told)
        return runs, found

    def whole(self, text: str) -> array[int]:
        """Return the forms in any of which a source may have said a value."""
        return array("Q", self._of(accepted(text)))

    def parts(self, text: str, exact: array[int], runs: Iterable[Batch]) -> array[int]:
        """Return what else may give a value away, given its chunks and its runs."""
        beyond, found = parts.of_text(text), array("Q")
        told = hints(beyond.told)
        for known, batch in runs:
            found.frombytes(known.look_into(batch, told, self._of, self._sentences))
            found.frombytes(b"".join([known.parts[r] for r in batch if r in known.parts]))
            told = []
        found.extend(_shingles(exact))
        found.frombytes(self._sentences(beyond.hidden))
        return array("Q", dict.fromkeys(found))

    def imprint(
        self,
        texts: Iterable[str],
        labelled: Iterable[tuple[str, str]] = (),
        most: int = MOST_CHUNKS,
    ) -> Imprint:
        """Return what a source says, whose texts are these.

        `labelled` are pairs of a label and a value that carries it, wherever it turns up. What goes
        beyond `most` is left out, and `cut` says so. Never raises on account of a text.
        """
        taken = _Taken(most)
        for text in texts:
            if len(taken.chunks) >= most * WIDTH:
                taken.cut = True
                break
            self._take(text, taken)
        marks = dict[str, bytearray]()
        for label, value in labelled:
            marks.setdefault(label, bytearray()).extend(self._labelled(value))
        whole, looked_for = taken.distinct(taken.whole), taken.distinct(taken.parts)
        return Imprint(
            chunks=bytes(taken.chunks).removesuffix(BREAK),
            whole=whole,
            parts=looked_for,
            labelled={label: taken.distinct(found) for label, found in marks.items()},
            cut=taken.cut,
        )

    def _labelled(self, value: str) -> bytes:
        return self._of([*hints(parts.of_labelled(value)), *parts.standing_for(value)])

    def _take(self, text: str, taken: _Taken) -> None:
        taken.cut = taken.cut or len(text) > MOST_TEXT
        text = text[:MOST_TEXT]
        start = len(taken.chunks)
        self._take_chunks(text, taken)
        taken.whole += self._of([*said(text), *standing(text)])
        beyond = parts.of_text(text)
        taken.parts += self._of(hints(beyond.told))
        taken.parts += _shingles(array("Q", bytes(taken.chunks[start:]))).tobytes()
        taken.parts += self._sentences(beyond.hidden)
        taken.add(BREAK)
        for line in chunks.unwrapped(text) if len(text) <= _WRAPPED else ():
            self._take_chunks(line, taken)
            taken.whole += self._of(list(standing(line)))
            taken.add(BREAK)

    def _take_chunks(self, text: str, taken: _Taken) -> None:
        for batch in _batches(chunks.runs(text)):
            known, told = self._read(batch)
            known.look_into(batch, (), self._of, self._sentences)
            taken.add(told)
            distinct = dict.fromkeys(batch)
            taken.whole += b"".join([known.whole[r] for r in distinct if r in known.whole])
            taken.parts += b"".join([known.parts[r] for r in distinct if r in known.parts])

    def _read(self, runs: Sequence[str]) -> tuple[Known, bytes]:
        """Return the chunks of some runs, and what is known of each."""
        known = self._known
        try:
            return known, b"".join([known.chunks[r] for r in runs])
        except KeyError:
            if known.full:
                known = self._known = known.next()
            known.learn(runs, self._of)
            return known, b"".join([known.chunks[r] for r in runs])

    def _sentences(self, hidden: Iterable[str]) -> bytes:
        """Return the shingles of texts that are read for no other reason."""
        return b"".join(_shingles(array("Q", self._plain(text))).tobytes() for text in hidden)

    def _plain(self, text: str) -> bytes:
        return self._of([t for run in chunks.runs(text) for t in chunks.tokens(run)])

    def _of(self, told: Sequence[str]) -> bytes:
        if not told:
            return b""
        return self._marks.of([t.encode("utf-8", "surrogatepass") for t in told])


def _batches(runs: Sequence[str]) -> Iterator[Sequence[str]]:
    if len(runs) <= _BATCH:
        yield runs
        return
    for start in range(0, len(runs), _BATCH):
        yield runs[start : start + _BATCH]


def _shingles(told: array[int]) -> array[int]:
    """Return every sampled run of three chunks as one fingerprint. Which ones, the chunks say."""
    anchors = [m.start() for m in _ANCHOR.finditer(told.tobytes()[: -2 * WIDTH : WIDTH])]
    # Each addend is as good as random, so a sum in which each counts differently is enough.
    return array("Q", [told[i] + 3 * told[i + 1] + 5 * told[i + 2] & _MASK or 1 for i in anchors])
