"""What operators do: kill and resume, suspend identities, settle unknowns."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, structs

from bridle.bundle.bundle import Bundle
from bridle.governor.action import outcomes
from bridle.governor.approval import ending
from bridle.governor.ground import clear
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.oversight import humans, showing
from bridle.governor.revocation import halting
from bridle.model.action import AttemptState
from bridle.model.calls import Caller, IdentityVerb, Kill, Settle, Unkill
from bridle.model.errors import NotFoundError, RefusedError, UsageError
from bridle.model.identity import Status
from bridle.model.outcome import OutcomeKind
from bridle.model.record import SYSTEM_CHAIN, LeafKind
from bridle.store.rows import AttemptRow, GrantRow, IdentityRow, KillRow, MissionRow

_LONGEST_REASON = 2_000
_SCOPES = ("all", "tool", "agent", "mission", "grant")
_VERBS = {"suspend": Status.SUSPENDED, "resume": Status.ACTIVE, "retire": Status.RETIRED}


class Act(Struct, frozen=True):
    """One operator's act, for its record."""

    kind: LeafKind
    by: str
    method: str
    body: dict[str, Any]
    reason: str = ""


def kill(turn: Turn, caller: Caller, call: Kill) -> list[dict[str, Any]]:
    """Stop a scope. Returns the attempts already started in it: only those may go on."""
    who = humans.operator(turn, caller, call.as_user, lowers=True)
    _check_scope(turn, call.scope, call.subject)
    key = f"{call.scope}:{call.subject}"
    before = turn.tx.get(KillRow, key)
    row = KillRow(
        id=key,
        scope=call.scope,
        subject=call.subject,
        # A kill that is in force stays that of the human who pulled it first.
        by=before.by if before is not None else who,
        reason=clear.text_of(call.reason[:_LONGEST_REASON]),
        time=turn.now,
        # No digest of this row shall confirm a guess of the reason once that is erased.
        salt=turn.vault.nonce().hex() if call.reason else "",
    )
    turn.tx.put(row)
    _count(turn, kills=int(before is None))
    ending.by_kill(turn, row)
    body = {"what": "kill", "scope": key}
    _record(turn, Act(LeafKind.KILL, who, caller.method, body, call.reason))
    return [structs.asdict(a) for a in showing.running(turn) if halting.covers(turn, row, a)]


def unkill(turn: Turn, caller: Caller, call: Unkill) -> None:
    """Lift a kill: by another human than the one who pulled it, where there are two operators."""
    who = humans.operator(turn, caller, call.as_user)
    key = f"{call.scope}:{call.subject}"
    row = turn.tx.get(KillRow, key)
    if row is None:
        raise NotFoundError(f"no kill on {key!r}", hint="`bridle kill list` shows those in force")
    named = turn.bundle.manifest.operators
    if row.by == who and len(named) > 1:
        raise RefusedError(
            f"{who!r} pulled this kill; another operator has to lift it",
            code="same_human",
            hint=f"operators are: {', '.join(named)}",
        )
    turn.tx.delete(KillRow, key)
    _count(turn, kills=-1)
    _record(turn, Act(LeafKind.KILL, who, caller.method, {"what": "resume", "scope": key}))


def _count(turn: Turn, *, kills: int = 0, suspended: int = 0) -> None:
    """Keep the counts that every decision reads, and move the epoch on."""
    # INVARIANT: I4 — the epoch moves in the act's own transaction; every start committed later
    # reads it there, so nothing that was stopped begins once this has returned.
    state = turn.globals
    turn.tx.put(
        structs.replace(
            state,
            kills=state.kills + kills,
            suspended=state.suspended + suspended,
            epoch=state.epoch + 1,
        )
    )


def identity(turn: Turn, caller: Caller, call: IdentityVerb) -> None:
    """Suspend, resume or retire a declared agent, user or workload. Retired is for good."""
    # Suspending can be undone; retiring is for good.
    who = humans.operator(turn, caller, call.as_user, lowers=call.verb == "suspend")
    status = _VERBS.get(call.verb)
    if status is None:
        raise UsageError(f"unknown verb {call.verb!r}", hint="suspend, resume or retire")
    if call.id not in showing.declared(turn.bundle, call.kind):
        raise NotFoundError(f"no {call.kind} {call.id!r}", hint="`bridle agents list` shows them")
    if call.kind == "user" and status is not Status.ACTIVE:
        _still_someone(turn, turn.bundle, call.id)
    before = turn.status(call.kind, call.id)
    if before is Status.RETIRED:
        raise RefusedError(f"{call.kind} {call.id!r} is retired", code="retired")
    turn.tx.put(
        IdentityRow(
            id=f"{call.kind}:{call.id}",
            kind=call.kind,
            name=call.id,
            status=status,
            changed=turn.now,
            by=who,
        )
    )
    step = int(status is not Status.ACTIVE) - int(before is not Status.ACTIVE)
    _count(turn, suspended=step)
    if status is Status.RETIRED:
        ending.by_retirement(turn, call.kind, call.id)
    body = {"what": call.verb, "kind": call.kind, "id": call.id}
    _record(turn, Act(LeafKind.IDENTITY, who, caller.method, body))


def settle(turn: Turn, caller: Caller, call: Settle) -> None:
    """A human says how an unknown attempt ended."""
    who = humans.operator(turn, caller, call.as_user)
    attempt = turn.tx.get(AttemptRow, call.attempt)
    if attempt is None:
        raise NotFoundError(f"no attempt {call.attempt!r}")
    if attempt.state != AttemptState.UNKNOWN:
        raise RefusedError(f"this attempt is {attempt.state}, not unknown", code="attempt_state")
    if call.outcome.kind is OutcomeKind.UNKNOWN:
        raise UsageError("say ok, error or not_started")
    ids = {"by": who, "method": caller.method, "level": turn.level}
    outcomes.settle_by_human(turn, attempt, call.outcome, ids)


def _still_someone(turn: Turn, bundle: Bundle, leaving: str) -> None:
    """Refuse to suspend the last human who can lift it again."""
    for other in bundle.manifest.operators or tuple(bundle.users):
        if other != leaving and turn.status("user", other) is Status.ACTIVE:
            return
    raise RefusedError(
        f"{leaving!r} is the last active operator; nobody could resume anything",
        code="last_operator",
        hint="name another operator in bridle.toml first",
    )


def _check_scope(turn: Turn, scope: str, subject: str) -> None:
    if scope not in _SCOPES or bool(subject) == (scope == "all"):
        raise UsageError(f"scope is one of {', '.join(_SCOPES)}; all but `all` need a subject")
    bundle = turn.bundle
    known = {
        "all": True,
        "tool": subject in bundle.tools,
        "agent": subject in bundle.agents,
        "mission": scope == "mission" and turn.tx.get(MissionRow, subject) is not None,
        "grant": scope == "grant" and turn.tx.get(GrantRow, subject) is not None,
    }
    if not known[scope]:
        raise NotFoundError(f"no {scope} {subject!r}")


def _record(turn: Turn, act: Act) -> None:
    turn.record(
        Entry(
            kind=act.kind,
            chain=SYSTEM_CHAIN,
            ids={"by": act.by, "method": act.method, "level": turn.level},
            body=act.body,
            fields={"reason": act.reason},
        )
    )
