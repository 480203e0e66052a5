"""How what is being carried out ends before its time: at its deadline, or because it has to."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from bridle.brokers.performing.failures import PerformError

Close = Callable[[], object]


class Stop:
    """The end of one request, in `seconds` from now, or at `stop`. Safe for threads.

    `code` is why it was stopped (a reason code), empty while it was not.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._lock = threading.Lock()
        self._closes: dict[object, Close] = {}
        self.code = ""

    def within(self, seconds: float) -> None:
        """End no later than in `seconds` from now."""
        self._end = min(self._end, time.monotonic() + seconds)

    def left(self, kind: type[PerformError] = PerformError) -> float:
        """Return the seconds that are left. Raises `kind` (`timed_out`, `stopped`) at the end."""
        if self.code:
            raise kind("it was stopped: it may go on no longer", code="stopped")
        left = self._end - time.monotonic()
        if left <= 0:
            why = "it took longer than the tool's timeout, or than its credential lasts"
            raise kind(why, code="timed_out")
        return left

    def stop(self, code: str) -> None:
        """End what runs, now and for good. `code` says why. Never raises."""
        with self._lock:
            self.code = self.code or code
            closes, self._closes = list(self._closes.values()), {}
        for close in closes:
            # Whoever waits on it learns of it; what is closed already needs no closing.
            with contextlib.suppress(Exception):
                close()

    @contextmanager
    def closing(self, close: Close) -> Generator[None]:
        """Have `close` called, from another thread, if it is stopped inside the block."""
        key = object()
        with self._lock:
            stopped = bool(self.code)
            if not stopped:
                self._closes[key] = close
        if stopped:
            with contextlib.suppress(Exception):
                close()
        try:
            yield
        finally:
            with self._lock:
                self._closes.pop(key, None)
