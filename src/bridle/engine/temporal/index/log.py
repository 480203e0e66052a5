"""The kept events of a partition, and the indexes over them. One job: to keep all of it in step.

What is kept is a function of the events that were added and of the newest time: an event goes as
soon as it is older than what any condition can reach. No questions are answered here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from bridle.engine.temporal.index.postings import Postings, PostingsSpec
from bridle.engine.temporal.index.record import Layout, Record
from bridle.engine.temporal.index.rows import Shared
from bridle.engine.temporal.index.tally import Tally, TallySpec
from bridle.engine.temporal.index.tracker import Tracker, TrackerSpec


class Log:
    """Kept events by position (`records`), with indexes in the order of their specs.

    `last_time` is that of the newest event (milliseconds, 0 before the first), `count` how many
    there have been.
    """

    __slots__ = (
        "_postings_of",
        "_streams",
        "_taken",
        "_trackers_of",
        "count",
        "last_time",
        "layout",
        "postings",
        "records",
        "tallies",
        "trackers",
    )

    def __init__(
        self,
        layout: Layout,
        postings: Iterable[PostingsSpec],
        trackers: Iterable[TrackerSpec],
        tallies: Iterable[TallySpec],
    ) -> None:
        self.layout = layout
        self.count = 0
        self.last_time = 0
        self.records: dict[int, Record] = {}
        self.postings = [Postings(spec) for spec in postings]
        shared = Shared()
        self.trackers = [Tracker(spec, shared) for spec in trackers]
        self.tallies = [Tally(spec) for spec in tallies]
        # One for each type, and the last for events that no predicate names.
        types = [*range(len(layout.types)), -1]
        self._streams: list[deque[Record]] = [deque() for _ in types]
        self._postings_of = [[p for p in self.postings if p.type == t] for t in types]
        self._trackers_of = [[p for p in self.trackers if t in p.types] for t in types]
        self._taken: Counter[str] = Counter()

    def append(self, record: Record) -> None:
        """Add the newest event, for good. Its position and time are not before those before."""
        self.settle(record.position + 1, record.time)
        if self.layout.keeps(record):
            self._insert(record)

    def fill(self, records: Iterable[Record], count: int, time: int) -> None:
        """Put into an empty log what is kept when there have been `count` events up to `time`.

        The same as appending them one by one: what would have gone by `time` is left out.
        """
        horizons = self.layout.horizons
        for record in records:
            if horizons[record.type] >= 0 and record.time >= time - horizons[record.type]:
                self._insert(record)
        self.settle(count, time)

    def _insert(self, record: Record) -> None:
        self.records[record.position] = record
        self._streams[record.type].append(record)
        self._taken[record.mission] += 1
        for postings in self._postings_of[record.type]:
            postings.push(record)
        for tracker in self._trackers_of[record.type]:
            tracker.push(record)
        for tally in self.tallies:
            tally.push(record)

    def settle(self, count: int, time: int) -> None:
        """Say that there have been `count` events and that the newest was at `time`."""
        self.count, self.last_time = count, time
        self._advance(time)

    def put(self, record: Record, pushed: list[Postings]) -> None:
        """Add an event on trial; `pushed` collects what `take` must undo, whatever happens."""
        if not self.layout.keeps(record):
            return
        self.records[record.position] = record
        for postings in self._postings_of[record.type]:
            # One by one: what has been pushed must be known even if the next push fails.
            if postings.push(record):
                pushed.append(postings)  # noqa: PERF401

    def take(self, record: Record, pushed: list[Postings]) -> None:
        """Take the event of `put` off again."""
        for postings in pushed:
            postings.pop(record)
        self.records.pop(record.position, None)

    def taken(self, mission: str, time: int, enough: int) -> int:
        """Return how many kept events `mission` has at `time`; exactly only if `enough` or more."""
        taken = self._taken.get(mission, 0)
        if taken < enough:
            return taken
        for stream, horizon in zip(self._streams, self.layout.horizons, strict=True):
            for record in stream:
                if record.time >= time - horizon:
                    break
                taken -= record.mission == mission
        return taken

    def kept(self) -> list[Record]:
        """Return the kept events in order."""
        return [self.records[position] for position in sorted(self.records)]

    def _advance(self, time: int) -> None:
        for stream, horizon in zip(self._streams, self.layout.horizons, strict=True):
            while stream and stream[0].time < time - horizon:
                self._evict(stream.popleft())
        for tracker in self.trackers:
            tracker.advance(time)
        for tally in self.tallies:
            tally.advance(time)

    def _evict(self, record: Record) -> None:
        del self.records[record.position]
        self._taken[record.mission] -= 1
        if not self._taken[record.mission]:
            del self._taken[record.mission]
        for postings in self._postings_of[record.type]:
            postings.evict(record)
