"""Definitions of pipelines: registered by their author with their own key, withdrawn, listed.

Each is an act on record. Which of them count is said by `identity.registrations`.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import structs

from bridle.bundle.bundle import Bundle
from bridle.governor.ground.records import Entry
from bridle.governor.ground.turn import Turn
from bridle.governor.identity import identities, registrations
from bridle.governor.identity.identities import USER
from bridle.governor.oversight import humans
from bridle.governor.revocation import revoking
from bridle.model.calls import Caller, Pipelines, PipelineVerb
from bridle.model.errors import NotFoundError, RefusedError, UsageError
from bridle.model.mission import MissionStatus
from bridle.model.record import SYSTEM_CHAIN, LeafKind
from bridle.store.rows import MissionRow, RegistrationRow

MOST = 64
"""Definitions of one pipeline that count at a time."""

_OVER = (MissionStatus.CLOSED, MissionStatus.EXPIRED)
_DIGEST = re.compile(r"[0-9a-f]{64}")


def change(turn: Turn, caller: Caller, call: PipelineVerb) -> list[dict[str, Any]]:
    """Register or withdraw a definition; return all of its pipeline's. Raises `RefusedError`."""
    if call.verb not in ("register", "withdraw"):
        raise UsageError(f"unknown verb {call.verb!r}", hint="register or withdraw")
    require_digest(call.digest)
    if call.verb == "register":
        _register(turn, caller, call)
    else:
        _withdraw(turn, caller, call)
    return listed(turn, Pipelines(pipeline=call.pipeline))


def listed(turn: Turn, call: Pipelines) -> list[dict[str, Any]]:
    """Return registrations, by pipeline, newest first, each with whether it counts now."""
    if call.pipeline:
        rows = registrations.of_pipeline(turn, call.pipeline)
    else:
        found = turn.tx.find(RegistrationRow, limit=registrations.EVERY)
        rows = sorted(found, key=lambda row: (row.pipeline, -row.since, row.id))
    return [{**structs.asdict(row), "counts": registrations.counts(turn, row)} for row in rows]


def require_digest(digest: str) -> None:
    """Refuse what is no digest of a definition. Raises `UsageError`."""
    if not _DIGEST.fullmatch(digest):
        raise UsageError(
            "a definition is named by its SHA-256, 64 hexadecimal digits",
            code="definition_malformed",
            hint="`bridle pipelines digest FILE...` computes it",
        )


def settle(turn: Turn, before: Bundle | None, bundle: Bundle, by: str, method: str) -> None:
    """End registrations that another bundle takes the ground from, as it comes into force.

    Those of a pipeline that it no longer declares, or gives another author. And those of an author
    whom it gives another key, as is done when the old one is in other hands.
    """
    for row in turn.tx.find(RegistrationRow, limit=registrations.EVERY):
        if not row.ended and _groundless(row, before, bundle):
            _end(turn, row, by, method)


def _groundless(row: RegistrationRow, before: Bundle | None, bundle: Bundle) -> bool:
    known = registrations.pipeline(bundle, row.pipeline)
    if known is None or known.author != row.author:
        return True
    new = identities.declared(bundle, USER, row.author)
    old = identities.declared(before, USER, row.author) if before is not None else ""
    return new not in (old, row.key)


def _register(turn: Turn, caller: Caller, call: PipelineVerb) -> None:
    known = registrations.pipeline(turn.bundle, call.pipeline)
    if known is None:
        raise NotFoundError(
            f"no pipeline {call.pipeline[:128]!r}", hint="`[pipelines.ID]` in agents.toml"
        )
    # INVARIANT: I9 — the author says so, with a key that nobody else has: no agent, no workload
    # and no other human makes a definition theirs.
    if not caller.operator or caller.user != known.author or not caller.key:
        raise RefusedError(
            f"only {known.author!r} registers what {known.id!r} decides as them, and proves it",
            code="key_needed",
            hint=f"bridle pipelines register {known.id} … --as {known.author}",
            about=humans.needed(turn, known.author),
        )
    who = humans.name(turn, caller, call.as_user or known.author)
    counting = [r for r in registrations.of_pipeline(turn, known.id) if not r.ended]
    if registrations.in_force(turn, known.id, call.digest) is not None:
        return
    if len(counting) >= MOST:
        raise RefusedError(
            f"{known.id!r} has {len(counting)} definitions registered",
            code="too_many_definitions",
            hint="withdraw those that are not run any more: `bridle pipelines withdraw`",
        )
    row = RegistrationRow(
        id=turn.id("reg"),
        pipeline=known.id,
        digest=call.digest,
        author=who,
        key=caller.key,
        method=caller.method,
        since=turn.now,
        epoch=turn.globals.epoch,
    )
    turn.tx.put(row)
    _record(turn, "register", row, who, caller.method)


def _withdraw(turn: Turn, caller: Caller, call: PipelineVerb) -> None:
    rows = registrations.of_pipeline(turn, call.pipeline)
    row = next((r for r in rows if r.digest == call.digest and not r.ended), None)
    if row is None:
        raise NotFoundError(
            "this definition is not registered", hint="`bridle pipelines list` shows those that are"
        )
    # It only takes authority away: whoever may stop a mission needs no key to stop its definition.
    mine = row.author == (call.as_user or caller.user)
    allowed = humans.name if mine else humans.operator
    _end(turn, row, allowed(turn, caller, call.as_user, lowers=True), caller.method)


def _end(turn: Turn, row: RegistrationRow, by: str, method: str) -> None:
    turn.tx.put(structs.replace(row, ended=turn.now, ended_by=by))
    # INVARIANT: I4 — what takes authority away moves the epoch on, in its own transaction.
    state = turn.globals
    turn.tx.put(structs.replace(state, epoch=state.epoch + 1))
    _record(turn, "withdraw", row, by, method)
    for mission in turn.tx.find(MissionRow, limit=registrations.EVERY):
        if mission.registration == row.id and mission.status not in _OVER:
            revoking.end_mission(turn, mission.id, by, method)


def _record(turn: Turn, what: str, row: RegistrationRow, by: str, method: str) -> None:
    turn.record(
        Entry(
            kind=LeafKind.IDENTITY,
            chain=SYSTEM_CHAIN,
            ids={"by": by, "method": method, "level": turn.level},
            body={
                "what": f"definition_{what}",
                "kind": "pipeline",
                "id": row.pipeline,
                "registration": row.id,
                "definition": row.digest,
                "author": row.author,
                "key": row.key,
            },
        )
    )
