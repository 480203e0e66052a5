"""Keeps the leases of running effects alive: one daemon thread for all of them in this process.

Nothing is stopped when a lease cannot be renewed. The attempt then ends as `unknown` for the
governor until its outcome arrives, and the outcome says so.
"""

from __future__ import annotations

import heapq
import os
import threading
import time
from types import TracebackType
from typing import Self

from bridle.client.transport.channel import Channel
from bridle.model.calls import Beat, Done
from bridle.model.errors import BridleError

# Seconds: the shortest pause between two renewals, and the longest wait for one answer, since all
# effects share the thread.
_MIN_PERIOD = 0.02
_MAX_WAIT = 2.0


class Pulse:
    """The renewals of one attempt, while its effect runs (`with Pulse(…):`).

    `lost` says why the lease could not be renewed, empty while it could.
    """

    def __init__(self, channel: Channel, session: str, attempt: str, lease_ms: int) -> None:
        self.period = max(lease_ms / 3000, _MIN_PERIOD)
        self.lost = ""
        self._way: tuple[Channel, Beat] | None = (channel, Beat(session=session, attempt=attempt))

    @property
    def over(self) -> bool:
        """Whether it has been stopped. It does not start again."""
        return self._way is None

    def start(self) -> None:
        """Renew the lease from here on."""
        _heart.add(self)

    def stop(self) -> None:
        """Renew it no longer."""
        # The heart forgets it when its turn comes; until then it holds no handle.
        self._way = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def beat(self) -> bool:
        """Renew once. False when there is nothing left to renew."""
        way = self._way
        if way is None:
            return False
        channel, call = way
        try:
            reply = channel.send(call, timeout=min(self.period, _MAX_WAIT))
        except BridleError as problem:
            # It may be back before the lease lapses.
            self.lost = problem.code
            return True
        if isinstance(reply, Done):
            self.lost = ""
            return True
        self.lost = getattr(reply, "code", "refused")
        return False


class _Heart:
    """The thread and its queue of pulses, next due first."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew, as in a forked child, where the thread is not."""
        self._changed = threading.Condition()
        self._queue: list[tuple[float, int, Pulse]] = []
        self._count = 0
        self._thread: threading.Thread | None = None

    def add(self, pulse: Pulse) -> None:
        with self._changed:
            self._push(pulse)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="bridle-beats", daemon=True)
                self._thread.start()
            elif self._queue[0][2] is pulse:
                self._changed.notify()

    def _push(self, pulse: Pulse) -> None:
        self._count += 1
        heapq.heappush(self._queue, (time.monotonic() + pulse.period, self._count, pulse))

    def _run(self) -> None:
        while True:
            pulse = self._next()
            if pulse.beat():
                with self._changed:
                    self._push(pulse)

    def _next(self) -> Pulse:
        with self._changed:
            while True:
                wait = self._queue[0][0] - time.monotonic() if self._queue else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._queue)[2]
                self._changed.wait(wait)


_heart = _Heart()
os.register_at_fork(after_in_child=_heart.reset)
