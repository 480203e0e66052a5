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
    """Idle connections by connection string. Safe for threads; a connection is one thread's.

    They are kept while there is somebody who uses them: from `enter` to `leave`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
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

    def enter(self) -> None:
        """Begin to use it."""
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        """Use it no longer. After the last one nothing waits, and nothing will."""
        with self._lock:
            self._users -= 1
            over = self._older(float("inf")) if not self._users else []
        for session in over:
            session.close()

    def _older(self, than: float) -> list[Session]:
        """Take out those that wait since before then, whoever may open them still."""
        over: list[Session] = []
        for conninfo, waiting in list(self._idle.items()):
            over += (session for since, session in waiting if since < than)
            self._idle[conninfo] = [each for each in waiting if each[0] >= than]
            if not self._idle[conninfo]:
                del self._idle[conninfo]
        return over

    def _waiting(self, conninfo: str, stop: Stop) -> Session | None:
        with self._lock:
            over = self._older(time.monotonic() - _IDLE_S)
        for session in over:
            session.close()
        while True:
            with self._lock:
                if not self._idle[conninfo]:
                    return None
                _, session = self._idle[conninfo].pop()
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
            if self._users and session.idle and len(waiting) < _MOST_IDLE:
                waiting.append((time.monotonic(), session))
                return
        session.close()


POOL = Pool()
"""The one of this process: of brokers, and of what is carried out."""
