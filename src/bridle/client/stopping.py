"""Effects that can be stopped: what they have called once the governor no longer stands by them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from bridle.client.attempt import beats
from bridle.model.errors import UsageError

Hook = Callable[[str], Any]


def on_stop(hook: Hook) -> None:
    """Have `hook` called, with a reason code, if what runs here is stopped before it ends.

    To be called inside an effect. It is stopped by a revocation, a kill, a suspension, the end of
    its mission or of its grant; within a second this process knows. What was begun cannot be undone
    by the governor: the hook closes the connection, ends the query, sets the flag that the effect
    looks at. It runs once, in another thread, or in the event loop where the effect is async. What
    the effect then returns or raises is its outcome as ever. Raises `UsageError` outside an effect.
    """
    pulse = beats.beating()
    if pulse is None:
        raise UsageError("nothing runs here that could be stopped", hint="call it in an effect")
    pulse.on_stop(_in_loop(hook))


def _in_loop(hook: Hook) -> Hook:
    """Return a hook that runs in the event loop of whoever gave it, where there is one."""
    asyncio = sys.modules.get("asyncio")
    loop = asyncio._get_running_loop() if asyncio is not None else None  # noqa: SLF001 - public name
    return hook if loop is None else lambda code: loop.call_soon_threadsafe(hook, code)
