"""What history is made of. The same four kinds as in Dogwood, with `held` beside them."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class EventKind(StrEnum):
    """`request`: a final decision. `held`: put on hold. `response`: ok. `error`: any other end."""

    REQUEST = "request"
    HELD = "held"
    RESPONSE = "response"
    ERROR = "error"


class Event(Struct, frozen=True, forbid_unknown_fields=True):
    """One entry of a partition's history. `time`: milliseconds since the epoch, never backwards."""

    kind: EventKind
    time: int
    mission: str
    action: str
    agent: str
    tool: str
    error: str = ""
