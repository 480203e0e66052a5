"""What operators do: kill and resume, suspend identities, settle unknowns, look around."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from bridle.bundle.bundle import Bundle
from bridle.governor.action import outcomes
from bridle.governor.ground.core import Core
from bridle.governor.oversight import humans
from bridle.model.action import AttemptState
from bridle.model.calls import Agents, Attempts, Caller, IdentityVerb, Kill, Settle, Unkill
from bridle.model.errors import NotFoundError, RefusedError, UsageError
from bridle.model.identity import Status
from bridle.model.outcome import OutcomeKind
from bridle.model.record import SYSTEM_CHAIN, LeafKind
from bridle.store.base import Tx
from bridle.store.rows import AttemptRow, HoldRow, IdentityRow, KillRow, MissionRow

_SCOPES = ("all", "tool", "agent", "mission")
_VERBS = {"suspend": Status.SUSPENDED, "resume": Status.ACTIVE, "retire": Status.RETIRED}


def kill(core: Core, tx: Tx, caller: Caller, call: Kill) -> list[dict[str, Any]]:
    """Stop a scope. Returns the attempts already started in it: those are the only ones that may go on."""
    bundle = _bundle(core, tx)
    who = humans.operator(tx, bundle, caller, call.as_user)
    _check_scope(tx, bundle, call.scope, call.subject)
    key = f"{call.scope}:{call.subject}"
    now = core.clock.now()
    fresh = tx.get(KillRow, key) is None
    tx.put(
        KillRow(
            id=key, scope=call.scope, subject=call.subject, by=who, reason=call.reason, time=now
        )
    )
    state = core.globals(tx)
    kills = state.kills + 1 if fresh else state.kills
    # INVARIANT: I4 — the epoch moves in the kill's own transaction; every start committed later
    # reads it there, so nothing below it begins once this returns.
    tx.put(structs.replace(state, kills=kills, epoch=state.epoch + 1))
    _record(core, tx, caller, who, {"what": "kill", "scope": key}, call.reason)
    running = tx.find(AttemptRow, state=AttemptState.STARTED)
    return [structs.asdict(a) for a in running if _covers(call.scope, call.subject, a)]


def unkill(core: Core, tx: Tx, caller: Caller, call: Unkill) -> None:
    """Lift a kill: by another human than the one who pulled it, where there are two operators."""
    bundle = _bundle(core, tx)
    who = humans.operator(tx, bundle, caller, call.as_user)
    key = f"{call.scope}:{call.subject}"
    row = tx.get(KillRow, key)
    if row is None:
        raise NotFoundError(f"no kill on {key!r}", hint="`bridle kill list` shows those in force")
    if row.by == who and len(bundle.manifest.operators) > 1:
        raise RefusedError(
            f"{who!r} pulled this kill; another operator has to lift it",
            code="same_human",
            hint=f"operators are: {', '.join(bundle.manifest.operators)}",
        )
    tx.delete(KillRow, key)
    state = core.globals(tx)
    tx.put(structs.replace(state, kills=max(0, state.kills - 1), epoch=state.epoch + 1))
    _record(core, tx, caller, who, {"what": "resume", "scope": key})


def identity(core: Core, tx: Tx, caller: Caller, call: IdentityVerb) -> None:
    """Suspend, resume or retire a declared agent, user or workload. Retired is for good."""
    bundle = _bundle(core, tx)
    who = humans.operator(tx, bundle, caller, call.as_user)
    status = _VERBS.get(call.verb)
    if status is None:
        raise UsageError(f"unknown verb {call.verb!r}", hint="suspend, resume or retire")
    declared: dict[str, Any] = _declared(bundle, call.kind)
    if call.id not in declared:
        raise NotFoundError(f"no {call.kind} {call.id!r}", hint="`bridle agents list` shows them")
    if call.kind == "user" and status is not Status.ACTIVE:
        _still_someone(tx, bundle, call.id)
    row = tx.get(IdentityRow, f"{call.kind}:{call.id}")
    before = row.status if row else Status.ACTIVE
    if before == Status.RETIRED:
        raise RefusedError(f"{call.kind} {call.id!r} is retired", code="retired")
    now = core.clock.now()
    tx.put(
        IdentityRow(
            id=f"{call.kind}:{call.id}",
            kind=call.kind,
            name=call.id,
            status=status,
            changed=now,
            by=who,
        )
    )
    state = core.globals(tx)
    step = int(status is not Status.ACTIVE) - int(before != Status.ACTIVE)
    tx.put(structs.replace(state, suspended=state.suspended + step, epoch=state.epoch + 1))
    core.recorder.write(
        tx,
        LeafKind.IDENTITY,
        SYSTEM_CHAIN,
        now,
        ids={"by": who, "method": caller.method, "level": core.level},
        body={"what": call.verb, "kind": call.kind, "id": call.id},
    )


def identities(core: Core, tx: Tx, call: Agents) -> list[dict[str, Any]]:
    """Declared identities of a kind with their status."""
    bundle = _bundle(core, tx)
    rows: list[dict[str, Any]] = []
    for name, item in sorted(_declared(bundle, call.kind).items()):
        row = tx.get(IdentityRow, f"{call.kind}:{name}")
        rows.append({**structs.asdict(item), "status": row.status if row else Status.ACTIVE.value})
    return rows


def settle(core: Core, tx: Tx, caller: Caller, call: Settle) -> None:
    """A human says how an unknown attempt ended."""
    bundle = _bundle(core, tx)
    who = humans.operator(tx, bundle, caller, call.as_user)
    attempt = tx.get(AttemptRow, call.attempt)
    if attempt is None:
        raise NotFoundError(f"no attempt {call.attempt!r}")
    if attempt.state != AttemptState.UNKNOWN:
        raise RefusedError(f"this attempt is {attempt.state}, not unknown", code="attempt_state")
    if call.outcome.kind is OutcomeKind.UNKNOWN:
        raise UsageError("say ok, error or not_started")
    ids = {"by": who, "method": caller.method, "level": core.level}
    outcomes.settle_by_human(core, tx, attempt, call.outcome, ids)


def attempts(tx: Tx, call: Attempts) -> list[dict[str, Any]]:
    """Attempts in a state, oldest key first."""
    limit = max(1, min(call.limit, 1000))
    return [structs.asdict(a) for a in tx.find(AttemptRow, state=call.state, limit=limit)]


def overview(core: Core, tx: Tx) -> dict[str, Any]:
    """The governor's state in one row."""
    state = core.globals(tx)
    bundle = core.engine(tx, state.active).bundle
    return {
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
        "active": state.active,
        "durability": bundle.manifest.durability,
        "level": core.level,
        "epoch": state.epoch,
        "kills": [structs.asdict(k) for k in tx.find(KillRow)] if state.kills else [],
        "active_missions": tx.count(MissionRow, status="active"),
        "pending_holds": tx.count(HoldRow, status="pending"),
        "unknown_attempts": tx.count(AttemptRow, state=AttemptState.UNKNOWN),
        "running_attempts": tx.count(AttemptRow, state=AttemptState.STARTED),
        "leaves": tx.frontier().size,
    }


def _bundle(core: Core, tx: Tx) -> Bundle:
    return core.engine(tx, core.globals(tx).active).bundle


def _declared(bundle: Bundle, kind: str) -> dict[str, Any]:
    kinds: dict[str, dict[str, Any]] = {
        "agent": dict(bundle.agents),
        "user": dict(bundle.users),
        "workload": dict(bundle.workloads),
    }
    if kind not in kinds:
        raise UsageError(f"unknown kind {kind!r}", hint="agent, user or workload")
    return kinds[kind]


def _still_someone(tx: Tx, bundle: Bundle, leaving: str) -> None:
    """Refuse to suspend the last human who can lift it again."""
    humans_left = bundle.manifest.operators or tuple(bundle.users)
    for other in humans_left:
        row = tx.get(IdentityRow, f"user:{other}")
        if other != leaving and (row is None or row.status == Status.ACTIVE):
            return
    raise RefusedError(
        f"{leaving!r} is the last active operator; nobody could resume anything",
        code="last_operator",
        hint="name another operator in bridle.toml first",
    )


def _check_scope(tx: Tx, bundle: Bundle, scope: str, subject: str) -> None:
    if scope not in _SCOPES or bool(subject) == (scope == "all"):
        raise UsageError("scope is all, tool, agent or mission; all but `all` need a subject")
    known = {
        "all": True,
        "tool": subject in bundle.tools,
        "agent": subject in bundle.agents,
        "mission": tx.get(MissionRow, subject) is not None,
    }
    if not known[scope]:
        raise NotFoundError(f"no {scope} {subject!r}")


def _covers(scope: str, subject: str, attempt: AttemptRow) -> bool:
    by = {"tool": attempt.tool, "agent": attempt.agent, "mission": attempt.mission}
    return scope == "all" or by[scope] == subject


def _record(
    core: Core, tx: Tx, caller: Caller, who: str, body: dict[str, Any], reason: str = ""
) -> None:
    core.recorder.write(
        tx,
        LeafKind.KILL,
        SYSTEM_CHAIN,
        core.clock.now(),
        ids={"by": who, "method": caller.method, "level": core.level},
        body=body,
        fields={"reason": reason},
    )
