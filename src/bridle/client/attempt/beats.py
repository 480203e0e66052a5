"""Keeps the leases of running effects alive: one daemon thread for all of them in this process.

Nothing is killed when a lease cannot be renewed. The attempt then ends as `unknown` for the
governor until its outcome arrives, and the outcome says so. Where the governor refuses because the
effect may go on no longer, the effect's hooks are called (`bridle.on_stop`).
"""

from __future__ import annotations

import heapq
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import Any, Self

from bridle.client.transport.channel import Channel
from bridle.model.calls import Beat, Done
from bridle.model.errors import BridleError
from bridle.model.reason import ReasonCode

# Seconds: the shortest pause between two renewals, the longest (a renewal is how an effect hears
# that it is to stop), and the longest wait for one answer, since all effects share the thread.
_MIN_PERIOD = 0.02
_MAX_PERIOD = 1.0
_MAX_WAIT = 2.0
# The longest pause while somebody wants to know of being stopped.
_ATTENTIVE = 0.5

# What a human, a clock or an end has said. Other refusals are about the lease, or may pass.
_ORDERS = frozenset(
    code.value
    for code in (
        ReasonCode.NO_SESSION,
        ReasonCode.SUSPENDED,
        ReasonCode.OUT_OF_MISSION,
        ReasonCode.MISSION_NOT_ACTIVE,
        ReasonCode.EXPIRED,
        ReasonCode.GRANT_EXPIRED,
        ReasonCode.REVOKED,
        ReasonCode.KILLED,
    )
)
_PASSING = frozenset(
    code.value
    for code in (ReasonCode.BUNDLE_CHANGED, ReasonCode.STORE_UNAVAILABLE, ReasonCode.INTERNAL)
)

_log = logging.getLogger("bridle.client")
_beating: ContextVar[tuple[Pulse, ...]] = ContextVar("bridle_beating", default=())


class Pulse:
    """The renewals of one attempt, while its effect runs (`with Pulse(…):`).

    `lost` says why the lease could not be renewed, empty while it could.
    """

    def __init__(self, channel: Channel, session: str, attempt: str, lease_ms: int) -> None:
        third = max(lease_ms / 3000, _MIN_PERIOD)
        self.period = min(third, _MAX_PERIOD)
        self.lost = ""
        self._patience = min(third, _MAX_WAIT)
        self.turn = 0
        self._order = ""
        self._hooks: deque[Callable[[str], Any]] = deque()
        self._way: tuple[Channel, Beat] | None = (channel, Beat(session=session, attempt=attempt))

    @property
    def way(self) -> tuple[Channel, Beat] | None:
        """Where it renews what; None once it has been stopped."""
        return self._way

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

    def on_stop(self, hook: Callable[[str], Any]) -> None:
        """Call `hook` with the code once the effect is to stop; soon, if it is to already."""
        self.period = min(self.period, _ATTENTIVE)
        self._hooks.append(hook)
        _heart.add(self)

    def __enter__(self) -> Self:
        _beating.set((*_beating.get(), self))
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        _beating.set(tuple(pulse for pulse in _beating.get() if pulse is not self))
        self.stop()

    def beat(self) -> bool:
        """Renew once. False when there is nothing left to renew."""
        way = self._way
        if way is None:
            return False
        channel, call = way
        try:
            reply = channel.send(call, timeout=self._patience)
        except BridleError as problem:
            # It may be back before the lease lapses.
            self.lost = problem.code
            return True
        if isinstance(reply, Done):
            self.lost = ""
            return True
        self.lost = getattr(reply, "code", "refused")
        if self.lost in _ORDERS:
            self._order = self.lost
        if self._order and self._hooks:
            # In a thread of its own: no hook keeps the renewals of other effects waiting.
            threading.Thread(target=self._call_hooks, name="bridle-stop", daemon=True).start()
        return self.lost in _PASSING

    def _call_hooks(self) -> None:
        # One that is added now is either seen here or at the beat that its adding brings about.
        while not self.over:
            try:
                hook = self._hooks.popleft()
            except IndexError:
                return
            try:
                hook(self._order)
            except Exception:
                # The others still have to know.
                _log.exception("a hook of an effect that is to stop failed")


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
        pulse.turn = self._count
        heapq.heappush(self._queue, (time.monotonic() + pulse.period, self._count, pulse))

    def _run(self) -> None:
        while True:
            pulse = self._next()
            turn = pulse.turn
            if pulse.beat():
                with self._changed:
                    if pulse.turn == turn:
                        self._push(pulse)

    def _next(self) -> Pulse:
        with self._changed:
            while True:
                # One that was put in anew has a later turn.
                while self._queue and self._queue[0][2].turn != self._queue[0][1]:
                    heapq.heappop(self._queue)
                wait = self._queue[0][0] - time.monotonic() if self._queue else None
                if wait is not None and wait <= 0:
                    return heapq.heappop(self._queue)[2]
                self._changed.wait(wait)


def beating() -> Pulse | None:
    """Return the pulse of the innermost effect that runs in this thread or task."""
    # Iterators that ended in another context leave theirs behind.
    return next((pulse for pulse in reversed(_beating.get()) if not pulse.over), None)


_heart = _Heart()
os.register_at_fork(after_in_child=_heart.reset)
