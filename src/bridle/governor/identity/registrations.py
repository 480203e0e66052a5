"""Which definitions of pipelines count: registered by their author, and nothing taken back since.

A pipeline decides as its author, and the author has looked at one definition: what runs is bound to
the registration of that very one. How definitions are registered is `registering`'s job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridle.governor.identity import identities
from bridle.governor.identity.identities import AGENT, USER
from bridle.model.reason import Reason, ReasonCode
from bridle.store.rows import MissionRow, RegistrationRow, RevokedRow

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridle.bundle.bundle import Bundle
    from bridle.governor.ground.turn import Turn
    from bridle.model.identity import Agent

EVERY = 100_000


def pipeline(bundle: Bundle, name: str) -> Agent | None:
    """Return the pipeline of this name, None where there is none, or an agent of that name."""
    found = bundle.agents.get(name)
    return found if found is not None and found.author else None


def needs_run(turn: Turn, name: str) -> bool:
    """Whether whoever has this name decides in runs of a registered definition only."""
    # Trials of a bundle register nothing: they ask what policies say of a definition that counts.
    return turn.core.level != "offline" and pipeline(turn.bundle, name) is not None


def of_pipeline(turn: Turn, name: str) -> list[RegistrationRow]:
    """Return every registration of a pipeline, newest first."""
    rows = turn.tx.find(RegistrationRow, pipeline=name, limit=EVERY)
    return sorted(rows, key=lambda row: (-row.since, row.id))


def in_force(turn: Turn, name: str, digest: str) -> RegistrationRow | None:
    """Return the registration by which a definition of a pipeline counts now, None without one."""
    rows = of_pipeline(turn, name)
    return next((row for row in rows if row.digest == digest and counts(turn, row)), None)


def of_mission(turn: Turn, mission: MissionRow) -> RegistrationRow | None:
    """Return the registration that a mission is a run of, whether it counts or not."""
    return turn.tx.get(RegistrationRow, mission.registration) if mission.registration else None


def counts(turn: Turn, row: RegistrationRow) -> bool:
    """Whether a registration counts now."""
    # INVARIANT: I9 — what was registered is worth as much as the author's word: a key that is
    # revoked, or trust in the author or the pipeline that was taken back, ends it as well.
    if row.ended or identities.revoked(turn, row.key):
        return False
    known = pipeline(turn.bundle, row.pipeline)
    if known is None or known.author != row.author:
        return False
    named = ((USER, row.author), (AGENT, row.pipeline))
    return not any(_revoked_since(turn, kind, name, row.epoch) for kind, name in named)


def stopped(
    turn: Turn, mission: MissionRow, agents: Iterable[str], executor: str | None = None
) -> Reason | None:
    """Say why nothing may be decided in a run of a pipeline now, or by one outside of any run.

    `agents` are all that a task came through, `executor` the workload of a pipeline's own session
    (None: of another one).
    """
    # INVARIANT: I9 — a changed definition decides as nobody, and so does one that was taken back:
    # whatever a run has begun, its agents' steps included, is judged by the registration as it is.
    row = of_mission(turn, mission)
    if mission.registration and (row is None or not counts(turn, row)):
        text = "the definition that this is a run of does not count any more"
        return Reason(ReasonCode.DEFINITION_WITHDRAWN, text)
    for name in agents:
        known = pipeline(turn.bundle, name)
        if known is None or not needs_run(turn, name):
            continue
        if row is None or row.pipeline != name:
            text = "a pipeline decides in runs of its registered definitions only"
            return Reason(ReasonCode.DEFINITION_UNKNOWN, text)
        if executor is not None and executor not in known.workloads:
            return Reason(ReasonCode.OUT_OF_MISSION, "this workload does not run this pipeline")
    return None


def _revoked_since(turn: Turn, kind: str, name: str, epoch: int) -> bool:
    if not turn.globals.revoked:
        return False
    row = turn.tx.get(RevokedRow, f"{kind}:{name}")
    return row is not None and epoch < row.epoch
