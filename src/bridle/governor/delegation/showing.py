"""What humans are shown of grants: who handed what to whom, what it allows, its live use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from msgspec import Struct

from bridle.governor.action import budgets
from bridle.governor.action.budgets import Account
from bridle.governor.delegation import grants, shares
from bridle.governor.ground.turn import Turn
from bridle.governor.revocation import revocations
from bridle.model.action import AttemptState
from bridle.model.budget import Budget
from bridle.model.calls import Delegations
from bridle.model.errors import NotFoundError
from bridle.model.mission import MissionStatus
from bridle.store.rows import ActionRow, AttemptRow, GrantRow, MissionRow
from bridle.trust.grants import wording
from bridle.trust.grants.claims import Claims
from bridle.trust.grants.codes import GrantError

_EVERY = 1_000_000
_MOST = 100_000
# Actions of a mission that are looked through to count those of each grant.
_COUNTED = 20_000


class _Use(Struct, frozen=True):
    """What runs, and what was asked for, by grant. `actions` lacks missions that have too many."""

    running: Counter[str]
    actions: dict[str, Counter[str]]


def delegations(turn: Turn, call: Delegations) -> list[dict[str, Any]]:
    """Return grants, parents before children. Raises `NotFoundError`.

    One that was named has its `chain`, to verify it elsewhere; empty where it cannot be verified.
    """
    limit = max(1, min(call.limit, _MOST))
    rows = [row for row in _asked(turn, call, limit) if call.all or _lives(turn, row)]
    rows.sort(key=lambda row: (row.mission, row.depth, row.issued, row.id))
    shown = _shown(turn, rows[:limit])
    if call.grant and shown and shown[0]["grant"] == call.grant:
        shown[0]["chain"] = chain_of(turn, call.grant)
    return shown


def row_of(turn: Turn, row: GrantRow) -> dict[str, Any]:
    """Return what is shown of one grant."""
    return _shown(turn, [row])[0]


def _asked(turn: Turn, call: Delegations, limit: int) -> list[GrantRow]:
    if call.grant:
        return _below(turn, call.grant, limit)
    if call.mission:
        if turn.tx.get(MissionRow, call.mission) is None:
            hint = "`bridle missions list` shows them"
            raise NotFoundError(f"no mission {call.mission!r}", hint=hint)
        return turn.tx.find(GrantRow, mission=call.mission, limit=_MOST)
    if call.all:
        return turn.tx.find(GrantRow, newest="expires", limit=limit)
    return [
        row
        for state in grants.IN_FORCE
        for row in turn.tx.find(GrantRow, state=state, newest="expires", limit=limit)
    ]


def _below(turn: Turn, grant: str, limit: int) -> list[GrantRow]:
    top = turn.tx.get(GrantRow, grant)
    if top is None:
        raise NotFoundError(f"no grant {grant!r}", hint="`bridle delegations` shows them")
    found = [top]
    for row in found:  # grows as it is walked: children of children
        if len(found) >= limit:
            break
        found += turn.tx.find(GrantRow, parent=row.id, limit=limit)
    return found


def _lives(turn: Turn, row: GrantRow) -> bool:
    return _state(turn, row) != grants.ENDED and not revocations.of_grant(turn, row)


def _state(turn: Turn, row: GrantRow) -> str:
    """How a grant stands at this moment, whether or not anyone has put its end on record."""
    mission = turn.tx.get(MissionRow, row.mission)
    over = mission is None or mission.status in (MissionStatus.CLOSED, MissionStatus.EXPIRED)
    return grants.ENDED if over or row.expires <= turn.now else row.state


def _shown(turn: Turn, rows: list[GrantRow]) -> list[dict[str, Any]]:
    use = _use(turn, {row.mission for row in rows})
    return [_row(turn, row, use) for row in rows]


def _row(turn: Turn, row: GrantRow, use: _Use) -> dict[str, Any]:
    mission = turn.tx.get(MissionRow, row.mission)
    claims = _claims(turn, row)
    counted = use.actions.get(row.mission)
    return {
        "grant": row.id,
        "parent": row.parent,
        "depth": row.depth,
        "mission": row.mission,
        "user": mission.user if mission is not None else "",
        "agent": row.agent,
        "line": row.line,
        "workload": row.workload,
        "task": row.task,
        "state": _state(turn, row),
        "tools": list(row.tools),
        "caveats": list(wording.caveats(claims)) if claims is not None else ["erased"],
        "budgets": _budgets(turn, row, claims) if claims is not None else {},
        "issued": row.issued,
        "expires": row.expires,
        "key": row.key,
        "running": use.running[row.id],
        "actions": counted[row.id] if counted is not None else None,
        "revoked": revocations.of_grant(turn, row),
    }


def chain_of(turn: Turn, grant: str) -> list[str]:
    """Return the links of a grant, root first; none where they cannot be verified."""
    try:
        return list(grants.chain_of(turn, grant).texts)
    except GrantError:
        return []


def _claims(turn: Turn, row: GrantRow) -> Claims | None:
    try:
        return grants.claims_of(turn, row)
    except GrantError:
        return None  # erased with the mission's values


def _budgets(turn: Turn, row: GrantRow, claims: Claims) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for name, limit in claims.bud.items():
        budget = Budget(name, 0)
        key = Account(shares.GRANT, shares.account_id(row.id), (budget,)).key(budget, turn.now)
        found[name] = {"limit": limit, "used": budgets.plain(budgets.used_of(turn.tx, key))}
    return found


def _use(turn: Turn, missions: Iterable[str]) -> _Use:
    started = turn.tx.find(AttemptRow, state=AttemptState.STARTED, limit=_EVERY)
    few = [m for m in missions if turn.tx.count(ActionRow, mission=m) <= _COUNTED]
    return _Use(
        Counter(row.grant for row in started),
        {
            mission: Counter(
                row.grant for row in turn.tx.find(ActionRow, mission=mission, limit=_COUNTED)
            )
            for mission in few
        },
    )
