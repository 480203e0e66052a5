"""What came of an attempt."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import force_setattr


class OutcomeKind(StrEnum):
    """`ok` is final. `not_started`: the effect was never reached. `unknown`: nobody can say."""

    OK = "ok"
    ERROR = "error"
    NOT_STARTED = "not_started"
    UNKNOWN = "unknown"


class Outcome(Struct, frozen=True, forbid_unknown_fields=True):
    """The end of one attempt.

    `output` is the result as JSON text (empty when there is none). `opaque` says that there was a
    result that JSON cannot carry. `error` is the error's code, `message` its text (kept in the
    sealed payload only).
    """

    kind: OutcomeKind
    output: str = ""
    opaque: bool = False
    error: str = ""
    message: str = ""

    def __post_init__(self) -> None:
        """Accept the kind's text, as callers in Python write it. Raises `ValueError`."""
        force_setattr(self, "kind", OutcomeKind(self.kind))
