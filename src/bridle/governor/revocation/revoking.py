"""Takes trust back: who may, the row that does it, and what had started before.

One row and a new epoch, in one transaction. Every start reads the epoch in its own, and the one
writer puts the two in order: so what starts after that commit sees it, and what started before
stands on the list that is answered.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct, structs

from bridle.governor.action.standing import find
from bridle.governor.approval import ending
from bridle.governor.credentials import showing as credentials
from bridle.governor.delegation import lineage
from bridle.governor.ground import clear
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.identity import identities
from bridle.governor.oversight import humans
from bridle.governor.revocation import revocations
from bridle.governor.revocation.revocations import AGENT, GRANT, KEY, KINDS, MISSION, USER
from bridle.model import public_key
from bridle.model.action import AttemptState
from bridle.model.calls import Caller, Fenced, Revoke, RevokeGrant
from bridle.model.errors import NotFoundError, RefusedError, UsageError
from bridle.model.mission import MissionStatus
from bridle.model.reason import Reason
from bridle.model.record import SYSTEM_CHAIN, LeafKind
from bridle.store.rows import (
    AttemptRow,
    GrantRow,
    MissionRow,
    RevokedRow,
    SessionRow,
)

_LONGEST_REASON = 2_000
_DIGEST = re.compile(r"[0-9a-f]{64}")
# What may still take effect: nobody knows of an `unknown` attempt that its effect is over.
_OPEN = (AttemptState.STARTED, AttemptState.UNKNOWN)
_OVER = (MissionStatus.CLOSED, MissionStatus.EXPIRED)
_EVERY = 1_000_000
# How much of what ends is shown.
_SHOWN = 1_000


class _Act(Struct, frozen=True):
    """Who takes back what, for the record."""

    kind: str
    subject: str
    by: str
    method: str
    reason: str
    mission: str = ""


def revoke(turn: Turn, caller: Caller, call: Revoke) -> Fenced:
    """Revoke what the call names, or with `preview` only say what that would end.

    Raises `RefusedError` for who may not, `NotFoundError`, `UsageError`.
    """
    subject = _subject(turn, call.kind, call.subject)
    mission = _mission_of(turn, call.kind, subject)
    # Who only looks, over the operator's connection, need not say who they are.
    named = bool(call.as_user or caller.user or not call.preview)
    who = _who(turn, caller, call, subject) if named else ""
    if call.kind == KEY:
        _require_someone(turn, subject)
    act = _Act(call.kind, subject, who, caller.method, call.reason, mission)
    if call.preview:
        row = _row(turn, act, turn.globals.epoch)
        return Fenced(
            epoch=row.epoch,
            running=_running(turn, row),
            stopped=[*stopped(turn, row), *credentials.stopped(turn, row)],
        )
    return _revoke(turn, act)


def end_mission(turn: Turn, mission: str, by: str, method: str) -> None:
    """Revoke a mission that has lost its ground, so that those who verify offline learn of it."""
    _revoke(turn, _Act(MISSION, mission, by, method, "", mission))


def revoke_grant(turn: Turn, caller: Caller, call: RevokeGrant) -> Fenced:
    """Revoke a grant for a session that it comes from, or whose own it is.

    Raises `RefusedError` (`no_session`, `not_yours`).
    """
    at = find(turn, call.session)
    if isinstance(at, Reason):
        raise RefusedError(at.text, code=at.code)
    own = at.session.grant
    # INVARIANT: I5 — a holder takes back what came from its own key, and nothing beside or above
    # it. Whether a grant is known at all is no business of anybody else's.
    if not own or own not in {row.id for row in lineage.chain(turn, call.grant)}:
        raise RefusedError(
            "this session has not given that grant, and nothing that it comes from",
            code="not_yours",
            hint="an operator, or the user of the mission, revokes it: `bridle revoke grant`",
        )
    by = f"agent:{at.session.agent}"
    return _revoke(turn, _Act(GRANT, call.grant, by, caller.method, call.reason, at.mission.id))


def stopped(turn: Turn, row: RevokedRow) -> list[dict[str, Any]]:
    """Return grants and sessions without one that a revocation ends, for humans to see.

    Nothing depends on this list: at most 1,000 are named, of missions that are not over.
    """
    known = _mission_of(turn, row.kind, row.subject)
    missions = (known,) if known else _running_missions(turn)
    found: list[dict[str, Any]] = []
    for mission in missions:
        found += _grants_of(turn, row, mission) + _sessions_of(turn, row, mission)
        if len(found) >= _SHOWN:
            break
    return found[:_SHOWN]


def ended(turn: Turn, call: Revoke) -> list[dict[str, Any]]:
    """Return the same of a revocation that was committed."""
    row = turn.tx.get(RevokedRow, f"{call.kind}:{_subject(turn, call.kind, call.subject)}")
    return stopped(turn, row) if row is not None else []


def _revoke(turn: Turn, act: _Act) -> Fenced:
    before = turn.tx.get(RevokedRow, f"{act.kind}:{act.subject}")
    if before is not None and act.kind not in (AGENT, USER):
        # It cannot be more revoked than it is; who asks again learns what is still running.
        stops = credentials.stopped(turn, before)
        return Fenced(epoch=turn.globals.epoch, running=_running(turn, before), stopped=stops)
    # INVARIANT: I4 — row and epoch are one commit; starts read both in theirs.
    state = turn.globals
    epoch = state.epoch + 1
    row = _row(turn, act, epoch)
    turn.tx.put(row)
    turn.tx.put(structs.replace(state, epoch=epoch, revoked=state.revoked + 1))
    ending.by_revocation(turn, row, act.mission)
    running = _running(turn, row)
    _record(turn, act, epoch, len(running))
    return Fenced(epoch=epoch, running=running, stopped=credentials.stopped(turn, row))


def _row(turn: Turn, act: _Act, epoch: int) -> RevokedRow:
    return RevokedRow(
        id=f"{act.kind}:{act.subject}",
        kind=act.kind,
        subject=act.subject,
        time=turn.now,
        epoch=epoch,
        by=act.by,
    )


def _running(turn: Turn, row: RevokedRow) -> list[dict[str, Any]]:
    """Every attempt below that may still take effect."""
    # INVARIANT: I4 — one that starts later reads the new epoch, and so does not.
    return [
        structs.asdict(attempt)
        for state in _OPEN
        for attempt in turn.tx.find(AttemptRow, state=state, limit=_EVERY)
        if revocations.covers(turn, row, attempt)
    ]


# --- what is meant, and who may ------------------------------------------------------------------


def _subject(turn: Turn, kind: str, subject: str) -> str:
    """Return the one name of what is to be revoked, or say that there is no such thing."""
    if kind not in KINDS:
        raise UsageError(f"unknown kind {kind[:32]!r}", hint=", ".join(KINDS))
    if kind == KEY:
        return _fingerprint(subject)
    known = {
        GRANT: lambda: turn.tx.get(GrantRow, subject) is not None,
        MISSION: lambda: turn.tx.get(MissionRow, subject) is not None,
        AGENT: lambda: subject in turn.bundle.agents,
        USER: lambda: subject in turn.bundle.users,
    }
    if not known[kind]():
        raise NotFoundError(f"no {kind} {subject[:128]!r}")
    return subject


def _fingerprint(subject: str) -> str:
    """Any key can be revoked, also one that nobody here has seen yet."""
    if subject.startswith(public_key.PREFIX):
        return public_key.fingerprint(subject)
    if not _DIGEST.fullmatch(subject):
        raise UsageError("a key is named by its fingerprint: 64 hexadecimal digits")
    return subject


def _mission_of(turn: Turn, kind: str, subject: str) -> str:
    if kind == MISSION:
        return subject
    row = turn.tx.get(GrantRow, subject) if kind == GRANT else None
    return row.mission if row is not None else ""


def _who(turn: Turn, caller: Caller, call: Revoke, subject: str) -> str:
    """Return who does this, if they may: an operator, or whom it belongs to.

    Taking authority away gives none, so nobody needs a key for it.
    """
    owner = _owner(turn, call.kind, subject)
    who = call.as_user or caller.user
    allowed = humans.name if owner and who == owner else humans.operator
    return allowed(turn, caller, call.as_user, lowers=True)


def _require_someone(turn: Turn, fingerprint: str) -> None:
    """Refuse to lock all humans out for good: this needs no key, and is never undone."""
    owner = identities.owner_of(turn, fingerprint)
    if owner is None or owner[0] != identities.USER:
        return
    if identities.leaves_an_operator(turn, fingerprint):
        return
    raise RefusedError(
        "this is the only key of the last operator: nobody could resume or activate anything",
        code="last_operator",
        hint="rotate it first, with the key itself: `bridle keys rotate user … --overlap 0s`",
    )


def _owner(turn: Turn, kind: str, subject: str) -> str:
    """The user to whom something belongs, empty where that is nobody."""
    mission = turn.tx.get(MissionRow, _mission_of(turn, kind, subject))
    if mission is not None:
        return mission.user
    if kind == USER:
        return subject
    if kind == AGENT:
        return turn.bundle.agents[subject].owner
    return _owner_of_key(turn, subject)


def _owner_of_key(turn: Turn, fingerprint: str) -> str:
    kind, name = identities.owner_of(turn, fingerprint) or ("", "")
    if kind == identities.USER:
        return name
    agent = turn.bundle.agents.get(name) if kind == identities.AGENT else None
    return agent.owner if agent is not None else ""


# --- what it ends, for humans --------------------------------------------------------------------


def _running_missions(turn: Turn) -> tuple[str, ...]:
    found = [
        row
        for status in (MissionStatus.ACTIVE, MissionStatus.SUSPENDED)
        for row in turn.tx.find(MissionRow, status=status, limit=_SHOWN, newest="started")
    ]
    return tuple(row.id for row in found)


def _grants_of(turn: Turn, row: RevokedRow, mission: str) -> list[dict[str, Any]]:
    rows = turn.tx.find(GrantRow, mission=mission, limit=_SHOWN, newest="expires")
    rows = [each for each in rows if each.state != "ended" and each.expires > turn.now]
    shown: list[dict[str, Any]] = []
    for each in sorted(rows, key=lambda one: (one.depth, one.issued, one.id)):
        party = lineage.of_grant(turn, each.id)
        if party is not None and revocations.covers_party(turn, row, party):
            shown.append(_shown(GRANT, each.id, each.agent, mission, each.line))
    return shown


def _sessions_of(turn: Turn, row: RevokedRow, mission: str) -> list[dict[str, Any]]:
    whose = turn.tx.get(MissionRow, mission)
    if whose is None:
        return []
    return [
        _shown("session", each.id[:16], each.agent, mission, each.line)
        for each in turn.tx.find(SessionRow, mission=mission, limit=_SHOWN)
        if not each.grant
        and not each.closed
        and revocations.covers_party(turn, row, lineage.of_session(each, whose))
    ]


def _shown(kind: str, name: str, agent: str, mission: str, line: str) -> dict[str, Any]:
    return {"kind": kind, "id": name, "agent": agent, "mission": mission, "line": line}


def _record(turn: Turn, act: _Act, epoch: int, running: int) -> None:
    turn.record(
        Entry(
            kind=LeafKind.REVOCATION,
            chain=SYSTEM_CHAIN,
            ids={"by": act.by, "method": act.method, "level": turn.level},
            body={
                "what": "revoke",
                "kind": act.kind,
                "subject": act.subject,
                **({"mission": act.mission} if act.mission else {}),
                "epoch": epoch,
                "running": running,
            },
            fields={"reason": clear.text_of(act.reason[:_LONGEST_REASON])},
        )
    )
