"""One intended side effect, and one start of it."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from functools import lru_cache

from msgspec import Struct


class Action(Struct, frozen=True, forbid_unknown_fields=True):
    """What an agent wants done, as an adapter describes it.

    `args` is the exact JSON text of the arguments. `key` says which step of the plan this is:
    made by the adapter from what the plan means, never by the model and never from the attempt.
    `executor` is the workload that would carry it out.
    """

    mission: str
    agent: str
    tool: str
    args: str
    key: str
    adapter: str = "python"
    executor: str = ""

    @property
    def id(self) -> str:
        """The action's id, scoped to mission, deciding agent and adapter."""
        return action_id(self.mission, self.agent, self.adapter, self.key)


# One call asks for it more than once, on either side of the socket.
@lru_cache(maxsize=256)
def action_id(mission: str, agent: str, adapter: str, key: str) -> str:
    """Return the id of the action `key` names. Parts are length-prefixed: none can spill over."""
    parts = b"".join(f"{len(p.encode())}:{p}".encode() for p in (mission, agent, adapter, key))
    return "act_" + hashlib.sha256(parts).hexdigest()[:32]


class ActionState(StrEnum):
    """`decided` waits for its start; `closed` was denied or its outcome is final."""

    DECIDED = "decided"
    HELD = "held"
    STARTED = "started"
    ENDED = "ended"
    OK = "ok"
    DENIED = "denied"


class AttemptState(StrEnum):
    """A started attempt ends as `ok`, `error`, `not_started` or, by its lease, `unknown`."""

    STARTED = "started"
    OK = "ok"
    ERROR = "error"
    NOT_STARTED = "not_started"
    UNKNOWN = "unknown"
