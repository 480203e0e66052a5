"""Runs of pipelines: a workload that has proved to be there opens one, in its author's name.

What it runs is what it says: the governor sees the definition's digest, not the bytes. So only the
workloads that humans named for the pipeline open its runs, and each proves its own key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridle.governor.delegation.offering import Refusal
from bridle.governor.ground.records import Entry
from bridle.governor.identity import registrations
from bridle.governor.identity.identities import AGENT, USER, WORKLOAD
from bridle.governor.oversight import missions, registering
from bridle.governor.oversight.humans import Speaker
from bridle.model.calls import OpenSession
from bridle.model.errors import RefusedError, UsageError
from bridle.model.reason import ReasonCode
from bridle.model.record import SYSTEM_CHAIN, LeafKind
from bridle.store.rows import MissionRow, RunRow

if TYPE_CHECKING:
    from bridle.governor.ground.turn import Turn
    from bridle.model.calls import Caller, Opened, OpenRun
    from bridle.model.identity import Agent

_AS_NOBODY = (ReasonCode.DEFINITION_UNKNOWN, ReasonCode.DEFINITION_WITHDRAWN)
LONGEST_RUN = 512
"""Characters of a run's id."""


def open_run(turn: Turn, call: OpenRun) -> Opened | Refusal:
    """Start the mission of a run, or find it, and open a session of its pipeline there.

    One turn does all of it, so that the same run never has two missions. A definition that does
    not count is refused on record. Raises `RefusedError`, `UsageError`.
    """
    registering.require_digest(call.definition)
    if not 0 < len(call.run) <= LONGEST_RUN or not call.holder:
        raise UsageError(f"a run has an id of 1 to {LONGEST_RUN} characters, and a key")
    known, caller = _proved(turn, call.pipeline)
    for kind, name in ((USER, known.author), (AGENT, known.id), (WORKLOAD, caller.workload)):
        missions.assert_active(turn, kind, name)
    try:
        mission = _found(turn, call) or _started(turn, known, call)
    except RefusedError as problem:
        if problem.code not in _AS_NOBODY:
            raise
        _record_refusal(turn, caller, call, problem.code)
        return Refusal(problem)
    session = OpenSession(
        mission=mission.id, agent=known.id, executor=caller.workload, holder=call.holder
    )
    return missions.opened(turn, mission, session, Speaker(known.author, caller.method))


def _proved(turn: Turn, name: str) -> tuple[Agent, Caller]:
    """Return the pipeline, and the caller if they have proved to be a workload that runs it."""
    known, caller = registrations.pipeline(turn.bundle, name), turn.caller
    # INVARIANT: I9 — a pipeline's name and the digest of its definition are no secrets: whoever
    # says them is nobody without the key of a workload that humans named for it.
    if known is not None and caller is not None and caller.workload in known.workloads:
        return known, caller
    raise RefusedError(
        f"this connection has proved to be no workload that runs a pipeline {name[:128]!r}",
        code="not_for_workload",
        hint="`workloads` of [pipelines.ID] in agents.toml names them",
    )


def _found(turn: Turn, call: OpenRun) -> MissionRow | None:
    """Return the mission of a run that was started before, if its definition still counts."""
    run = turn.tx.get(RunRow, _id(turn, call))
    if run is None:
        return None
    mission = missions.get(turn, run.mission)
    row = registrations.of_mission(turn, mission)
    if row is None or row.digest != call.definition or mission.template != call.mission:
        raise RefusedError(
            "a run of this id was started with another definition, or from another template",
            code="run_differs",
            hint="a changed definition is another run: give it an id of its own",
        )
    if not registrations.counts(turn, row):
        # Bound to that registration for good: to register the definition again starts no run anew.
        raise RefusedError(
            "the definition of this run was withdrawn",
            code="definition_withdrawn",
            hint="start a new run of a definition that is registered",
        )
    return mission


def _started(turn: Turn, known: Agent, call: OpenRun) -> MissionRow:
    row = registrations.in_force(turn, known.id, call.definition)
    if row is None:
        raise _unknown(known, call.definition)
    # What started the run is nobody's word that the governor knows: it is taken in as such.
    said = Speaker(known.author, f"pipeline:{known.id}", trusted=not call.given)
    mission = missions.begun(turn, said, call.mission, call.given, registration=row)
    turn.tx.put(RunRow(id=_id(turn, call), mission=mission.id))
    return mission


def _unknown(known: Agent, digest: str) -> RefusedError:
    return RefusedError(
        f"this definition of {known.id!r} is not registered: it decides as nobody",
        code="definition_unknown",
        hint=f"its author does: bridle pipelines register {known.id} --digest {digest}"
        f" --as {known.author}",
    )


def _record_refusal(turn: Turn, caller: Caller, call: OpenRun, code: str) -> None:
    turn.record(
        Entry(
            kind=LeafKind.IDENTITY,
            chain=SYSTEM_CHAIN,
            ids={"executor": caller.workload, "method": caller.method, "level": turn.level},
            body={
                "what": "definition_refuse",
                "kind": "pipeline",
                "id": call.pipeline,
                "definition": call.definition,
                "codes": [code],
            },
        )
    )


def _id(turn: Turn, call: OpenRun) -> str:
    return turn.core.keyed(f"run|{call.pipeline}|{call.run}")
