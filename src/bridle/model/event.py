"""The kinds of events that history is made of: those of Dogwood, with `held` beside them."""

from __future__ import annotations

from enum import StrEnum


class EventKind(StrEnum):
    """`request`: a final decision. `held`: put on hold. `response`: ok. `error`: any other end."""

    REQUEST = "request"
    HELD = "held"
    RESPONSE = "response"
    ERROR = "error"
