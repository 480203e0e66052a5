"""Calls whose server wants input before it goes on: kept until the client brings it."""

from __future__ import annotations

import threading

from bridle.gateway.calling.call import Call

_MOST = 64


class Parked:
    """Calls by what continues them. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: dict[str, list[Call]] = {}
        self._count = 0

    def put(self, state: str, call: Call) -> Call | None:
        """Keep a call; return the oldest where there are too many now."""
        with self._lock:
            self._calls.setdefault(state, []).append(call)
            self._count += 1
            return self._pop(next(iter(self._calls))) if self._count > _MOST else None

    def take(self, state: str) -> Call | None:
        """Return a call that waits for this, if one does; nobody else gets it as well."""
        with self._lock:
            return self._pop(state) if state in self._calls else None

    def all(self) -> list[Call]:
        """Take every call that still waits."""
        with self._lock:
            found = [call for calls in self._calls.values() for call in calls]
            self._calls, self._count = {}, 0
            return found

    def _pop(self, state: str) -> Call:
        calls = self._calls[state]
        call = calls.pop(0)
        if not calls:
            del self._calls[state]
        self._count -= 1
        return call
