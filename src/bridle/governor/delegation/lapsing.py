"""Puts on record that grants have ended: with their time, or with their mission.

Nothing depends on it: decisions look at the times of links and at the mission themselves.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from bridle.governor.delegation.grants import ENDED, IN_FORCE
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.model.record import LeafKind
from bridle.store.rows import GrantRow

# As many as one turn of the clock ends; the next one goes on.
_AT_ONCE = 1_000
_EVERY = 1_000_000
_NAMED = 64


def by_mission(turn: Turn, mission: str) -> int:
    """End every grant of a mission that is over. Returns how many."""
    rows = [
        row
        for state in IN_FORCE
        for row in turn.tx.find(GrantRow, mission=mission, state=state, limit=_EVERY)
    ]
    return _end(turn, mission, rows, "mission")


def expire(turn: Turn) -> int:
    """End grants whose time is over. Returns how many."""
    found: dict[str, list[GrantRow]] = {}
    for state in IN_FORCE:
        below = ("expires", turn.now + 1)
        for row in turn.tx.find(GrantRow, state=state, below=below, limit=_AT_ONCE):
            found.setdefault(row.mission, []).append(row)
    return sum(_end(turn, mission, rows, "expired") for mission, rows in found.items())


def _end(turn: Turn, mission: str, rows: Iterable[GrantRow], why: str) -> int:
    ended = sorted(rows, key=lambda row: row.id)
    for row in ended:
        turn.tx.put(structs.replace(row, state=ENDED))
    if ended:
        named = [row.id[:16] for row in ended[:_NAMED]]
        turn.record(
            Entry(
                kind=LeafKind.DELEGATION,
                chain=mission,
                ids={"level": turn.level},
                body={"what": "end", "why": why, "count": len(ended), "grants": named},
            )
        )
    return len(ended)
