"""Erases sealed values for good, on record: those of a mission that is over, or of one record.

What goes: payloads and salts beside leaves, what rows keep of arguments, results and people's
words with the keyed digests of them, and with a mission its key. Leaves stay, so every proof holds.
That no older copy is left in the store's files is for `Store.scrub`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeVar

from msgspec import Struct, structs

from bridle.governor.action import holds
from bridle.governor.approval import quorum
from bridle.governor.ground import clear
from bridle.governor.ground.records import Entry, Written
from bridle.governor.ground.turn import Turn
from bridle.governor.ground.vault import opener
from bridle.governor.history import entries, whose
from bridle.governor.oversight import humans, missions
from bridle.governor.planning import register
from bridle.governor.provenance import keeping
from bridle.ledger import leaf, seal
from bridle.ledger.tree import leaf_hash
from bridle.model.action import AttemptState
from bridle.model.calls import Caller, Redact
from bridle.model.errors import NotFoundError, RefusedError, UsageError
from bridle.model.mission import MissionStatus
from bridle.model.record import SYSTEM_CHAIN, Leaf, LeafKind
from bridle.store.base import StoredLeaf
from bridle.store.rows import (
    ActionRow,
    AttemptRow,
    ExceptionRow,
    GrantRow,
    HoldRow,
    KillRow,
    MissionRow,
    PlanRow,
    SessionRow,
)

LONGEST_BASIS = 200

R = TypeVar("R", ActionRow, ExceptionRow, GrantRow, PlanRow)

_EVERY = 1_000_000
_OVER = (MissionStatus.CLOSED, MissionStatus.EXPIRED)
# What a vote names that was for something else than the hold was about in the end.
_OTHER = "other"


class Erasure(Struct, frozen=True, kw_only=True):
    """What one call erased: of a mission or a record, how many payloads and rows.

    `fields` are those of a record that are gone by now; `leaf` is the index of the redaction's own
    record, -1 where nothing was left to erase.
    """

    mission: str = ""
    record: int = -1
    records: int = 0
    rows: int = 0
    fields: tuple[str, ...] = ()
    leaf: int = -1


class _Act(Struct, frozen=True):
    """Who erases and why, for the record."""

    by: str
    method: str
    basis: str


def redact(turn: Turn, caller: Caller, call: Redact) -> Erasure:
    """Erase what the call names, in this turn. What is gone already is not erased again.

    Raises `RefusedError` for who may not, for a mission that is not over or has something open, for
    fields that the record does not have; `NotFoundError`, `UsageError`.
    """
    who = humans.operator(turn, caller, call.as_user)
    if bool(call.mission) == (call.record >= 0) or call.record < -1:
        raise UsageError("name a mission or a record, not both")
    if call.mission and call.fields:
        raise UsageError("fields are those of one record")
    act = _Act(who, caller.method, _basis(call.basis))
    if call.mission:
        return _mission(turn, act, missions.get(turn, call.mission))
    return _record(turn, act, call)


class _About(Struct, frozen=True):
    """Actions, an exception, a grant and a plan, by their ids."""

    actions: frozenset[str]
    exception: str
    grant: str = ""
    plan: str = ""


class _UndoneError(Exception):
    """Takes back all that a preview did, and carries what it was."""

    def __init__(self, erasure: Erasure) -> None:
        super().__init__("this was a preview")
        self.erasure = erasure


def preview(
    write: Callable[[Callable[[Turn], Erasure]], Erasure], caller: Caller, call: Redact
) -> Erasure:
    """Return what `redact` would erase, or raise what it would. `write` runs a turn."""

    def undone(turn: Turn) -> Erasure:
        raise _UndoneError(redact(turn, caller, call))

    try:
        return write(undone)
    except _UndoneError as found:
        return structs.replace(found.erasure, leaf=-1)


def _basis(text: str) -> str:
    basis = text.strip()
    if not basis or len(basis) > LONGEST_BASIS or not clear.is_text(basis):
        raise RefusedError(
            f"an erasure states its basis, in 1 to {LONGEST_BASIS} characters",
            code="basis_missing",
            hint="it stands on record in clear text: name a request or a rule, and no person",
        )
    return basis


def _mission(turn: Turn, act: _Act, mission: MissionRow) -> Erasure:
    _assert_over(turn, mission)
    # What the end of the mission has left of its history.
    entries.drop(turn, whose.of_mission(mission.id))
    below, records = turn.tx.frontier().size, turn.tx.erase(mission.id)
    keeping.drop(turn, mission.id)
    rows = _strip(turn, mission.id) + turn.vault.forget(mission.id)
    erasure = Erasure(mission=mission.id, records=records, rows=rows)
    if not (records or rows):
        return erasure
    body = {"what": "mission", "below": below, "records": records}
    written = _write(turn, act, mission.id, mission.user, body)
    return structs.replace(erasure, leaf=written.index)


def _record(turn: Turn, act: _Act, call: Redact) -> Erasure:
    if call.record >= turn.tx.frontier().size:
        raise NotFoundError(f"no record {call.record}")
    stored = next(turn.tx.leaves(call.record, call.record + 1))
    found = leaf.parse(stored.data)
    mission = turn.tx.get(MissionRow, found.chain)
    if mission is not None:
        _assert_over(turn, mission)
    elif found.chain != SYSTEM_CHAIN:
        raise NotFoundError(f"record {call.record} belongs to no mission that is known")
    _assert_fields(found, call.fields)
    sealed, gone = _without(turn, stored, found, call.fields)
    records = int(sealed != stored.sealed)
    if mission is not None:
        rows = _strip(turn, found.chain, _about(turn, found))
    else:
        rows = _strip_kill(turn, found)
    erasure = Erasure(record=call.record, records=records, rows=rows, fields=gone)
    if not (records or rows):
        return erasure
    turn.tx.reseal(stored.index, sealed)
    named = leaf.sealed_digest(sealed) if sealed else ""
    body = {"what": "record", "record": stored.index, "fields": list(gone), "sealed": named}
    user = mission.user if mission is not None else ""
    return structs.replace(erasure, leaf=_write(turn, act, found.chain, user, body).index)


def _without(
    turn: Turn, stored: StoredLeaf, found: Leaf, fields: Collection[str]
) -> tuple[bytes, tuple[str, ...]]:
    """Return the payload of a record without these fields (none: all), and which are gone then."""
    everything = tuple(sorted(found.commit))
    if not stored.sealed or not fields:
        return b"", everything
    before = opener(turn.core.keyring, turn.tx)(stored, leaf_hash(stored.data))
    left = {name: opening for name, opening in before.items() if name not in fields}
    gone = tuple(name for name in everything if name not in left)
    if not left or len(left) == len(before):
        return (stored.sealed if left else b""), gone
    at = seal.place(stored.chain, stored.seq)
    return turn.vault.sealer(stored.chain).seal(left, at, turn.vault.nonce()), gone


def _assert_over(turn: Turn, mission: MissionRow) -> None:
    if mission.status not in _OVER:
        raise RefusedError(
            f"the mission is {mission.status}: only one that is over can be erased from",
            code="mission_not_over",
            hint=f"close it first: bridle missions close {mission.id}",
        )
    running = any(
        attempt.mission == mission.id
        for state in (AttemptState.STARTED, AttemptState.UNKNOWN)
        for attempt in turn.tx.find(AttemptRow, state=state, limit=_EVERY)
    )
    waiting = any(
        turn.tx.count(HoldRow, mission=mission.id, status=status) for status in holds.OPEN
    )
    if running or waiting:
        what = "an attempt whose end is not known" if running else "a hold that waits for humans"
        raise RefusedError(
            f"the mission still has {what}",
            code="mission_open",
            hint="`bridle missions show` tells which; settle or answer it first",
        )


def _assert_fields(found: Leaf, fields: Collection[str]) -> None:
    if not found.commit:
        raise RefusedError("nothing is sealed beside this record", code="nothing_sealed")
    unknown = sorted(set(fields) - found.commit.keys())
    if unknown:
        raise RefusedError(
            f"this record has no field {clear.text_of(unknown[0])[:64]!r}",
            code="unknown_field",
            hint=f"it has: {', '.join(sorted(found.commit))}",
        )


def _about(turn: Turn, found: Leaf) -> _About:
    """What a record speaks of: its rows keep what the record keeps."""
    name = found.ids.get("action")
    rows = turn.tx.find(ActionRow, mission=found.chain, limit=_EVERY) if name else []
    actions = frozenset(row.id for row in rows if turn.pseudonym(row.id) == name)
    grant = found.body.get("grant") if found.kind is LeafKind.DELEGATION else ""
    plan = found.ids.get("plan", "") if found.kind is LeafKind.PLAN else ""
    named = grant if isinstance(grant, str) else ""
    return _About(actions, found.ids.get("exception", ""), named, plan)


def _strip(turn: Turn, mission: str, about: _About | None = None) -> int:
    """Have the rows of a mission (or about something in it) keep no value; return how many did."""
    kept = turn.tx.find(ActionRow, mission=mission, limit=_EVERY)
    asked = turn.tx.find(HoldRow, mission=mission, limit=_EVERY)
    excepted = turn.tx.find(ExceptionRow, mission=mission, limit=_EVERY)
    planned = turn.tx.find(PlanRow, mission=mission, limit=_EVERY)
    if about is not None:
        kept = [row for row in kept if row.id in about.actions]
        asked = [row for row in asked if row.action in about.actions]
        approvals = {row.id for row in asked}
        excepted = [r for r in excepted if r.approval in approvals or r.id == about.exception]
        planned = [row for row in planned if row.id == about.plan]
    changed = sum(_put(turn, row, _bare_action(row)) for row in kept)
    changed += sum(_put_hold(turn, row) for row in asked)
    changed += sum(_put(turn, row, structs.replace(row, sealed=b"")) for row in excepted)
    changed += sum(_put(turn, row, register.erased(turn, row)) for row in planned)
    return changed + sum(_strip_grant(turn, row) for row in _given(turn, mission, about))


def _given(turn: Turn, mission: str, about: _About | None) -> list[GrantRow]:
    """The grants of a mission, or the one that a record tells of."""
    if about is None:
        return turn.tx.find(GrantRow, mission=mission, limit=_EVERY)
    row = turn.tx.get(GrantRow, about.grant) if about.grant else None
    return [row] if row is not None and row.mission == mission else []


def _strip_grant(turn: Turn, row: GrantRow) -> bool:
    """Have a grant keep neither its predicates nor its task, nor this governor remember them."""
    turn.core.chains.forget(row.id)
    changed = False
    for session in turn.tx.find(SessionRow, mission=row.mission, limit=_EVERY):
        if session.grant == row.id and session.task:
            turn.tx.put(structs.replace(session, task=""))
            changed = True
    return _put(turn, row, structs.replace(row, sealed=b"", task="")) or changed


def _strip_kill(turn: Turn, found: Leaf) -> int:
    """Have the kill that this record tells of, if it is in force, keep no word of why."""
    if found.kind is not LeafKind.KILL:
        return 0
    row = turn.tx.get(KillRow, str(found.body.get("scope")))
    if row is None or row.time != found.time or not row.reason:
        return 0
    turn.tx.put(structs.replace(row, reason="", salt=""))
    return 1


def _put(turn: Turn, before: R, after: R) -> bool:
    if before == after:
        return False
    turn.tx.put(after)
    return True


def _bare_action(row: ActionRow) -> ActionRow:
    # A digest of what can be guessed says what it was to whoever holds the store's keys.
    return structs.replace(
        row,
        sealed=b"",
        salt="",
        requested="",
        judged="",
        reasons=_bare(row.reasons),
        last_error="",
    )


def _put_hold(turn: Turn, row: HoldRow) -> bool:
    bare = structs.replace(
        row,
        sealed=b"",
        digest="",
        bind="",
        reasons=_bare(row.reasons),
        votes=[
            {**vote, "reason": "", "digest": "" if quorum.counts(row, vote) else _OTHER}
            for vote in row.votes
        ],
        terms=None,
    )
    if bare == row:
        return False
    # `bind` is fixed for what may still be asked for; nothing is asked of a hold that is over.
    turn.tx.delete(HoldRow, row.id)
    turn.tx.put(bare)
    return True


def _bare(reasons: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{**reason, "text": ""} for reason in reasons]


def _write(turn: Turn, act: _Act, chain: str, user: str, body: dict[str, Any]) -> Written:
    # Whatever happens next, this governor or another one sees that it still has to scrub.
    turn.tx.put(structs.replace(turn.globals, unscrubbed=turn.tx.frontier().size))
    # INVARIANT: nothing is erased without a record of the same transaction, in the same chain.
    return turn.record(
        Entry(
            kind=LeafKind.REDACTION,
            chain=chain,
            ids={"by": act.by, "method": act.method, "level": turn.level, "user": user},
            body={**body, "basis": act.basis},
        )
    )
