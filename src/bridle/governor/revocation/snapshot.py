"""The signed list of what is revoked, for those who verify offline.

Made in one turn: it is true of one moment. Whoever holds it relies on that moment until it expires,
which is why it never lasts longer than a day.
"""

from __future__ import annotations

from typing import Any, cast

from bridle.governor.delegation import grants, roots
from bridle.governor.ground.turn import Turn
from bridle.governor.revocation.revocations import GRANT, KEY, MISSION
from bridle.model.calls import StatusSnapshot
from bridle.model.errors import UsageError
from bridle.store.rows import GrantRow, MissionRow, RegistrationRow, RevokedRow
from bridle.trust import status

SHORTEST_MS, LONGEST_MS = 1_000, 86_400_000

_EVERY = 1_000_000


def snapshot(turn: Turn, call: StatusSnapshot) -> list[dict[str, Any]]:
    """Return one row: the list, its governor, version and end, the keys that sign it and grants.

    Raises `UsageError` for a time it cannot be good for.
    """
    if not SHORTEST_MS <= call.valid_ms <= LONGEST_MS:
        raise UsageError("a status list is good for 1 second to 24 hours")
    now = grants.now_s(turn)
    listed = status.StatusList(
        # INVARIANT: I5 — what was ever revoked only grows, so an older list has a lower version.
        version=turn.globals.revoked,
        iat=now,
        exp=now + call.valid_ms // 1_000,
        iss=roots.name_of(turn),
        revoked_at=_revoked(turn),
    )
    text = status.sign(listed, roots.signer(turn))
    pinned = [key.key for key in roots.trusted(turn).keys]
    expires = listed.exp * 1_000
    return [
        {
            "status": text,
            "issuer": listed.iss,
            "version": listed.version,
            "expires": expires,
            "roots": pinned,
        }
    ]


def _revoked(turn: Turn) -> dict[str, int]:
    rows = [cast("RevokedRow | None", filed.row) for filed in turn.tx.every(RevokedRow)]
    found = {row.id: row.time for row in rows if row is not None}
    return {**found, **_certified(turn, found), **_registered(turn, found)}


def _certified(turn: Turn, revoked: dict[str, int]) -> dict[str, int]:
    """Grants whose holder was certified by a revoked key: no link says so, so each is named."""
    keys = _keys(revoked)
    states = grants.IN_FORCE if keys else ()
    return {
        f"{GRANT}:{row.id}": revoked[f"{KEY}:{row.certified}"]
        for state in states
        for row in turn.tx.find(GrantRow, state=state, limit=_EVERY)
        if row.certified in keys
    }


def _registered(turn: Turn, revoked: dict[str, int]) -> dict[str, int]:
    """Runs of pipelines whose definition was registered with a revoked key: no link says so."""
    keys = _keys(revoked)
    rows = turn.tx.find(RegistrationRow, limit=_EVERY) if keys else ()
    runs = {row.id: revoked[f"{KEY}:{row.key}"] for row in rows if row.key in keys}
    missions = turn.tx.find(MissionRow, limit=_EVERY) if runs else ()
    return {
        f"{MISSION}:{row.id}": runs[row.registration]
        for row in missions
        if row.registration in runs
    }


def _keys(revoked: dict[str, int]) -> set[str]:
    return {name.removeprefix(f"{KEY}:") for name in revoked if name.startswith(f"{KEY}:")}
