"""How many events each mission has here. One job: to say when one has had its share."""

from __future__ import annotations

from collections import Counter, deque

from msgspec import Struct

from bridle.engine.temporal.index.record import Record
from bridle.engine.temporal.index.tests import Test, matcher

ANY = -2
"""In place of a type: whichever it is."""


class TallySpec(Struct, frozen=True):
    """Events of `type` that pass `tests`, for `horizon` milliseconds."""

    type: int
    tests: tuple[Test, ...]
    horizon: int


class Tally:
    """Counts events by mission until they are older than the horizon."""

    __slots__ = ("_counts", "_horizon", "_matches", "_queue", "type")

    def __init__(self, spec: TallySpec) -> None:
        self.type = spec.type
        self._matches = matcher(spec.tests)
        self._horizon = spec.horizon
        self._queue: deque[tuple[int, str]] = deque()
        self._counts: Counter[str] = Counter()

    def push(self, record: Record) -> None:
        """Count an event, if it belongs here."""
        if self.concerns(record):
            self._queue.append((record.time, record.mission))
            self._counts[record.mission] += 1

    def advance(self, time: int) -> None:
        """Forget what is too old at `time`."""
        queue, since = self._queue, time - self._horizon
        while queue and queue[0][0] < since:
            _, mission = queue.popleft()
            self._counts[mission] -= 1
            if not self._counts[mission]:
                del self._counts[mission]

    def taken(self, mission: str, time: int, enough: int) -> int:
        """Return how many events `mission` has at `time`; exactly only if `enough` or more."""
        taken = self._counts.get(mission, 0)
        if taken < enough:
            return taken
        since = time - self._horizon
        for stamp, whose in self._queue:
            if stamp >= since:
                break
            taken -= whose == mission
        return taken

    def concerns(self, record: Record) -> bool:
        """Whether an event would count here."""
        return self.type in (record.type, ANY) and self._matches(record.fields)
