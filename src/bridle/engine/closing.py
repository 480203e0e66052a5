"""What is still open when a mission ends: the forbids on its end that apply. Permits play no part.

Ending needs nobody's permission, so nothing here can allow; it only says what objects.
"""

from __future__ import annotations

from typing import Any

from bridle.bundle.bundle import Bundle
from bridle.bundle.obligations import obligations
from bridle.bundle.schema.cedar import CLOSING, END_MISSION
from bridle.engine.case import Closing, ClosingCase, ShadowHit
from bridle.engine.cedar.answer import PolicyFault, Request
from bridle.engine.cedar.entities import kin_of_action, kin_of_user, uid
from bridle.engine.cedar.evaluate import World
from bridle.engine.cedar.panel import Opinion, Panel, Party, Question
from bridle.engine.cedar.slicer import Scope, Slicer
from bridle.engine.temporal.event import Event
from bridle.engine.temporal.history import NOTHING_WANTED, UnknownHistoryError, Wanted
from bridle.engine.temporal.occurrence import NAMESPACE, Occurrences
from bridle.engine.temporal.recall import View, nothing_known, told
from bridle.model.event import EventKind
from bridle.model.reason import Reason, ReasonCode

_OPEN = "a policy says that something is still open"


class Obligations:
    """The forbids on the end of a mission, in the world of the tools' policies."""

    __slots__ = ("_bundle", "_empty", "_occurrences", "_panel", "_slicer")

    def __init__(self, bundle: Bundle, world: World, occurrences: Occurrences) -> None:
        policies = tuple(obligations(bundle.policies))
        self._bundle = bundle
        self._occurrences = occurrences
        self._panel = Panel(world, {p.id: p for p in policies})
        self._slicer = Slicer(policies)
        self._empty = not policies

    def judge(self, case: ClosingCase) -> Closing:
        """Return what objects to the end of a mission now. It never raises."""
        if self._empty:
            return Closing()
        if case.user not in self._bundle.users:
            # INVARIANT: I2. A stranger is in no team, so forbids on a team would not match.
            text = "an identity of this mission is not declared"
            return Closing((Reason(ReasonCode.POLICY_ERROR, text),))
        try:
            opinion = self._panel.ask(Question(self._party(case)), frozenset())
        except UnknownHistoryError as e:
            return Closing((Reason(e.reason, e.message),))
        except Exception:
            # INVARIANT: I2. What cannot be judged counts as open, never as closed.
            return Closing((Reason(ReasonCode.INTERNAL, "judging failed"),))
        return _closing(opinion)

    def _party(self, case: ClosingCase) -> Party:
        found = self._slicer.slice(case.user, lambda: self._scope(case.user))
        mission = case.mission.context()
        context: dict[str, Any] = {
            "mission": mission,
            "user": uid("User", case.user),
            "system": {"now": case.now},
        }
        if found.history is not NOTHING_WANTED:
            context["history"] = self._truths(case, found.history, mission)
        end = uid("Action", END_MISSION)
        return Party(
            found, Request(uid("User", case.user), end, uid("Mission", case.mission.id), context)
        )

    def _scope(self, user: str) -> Scope:
        return Scope(kin_of_user(self._bundle, user), kin_of_action(END_MISSION, CLOSING), None)

    def _truths(
        self, case: ClosingCase, leaves: Wanted, mission: dict[str, Any]
    ) -> dict[str, bool]:
        if case.history is None:
            return nothing_known(leaves)
        atoms = case.history.atoms
        read = self._occurrences.read_end(case.user, mission, case.now, atoms)
        return told(case.history, leaves, View("", _event(case), read))


def _event(case: ClosingCase) -> Event:
    """Return the end as the event it is asked with. It bears no fields: no condition names it."""
    return Event(case.now, (NAMESPACE, END_MISSION), EventKind.REQUEST.value, {}, case.mission.id)


def _closing(opinion: Opinion) -> Closing:
    objections = tuple(
        Reason(ReasonCode.FORBIDDEN, p.reason or _OPEN, p.id) for p in opinion.objections
    )
    faults = tuple(_failed(f) for f in opinion.faults)
    shadow = sorted(opinion.shadow, key=_by_policy)
    return Closing((*objections, *faults), tuple(shadow))


def _failed(fault: PolicyFault) -> Reason:
    return Reason(ReasonCode.POLICY_ERROR, "a policy could not be evaluated", fault.policy)


def _by_policy(hit: ShadowHit) -> tuple[str, bool]:
    return hit.policy, hit.error
