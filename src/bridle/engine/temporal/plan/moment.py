"""The moment a question is asked at: what compiled conditions look things up in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridle.engine.temporal.caps import HistoryCapError
from bridle.engine.temporal.event import Atom, Path, Read
from bridle.engine.temporal.index.log import Log
from bridle.engine.temporal.index.record import Record

UNKNOWN: Any = object()
"""In place of what nobody has asked for yet."""


class Moment:
    """The newest position, with the deciding event `newest` there.

    `env` holds what variables are bound to, by their slots; `known` what conditions have in common,
    once one of them has asked. `before` is the time of the event before (None if there is none).
    """

    __slots__ = (
        "_read",
        "_steps",
        "_values",
        "before",
        "env",
        "known",
        "newest",
        "postings",
        "records",
        "trackers",
    )

    def __init__(  # noqa: PLR0913 - sizes and limits of one question
        self, log: Log, newest: Record, read: Read, *, slots: int, shared: int, steps: int
    ) -> None:
        self.newest = newest
        self.before = log.last_time if log.count else None
        self.records = log.records
        self.postings = log.postings
        self.trackers = log.trackers
        self.env: list[Atom | None] = [None] * slots
        self.known: list[Any] = [UNKNOWN] * shared
        self._read = read
        self._values: dict[Path, Atom | None] = {}
        self._steps = steps

    def read(self, path: Path) -> Atom | None:
        """Read the deciding request; None where there is nothing."""
        try:
            return self._values[path]
        except KeyError:
            value = self._values[path] = self._read(path)
            return value

    def step(self) -> None:
        """Look at one more event. Raises `HistoryCapError` when that is one too many."""
        self._steps -= 1
        if self._steps < 0:
            raise HistoryCapError(
                "too much of history would have to be looked at",
                hint="shorten the windows, or bind a field of each predicate to the request",
            )

    def back(self, position: int, since: int) -> Iterator[Record]:
        """Yield every event from `position` back to the time `since`, newest first."""
        records = self.records
        record = records.get(position)
        while record is not None and record.time >= since:
            self.step()
            yield record
            position -= 1
            record = records.get(position)
