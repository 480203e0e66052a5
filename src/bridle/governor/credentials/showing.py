"""What humans see of leases: never what was vended."""

from __future__ import annotations

from typing import Any

from bridle.governor.credentials import leases
from bridle.governor.ground.turn import Turn
from bridle.governor.revocation import revocations
from bridle.model.calls import Leases
from bridle.store.rows import AttemptRow, LeaseRow, RevokedRow

_LONGEST = 1_000


def listed(turn: Turn, call: Leases) -> list[dict[str, Any]]:
    """Return the leases in force, or with `all` every one, newest first."""
    limit = max(1, min(call.limit, _LONGEST))
    if call.all:
        where = {"mission": call.mission} if call.mission else {}
        found = turn.tx.find(LeaseRow, **where, newest="expires", limit=_LONGEST)
    else:
        found = leases.of_states(turn, *leases.OPEN)
    rows = [row for row in found if call.mission in ("", row.mission)]
    rows.sort(key=lambda row: (row.issued, row.id), reverse=True)
    return [_shown(row) for row in rows[:limit]]


def counts(turn: Turn) -> dict[str, int]:
    """Return how many are in force, and how many of those are still to be taken back."""
    of = {state: turn.tx.count(LeaseRow, state=state) for state in leases.OPEN}
    return {"leases": sum(of.values()), "leases_ending": of[leases.ENDING]}


def stopped(turn: Turn, row: RevokedRow) -> list[dict[str, Any]]:
    """Return the leases that a revocation ends, as long as they are not taken back."""
    return [
        {
            "kind": "lease",
            "id": each.id,
            "agent": each.agent,
            "mission": each.mission,
            "line": each.line,
        }
        for each in leases.of_states(turn, *leases.OPEN)
        if _rests_on(turn, row, each)
    ]


def _rests_on(turn: Turn, row: RevokedRow, lease: LeaseRow) -> bool:
    attempt = turn.tx.get(AttemptRow, lease.attempt)
    return attempt is not None and revocations.covers(turn, row, attempt)


def _shown(row: LeaseRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "state": row.state,
        "system": row.system,
        "broker": row.broker,
        "executor": row.executor,
        "agent": row.agent,
        "line": row.line,
        "mission": row.mission,
        "attempt": row.attempt,
        "issued": row.issued,
        "expires": row.expires,
        "ended": row.ended,
        "tries": row.tries,
        "code": row.code,
    }
