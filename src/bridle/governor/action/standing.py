"""Who is asking, in which mission, and whether anything stands in the way before policy is asked.

Steps 2 and 3 of the way of one action: session → deciding agent and executing workload, then
mission, registry, kill switch and scope. Everything is read inside the transaction.
"""

from __future__ import annotations

from msgspec import Struct

from bridle.bundle.bundle import Bundle
from bridle.engine.case import Case, MissionView, Typed
from bridle.engine.engine import Engine
from bridle.governor.ground.core import Core
from bridle.model.identity import Status
from bridle.model.mission import MissionStatus, MissionTemplate, matches
from bridle.model.reason import Reason, ReasonCode
from bridle.model.tool import Tool
from bridle.store.base import Tx
from bridle.store.rows import GlobalRow, IdentityRow, KillRow, MissionRow, SessionRow


class Standing(Struct, frozen=True):
    """A session that was found: its mission, and the bundle in force now."""

    session: SessionRow
    mission: MissionRow
    globals: GlobalRow
    engine: Engine
    now: int

    @property
    def bundle(self) -> Bundle:
        """The bundle in force."""
        return self.engine.bundle

    @property
    def template(self) -> MissionTemplate | None:
        """The mission's template, if the bundle in force still has it."""
        return self.bundle.missions.get(self.mission.template)

    def case(
        self, tool: str, typed: Typed, waived: frozenset[tuple[str, str]] = frozenset()
    ) -> Case:
        """What the engine is asked about an action (or the result of one) of this session."""
        template = self.template
        return Case(
            tool=tool,
            typed=typed,
            agent=self.session.agent,
            user=self.mission.user,
            mission=MissionView(
                id=self.mission.id,
                template=self.mission.template,
                purpose=template.purpose if template else "",
                labels=template.labels if template else (),
            ),
            now=self.now,
            executor=self.session.executor,
            waived=waived,
        )

    def ids(self, core: Core, **more: str) -> dict[str, str]:
        """The identities that every record of an action carries: who decided, who executes, for whom."""
        who = self.session
        executor = who.executor or who.agent
        return {
            "user": self.mission.user,
            "agent": who.agent,
            "executor": executor,
            "method": who.method,
            "identities": "same" if executor == who.agent else "two",
            "session": who.id[:16],
            "epoch": str(self.globals.epoch),
            "bundle": self.globals.active,
            "level": core.level,
            **more,
        }


def find(core: Core, tx: Tx, handle: str) -> Standing | Reason:
    """Resolve a session handle, or say why it is worth nothing."""
    session = tx.get(SessionRow, core.handle_hash(handle))
    if session is None or session.closed:
        return Reason(ReasonCode.NO_SESSION, "this session is not known or has been closed")
    mission = tx.get(MissionRow, session.mission)
    if mission is None:
        return Reason(ReasonCode.NO_SESSION, "the session's mission does not exist")
    state = core.globals(tx)
    return Standing(session, mission, state, core.engine(tx, state.active), core.clock.now())


def obstacle(core: Core, tx: Tx, at: Standing, tool: str) -> Reason | None:
    """Return what forbids this session to act with this tool now, whatever policies say, or None."""
    if core.differs(at.globals.active):
        text = "the bundle on disk is not the one a human activated"
        return Reason(ReasonCode.BUNDLE_CHANGED, text)
    return (
        _mission_obstacle(at)
        or _killed(tx, at, tool)
        or _suspended(tx, at)
        or _out_of_scope(at, tool)
    )


def _mission_obstacle(at: Standing) -> Reason | None:
    mission = at.mission
    if mission.status == MissionStatus.ACTIVE and at.now < mission.expires:
        return None
    if mission.status in (MissionStatus.ACTIVE, MissionStatus.EXPIRED):
        return Reason(ReasonCode.EXPIRED, "the mission has expired")
    return Reason(ReasonCode.MISSION_NOT_ACTIVE, f"the mission is {mission.status}")


def _killed(tx: Tx, at: Standing, tool: str) -> Reason | None:
    if not at.globals.kills:
        return None
    scopes = ("all:", f"tool:{tool}", f"agent:{at.session.agent}", f"mission:{at.mission.id}")
    for scope in scopes:
        if tx.get(KillRow, scope) is not None:
            what = scope.partition(":")[0]
            return Reason(ReasonCode.KILLED, f"stopped by the kill switch ({what})")
    return None


def _suspended(tx: Tx, at: Standing) -> Reason | None:
    if not at.globals.suspended:
        return None
    parts = {"agent": at.session.agent, "user": at.mission.user, "workload": at.session.executor}
    for kind, name in parts.items():
        row = tx.get(IdentityRow, f"{kind}:{name}") if name else None
        if row is not None and row.status != Status.ACTIVE:
            return Reason(ReasonCode.SUSPENDED, f"the {kind} is {row.status}")
    return None


def _out_of_scope(at: Standing, name: str) -> Reason | None:
    template, bundle = at.template, at.bundle
    tool = bundle.tools.get(name)
    if template is None or tool is None:
        return Reason(
            ReasonCode.OUT_OF_MISSION, "the bundle in force does not know this mission or tool"
        )
    if at.session.agent not in template.agents or at.session.agent not in bundle.agents:
        return Reason(ReasonCode.OUT_OF_MISSION, "this agent has no part in this mission")
    if not in_scope(bundle, template, tool):
        return Reason(
            ReasonCode.OUT_OF_MISSION, "this tool is outside the mission's tools and domains"
        )
    executor = at.session.executor
    workload = bundle.workloads.get(executor)
    if executor and (workload is None or not matches(workload.tools, name)):
        return Reason(ReasonCode.OUT_OF_MISSION, "this workload may not execute this tool")
    return None


def in_scope(bundle: Bundle, template: MissionTemplate, tool: Tool) -> bool:
    """Whether a mission of this template can ever use this tool."""
    return (
        matches(template.tools, tool.name)
        and bundle.systems[tool.system].domain in template.domains
    )
