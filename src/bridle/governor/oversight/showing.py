"""What humans and agents are shown: missions, identities, holds, attempts, tools, the whole."""

from __future__ import annotations

from functools import partial
from typing import Any

from msgspec import structs

from bridle.bundle.bundle import Bundle
from bridle.governor.action import holds
from bridle.governor.action.standing import Standing
from bridle.governor.approval import cards, exceptions, quorum
from bridle.governor.credentials import showing as leases_shown
from bridle.governor.delegation import offering
from bridle.governor.ground.turn import Turn
from bridle.governor.identity import identities as identity_keys
from bridle.governor.identity import registrations
from bridle.governor.oversight import missions, spending
from bridle.governor.provenance import seeing
from bridle.governor.publishing import signed_log
from bridle.model.action import AttemptState
from bridle.model.calls import Agents, Approvals, Attempts, Exceptions, Missions
from bridle.model.credential import ExchangeCredential, SealedCredential, Use
from bridle.model.errors import NotFoundError, UsageError
from bridle.model.mission import MissionStatus
from bridle.model.performing import Egress
from bridle.model.tool import System, Tool
from bridle.store.rows import (
    AttemptRow,
    ExceptionRow,
    HistoryRow,
    HoldRow,
    KillRow,
    MissionRow,
    PartitionRow,
    RevokedRow,
    SessionRow,
)

_EVERY = 1_000_000
_LATEST = 2**53


def missions_of(turn: Turn, call: Missions) -> list[dict[str, Any]]:
    """All missions, newest first, or one with what it spent and what is open in it."""
    if not call.mission:
        below = ("started", min(call.before, _LATEST)) if call.before else None
        limit = _limit(call.limit)
        rows = turn.tx.find(MissionRow, newest="started", limit=limit, below=below)
        return [_mission(turn, row) for row in rows]
    mission = missions.get(turn, call.mission)
    sessions = turn.tx.find(SessionRow, mission=mission.id)
    return [
        {
            **_mission(turn, mission),
            "budgets": spending.of_mission(turn, mission),
            "sessions": [_session(each) for each in sessions],
            "started_attempts": [
                structs.asdict(a) for a in running(turn) if a.mission == mission.id
            ],
            "pending_holds": turn.tx.count(HoldRow, mission=mission.id, status=holds.PENDING),
        }
    ]


def _mission(turn: Turn, row: MissionRow) -> dict[str, Any]:
    """Return a mission with what policies see of all that it has read."""
    shown = structs.asdict(row)
    for name in ("labelled", "vouched", "imprinted", "missed", "registration"):
        del shown[name]
    run = registrations.of_mission(turn, row)
    if run is not None:
        shown |= {"pipeline": run.pipeline, "definition": run.digest}
    return shown | {"labels": seeing.labels(turn.bundle, row), "untrusted": not row.vouched}


def _session(row: SessionRow) -> dict[str, Any]:
    shown = ("agent", "executor", "opened", "closed", "jailed")
    return {name: getattr(row, name) for name in shown}


def running(turn: Turn) -> list[AttemptRow]:
    """Every attempt that has started and not ended."""
    return turn.tx.find(AttemptRow, state=AttemptState.STARTED, limit=_EVERY)


def identities(turn: Turn, call: Agents) -> list[dict[str, Any]]:
    """Declared identities of a kind (or one) with their status and what they have spent."""
    known = declared(turn.bundle, call.kind)
    if call.id:
        if call.id not in known:
            hint = f"`bridle agents list --kind {call.kind}` shows them"
            raise NotFoundError(f"no {call.kind} {call.id!r}", hint=hint)
        known = {call.id: known[call.id]}
    spent = spending.of_identities(turn, known.values()) if call.kind != "workload" else {}
    rows = [
        {**structs.asdict(item), **_standing(turn, call.kind, name)}
        for name, item in sorted(known.items())
    ]
    return [
        {**row, "budgets": spent.get(row["id"], [])} if "budgets" in row else row for row in rows
    ]


def _standing(turn: Turn, kind: str, name: str) -> dict[str, Any]:
    """How an identity stands: status, revocation, every key it has or had."""
    ended = turn.tx.get(RevokedRow, f"{kind}:{name}")
    return {
        "status": turn.status(kind, name).value,
        "revoked": ended.time if ended is not None else 0,
        "epoch": ended.epoch if ended is not None else 0,
        "keys": [structs.asdict(key) for key in identity_keys.keys_of(turn, kind, name)],
    }


def declared(bundle: Bundle, kind: str) -> dict[str, Any]:
    """The identities of a kind that the bundle declares."""
    kinds: dict[str, dict[str, Any]] = {
        "agent": dict(bundle.agents),
        "user": dict(bundle.users),
        "workload": dict(bundle.workloads),
    }
    if kind not in kinds:
        raise UsageError(f"unknown kind {kind!r}", hint="agent, user or workload")
    return kinds[kind]


def approvals(turn: Turn, call: Approvals) -> list[dict[str, Any]]:
    """Holds, oldest first; one asked for by id comes with its arguments (or withheld result)."""
    if call.approval:
        return [_one_hold(turn, call.approval)]
    search = partial(turn.tx.find, HoldRow, newest="expires", limit=_limit(call.limit))
    rows = search() if call.all else search(status=holds.PENDING)
    return [_hold(turn, row) for row in sorted(rows, key=lambda r: (r.created, r.id))]


def hold(turn: Turn, approval: str) -> HoldRow:
    """Return a hold or say that there is none."""
    row = turn.tx.get(HoldRow, approval)
    if row is None:
        hint = "`bridle approvals` lists what is pending"
        raise NotFoundError(f"no hold {approval!r}", hint=hint)
    return row


def _one_hold(turn: Turn, approval: str) -> dict[str, Any]:
    row = hold(turn, approval)
    kept = turn.unseal(row.mission, row.action, row.sealed)
    shown = {**_hold(turn, row), "args": kept.args, "requested": kept.requested}
    return {**shown, "output": kept.output} if row.subject == holds.RESULT else shown


def _hold(turn: Turn, row: HoldRow) -> dict[str, Any]:
    shown = structs.asdict(row)
    del shown["sealed"], shown["bind"], shown["shape"]
    # Whose vote is for what the hold is about now; an earlier one was for something else.
    votes = [{**vote, "counts": quorum.counts(row, vote)} for vote in row.votes]
    card = cards.name(turn, row)
    return {**shown, "status": status_of(turn, row), "votes": votes, "card": card}


def status_of(turn: Turn, row: HoldRow) -> str:
    """How a hold stands at this moment, whether or not anyone has settled it yet."""
    if row.status not in holds.OPEN:
        return row.status
    if row.expires <= turn.now:
        return holds.EXPIRED
    return holds.VOID if holds.void_reason(turn, row) is not None else row.status


def excepted(turn: Turn, call: Exceptions) -> list[dict[str, Any]]:
    """Exceptions, newest first, each with what it says of the arguments."""
    where: dict[str, Any] = {"mission": call.mission} if call.mission else {}
    if not call.all:
        where["status"] = exceptions.ACTIVE
    limit = _limit(call.limit)
    rows = turn.tx.find(ExceptionRow, newest="created", limit=limit, **where)
    return [_exception(turn, row) for row in rows]


def _exception(turn: Turn, row: ExceptionRow) -> dict[str, Any]:
    shown = structs.asdict(row)
    del shown["sealed"]
    said = exceptions.predicate_of(turn, row)
    return {**shown, "args": said.args, "free": said.free, "most": said.most}


def attempts(turn: Turn, call: Attempts) -> list[dict[str, Any]]:
    """Attempts in a state, the one whose lease ends last first."""
    limit = _limit(call.limit)
    rows = turn.tx.find(AttemptRow, state=call.state, newest="lease", limit=limit)
    return [structs.asdict(row) for row in rows]


def overview(turn: Turn) -> dict[str, Any]:
    """The governor's state in one row."""
    state, bundle = turn.globals, turn.bundle
    return {
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
        "active": state.active,
        "durability": bundle.manifest.durability,
        "level": turn.level,
        "epoch": state.epoch,
        "kills": [_kill(row) for row in turn.tx.find(KillRow)] if state.kills else [],
        "active_missions": turn.tx.count(MissionRow, status=MissionStatus.ACTIVE),
        "pending_holds": turn.tx.count(HoldRow, status=holds.PENDING),
        "unknown_attempts": turn.tx.count(AttemptRow, state=AttemptState.UNKNOWN),
        "running_attempts": turn.tx.count(AttemptRow, state=AttemptState.STARTED),
        **leases_shown.counts(turn),
        "leaves": turn.tx.frontier().size,
        "scrubbed": not state.unscrubbed,
        "history": [_scope(turn, row) for row in turn.tx.find(HistoryRow)],
        **signed_log.overview(turn.tx),
    }


def _scope(turn: Turn, row: HistoryRow) -> dict[str, Any]:
    partitions = turn.tx.find(PartitionRow, scope=row.scope, limit=_EVERY)
    complete = max([row.complete, *(each.complete for each in partitions)])
    horizon = turn.engine.programs[row.scope].horizon_ms
    until = complete + horizon if complete else 0
    return {
        "scope": row.scope,
        "since": row.since,
        "complete": complete,
        "answerable": until if until > turn.now else 0,
        "partitions": len(partitions),
        "events": sum(each.seq + 1 - each.first for each in partitions),
    }


def _kill(row: KillRow) -> dict[str, Any]:
    shown = structs.asdict(row)
    del shown["salt"]
    return shown


def tools(at: Standing) -> list[dict[str, Any]]:
    """The tools that a session can ever use, by mission and grants, as an agent sees them."""
    return [
        {
            "name": tool.name,
            "description": tool.description,
            "effect": tool.effect.value,
            "system": tool.system,
            "protocol": at.bundle.systems[tool.system].protocol,
            "wire": tool.wire or tool.name,
            "pin": tool.pin,
            "input": tool.input,
            # INVARIANT: I2 — what is streamed is read before it is on record that it was.
            "release_rules": at.engine.has_release_rules(tool.name) or at.engine.heeds,
            "performed": tool.performed is not None,
            "egress": _egress(tool, at.bundle.systems[tool.system]),
            "timeout_ms": tool.timeout_ms,
            "meta": _meta(at.bundle.systems[tool.system]),
        }
        for tool in offering.within_reach(at)
    ]


def _egress(tool: Tool, system: System) -> dict[str, Any]:
    """Return where the tool's requests may go; empty where they are not the agent's to write."""
    if not isinstance(tool.performed, Egress):
        return {}
    return {"methods": tool.performed.methods, "hosts": system.hosts, "url": system.url}


def _meta(system: System) -> str:
    """Return the key of `_meta` that a call's credential goes into; empty where it needs none."""
    declared = system.credential
    if not isinstance(declared, SealedCredential | ExchangeCredential):
        return ""
    return declared.meta if declared.use is Use.MCP else ""


def _limit(asked: int) -> int:
    return max(1, min(asked, 1000))
