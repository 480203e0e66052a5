"""Who is asking, in which mission, and whether anything stands in the way before policy is asked.

Steps 2 and 3 of the way of one action: session → deciding agent and executing workload, then
mission, registry, kill switch and scope. Everything is read inside the transaction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from msgspec import Struct, structs

from bridle.bundle.bundle import Bundle
from bridle.engine.case import Case, PlanView, Refusal, Typed
from bridle.engine.engine import Engine
from bridle.engine.flow.origin import Trace
from bridle.governor.delegation import authority, deputies, grants, lineage
from bridle.governor.delegation.deputies import Served
from bridle.governor.ground import clear
from bridle.governor.ground.turn import Turn
from bridle.governor.history.asking import Asking
from bridle.governor.history.whose import Whose
from bridle.governor.identity import proofs, registrations
from bridle.governor.provenance import declaring, seeing
from bridle.governor.provenance.tracing import Tracing
from bridle.governor.revocation.halting import halted
from bridle.model import public_key
from bridle.model.identity import GOVERNOR
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
        ReasonCode.REVOKED,
        ReasonCode.DEFINITION_UNKNOWN,
        ReasonCode.DEFINITION_WITHDRAWN,
        ReasonCode.GRANT_INVALID,
        ReasonCode.GRANT_EXPIRED,
        ReasonCode.NOT_GRANTED,
        ReasonCode.PROOF_MISSING,
        ReasonCode.PROOF_INVALID,
        ReasonCode.PROOF_REPLAYED,
        ReasonCode.PROOF_STALE,
        ReasonCode.EXECUTOR_NOT_PROVEN,
        ReasonCode.REQUESTER_MISSING,
        ReasonCode.REQUESTER_INVALID,
        ReasonCode.NOT_SEPARATED,
        ReasonCode.CREDENTIAL_DENIED,
        ReasonCode.CREDENTIAL_UNAVAILABLE,
        ReasonCode.INTERNAL,
    }
)


# Every record of a session with a key names it.
fingerprint = lru_cache(maxsize=1_024)(public_key.fingerprint)


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

    @property
    def line(self) -> str:
        """Return the agents that its task came through, empty where it was not handed on."""
        ...


class Executed(Owned, Protocol):
    """A row that one workload was judged to carry out, or carries out."""

    @property
    def executor(self) -> str:
        """Return the workload's id, empty where the agent acts itself."""
        ...


class Standing(Struct, frozen=True):
    """A session that was found: its mission, and the bundle in force now.

    `requester` is the grant that the request in hand names of whom it serves, `served` who that is
    (None: nobody is known by it). `proof` says how it was shown to be the session's, `declared`
    what it says of where its arguments came from. `plan` is the plan that it cites, with the name
    that records have for it in `planned`; with `foreseen` nothing is done, and the governor's side
    would carry it out.
    """

    turn: Turn
    session: SessionRow
    mission: MissionRow
    globals: GlobalRow
    engine: Engine
    requester: str = ""
    served: Served | None = None
    proof: str = ""
    declared: Mapping[str, Sequence[Trace]] = {}
    plan: PlanView | None = None
    planned: str = ""
    foreseen: bool = False

    @property
    def now(self) -> int:
        """The moment of this turn."""
        return self.turn.now

    @property
    def bundle(self) -> Bundle:
        """The bundle in force."""
        return self.engine.bundle

    @property
    def performing(self) -> bool:
        """Whether the governor's own side carries out what is asked for in this turn."""
        caller = self.turn.caller
        return self.foreseen or (caller is not None and caller.performing)

    @property
    def executor(self) -> str:
        """The workload that carries out what is asked for, empty where the agent acts itself."""
        # INVARIANT: I9 — what the governor's side carries out is nobody else's to report on.
        return GOVERNOR if self.performing else self.session.executor

    @property
    def template(self) -> MissionTemplate | None:
        """The mission's template, if the bundle in force still has it."""
        return self.bundle.missions.get(self.mission.template)

    @property
    def party(self) -> lineage.Party:
        """Who acts in this session, with everybody above."""
        return lineage.of_session(self.session, self.mission)

    @property
    def ancestors(self) -> tuple[str, ...]:
        """The agents that the task was handed on by, the first of them first."""
        return lineage.agents(self.session.line, self.session.agent)[:-1]

    @property
    def requesters(self) -> tuple[str, ...]:
        """The agents on whose behalf a deputy acts: the requester's chain, itself last."""
        return self.served.party.agents if self.served is not None else ()

    @property
    def actor(self) -> str:
        """Whose plan an action is a step of: the agent, or the line that it was handed on by."""
        return self.session.line or self.session.agent

    @property
    def whose(self) -> Whose:
        """Whose history the events of this session enter."""
        return Whose(self.mission.id, self.mission.user, (*self.ancestors, self.session.agent))

    def serving(self, requester: str) -> Standing:
        """Return the same on behalf of whoever holds this grant (empty: of nobody)."""
        if not requester:
            return self
        who = deputies.served(self.turn, requester)
        return structs.replace(self, requester=requester, served=who)

    def declaring(
        self, provenance: str, found: Typed | Refusal
    ) -> tuple[Standing, Typed | Refusal]:
        """Take in what a request says of where its arguments came from, or why that is refused."""
        if not provenance or isinstance(found, Refusal):
            return self, found
        said = declaring.read(self.turn, self.engine, self.mission, provenance, found)
        if isinstance(said, Refusal):
            return self, said
        return structs.replace(self, declared=said), found

    def owns(self, row: Owned) -> bool:
        """Whether a row belongs to this session's agent in its mission, by the same line."""
        # INVARIANT: I5 — an agent to whom two others handed work does not mix up the two.
        mine = row.mission == self.mission.id and row.agent == self.session.agent
        return mine and row.line == self.session.line

    def executes(self, row: Executed) -> bool:
        """Whether it also is for this session's workload: no other starts it or reports on it."""
        return self.owns(row) and row.executor == self.executor

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
        return Case(
            tool=tool,
            typed=typed,
            agent=self.session.agent,
            user=self.mission.user,
            mission=seeing.view(self.bundle, self.mission),
            now=self.now,
            executor=self.executor,
            chain=self.ancestors,
            requesters=self.requesters,
            waived=waived,
            id=request,
            history=self._history() if request else None,
            flow=self._flow() if self.engine.traces else None,
            plan=self.plan,
        )

    def _flow(self) -> Tracing:
        return Tracing(self.turn, self.engine, self.mission, self.declared)

    def _history(self) -> Asking | None:
        if not self.engine.programs:
            return None
        return Asking(self.turn, self.engine, self.whose)

    def ids(self, **more: str) -> dict[str, str]:
        """The identities on every record of an action: who decided, who executes, for whom.

        `proved` is the workload that the connection proved to be, with its key's fingerprint.
        """
        who = self.session
        executor = self.executor or who.agent
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
            **({"jailed": "yes"} if who.jailed else {}),
            **self._granted(),
            **self._cited(),
            **self._run(),
            **more,
        }

    def _run(self) -> dict[str, str]:
        """Name the definition that this is a run of, and its author where that decides itself."""
        row = registrations.of_mission(self.turn, self.mission)
        if row is None:
            return {}
        author = {"author": row.author} if self.session.agent == row.pipeline else {}
        return {"pipeline": row.pipeline, "definition": row.digest, **author}

    def _cited(self) -> dict[str, str]:
        if self.plan is None:
            return {}
        return {"plan": self.planned, "step": clear.token(self.plan.step)}

    def _granted(self) -> dict[str, str]:
        """Name the grants on a record: by 16 digits of each, and of the key that proves them."""
        who, found = self.session, {"proof": self.proof or proofs.method(self.turn)}
        if who.grant:
            found["grants"] = grants.trail(self.turn, who.grant)
            found["key"] = fingerprint(who.holder)[:16]
        if who.line:
            found["line"] = who.line
        if self.requester:
            known = self.served is not None
            found["requester"] = (
                grants.trail(self.turn, self.requester) if known else clear.token(self.requester)
            )
            found["serves"] = lineage.ARROW.join(self.requesters)
        return found


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
        return _differs()
    return standstill(at, tool) or _out_of_scope(at, tool)


def hindered(at: Standing) -> Reason | None:
    """Return what stops this session from handing on anything now, whatever policies say."""
    if at.turn.core.differs(at.globals.active):
        return _differs()
    return standstill(at) or _without_part(at)


def _differs() -> Reason:
    text = "the bundle on disk is not the one a human activated"
    return Reason(ReasonCode.BUNDLE_CHANGED, text)


def standstill(at: Standing, tool: str = "") -> Reason | None:
    """Return what stops whatever this session, or whom it serves, would do (with this tool)."""
    return (
        _mission_obstacle(at)
        or halted(at.turn, at.party, tool)
        or authority.stopped(at)
        or deputies.refusal(at, tool)
    )


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
    without = _without_part(at)
    if without is not None:
        return without
    if not in_scope(bundle, template, tool):
        return _outside("this tool is outside the mission's tools and domains")
    # What the governor's side may carry out is said by the tool itself (`separation`).
    executor = "" if at.executor == GOVERNOR else at.executor
    workload = bundle.workloads.get(executor)
    if executor and (workload is None or not matches(workload.tools, name)):
        return _outside("this workload may not execute this tool")
    return None


def _without_part(at: Standing) -> Reason | None:
    # INVARIANT: I5 — whoever is taken out of a mission does not go on acting through others.
    agents = at.party.agents
    if lineage.take_part(at.bundle, at.mission, agents):
        return None
    if lineage.take_part(at.bundle, at.mission, agents[-1:]):
        return _outside("an agent that this was handed on by has no part in this mission any more")
    return _outside("this agent has no part in this mission")


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
