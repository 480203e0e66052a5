"""Deputies: agents that act for others, under their own grants and the requester's at once.

Whoever is named as requester lends nothing by it: its grants, its agents and its user only take
away from what the deputy may do, and both chains stand on the record.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from bridle.governor.delegation import authority, grants, lineage
from bridle.governor.delegation.lineage import Party
from bridle.governor.identity import registrations
from bridle.governor.revocation.halting import halted
from bridle.model.mission import MissionStatus
from bridle.model.reason import Reason, ReasonCode
from bridle.store.rows import GrantRow, MissionRow
from bridle.trust.grants.codes import GrantError

if TYPE_CHECKING:
    from bridle.engine.case import Typed
    from bridle.governor.action.standing import Standing
    from bridle.governor.ground.turn import Turn


class Served(Struct, frozen=True):
    """Whom a deputy serves with an action: the grant it names, and all who stand behind that."""

    grant: GrantRow
    mission: MissionRow
    party: Party


def served(turn: Turn, grant: str) -> Served | None:
    """Return who stands behind a requester's grant, whether it holds or not. None: not known."""
    row = turn.tx.get(GrantRow, grant)
    mission = turn.tx.get(MissionRow, row.mission) if row is not None else None
    party = lineage.of_grant(turn, grant)
    if row is None or mission is None or party is None:
        return None
    return Served(row, mission, party)


def same(turn: Turn, one: str, other: str) -> bool:
    """Whether two requesters are one: the same line of a mission, be it under a newer grant."""
    if one == other:
        return True
    first, second = (lineage.of_grant(turn, each) if each else None for each in (one, other))
    if first is None or second is None:
        return False
    return (first.mission, first.agents) == (second.mission, second.agents)


def refusal(at: Standing, tool: str) -> Reason | None:
    """Say why the requester that a request names (or lacks) stops it, if it does."""
    # INVARIANT: I5 — no ambient authority: a deputy by declaration never acts on its own account.
    agent = at.bundle.agents.get(at.session.agent)
    if at.requester:
        return _invalid(at, tool)
    if agent is not None and agent.deputy:
        text = "this agent acts for others only, and the request names no grant of one"
        return Reason(ReasonCode.REQUESTER_MISSING, text)
    return None


def permits(at: Standing, tool: str, typed: Typed) -> Reason | None:
    """Say why the requester's chain does not allow an action, if it does not."""
    if at.served is None:
        return None
    try:
        chain = grants.chain_of(at.turn, at.served.grant.id)
        authority.allow(at, chain, tool, typed, chain.leaf.claims.task)
    except GrantError as problem:
        found = authority.reason_of(problem)
        return Reason(found.code, f"for the requester: {found.text}")
    return None


def _invalid(at: Standing, tool: str) -> Reason | None:
    who = at.served
    if who is None:
        return _refused("it is not known here")
    why = _missing(at, who)
    if why:
        return _refused(why)
    stop = halted(at.turn, who.party, tool) or registrations.stopped(
        at.turn, who.mission, who.party.agents
    )
    if stop is not None:
        return Reason(stop.code, f"for the requester: {stop.text}")
    try:
        authority.in_force(at.turn, who.grant.id)
    except GrantError as problem:
        return _refused(problem.message)
    return None


def _missing(at: Standing, who: Served) -> str:
    """Say what a requester lacks to be one (empty: nothing)."""
    if who.grant.state != grants.ACTIVE:
        return "nobody has taken it up, or it has ended"
    if who.mission.status != MissionStatus.ACTIVE or who.mission.expires <= at.now:
        return "its mission is over or suspended"
    if not lineage.take_part(at.bundle, who.mission, who.party.agents):
        return "an agent of it has no part in its mission any more"
    # INVARIANT: I5 — nobody asks itself: what a deputy holds, or has handed on, is its own account.
    agent = at.bundle.agents.get(at.session.agent)
    if agent is not None and agent.deputy and agent.id in who.party.agents:
        return "it comes from the deputy itself"
    return ""


def _refused(why: str) -> Reason:
    return Reason(ReasonCode.REQUESTER_INVALID, f"the requester's grant does not count: {why}")
