"""Revocations as they come back: what they fence at once, and waiting until it has come to rest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from bridle.client.agent import Agent
from bridle.client.transport.channel import ask
from bridle.model.calls import Fenced, Revoke

if TYPE_CHECKING:
    from bridle.client.bridle import Bridle

_PAUSE = 0.05


class Revocation(Struct, frozen=True):
    """What was revoked is fenced: nothing it covers starts from `epoch` on.

    `running` are the attempts that had started and not ended: only these may still take effect.
    `stopped` are the grants and sessions that ended. `kind` and `subject` are what was revoked.
    """

    kind: str
    subject: str
    epoch: int
    running: list[dict[str, Any]]
    stopped: list[dict[str, Any]]
    bridle: Bridle

    def quiesce(self, timeout: float) -> list[dict[str, Any]]:
        """Wait until those that were running have ended, `timeout` seconds at most.

        Returns what may run still, and credentials not taken back yet (their `state` is `lease`);
        nothing once it has come to rest. One whose executor is gone may run until a human settles
        it. Needs the operator's connection.
        """
        end = time.monotonic() + timeout
        left = [*self.running, *leases_of(self.stopped)]
        call = Revoke(kind=self.kind, subject=self.subject, preview=True)
        while left:
            left = still(left, ask(self.bridle.operator, call, Fenced))
            if not left or time.monotonic() >= end:
                break
            time.sleep(min(_PAUSE, max(0.0, end - time.monotonic())))
        return left


def leases_of(stopped: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the credentials among what a revocation ends, as rows of what still runs."""
    return [
        {**{name: row[name] for name in ("id", "agent", "mission")}, "tool": "", "state": "lease"}
        for row in stopped
        if row["kind"] == "lease"
    ]


def still(left: list[dict[str, Any]], looked: Fenced) -> list[dict[str, Any]]:
    """Return what of these rows is not over, by a later look at the same revocation."""
    known = {row["id"] for row in (*looked.running, *leases_of(looked.stopped))}
    return [row for row in left if row["id"] in known]


def fenced(kind: str, subject: str, reply: Fenced, bridle: Bridle) -> Revocation:
    """Return the answer to a revocation."""
    return Revocation(kind, subject, reply.epoch, reply.running, reply.stopped, bridle)


def name_of(grant: str | Agent) -> str:
    """Return the digest of a grant, or of the one an agent acts under."""
    return grant.grant if isinstance(grant, Agent) else grant
