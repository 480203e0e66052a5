"""The plans of missions: under which name each is kept, and which action was let run as which step.

A plan belongs to one agent (with the line it acts in) in one mission. What is dispatched stays the
agent's own: the workload that carries it out cites the agent's plans, and has none.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from msgspec import structs

from bridle.engine.plans import reading
from bridle.governor.delegation import lineage
from bridle.model.errors import BridleError, RefusedError
from bridle.model.plan import Plan
from bridle.model.reason import ReasonCode
from bridle.store.rows import GrantRow, PlanRow

if TYPE_CHECKING:
    from bridle.governor.action.standing import Standing
    from bridle.governor.ground.turn import Turn

MOST = 100
"""Plans of one mission."""

_NAME = 32
_REMEMBERED = 64


class Plans:
    """Plans that were cited last, in memory, so that not each action reads all of its plan again.

    A plan counts only while its row keeps the very text that it was read from. Used in write turns
    only.
    """

    def __init__(self) -> None:
        self._read: OrderedDict[str, tuple[bytes, Plan]] = OrderedDict()

    def find(self, row: PlanRow) -> Plan | None:
        """Return the plan of a row, if it is remembered."""
        found = self._read.get(row.id)
        return found[1] if found is not None and found[0] == row.sealed else None

    def keep(self, row: PlanRow, plan: Plan) -> None:
        """Remember the plan of a row; of too many, the one that was read first is let go of."""
        self._read[row.id] = row.sealed, plan
        while len(self._read) > _REMEMBERED:
            self._read.popitem(last=False)

    def forget(self, name: str) -> None:
        """Let go of a plan: it was erased."""
        self._read.pop(name, None)


class Acting(Protocol):
    """A session or a row: who acts, by which line, in which mission and under which grant."""

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

    @property
    def grant(self) -> str:
        """Return the digest of the grant, empty for none."""
        ...


def owner(turn: Turn, acting: Acting) -> str:
    """Return whose plans these are: of the agent with its line, whoever carries it out."""
    row = turn.tx.get(GrantRow, acting.grant) if acting.grant and acting.line else None
    if row is not None and row.workload:
        # INVARIANT: I5 — only the last link is a workload's; who dispatched it is who decides.
        return lineage.ARROW.join(lineage.agents(acting.line, acting.agent)[:-1])
    return acting.line or acting.agent


def name_of(turn: Turn, acting: Acting, digest: str) -> str:
    """Return the name that rows and records have for a plan, whether or not it is registered."""
    # INVARIANT: what a plan says can be guessed, so its bare digest stands in no row or record.
    who = owner(turn, acting)
    return f"plan_{turn.core.keyed(f'plan|{acting.mission}|{who}|{digest}')[:_NAME]}"


def add(at: Standing, plan: Plan) -> str:
    """Register a plan for a session's agent, if it is not yet. Returns its name.

    Raises `RefusedError` (`limit_exceeded`) where its mission has too many.
    """
    turn, mission = at.turn, at.mission.id
    name = name_of(turn, at.session, plan.digest)
    known = turn.tx.get(PlanRow, name)
    if known is None and turn.tx.count(PlanRow, mission=mission) >= MOST:
        raise RefusedError(
            f"a mission has {MOST} plans at most", code=ReasonCode.LIMIT_EXCEEDED.value
        )
    row = known or PlanRow(id=name, mission=mission, created=turn.now)
    if not row.sealed:
        sealed = turn.vault.seal(mission, plan.text.encode(), name)
        turn.tx.put(structs.replace(row, sealed=sealed))
    return name


def text_of(turn: Turn, row: PlanRow) -> Plan | None:
    """Return the plan of a row; None where it was erased, or cannot be read."""
    if not row.sealed:
        return None
    known = turn.core.plans.find(row)
    if known is not None:
        return known
    try:
        plan = reading.read(turn.vault.unseal(row.mission, row.sealed, row.id).decode())
    except (BridleError, ValueError):
        return None
    turn.core.plans.keep(row, plan)
    return plan


def erased(turn: Turn, row: PlanRow) -> PlanRow:
    """Return a row that keeps nothing of its plan, and remember nothing of it either."""
    turn.core.plans.forget(row.id)
    return structs.replace(row, sealed=b"", done={})


def let_run(at: Standing, action: str) -> None:
    """Remember which action was let run as the step that it cites, unless it deviates from it."""
    view = at.plan
    if view is None or view.deviates:
        return
    row = at.turn.tx.get(PlanRow, at.planned)
    if row is not None and row.done.get(view.step) != action:
        at.turn.tx.put(structs.replace(row, done={**row.done, view.step: action}))
