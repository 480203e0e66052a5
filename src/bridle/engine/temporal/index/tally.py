"""How many events each mission has here, by what they are looked up by.

One job: to say when a mission has had its share of what a condition must look at one by one.
"""

from __future__ import annotations

from collections import Counter, deque

from msgspec import Struct

from bridle.engine.temporal.index.matching import Test, matcher
from bridle.engine.temporal.index.postings import Key, key_of
from bridle.engine.temporal.index.record import Record

ANY = -2
"""In place of a type: whichever it is."""


class TallySpec(Struct, frozen=True):
    """Events of `type` that pass `tests`, by the fields `key`, for `horizon` milliseconds."""

    type: int
    tests: tuple[Test, ...]
    key: tuple[int, ...]
    horizon: int


class Tally:
    """Counts events by mission and key until they are older than the horizon."""

    __slots__ = ("_counts", "_horizon", "_key", "_looked_up", "_matches", "_queue", "_type")

    def __init__(self, spec: TallySpec) -> None:
        self._type = spec.type
        self._matches = matcher(spec.tests)
        self._looked_up = spec.key
        self._key = key_of(spec.key)
        self._horizon = spec.horizon
        self._queue: deque[tuple[int, tuple[str, Key]]] = deque()
        self._counts: Counter[tuple[str, Key]] = Counter()

    def push(self, record: Record) -> None:
        """Count an event, if it belongs here."""
        if self._concerns(record):
            share = (record.mission, self._key(record.fields))
            self._queue.append((record.time, share))
            self._counts[share] += 1

    def advance(self, time: int) -> None:
        """Forget what is too old at `time`."""
        queue, since = self._queue, time - self._horizon
        while queue and queue[0][0] < since:
            _, share = queue.popleft()
            self._counts[share] -= 1
            if not self._counts[share]:
                del self._counts[share]

    def room(self, record: Record, cap: int) -> bool:
        """Whether one more such event would leave its mission within `cap`."""
        return not self._concerns(record) or self._left(record, cap)

    def room_for_end(self, record: Record, cap: int) -> bool:
        """The same of an event that may follow, of which only what a request says is known."""
        if self._type != record.type or any(record.fields[at] is None for at in self._looked_up):
            return True
        return self._left(record, cap)

    def _left(self, record: Record, cap: int) -> bool:
        share = (record.mission, self._key(record.fields))
        taken = self._counts.get(share, 0)
        if taken < cap:
            return True
        # What is over by the time of the event no longer counts.
        since = record.time - self._horizon
        for stamp, whose in self._queue:
            if stamp >= since:
                break
            taken -= whose == share
        return taken < cap

    def _concerns(self, record: Record) -> bool:
        return self._type in {record.type, ANY} and self._matches(record.fields)
