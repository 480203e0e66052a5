"""Who is asking, in which mission, and whether anything stands in the way before policy is asked.

Steps 2 and 3 of the way of one action: session → deciding agent and executing workload, then
mission, registry, kill switch and scope. Everything is read inside the transaction.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from bridle.bundle.bundle import Bundle
from bridle.engine.case import Case, MissionView, Typed
from bridle.engine.engine import Engine
from bridle.governor.delegation import lineage
from bridle.governor.delegation.halting import halted
from bridle.governor.ground.turn import Turn
from bridle.governor.history.asking import Asking
from bridle.governor.history.whose import Whose
from bridle.model.mission import MissionStatus, MissionTemplate, matches
from bridle.model.reason import Reason, ReasonCode
from bridle.model.tool import EffectClass, Tool
from bridle.store.rows import GlobalRow, MissionRow, SessionRow

# Denials that say something about the moment, not about the action: asking again later is fine.
PASSING = frozenset(
    {
        ReasonCode.KILLED,
        ReasonCode.SUSPENDED,
        ReasonCode.MISSION_NOT_ACTIVE,
        ReasonCode.BUNDLE_CHANGED,
        ReasonCode.BUDGET_EXHAUSTED,
        ReasonCode.LIMIT_EXCEEDED,
        ReasonCode.HISTORY_INCOMPLETE,
        ReasonCode.TOOL_CHANGED,
        ReasonCode.APPROVAL_VOID,
        ReasonCode.INTERNAL,
    }
)


class NotRelaxedError(Exception):
    """The commit was to be relaxed, but the bundle in force wants this record fsynced first."""


class Owned(Protocol):
    """A row that belongs to an agent in a mission."""

    @property
    def mission(self) -> str:
        """Return the mission's id."""
        ...

    @property
    def agent(self) -> str:
        """Return the deciding agent."""
        ...


class Executed(Owned, Protocol):
    """A row that one workload was judged to carry out, or carries out."""

    @property
    def executor(self) -> str:
        """Return the workload's id, empty where the agent acts itself."""
        ...


class Standing(Struct, frozen=True):
    """A session that was found: its mission, and the bundle in force now."""

    turn: Turn
    session: SessionRow
    mission: MissionRow
    globals: GlobalRow
    engine: Engine

    @property
    def now(self) -> int:
        """The moment of this turn."""
        return self.turn.now

    @property
    def bundle(self) -> Bundle:
        """The bundle in force."""
        return self.engine.bundle

    @property
    def template(self) -> MissionTemplate | None:
        """The mission's template, if the bundle in force still has it."""
        return self.bundle.missions.get(self.mission.template)

    @property
    def party(self) -> lineage.Party:
        """Who acts in this session, with everybody above."""
        return lineage.of_session(self.session, self.mission)

    def owns(self, row: Owned) -> bool:
        """Whether a row belongs to this session's agent in its mission."""
        return row.mission == self.mission.id and row.agent == self.session.agent

    def executes(self, row: Executed) -> bool:
        """Whether it also is for this session's workload: no other starts it or reports on it."""
        return self.owns(row) and row.executor == self.session.executor

    def case(
        self,
        tool: str,
        typed: Typed,
        waived: frozenset[tuple[str, str]] = frozenset(),
        request: str = "",
    ) -> Case:
        """What the engine is asked about an action (or the result of one) of this session.

        `request` is the action's id in history, where it is judged by that.
        """
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
            id=request,
            history=self._history() if request else None,
        )

    def _history(self) -> Asking | None:
        if not self.engine.programs:
            return None
        return Asking(self.turn, self.engine, Whose(self.mission.id, self.mission.user))

    def ids(self, **more: str) -> dict[str, str]:
        """The identities on every record of an action: who decided, who executes, for whom.

        `proved` is the workload that the connection proved to be, with its key's fingerprint.
        """
        who = self.session
        executor = who.executor or who.agent
        caller = self.turn.caller
        if caller is not None and caller.workload:
            more["proved"] = f"{caller.workload} {caller.method}"
        return {
            "user": self.mission.user,
            "agent": who.agent,
            "executor": executor,
            "method": who.method,
            "identities": "same" if executor == who.agent else "two",
            "session": who.id[:16],
            "epoch": str(self.globals.epoch),
            "bundle": self.globals.active,
            "level": self.turn.level,
            **more,
        }


def find(turn: Turn, handle: str) -> Standing | Reason:
    """Resolve a session handle, or say why it is worth nothing."""
    session = turn.tx.get(SessionRow, turn.core.handle_hash(handle))
    if session is None or session.closed:
        return Reason(ReasonCode.NO_SESSION, "this session is not known or has been closed")
    mission = turn.tx.get(MissionRow, session.mission)
    if mission is None:
        return Reason(ReasonCode.NO_SESSION, "the session's mission does not exist")
    state = turn.globals
    return Standing(turn, session, mission, state, turn.core.engine(turn.tx, state.active))


def obstacle(at: Standing, tool: str) -> Reason | None:
    """Return what forbids this session to act with this tool now, whatever policies say."""
    if at.turn.core.differs(at.globals.active):
        text = "the bundle on disk is not the one a human activated"
        return Reason(ReasonCode.BUNDLE_CHANGED, text)
    return _mission_obstacle(at) or halted(at.turn, at.party, tool) or _out_of_scope(at, tool)


def redefined(tool: Tool, definition: str) -> Reason | None:
    """Say why a tool as its server defines it now is not the one a human looked at, if it is not.

    Whoever sees definitions asks this before every start; `definition` is the digest seen.
    """
    # INVARIANT: I9 — what a server says of its tools raises nobody's authority: a definition that
    # no human has pinned is worth nothing, whatever is new in it.
    if tool.pin and tool.pin == definition:
        return None
    if not tool.pin:
        text = "nobody has pinned this tool's definition"
    elif not definition:
        text = "the server does not define this tool any more"
    else:
        text = "the server's definition of this tool is not the one that was pinned"
    return Reason(ReasonCode.TOOL_CHANGED, text)


def _mission_obstacle(at: Standing) -> Reason | None:
    mission = at.mission
    if mission.status == MissionStatus.ACTIVE and at.now < mission.expires:
        return None
    if mission.status in (MissionStatus.ACTIVE, MissionStatus.EXPIRED):
        return Reason(ReasonCode.EXPIRED, "the mission has expired")
    return Reason(ReasonCode.MISSION_NOT_ACTIVE, f"the mission is {mission.status}")


def _out_of_scope(at: Standing, name: str) -> Reason | None:
    template, bundle = at.template, at.bundle
    tool = bundle.tools.get(name)
    if template is None or tool is None:
        return _outside("the bundle in force does not know this mission or tool")
    if at.session.agent not in template.agents or at.session.agent not in bundle.agents:
        return _outside("this agent has no part in this mission")
    if not in_scope(bundle, template, tool):
        return _outside("this tool is outside the mission's tools and domains")
    executor = at.session.executor
    workload = bundle.workloads.get(executor)
    if executor and (workload is None or not matches(workload.tools, name)):
        return _outside("this workload may not execute this tool")
    return None


def _outside(text: str) -> Reason:
    return Reason(ReasonCode.OUT_OF_MISSION, text)


def in_scope(bundle: Bundle, template: MissionTemplate, tool: Tool) -> bool:
    """Whether a mission of this template can ever use this tool."""
    return template.reaches(tool.name, bundle.systems[tool.system].domain)


def may_relax(bundle: Bundle, tool: str) -> bool:
    """Whether records of this tool may be committed before they are fsynced (read tools only)."""
    known = bundle.tools.get(tool)
    return (
        bundle.manifest.durability == "relaxed"
        and known is not None
        and known.effect is EffectClass.READ
    )
