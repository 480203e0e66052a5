"""Revocations as they come back: what they fence at once, and waiting until it has come to rest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from bridle.client.agent import Agent
from bridle.model.action import AttemptState
from bridle.model.calls import Attempts, Fenced

if TYPE_CHECKING:
    from bridle.client.bridle import Bridle

_PAUSE = 0.05
_LOOKED_AT = 100_000


class Revocation(Struct, frozen=True):
    """What was revoked is fenced: nothing it covers starts from `epoch` on.

    `running` are the attempts that had started and not ended: only these may still take effect.
    `stopped` are the grants and sessions that ended.
    """

    epoch: int
    running: list[dict[str, Any]]
    stopped: list[dict[str, Any]]
    bridle: Bridle

    def quiesce(self, timeout: float) -> list[dict[str, Any]]:
        """Wait until those that were running have ended, `timeout` seconds at most.

        Returns what is running still; nothing once it has come to rest. An attempt whose executor
        is gone ends with its lease. Needs the operator's connection.
        """
        end = time.monotonic() + timeout
        left = self.running
        while left:
            call = Attempts(state=AttemptState.STARTED, limit=_LOOKED_AT)
            started = {row["id"] for row in self.bridle.rows(call)}
            left = [row for row in left if row["id"] in started]
            if not left or time.monotonic() >= end:
                break
            time.sleep(min(_PAUSE, max(0.0, end - time.monotonic())))
        return left


def fenced(reply: Fenced, bridle: Bridle) -> Revocation:
    """Return the answer to a revocation."""
    return Revocation(reply.epoch, reply.running, reply.stopped, bridle)


def name_of(grant: str | Agent) -> str:
    """Return the digest of a grant, or of the one an agent acts under."""
    return grant.grant if isinstance(grant, Agent) else grant
