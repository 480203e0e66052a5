"""Which action a repeated call goes on with, while humans are asked about it.

MCP has no name for a step of a plan: each request is an action of its own. Only a call that waits
for a human is remembered, by its tool and arguments, so that repeating it goes on with what was
approved instead of asking anew.
"""

from __future__ import annotations

import json
import os
import threading
from decimal import Decimal
from hashlib import sha256
from typing import Any

from msgspec import Struct

from bridle.model.reason import Reason, ReasonCode

_MOST = 1_000
# Denials of the moment: an approval is as good as before once they are over.
_PASSING = frozenset(
    {
        ReasonCode.KILLED,
        ReasonCode.SUSPENDED,
        ReasonCode.MISSION_NOT_ACTIVE,
        ReasonCode.BUNDLE_CHANGED,
        ReasonCode.TOOL_CHANGED,
        ReasonCode.STORE_UNAVAILABLE,
        ReasonCode.INTERNAL,
    }
)


class Waiting(Struct, frozen=True):
    """An action that waits for a human, or (`result`) whose result does."""

    key: str
    action: str
    approval: str
    result: bool = False


class Repeats:
    """Waiting actions by what was called. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, Waiting] = {}

    @property
    def any(self) -> bool:
        """Whether any action waits at all; mostly none does."""
        return bool(self._waiting)

    def claim(self, sameness: str) -> Waiting | None:
        """Take the action that a call of this kind goes on with; no other call gets it as well."""
        with self._lock:
            return self._waiting.pop(sameness, None)

    def keep(self, sameness: str, waiting: Waiting) -> None:
        """Let the next call of this kind go on with this action. The oldest of very many goes."""
        with self._lock:
            self._waiting.setdefault(sameness, waiting)
            if len(self._waiting) > _MOST:
                del self._waiting[next(iter(self._waiting))]


def may_go_on(reasons: tuple[Reason, ...]) -> bool:
    """Whether an action that was denied for these reasons can still be gone on with later."""
    return any(reason.code in _PASSING for reason in reasons)


def new_key() -> str:
    """Return the key of a new action: random, so that no client can choose or guess one."""
    return os.urandom(16).hex()


def sameness(wire: str, arguments: Any) -> str:
    """Return what two calls have in common when tool and arguments mean the same JSON."""
    text = json.dumps([wire, arguments], sort_keys=True, default=_number)
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _number(value: object) -> Any:
    if isinstance(value, Decimal):
        return {"\0number": str(value)}
    raise TypeError(type(value).__name__)
