"""Blocking calls to the governor from inside an event loop. The only module that needs asyncio.

What tells the governor something runs to its end even when whoever awaits it is cancelled.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

# Calls to governors that may wait at the same time; each is bounded by its channel's timeout.
_MAX_WAITING = 32


class _Threads:
    """The pool, made when first needed. Effects never run in it, so they cannot starve it."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start anew, as in a forked child, where the threads are not."""
        self._lock = threading.Lock()
        self._pool: ThreadPoolExecutor | None = None

    def submit(self, function: Callable[..., T], *args: Any) -> Future[T]:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_MAX_WAITING, thread_name_prefix="bridle")
            return self._pool.submit(function, *args)


_threads = _Threads()
os.register_at_fork(after_in_child=_threads.reset)


def submit(function: Callable[..., T], *args: Any) -> Future[T]:
    """Run `function` in a thread, whoever waits for it."""
    return _threads.submit(function, *args)


async def to_the_end(function: Callable[..., T], *args: Any) -> T:
    """Await `function` in a thread. Cancelling stops the waiting, not the function."""
    return await asyncio.shield(asyncio.wrap_future(submit(function, *args)))


async def or_undo(undo: Callable[[T], None], function: Callable[..., T], *args: Any) -> T:
    """Await `function` in a thread. When cancelled, `undo` what it returns, or never start it."""
    future = submit(function, *args)
    try:
        return await asyncio.wrap_future(future)
    except (asyncio.CancelledError, GeneratorExit):
        future.add_done_callback(lambda done: _undo(done, undo))
        raise


async def in_thread(function: Callable[..., T], *args: Any) -> T:
    """Await a sync effect in a thread of the loop's own pool, with this task's context."""
    return await asyncio.to_thread(function, *args)


async def pause(seconds: float) -> None:
    """Sleep without blocking the loop."""
    await asyncio.sleep(seconds)


def _undo(done: Future[T], undo: Callable[[T], None]) -> None:
    if not done.cancelled() and done.exception() is None:
        submit(undo, done.result())
