"""Keeps leases: looks which are over, and has their brokers take them back until they have.

One thread, woken by whatever may have ended one. Brokers are asked outside of any turn, each lease
in a thread of its own, so that one that hangs keeps none of the others.
"""

from __future__ import annotations

import logging
import threading
import time
from functools import partial

from msgspec import Struct, structs

from bridle.brokers.broker import BrokerError
from bridle.brokers.registry import Brokers
from bridle.governor.credentials import bounded, leases
from bridle.governor.ground.core import Core
from bridle.governor.ground.turn import Turn
from bridle.model.credential import AnyCredential
from bridle.model.errors import BridleError
from bridle.store.rows import LeaseRow

_log = logging.getLogger("bridle.governor")

# Seconds between two tries: doubled each time, up to the longest.
_FIRST, _LONGEST = 0.5, 300.0
# Leases taken back at a time.
_MOST = 32
_GRACE = 5.0


class _Due(Struct, frozen=True):
    """A lease to take back, and what it was made by (None: the bundle says so no more)."""

    row: LeaseRow
    credential: AnyCredential | None


class Keeper:
    """Keeps the leases of one governor. Safe for use by many threads."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._changed = threading.Condition()
        self._wanted = False
        self._closed = False
        self._thread: threading.Thread | None = None
        # Leases whose brokers are at work: making them, or taking them back.
        self._asking: set[str] = set()
        self._ending: set[str] = set()
        # When one that could not be taken back is tried again (`time.monotonic`).
        self._again: dict[str, float] = {}

    def start(self) -> None:
        """Keep leases from now on, beginning with those that an earlier governor has left."""
        if self._core.brokers is None or self._thread is not None:
            return
        self._thread = threading.Thread(target=self._run, name="bridle-leases", daemon=True)
        self._thread.start()
        self.wake()

    def wake(self) -> None:
        """Look at all leases soon: something may have ended one."""
        with self._changed:
            self._wanted = True
            self._changed.notify_all()

    def asks(self, lease: str) -> None:
        """A broker is about to be asked for this lease."""
        with self._changed:
            self._asking.add(lease)

    def answered(self, lease: str) -> None:
        """Its broker was heard, or given up."""
        with self._changed:
            self._asking.discard(lease)
        self.wake()

    def retry(self) -> None:
        """Try all that could not be taken back again, now."""
        with self._changed:
            self._again.clear()
        self.wake()

    def look(self) -> None:
        """Find what is over and begin to take it back. Raises `StoreError`."""
        brokers = self._core.brokers
        if brokers is None:
            return
        for due in self._core.write(self._over):
            self._begin(brokers, due)

    def close(self) -> None:
        """Stop. What is still to be taken back stands in the store, for the next governor."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join(_GRACE)
        self.idle(_GRACE)

    def idle(self, seconds: float) -> bool:
        """Wait until no broker is taking anything back, at most so long; return whether so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._ending, seconds)

    def _run(self) -> None:
        while self._next():
            try:
                self.look()
            except BridleError as problem:
                _log.error("leases could not be looked at: %s", problem.code)
                self._later()
            except Exception:
                _log.exception("leases could not be looked at")
                self._later()

    def _next(self) -> bool:
        """Wait until there is something to do; return whether to go on."""
        with self._changed:
            self._changed.wait_for(lambda: self._wanted or self._closed, self._pause())
            self._wanted = False
            return not self._closed

    def _pause(self) -> float | None:
        if not self._again:
            return None
        return max(0.0, min(self._again.values()) - time.monotonic())

    def _later(self) -> None:
        """Look again in a while, whatever else happens."""
        with self._changed:
            self._again[""] = time.monotonic() + _FIRST

    # --- in a turn ---------------------------------------------------------------------------

    def _over(self, turn: Turn) -> list[_Due]:
        """End what is over; return what is to be taken back now."""
        for row in leases.of_states(turn, leases.LIVE, leases.ASKED):
            why = leases.over(turn, row) or self._lost(row)
            if why:
                leases.end(turn, row, why)
        with self._changed:
            self._again.pop("", None)
            now = time.monotonic()
            return [
                _Due(row, leases.declaration(turn, row))
                for row in leases.of_states(turn, leases.ENDING)
                if row.id not in self._busy and self._again.get(row.id, 0) <= now
            ]

    @property
    def _busy(self) -> set[str]:
        # What is being made is taken back once it is known what it is.
        return self._ending | self._asking

    def _lost(self, row: LeaseRow) -> str:
        """Why a lease without an answer is over: who asked for it is gone."""
        with self._changed:
            return "interrupted" if row.state == leases.ASKED and row.id not in self._asking else ""

    # --- outside of any turn -----------------------------------------------------------------

    def _begin(self, brokers: Brokers, due: _Due) -> None:
        with self._changed:
            if self._closed or len(self._ending) >= _MOST:
                return  # whoever is through wakes the keeper
            self._ending.add(due.row.id)
        threading.Thread(
            target=self._take_back, args=(brokers, due), name="bridle-lease-end", daemon=True
        ).start()

    def _take_back(self, brokers: Brokers, due: _Due) -> None:
        code = ""
        try:
            self._ask(brokers, due)
        except Exception as problem:
            code = bounded.plain(problem).code
        try:
            self._core.write(partial(_noted, lease=due.row.id, sealed=due.row.sealed, code=code))
        except Exception as problem:
            code = problem.code if isinstance(problem, BridleError) else "internal"
            _log.error("the end of lease %s could not be recorded: %s", due.row.id, code)
        self._through(due.row, code)

    def _ask(self, brokers: Brokers, due: _Due) -> None:
        if due.credential is None:
            raise BrokerError("its declaration is gone", code="broker_unavailable")
        # Without a handle, brokers go by the lease's id: their names for things come from it.
        handle = due.row.id.encode()
        if due.row.sealed:
            handle = brokers.secrets.open(due.row.sealed, due.row.id)
        brokers.of(due.credential).revoke(due.credential, handle)

    def _through(self, row: LeaseRow, code: str) -> None:
        with self._changed:
            self._ending.discard(row.id)
            self._again.pop(row.id, None)
            if code:
                wait = min(_LONGEST, _FIRST * 2 ** min(row.tries, 16))
                self._again[row.id] = time.monotonic() + wait
            self._wanted = True
            self._changed.notify_all()
        if code:
            _log.warning("lease %s is not taken back yet: %s", row.id, code)


def _noted(turn: Turn, *, lease: str, sealed: bytes, code: str) -> None:
    """Note that a lease was taken back, or with what code that failed."""
    row = turn.tx.get(LeaseRow, lease)
    # What has come in from its broker meanwhile is still to be taken back.
    if row is None or row.state != leases.ENDING or row.sealed != sealed:
        return
    if code:
        turn.tx.put(structs.replace(row, tries=row.tries + 1, code=code))
        if not row.tries:
            leases.record(turn, row, "end_failed", {"code": code})
        return
    turn.tx.put(structs.replace(row, state=leases.ENDED, ended=turn.now, sealed=b""))
    leases.record(turn, row, "end", {"tries": row.tries})
