"""Follows a store and tells one receiver, in order and at least once, across restarts.

It reads what is committed, beside the governor and never on a decision's way: whatever a receiver
does, decisions neither wait for it nor hear of it.
"""

from __future__ import annotations

import logging
import threading
import time
from pathlib import Path

from bridle.emit import reading
from bridle.emit.cursor import Cursor, Position
from bridle.emit.errors import EmitError
from bridle.emit.reading import Page
from bridle.emit.record import Emitter, Recalling, Record
from bridle.model.errors import BridleError

_log = logging.getLogger("bridle.emit")

POLL_S = 0.5
"""How long a follower waits before it looks for more: about as often as checkpoints are signed."""
LONGEST_WAIT_S = 60.0
"""How long it waits at most before it tries a receiver again."""
_FIRST_WAIT_S = 1.0
# Python's threads hand over every 5 ms when one computes on; those who decide wait less than that.
_AT_ONCE, _BREATH_S = 16, 0.0005
LAST_TURN_S = 5.0
"""How long it may take, at the end, to tell what is left."""


class Follower:
    """Tells one receiver what a store's log holds, from where its cursor stands."""

    def __init__(self, database: Path, cursor: Cursor, emitter: Emitter, target: str) -> None:
        """Raises `EmitError` (`emit_cursor`) or `StoreError` for a cursor that cannot be read."""
        self._database = database
        self._cursor = cursor
        self._emitter = emitter
        self._target = target
        self._at = cursor.read()
        self._recalled = not isinstance(emitter, Recalling)

    @property
    def next(self) -> int:
        """Index of the record that is told next."""
        return self._at.next

    def step(self) -> int:
        """Tell the next page of records. Returns how many are still to be told.

        Raises what the store or the receiver raised; then nothing of the page counts as told.
        """
        if not self._recalled:
            self._recall()
        found = self._page(max(0, self._at.next - 1))
        fresh = [record for record in found.records if record.index >= self._at.next]
        for record in fresh:
            self._emitter.emit(record)
            if record.index % _AT_ONCE == 0:
                time.sleep(_BREATH_S)
        if fresh:
            self._emitter.flush()
            # INVARIANT: at least once — the cursor moves only over what the receiver has taken.
            at = Position(fresh[-1].index + 1, fresh[-1].hash, self._target)
            self._cursor.write(at)
            self._at = at
        return max(0, found.size - self._at.next)

    def close(self) -> None:
        """Let go of the receiver."""
        self._emitter.close()

    def _page(self, start: int) -> Page:
        found = reading.page(self._database, start, extent=reading.signed)
        if self._at.next:
            self._assert_same_log(found.records[0] if found.records else None)
        return found

    def _assert_same_log(self, last: Record | None) -> None:
        """The last record told must still be there: what was told is a witness of the log."""
        if last is None or last.hash != self._at.told:
            raise EmitError(
                f"the log does not hold record {self._at.next - 1} as it was told",
                code="emit_diverged",
                hint="Find out who rolled the store back or rewrote it (`bridle audit verify`); "
                f"remove {self._cursor.path} to have everything told again.",
            )

    def _recall(self) -> None:
        """Show the emitter what it needs of the records before the cursor."""
        assert isinstance(self._emitter, Recalling)
        start = max(0, self._at.next - self._emitter.memory)
        while start < self._at.next:
            found = reading.page(self._database, start, extent=reading.signed)
            known = [record for record in found.records if record.index < self._at.next]
            for record in known:
                self._emitter.recall(record)
            if not known:
                break
            start = known[-1].index + 1
        self._recalled = True


class Worker:
    """Runs a follower in a thread of its own until it is closed."""

    def __init__(self, follower: Follower, name: str) -> None:
        self._follower = follower
        self._name = name
        self._failures = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"emit {name}", daemon=True)

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def close(self) -> None:
        """Tell what is left, if that is possible at once, and end. Never raises."""
        self._stop.set()
        self._thread.join(LAST_TURN_S)
        if self._thread.is_alive():
            _log.warning("%s: not done in time; the rest is told next time", self._name)

    def _run(self) -> None:
        wait = 0.0
        while not self._stop.wait(wait):
            wait = self._turn()
        if not self._failures:
            self._last_turn()
        try:
            self._follower.close()
        except Exception as problem:
            _log.warning("%s: %s", self._name, problem)

    def _turn(self) -> float:
        """Take one step; return how long to wait before the next."""
        try:
            left = self._follower.step()
        except Exception as problem:
            self._failures += 1
            wait = min(_FIRST_WAIT_S * 2.0 ** min(self._failures - 1, 16), LONGEST_WAIT_S)
            _log.warning("%s: %s; again in %.0f s", self._name, _said(problem), wait)
            return wait
        if self._failures:
            self._failures = 0
            _log.warning("%s: works again, told up to record %d", self._name, self._follower.next)
        return 0.0 if left else POLL_S

    def _last_turn(self) -> None:
        end = time.monotonic() + LAST_TURN_S
        try:
            while self._follower.step() and time.monotonic() < end:
                pass
        except Exception as problem:
            _log.warning("%s: %s; the rest is told next time", self._name, _said(problem))


def _said(problem: Exception) -> str:
    if isinstance(problem, BridleError):
        return str(problem).replace("\n ", ":")
    return f"{type(problem).__name__}: {problem}"
