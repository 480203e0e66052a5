"""What ends holds and exceptions that nobody answered or used: kills, ends of missions, changes.

A hold that was voided is asked for anew when the agent asks again. Each end is on record.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bridle.bundle.bundle import Bundle
from bridle.governor.action import holds
from bridle.governor.approval import exceptions
from bridle.governor.delegation import lapsing, lineage
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.history import entries, whose
from bridle.governor.provenance import keeping
from bridle.governor.revocation import halting, revocations
from bridle.model.record import LeafKind
from bridle.store.rows import (
    ActionRow,
    ExceptionRow,
    HoldRow,
    KillRow,
    MissionRow,
    RevokedRow,
)

_EVERY = 1_000_000

Covers = Callable[[HoldRow | ExceptionRow], bool]


def by_kill(turn: Turn, kill: KillRow) -> int:
    """A kill voids what is pending in its scope; what was approved waits until it is lifted."""

    def covers(row: HoldRow | ExceptionRow) -> bool:
        if kill.scope in ("all", "tool"):
            return kill.scope == "all" or row.tool == kill.subject
        action = _action_of(turn, row)
        return action is None or halting.covers(turn, kill, action)

    return _void(turn, covers, "kill", holds.PENDING)


def by_revocation(turn: Turn, revoked: RevokedRow, mission: str = "") -> int:
    """What was asked for under a grant that is no more is nobody's to answer, or to use.

    `mission` is the only one that can be concerned, where that is known.
    """

    def covers(row: HoldRow | ExceptionRow) -> bool:
        action = _action_of(turn, row)
        return action is None or revocations.covers(turn, revoked, action)

    ended = _end_exceptions(turn, covers, mission=mission)
    return ended + _void(turn, covers, "revocation", *holds.OPEN, mission=mission)


def by_mission(turn: Turn, mission: str) -> int:
    """A mission that is over has no use for holds, approvals, exceptions, and its own past."""

    def covers(row: HoldRow | ExceptionRow) -> bool:
        return row.mission == mission

    entries.drop(turn, whose.of_mission(mission), entries.SWEPT)
    keeping.drop(turn, mission)
    lapsing.by_mission(turn, mission)
    ended = _end_exceptions(turn, covers, mission=mission)
    return ended + _void(turn, covers, "mission", *holds.OPEN, mission=mission)


def by_retirement(turn: Turn, kind: str, name: str) -> int:
    """An identity that is gone for good leaves nothing behind that could still be used."""

    def covers(row: HoldRow | ExceptionRow) -> bool:
        if kind == "agent":
            return name in lineage.agents(row.line, row.agent)
        if kind == "user":
            return _user_of(turn, row.mission) == name
        return isinstance(row, HoldRow) and _executor_of(turn, row) == name

    return _end_exceptions(turn, covers) + _void(turn, covers, "retirement", *holds.OPEN)


def by_activation(turn: Turn, bundle: Bundle) -> int:
    """A policy with another text, or a tool made another, voids what was asked about the former."""

    # INVARIANT: nobody answers a hold, or acts on an exception, whose policy is not what it was;
    # putting the old text back later revives neither.
    def changed(row: HoldRow | ExceptionRow) -> bool:
        if isinstance(row, HoldRow):
            return bool(holds.changed_policy(row, bundle)) or holds.redefined(row, bundle)
        return exceptions.changed(turn, row)

    return _end_exceptions(turn, changed) + _void(turn, changed, "policy", *holds.OPEN)


def _void(turn: Turn, covers: Covers, why: str, *statuses: str, mission: str = "") -> int:
    where: dict[str, Any] = {"mission": mission} if mission else {}
    rows = [
        row
        for status in statuses
        for row in turn.tx.find(HoldRow, status=status, limit=_EVERY, **where)
        if row.expires > turn.now and covers(row)
    ]
    for row in rows:
        record(turn, holds.close(turn, row, holds.VOID), why=why)
    return len(rows)


def record(turn: Turn, row: HoldRow, **more: str) -> None:
    """Put on record that a hold has ended without an answer. The row says how."""
    turn.record(
        Entry(
            kind=LeafKind.APPROVAL,
            chain=row.mission,
            ids={"action": row.action, "approval": row.id, "level": turn.level},
            body={"status": row.status, "subject": row.subject, **more},
        )
    )


def _end_exceptions(turn: Turn, covers: Covers, mission: str = "") -> int:
    rows = [row for row in exceptions.active(turn, mission) if covers(row)]
    for row in rows:
        exceptions.end(turn, row, exceptions.VOID)
    return len(rows)


def _user_of(turn: Turn, mission: str) -> str:
    row = turn.tx.get(MissionRow, mission)
    return row.user if row is not None else ""


def _action_of(turn: Turn, row: HoldRow | ExceptionRow) -> ActionRow | None:
    """The action that humans were asked about."""
    hold = row if isinstance(row, HoldRow) else turn.tx.get(HoldRow, row.approval)
    return turn.tx.get(ActionRow, hold.action) if hold is not None else None


def _executor_of(turn: Turn, row: HoldRow) -> str:
    action = turn.tx.get(ActionRow, row.action)
    return action.executor if action is not None else ""
