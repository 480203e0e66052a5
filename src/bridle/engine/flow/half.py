"""One half of what a mission has read, as arrays: which sources say a run of fingerprints.

All sources lie behind one another in one sequence, a zero between two. Each place is linked to the
one before with the same fingerprint, and an open-addressing table leads to the last of them. A
search takes a bounded number of steps, whatever is in there, and says when it gave up.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_right
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from bridle.engine.flow.origin import Place
from bridle.engine.flow.reading.fingerprints import BREAK, WIDTH
from bridle.engine.flow.source import Imprint, Source

SOURCE_OCTETS = 512
"""What a source counts for beside its imprint."""

MOST_STEPS = 512
"""Places that are looked at for one value in one half."""

_ANCHORS, _AHEAD = 8, 4
_FIRST_SIZE = 16
_OVER_WORD = 16  # fingerprints that are compared at the price of a step


class Profile(Struct, frozen=True):
    """All that an origin says of a source. Sources with the same one need not be told apart."""

    kind: str
    place: Place
    labels: frozenset[str]
    sink: str
    toward: str


class Half:
    """Sources of one half, in the order in which they were read.

    `narrow` keeps 32 bits of each fingerprint instead of 64: good for what proves nothing. `most`
    is what its sources may weigh, for whoever bounds them: so much the table has room for.
    """

    __slots__ = (
        "_code", "_largest", "_links", "_marks", "_seq", "_starts", "_table", "_used", "_whose",
        "numbers", "profiles", "sources", "weights",
    )  # fmt: skip

    def __init__(self, most: int, *, narrow: bool = False) -> None:
        self._code: Literal["Q", "I"] = "I" if narrow else "Q"
        self._seq: array[int] = array(self._code)
        self._links = array("I")
        self._table = array("I", bytes(4 * _FIRST_SIZE))
        self._used = 0
        self._largest = most // WIDTH * 4 // 3
        self._starts = array("I")
        self._marks = array("I")
        self._whose = array("I")
        self.numbers = array("Q")
        self.weights = array("I")
        self.sources: list[Source] = []
        self.profiles: list[Profile] = []

    @property
    def octets(self) -> int:
        """What the arrays take, in octets."""
        places = self._seq, self._links, self._table
        each = self._starts, self._marks, self._whose, self.numbers, self.weights
        return sum(map(sys.getsizeof, (*places, *each)))

    def add(self, number: int, source: Source, imprint: Imprint) -> None:
        """Take in a source behind all others."""
        start = len(self._seq)
        self._starts.append(start)
        self._marks.append(start + len(imprint.chunks) // WIDTH + 1)
        self._whose.append(self._profile(source))
        self.numbers.append(number)
        self.weights.append(weight(imprint))
        self.sources.append(source)
        said = imprint.chunks + BREAK + imprint.whole + imprint.parts + BREAK
        self._take(len(self.sources) - 1, self._cut(said))

    def forget(self, count: int) -> None:
        """Let go of the first so many sources."""
        if not count:
            return
        seq, starts = self._seq, [*self._starts, len(self._seq)]
        end = starts[count]
        self._starts = array("I", [start - end for start in self._starts[count:]])
        self._marks = array("I", [start - end for start in self._marks[count:]])
        profiles, self.profiles = self.profiles, []
        self._whose = array("I", [self._known(profiles[whose]) for whose in self._whose[count:]])
        del self.numbers[:count], self.weights[:count], self.sources[:count]
        self._seq, self._links, self._used = array(self._code), array("I"), 0
        self._table = array("I", bytes(4 * _FIRST_SIZE))
        for index, start in enumerate(starts[count:-1]):
            self._take(index, seq[start : starts[count + index + 1]])

    def lacks(self, head: array[int]) -> bool:
        """Whether no source says a run that begins so, since one of its first marks is nowhere."""
        return not all(map(self._last, head[:_ANCHORS]))

    def says(self, needle: array[int], found: dict[int, int], steps: int) -> int:
        """Add to `found` the last source of each profile that says all of a run: its index.

        `needle` is of the width of this half (see `narrowed`) and has no zero; nobody says an empty
        one. Returns how many of the steps are left; below zero the search gave up, and some may be
        missing.
        """
        if len(needle) < 2:
            return self._says_one(needle[0], found, steps) if needle else steps
        anchor, place = self._rarest(needle)
        seq, links, length = self._seq, self._links, len(needle)
        # Most places are ruled out by what stands beside them.
        aside = 1 if anchor + 1 < length else -1
        neighbour, price = needle[anchor + aside], length // _OVER_WORD
        while place:
            steps -= 1
            if steps < 0:
                return steps
            if seq[place - 1 + aside] == neighbour:
                steps -= price
                start = place - 1 - anchor
                if start >= 0 and seq[start : start + length] == needle:
                    self._found(start, found)
                    if len(found) == len(self.profiles):
                        return steps
            place = links[place - 1]
        return steps

    def holds(self, marks: Iterable[int], found: dict[int, int]) -> None:
        """Add to `found` a late source of each profile that has one of these marks: its index."""
        table, seq, size = self._table, self._seq, len(self._table)
        links, starts, whose, every = self._links, self._starts, self._whose, len(self.profiles)
        for mark in marks:
            slot = mark % size
            while (place := table[slot]) and seq[place - 1] != mark:
                slot = slot + 1 if slot + 1 < size else 0
            while place:
                index = bisect_right(starts, place - 1) - 1
                profile = whose[index]
                if index > found.get(profile, -1):
                    found[profile] = index
                place = links[place - 1]
            if len(found) == every:
                return

    def _says_one(self, mark: int, found: dict[int, int], steps: int) -> int:
        place, links = self._last(mark), self._links
        while place:
            steps -= 1
            if steps < 0:
                return steps
            start = self._found(place - 1, found)
            if len(found) == len(self.profiles):
                return steps
            # What else the same source says of it adds nothing.
            while place > start and steps > 0:
                place = links[place - 1]
                steps -= 1
        return steps

    def _found(self, place: int, found: dict[int, int]) -> int:
        """Add the source at a place, and return where it starts."""
        index = bisect_right(self._starts, place) - 1
        found.setdefault(self._whose[index], index)
        return self._starts[index]

    def _cut(self, octets: bytes) -> array[int]:
        if self._code == "Q":
            return array("Q", octets)
        return array("I", octets)[::2]

    def _profile(self, source: Source) -> int:
        place, labels = (source.system, source.domain), frozenset(source.labels)
        return self._known(Profile(source.kind, place, labels, source.sink, source.toward))

    def _known(self, profile: Profile) -> int:
        if profile not in self.profiles:
            self.profiles.append(profile)
        return self.profiles.index(profile)

    def _take(self, index: int, said: array[int]) -> None:
        """Add what a source says to the sequence. Each place is linked to the last like it."""
        slots = dict.fromkeys(said, -1)
        self._reserve(len(slots))
        place = len(self._seq)
        self._seq.extend(said)
        seq, table, size, marks = self._seq, self._table, len(self._table), self._marks[index]
        links = array("I")
        for mark in said:
            place += 1
            if not mark:
                links.append(0)
                continue
            slot = slots[mark]
            if slot < 0:
                slot = mark % size
                while (held := table[slot]) and seq[held - 1] != mark:
                    slot = slot + 1 if slot + 1 < size else 0
                slots[mark] = slot
                self._used += not held
            before = table[slot]
            links.append(self._unlinked(before, index) if before and place > marks else before)
            table[slot] = place
        self._links.extend(links)

    def _unlinked(self, last: int, index: int) -> int:
        """Take an earlier source of the same profile out of a chain of marks; return its end.

        Of marks only the last source of each profile counts, so a chain is as long as there are
        profiles, however often something was read.
        """
        whose, links, behind, place = self._whose[index], self._links, 0, last
        while place:
            before = links[place - 1]
            other = bisect_right(self._starts, place - 1) - 1
            # Narrow fingerprints may meet: what stands in a text is never taken out.
            if self._whose[other] == whose and place > self._marks[other]:
                if not behind:
                    return before
                links[behind - 1] = before
                return last
            behind, place = place, before
        return last

    def _reserve(self, more: int) -> None:
        """Make room for new fingerprints: at most three quarters of the table are ever taken."""
        needed = (self._used + more) * 4 // 3 + 1
        size = len(self._table)
        if needed <= size:
            return
        size = max(needed, min(2 * size, self._largest))
        table, seq = array("I", bytes(4 * size)), self._seq
        for place in self._table:
            if place:
                slot = seq[place - 1] % size
                while table[slot]:
                    slot = slot + 1 if slot + 1 < size else 0
                table[slot] = place
        self._table = table

    def _last(self, mark: int) -> int:
        """Return the last place of a fingerprint, counted from 1, or 0."""
        table, seq, size = self._table, self._seq, len(self._table)
        slot = mark % size
        while (place := table[slot]) and seq[place - 1] != mark:
            slot = slot + 1 if slot + 1 < size else 0
        return place

    def _rarest(self, needle: array[int]) -> tuple[int, int]:
        """Return the offset of a fingerprint that is rare here, and its last place (0: none)."""
        links = self._links
        best, anchor, last = (_AHEAD + 1, 0), 0, 0
        for offset, mark in enumerate(needle[:_ANCHORS]):
            first = place = self._last(mark)
            if not place:
                return offset, 0
            ahead = 0
            while ahead < _AHEAD and (before := links[place - 1]):
                place, ahead = before, ahead + 1
            if (ahead, place) < best:
                best, anchor, last = (ahead, place), offset, first
                if ahead < _AHEAD:
                    break
        return anchor, last


def narrowed(marks: array[int]) -> array[int]:
    """Return fingerprints as a narrow half keeps them."""
    return array("I", marks.tobytes())[::2]


def weight(imprint: Imprint) -> int:
    """Return what a source with this imprint counts for, in octets."""
    said = len(imprint.chunks) + len(imprint.whole) + len(imprint.parts)
    return SOURCE_OCTETS + said + sum(map(len, imprint.labelled.values()))
