"""Time, as the governor tells it. Never from a caller, never backwards."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Milliseconds since the epoch, never less than the last answer."""

    def now(self) -> int:
        """Return the time."""
        ...

    def wall(self) -> int:
        """Return the machine's own time, as others have it. It may be stepped."""
        ...


class WallClock:
    """A monotonic clock anchored once to the wall clock (and to the last record, if that is later).

    A wall clock that is stepped while the governor runs changes nothing; one that was stepped back
    between two runs cannot reopen a window or revive an approval.
    """

    def __init__(self, floor: int = 0) -> None:
        self._anchor = max(time.time_ns() // 1_000_000, floor)
        self._start = time.monotonic_ns()

    def now(self) -> int:
        """Return the time."""
        return self._anchor + (time.monotonic_ns() - self._start) // 1_000_000

    def wall(self) -> int:
        """Return the machine's own time."""
        return time.time_ns() // 1_000_000


class VirtualClock:
    """A clock that only moves when told to, for offline judging and scenarios."""

    def __init__(self, start: int = 0) -> None:
        self._now = start

    def now(self) -> int:
        """Return the time."""
        return self._now

    def wall(self) -> int:
        """Return the time."""
        return self._now

    def move_to(self, time_ms: int) -> None:
        """Move forward to `time_ms`; an earlier time changes nothing."""
        self._now = max(self._now, time_ms)
