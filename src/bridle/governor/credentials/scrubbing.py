"""Takes vended secrets out of what is reported of the attempts that they were vended for.

They are kept in memory only, of the newest attempts: a governor that has started anew knows none.
"""

from __future__ import annotations

import threading
from collections import OrderedDict

from msgspec import structs

from bridle.brokers.scrubbing import Scrubber
from bridle.model.calls import Observe

_MOST = 4_096


class Vended:
    """Which secrets were vended for which attempt. Safe for use by many threads."""

    def __init__(self, most: int = _MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._scrubbers: OrderedDict[str, Scrubber] = OrderedDict()

    def add(self, attempt: str, secret: dict[str, str]) -> None:
        """Remember what was vended for an attempt; the oldest is forgotten."""
        with self._lock:
            self._scrubbers[attempt] = Scrubber.of(secret)
            while len(self._scrubbers) > self._most:
                self._scrubbers.popitem(last=False)

    def concerns(self, attempt: str) -> bool:
        """Whether anything was vended for this attempt."""
        with self._lock:
            return attempt in self._scrubbers

    def scrubbed(self, call: Observe) -> Observe:
        """Return a report without the secrets that were vended for its attempt."""
        with self._lock:
            scrubber = self._scrubbers.get(call.attempt)
        if scrubber is None:
            return call
        said = call.outcome
        # INVARIANT: I9 — before it is recorded, judged, released or sealed.
        outcome = structs.replace(
            said,
            output=scrubber.document(said.output),
            message=scrubber.text(said.message),
            error=scrubber.text(said.error),
        )
        return structs.replace(call, outcome=outcome)
