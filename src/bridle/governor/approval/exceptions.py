"""Exceptions: what humans approved for the rest of a mission, while the arguments stay alike.

    active → used | expired | void | ended

An exception lifts named policies (by text) for one tool and one agent. It never lifts a forbid
without a remedy, a budget or a doubt, for humans can only approve what a hold asks for.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct, structs

from bridle.engine.case import Judgement, Refusal, Typed
from bridle.engine.engine import Engine
from bridle.engine.normalise.steering import at as value_at
from bridle.engine.normalise.steering import is_number, same
from bridle.governor.action import holds
from bridle.governor.action.standing import Standing
from bridle.governor.approval import quorum
from bridle.governor.delegation import deputies
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.provenance import seeing
from bridle.model.calls import Terms
from bridle.model.record import LeafKind
from bridle.model.verdict import Effect
from bridle.store.rows import ExceptionRow, HoldRow, MissionRow

ACTIVE, USED, EXPIRED, VOID, ENDED = "active", "used", "expired", "void", "ended"

# Exceptions in force in one mission; whoever wants more has to end one.
MOST = 100

_EVERY = 1_000_000
_encode = msgspec.json.Encoder(order="sorted").encode


class Predicate(Struct, frozen=True, forbid_unknown_fields=True):
    """Which arguments an exception is for: those approved (as text), but for `free` and `most`.

    `tool` is the shape of the tool as it was then.
    """

    args: str
    free: tuple[str, ...]
    most: dict[str, str]
    tool: str


_decode = msgspec.json.Decoder(Predicate).decode


def steps(path: str) -> tuple[str, ...]:
    """Split the path of an argument, `fields.note`."""
    return tuple(path.split("."))


def grant(turn: Turn, hold: HoldRow, terms: Terms, args: str) -> ExceptionRow | None:
    """Put in force what a hold's approval gives beyond its own action, on record."""
    mission = turn.tx.get(MissionRow, hold.mission)
    tool = turn.bundle.tools.get(hold.tool)
    if mission is None or tool is None:
        return None
    name = turn.id("exc")
    predicate = Predicate(args, terms.free, terms.most, tool.shape)
    end = turn.now + terms.expires_ms if terms.expires_ms else mission.expires
    row = ExceptionRow(
        id=name,
        mission=hold.mission,
        agent=hold.agent,
        tool=hold.tool,
        approval=hold.id,
        policies={c["id"]: c["digest"] for c in hold.causes},
        sealed=turn.vault.seal(hold.mission, _encode(predicate), name),
        count=terms.count,
        created=turn.now,
        expires=min(end, mission.expires),
        by=sorted(v["user"] for v in hold.votes if v["approve"] and quorum.counts(hold, v)),
        labels=list(terms.labels) if terms.labels is not None else None,
        line=hold.line,
        requester=hold.requester,
    )
    turn.tx.put(row)
    _record(turn, row, fields={"predicate": _encode(predicate).decode()})
    return row


def judge(
    at: Standing, tool: str, typed: Typed, waived: frozenset[tuple[str, str]], request: str
) -> tuple[Judgement, tuple[ExceptionRow, ...]]:
    """Judge an action with what an approval waives and, where it would hold, what exceptions lift.

    Returns the exceptions too: a verdict that lets it run has to `use` them. `request` is the
    action's id in history.
    """
    judged = at.engine.judge(at.case(tool, typed, waived, request))
    if judged.effect is not Effect.HOLD:
        return judged, ()
    rows = lifting(at, tool, judged)
    if not rows:
        return judged, ()
    lifted = frozenset(pair for row in rows for pair in row.policies.items())
    return at.engine.judge(at.case(tool, typed, waived | lifted, request)), rows


def lifting(at: Standing, tool: str, judged: Judgement) -> tuple[ExceptionRow, ...]:
    """Return the exceptions that lift what holds an action, the oldest first, none for nothing."""
    wanted = {(c.id, c.digest) for c in judged.causes if c.kind == "forbid"}
    found: list[ExceptionRow] = []
    for row in _in_force(at, tool):
        covers = wanted.intersection(row.policies.items())
        if covers and judged.typed is not None and _fits(at, row, judged.typed):
            found.append(row)
            wanted -= covers
    return tuple(found)


def use(turn: Turn, rows: Iterable[ExceptionRow]) -> None:
    """Count one use of each. What a verdict rested on is never given back."""
    for row in rows:
        # INVARIANT: the count moves in the transaction of the verdict that rests on it, where the
        # row was read, so that no number of callers uses an exception more often than approved.
        used = row.used + 1
        status = USED if used >= row.count else row.status
        turn.tx.put(structs.replace(row, used=used, status=status))


def end(turn: Turn, row: ExceptionRow, status: str, *, by: str = "", method: str = "") -> None:
    """End an exception for good, on record."""
    row = structs.replace(row, status=status)
    turn.tx.put(row)
    _record(turn, row, by=by, method=method)


def expire(turn: Turn) -> int:
    """End those whose time is over. Returns how many."""
    rows = turn.tx.find(ExceptionRow, status=ACTIVE, below=("expires", turn.now + 1))
    for row in rows:
        end(turn, row, EXPIRED)
    return len(rows)


def active(turn: Turn, mission: str = "") -> list[ExceptionRow]:
    """Every exception in force, of one mission or of all."""
    if mission:
        return turn.tx.find(ExceptionRow, mission=mission, status=ACTIVE, limit=_EVERY)
    return turn.tx.find(ExceptionRow, status=ACTIVE, limit=_EVERY)


def changed(turn: Turn, row: ExceptionRow) -> bool:
    """Whether a policy that an exception names, or the tool, is not what it was any more."""
    # INVARIANT: humans excepted from policies as they read them, for a tool as it was.
    now = {p.id: p.digest for p in turn.bundle.policies}
    tool = turn.bundle.tools.get(row.tool)
    if tool is None or any(now.get(p) != digest for p, digest in row.policies.items()):
        return True
    return predicate_of(turn, row).tool != tool.shape


def predicate_of(turn: Turn, row: ExceptionRow) -> Predicate:
    """Open what an exception says of the arguments: nothing that any fit, where it was erased."""
    if not row.sealed:
        return Predicate("", (), {}, "")
    return _decode(turn.vault.unseal(row.mission, row.sealed, row.id))


def _in_force(at: Standing, tool: str) -> list[ExceptionRow]:
    rows = at.turn.tx.find(ExceptionRow, mission=at.mission.id, status=ACTIVE, limit=MOST)
    live: list[ExceptionRow] = []
    for row in rows:
        # INVARIANT: I5 — what was lifted for one whom a deputy serves is not lifted for another.
        mine = at.owns(row) and deputies.same(at.turn, row.requester, at.requester)
        if not mine or row.tool != tool:
            continue
        if changed(at.turn, row):
            end(at.turn, row, VOID)
        elif row.expires > at.now and row.used < row.count:
            live.append(row)
    return sorted(live, key=lambda row: (row.created, row.id))


def _fits(at: Standing, row: ExceptionRow, typed: Typed) -> bool:
    carried = seeing.labels(at.bundle, at.mission)
    if row.labels is not None and not set(carried) <= set(row.labels):
        return False
    hold = at.turn.tx.get(HoldRow, row.approval)
    # What a suspended human allowed is not allowed while they are.
    if hold is None or not quorum.reached(at.turn, hold) or holds.given_inside(at.turn, hold):
        return False
    return alike(at.engine, row.tool, predicate_of(at.turn, row), typed)


def alike(engine: Engine, tool: str, predicate: Predicate, typed: Typed) -> bool:
    """Whether arguments are those an exception was made for, as far as they steer the effect."""
    approved = engine.normalise(tool, predicate.args)
    if isinstance(approved, Refusal):
        return False
    but = frozenset(map(steps, (*predicate.free, *predicate.most)))
    fixed = engine.steering(approved, tool, but), engine.steering(typed, tool, but)
    return same(*fixed) and all(
        _within(value_at(approved.value, steps(path)), value_at(typed.value, steps(path)), most)
        for path, most in predicate.most.items()
    )


def _within(approved: Any, value: Any, most: str) -> bool:
    """Whether a number lies between what is harmless (0, or what was approved) and a bound."""
    if not is_number(value) or not is_number(approved):
        return False
    return bool(min(0, approved) <= value <= Decimal(most))


def _record(
    turn: Turn,
    row: ExceptionRow,
    *,
    by: str = "",
    method: str = "",
    fields: dict[str, str] | None = None,
) -> None:
    ids = {"approval": row.approval, "exception": row.id, "agent": row.agent, "level": turn.level}
    if by:
        ids |= {"by": by, "method": method}
    turn.record(
        Entry(
            kind=LeafKind.APPROVAL,
            chain=row.mission,
            ids=ids,
            body={
                "what": "exception",
                "status": row.status,
                "tool": row.tool,
                "policies": row.policies,
                "count": row.count,
                "used": row.used,
                "expires": row.expires,
                "labels": row.labels,
                "users": row.by,
            },
            fields=fields or {},
        )
    )
