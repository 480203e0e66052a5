"""Asks a broker in a thread of its own, and waits so long and no longer.

A broker promises to keep its time; nothing of the governor depends on that it does.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from bridle.brokers.broker import BrokerError

_log = logging.getLogger("bridle.governor")

T = TypeVar("T")


class Asked(Generic[T]):
    """One question to a broker. `late` is given an answer that nobody waits for any more."""

    def __init__(self, job: Callable[[], T], *, late: Callable[[T], None]) -> None:
        self._job = job
        self._late = late
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._abandoned = False
        self._answer: list[T] = []
        self._problem: Exception | None = None
        threading.Thread(target=self._run, name="bridle-broker", daemon=True).start()

    def wait(self, seconds: float) -> T:
        """Return the answer. Raises `BrokerError` (`broker_slow`, or as the broker says)."""
        self._done.wait(seconds)
        with self._lock:
            if self._answer:
                return self._answer[0]
            self._abandoned = self._problem is None
        if self._problem is None:
            raise BrokerError("the broker took too long", code="broker_slow")
        raise plain(self._problem) from None

    def _run(self) -> None:
        try:
            answer = self._job()
        except Exception as problem:
            with self._lock:
                self._problem = problem
            self._done.set()
            return
        with self._lock:
            late = self._abandoned
            if not late:
                self._answer.append(answer)
        self._done.set()
        if late:
            self._told_late(answer)

    def _told_late(self, answer: T) -> None:
        try:
            self._late(answer)
        except Exception as problem:
            # Its text may be about what came too late.
            _log.error("what a broker made too late is not taken back: %s", plain(problem).code)


def plain(problem: Exception) -> BrokerError:
    """Return a problem by its code alone: an exception that nobody foresaw may hold the secret."""
    code = problem.code if isinstance(problem, BrokerError) else "broker_failed"
    return BrokerError("the broker has made nothing, or not taken it back", code=code)
