"""Connections that wait for their next use, and begin it as if they were new."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Generator
from contextlib import contextmanager

from bridle.brokers.performing.stopping import Stop
from bridle.brokers.postgres.wire import BrokenError, RefusedError, Session

_MOST_IDLE = 4
_IDLE_S = 60.0


class Pool:
    """Idle connections by connection string. Safe for threads; a connection is one thread's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: defaultdict[str, list[tuple[float, Session]]] = defaultdict(list)

    def __repr__(self) -> str:
        return "Pool(…)"

    @contextmanager
    def session(self, conninfo: str, stop: Stop) -> Generator[Session]:
        """Yield a connection; whatever is raised inside closes it. Errors as of `Session`."""
        session = self._waiting(conninfo, stop) or Session(conninfo, stop)
        with session.under(stop):
            yield session
        self._back(conninfo, session)

    def close(self) -> None:
        """Close those that wait."""
        with self._lock:
            idle, self._idle = self._idle, defaultdict(list)
        for waiting in idle.values():
            for _, session in waiting:
                session.close()

    def _waiting(self, conninfo: str, stop: Stop) -> Session | None:
        while True:
            with self._lock:
                if not self._idle[conninfo]:
                    return None
                since, session = self._idle[conninfo].pop()
            if time.monotonic() - since > _IDLE_S:
                session.close()
                continue
            try:
                with session.under(stop):
                    # Nothing that the last one set is left, and it is seen to be alive.
                    session.run("DISCARD ALL")
            except (BrokenError, RefusedError):
                continue
            return session

    def _back(self, conninfo: str, session: Session) -> None:
        with self._lock:
            waiting = self._idle[conninfo]
            if session.idle and len(waiting) < _MOST_IDLE:
                waiting.append((time.monotonic(), session))
                return
        session.close()


POOL = Pool()
"""The one of this process: of brokers, and of what is carried out."""
