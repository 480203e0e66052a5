"""Where and when matching events stand, by the values of some of their fields.

A posting is append-only but for its old end, so every question is a binary search, at any position
of the past, and an event can be added for the length of a question and taken off again.
"""

from __future__ import annotations

import operator
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable
from typing import cast

from msgspec import Struct

from bridle.engine.temporal.event import Atom
from bridle.engine.temporal.index.matching import Test, matcher
from bridle.engine.temporal.index.record import Fields, Record

Key = Atom | tuple[Atom, ...]
"""The values of the key fields: the value itself where there is one field."""

_SLACK = 64

# Shared by all that have none. Nothing is ever added to them.
_NO_RUNS = array("q")
_NO_SUMS: list[int] = []


class PostingsSpec(Struct, frozen=True):
    """What is indexed: events of `type` that pass `tests`, by the fields `key`.

    `value` is the field that is added up (-1: none). `runs`: also where the unbroken run of
    positions begins that each event is in.
    """

    type: int
    tests: tuple[Test, ...]
    key: tuple[int, ...]
    value: int = -1
    runs: bool = False


class Posting:
    """The events of one key from `head` on, oldest first. `sums` are running totals."""

    __slots__ = ("head", "positions", "runs", "sums", "times")

    def __init__(self, *, runs: bool, sums: bool) -> None:
        self.head = 0
        self.positions = array("q")
        self.times = array("q")
        # Whoever chooses keys can have as many postings as events: they hold no more than needed.
        self.runs = array("q") if runs else _NO_RUNS
        # A total may be beyond 64 bits.
        self.sums: list[int] = [0] if sums else _NO_SUMS

    def stop(self, position: int) -> int:
        """Return the index after the last event at or before `position`."""
        positions = self.positions
        if positions[-1] <= position:
            return len(positions)
        return bisect_right(positions, position, self.head)

    def start(self, since: int, stop: int) -> int:
        """Return the index of the first event at or after the time `since`; `stop` if none."""
        times = self.times
        if times[self.head] >= since:
            return self.head
        return bisect_left(times, since, self.head, stop)


class Postings:
    """One index. `groups` has no empty posting."""

    __slots__ = ("_key", "_matches", "_runs", "_value", "groups", "type")

    def __init__(self, spec: PostingsSpec) -> None:
        self.type = spec.type
        self.groups: dict[Key, Posting] = {}
        self._matches = matcher(spec.tests)
        self._key = key_of(spec.key)
        self._value = spec.value
        self._runs = spec.runs

    def push(self, record: Record) -> bool:
        """Append an event of the type; return whether it belongs here."""
        fields = record.fields
        if not self._matches(fields):
            return False
        key = self._key(fields)
        posting = self.groups.get(key)
        if posting is None:
            posting = self.groups[key] = Posting(runs=self._runs, sums=self._value >= 0)
        if self._runs:
            posting.runs.append(_run(posting, record.position))
        if self._value >= 0:
            value = fields[self._value]
            posting.sums.append(posting.sums[-1] + (value if isinstance(value, int) else 0))
        posting.positions.append(record.position)
        posting.times.append(record.time)
        return True

    def pop(self, record: Record) -> None:
        """Take off what the last `push` of this very event appended."""
        key = self._key(record.fields)
        posting = self.groups[key]
        posting.positions.pop()
        posting.times.pop()
        if self._runs:
            posting.runs.pop()
        if self._value >= 0:
            posting.sums.pop()
        if len(posting.positions) == posting.head:
            del self.groups[key]

    def evict(self, record: Record) -> None:
        """Drop the oldest event of all that are here, if it belongs here."""
        if not self._matches(record.fields):
            return
        key = self._key(record.fields)
        posting = self.groups[key]
        posting.head += 1
        if posting.head == len(posting.positions):
            del self.groups[key]
        elif posting.head > _SLACK and posting.head * 2 > len(posting.positions):
            _compact(posting)


def key_of(indexes: tuple[int, ...]) -> Callable[[Fields], Key]:
    """Return what reads the key off an event's fields; all of them are there."""
    if not indexes:
        return lambda fields: ()  # noqa: ARG005 - one group for all
    return cast("Callable[[Fields], Key]", operator.itemgetter(*indexes))


def _run(posting: Posting, position: int) -> int:
    if posting.positions and posting.positions[-1] == position - 1:
        return posting.runs[-1]
    return position


def _compact(posting: Posting) -> None:
    head = posting.head
    del posting.positions[:head]
    del posting.times[:head]
    del posting.sums[:head]
    del posting.runs[:head]
    posting.head = 0
