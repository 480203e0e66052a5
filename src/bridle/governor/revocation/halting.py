"""What humans stopped of a party for the time being, whatever policies say: kills, suspensions.

Whoever is stopped stops everybody that acts through them: each agent that a task came through is
asked about, and each link of the chain. What was revoked is for `authority`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bridle.governor.delegation import lineage
from bridle.governor.delegation.lineage import Acted, Party
from bridle.model.identity import Status
from bridle.model.reason import Reason, ReasonCode
from bridle.store.rows import KillRow

if TYPE_CHECKING:
    from bridle.governor.ground.turn import Turn


def halted(turn: Turn, party: Party, tool: str) -> Reason | None:
    """Return what humans did that stops a party from using a tool now, if anything."""
    # INVARIANT: I5 — no link of a chain goes on acting through those below it.
    return _killed(turn, party, tool) or _suspended(turn, party)


def covers(turn: Turn, kill: KillRow, acted: Acted) -> bool:
    """Whether a kill stops what an action or attempt is of, or whom it serves."""
    if kill.scope == "all" or (kill.scope == "tool" and kill.subject == acted.tool):
        return True
    served = lineage.of_grant(turn, acted.requester) if acted.requester else None
    parties = (lineage.of_acted(turn, acted), *((served,) if served is not None else ()))
    return any(kill.id in _scopes(turn, party, acted.tool) for party in parties)


def _killed(turn: Turn, party: Party, tool: str) -> Reason | None:
    if not turn.globals.kills:
        return None
    for scope in _scopes(turn, party, tool):
        if turn.tx.get(KillRow, scope) is not None:
            what = scope.partition(":")[0]
            return Reason(ReasonCode.KILLED, f"stopped by the kill switch ({what})")
    return None


def _scopes(turn: Turn, party: Party, tool: str) -> Iterator[str]:
    yield from ("all:", f"tool:{tool}", f"mission:{party.mission}")
    yield from (f"agent:{name}" for name in party.agents)
    yield from (f"grant:{link.id}" for link in lineage.chain(turn, party.grant))


def _suspended(turn: Turn, party: Party) -> Reason | None:
    if not turn.globals.suspended:
        return None
    names = [*(("agent", each) for each in reversed(party.agents)), ("user", party.user)]
    for kind, name in [*names, ("workload", party.executor)]:
        status = turn.status(kind, name) if name else Status.ACTIVE
        if status is not Status.ACTIVE:
            return Reason(ReasonCode.SUSPENDED, f"the {kind} is {status}")
    return None
