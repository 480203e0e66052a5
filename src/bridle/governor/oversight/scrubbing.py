"""Sees to it that the store's files keep no older copy of what was erased, now or later.

The log of the database is emptied at once, always. Writing the database anew stops all decisions
meanwhile: that is done at once up to a size, and else when a governor begins or ends. The store
itself remembers what is still to be done (`GlobalRow.unscrubbed`).
"""

from __future__ import annotations

import logging
import threading

from msgspec import structs

from bridle.governor.ground.core import Core
from bridle.governor.ground.turn import Turn
from bridle.model.errors import StoreError

_log = logging.getLogger("bridle.governor")

AT_ONCE = 128 * 2**20
"""Bytes of a store whose files are written anew while agents wait: less than their time-out."""

READ = "somebody reads the store: the governor tries again until nobody does"
LARGE = "the store is large: it is written anew when its governor ends, or the next one begins"
FAILED = "the store could not be written anew: tried again when its governor ends or begins"
QUEUED = "a little later"


class Scrubber:
    """Scrubs a store. Safe for use by many threads."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._again = False
        # Up to which erasure (as `GlobalRow.unscrubbed` has it) the database was written anew, and
        # up to which that failed.
        self._rewritten = self._failed = 0

    def scrub(self) -> str:
        """Scrub after an erasure was committed. Returns why older copies are left, if they are."""
        return self._scrub()

    def later(self) -> str:
        """Have the next `retry` scrub."""
        self._again = True
        return QUEUED

    def retry(self) -> None:
        """Go on with what is due and keeps nobody waiting for long."""
        if self._again:
            self._scrub()

    def complete(self) -> None:
        """Do all that is due, however long it takes: while a governor begins or ends."""
        try:
            due = self._core.write(_due)
        except StoreError:
            return  # whoever closes a store that failed hears of it elsewhere
        if due:
            self._failed = 0
            self._scrub(whole=True)

    def _scrub(self, *, whole: bool = False) -> str:
        with self._lock:
            self._again = False  # from here on it is only set: others may have more to do
            try:
                return self._step(whole=whole)
            except StoreError as problem:
                _log.warning("what was erased is not yet gone from the store's files: %s", problem)
                return FAILED

    def _step(self, *, whole: bool) -> str:
        due = self._core.write(_due)
        if not due:
            return ""
        store = self._core.store
        wanted = self._rewritten < due
        large = not whole and store.size() > AT_ONCE
        rewrites = wanted and not large and self._failed < due
        if rewrites:
            self._failed = due  # unless it comes back
        emptied = store.scrub(again=not rewrites)
        if rewrites:
            self._failed, self._rewritten = 0, due
        if not emptied:
            self._again = True
        if self._rewritten < due:
            return LARGE if large else FAILED
        if emptied:
            self._core.write(lambda turn: _done(turn, due))
        return "" if emptied else READ


def _due(turn: Turn) -> int:
    return turn.globals.unscrubbed


def _done(turn: Turn, scrubbed: int) -> None:
    # What was erased meanwhile is not.
    if turn.globals.unscrubbed == scrubbed:
        turn.tx.put(structs.replace(turn.globals, unscrubbed=0))
