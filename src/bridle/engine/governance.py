"""Governance actions (`start_mission`, `delegate`, …), judged by `governance/` alone.

A permit of `policies/` never reaches them. There are no remedies here: an objection denies.
"""

from __future__ import annotations

from typing import Any

from bridle.bundle.bundle import Bundle
from bridle.engine import verdicts
from bridle.engine.case import GovernanceCase, Judgement
from bridle.engine.cedar.answer import Request, Uid
from bridle.engine.cedar.entities import (
    Kin,
    entities,
    kin_of_action,
    kin_of_agent,
    kin_of_user,
    uid,
)
from bridle.engine.cedar.evaluate import World
from bridle.engine.cedar.panel import Opinion, Panel, Party, Question
from bridle.engine.cedar.slicer import Scope, Slice, Slicer
from bridle.engine.stages import governance_context
from bridle.language.policy import PolicySetName
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect

ACTIONS = ("start_mission", "add_prompt")
DELEGATE, VEND = "delegate", "vend_credential"


class Governance:
    """Judges by its own policy set, schema and entities."""

    __slots__ = ("_bundle", "_panel", "_slicer")

    def __init__(self, bundle: Bundle, *, compiled: bool = True) -> None:
        policies = tuple(p for p in bundle.policies if p.set is PolicySetName.GOVERNANCE)
        world = World(bundle.schemas.governance, entities(bundle), compiled=compiled)
        self._bundle = bundle
        self._panel = Panel(world, {p.id: p for p in policies})
        self._slicer = Slicer(policies)

    def judge(self, case: GovernanceCase) -> Judgement:
        """Return allow or deny."""
        if not self._is_known(case):
            text = "this user may not, or this is no governance action"
            return verdicts.refused(ReasonCode.NO_PERMIT, text)
        try:
            opinion = self._panel.ask(self._question(case), frozenset())
        except Exception:
            # INVARIANT: I2. No failure of ours reaches the caller as anything but a denial.
            return verdicts.refused(ReasonCode.INTERNAL, "judging failed")
        return _judgement(opinion)

    def _is_known(self, case: GovernanceCase) -> bool:
        """Whether this is a governance action, and everybody in it is declared."""
        if case.user not in self._bundle.users:
            return False
        wanted, given = case.vending, case.handover
        if wanted is not None:
            known = case.action == VEND and wanted.system in self._bundle.systems
            return known and self._are_agents(wanted.agent, *wanted.chain)
        if given is not None:
            return case.action == DELEGATE and self._are_agents(given.agent, given.to, *given.chain)
        return case.action in ACTIONS

    def _are_agents(self, *names: str) -> bool:
        return all(name in self._bundle.agents for name in names)

    def _question(self, case: GovernanceCase) -> Question:
        context = governance_context(case)
        given = case.vending or case.handover
        if given is None:
            who = uid("User", case.user)
            return Question(self._party(case, who, kin_of_user(self._bundle, case.user), context))
        # INVARIANT: I5 — what one of its ancestors may not hand on, or be given, an agent may not
        # either.
        actor, *others = (
            self._party(case, uid("Agent", a), kin_of_agent(self._bundle, a), context)
            for a in dict.fromkeys((given.agent, *given.chain))
        )
        return Question(actor, tuple(others))

    def _party(
        self, case: GovernanceCase, principal: Uid, kin: Kin, context: dict[str, Any]
    ) -> Party:
        resource = uid("Mission", case.mission.id)
        if case.vending is not None:
            resource = uid("System", case.vending.system)
        request = Request(principal, uid("Action", case.action), resource, context)
        return Party(self._slice(case.action, principal["id"], kin), request)

    def _slice(self, action: str, name: str, kin: Kin) -> Slice:
        # Missions come and go, so slices are not kept per mission: any resource may match.
        return self._slicer.slice(
            (action, name), lambda: Scope(kin, kin_of_action(action, "governance"), None)
        )


def _judgement(opinion: Opinion) -> Judgement:
    trail = verdicts.Trail()
    trail.tried(opinion.shadow)
    if opinion.faults:
        return verdicts.policy_error(trail, opinion.faults)
    if not opinion.permitted:
        return verdicts.no_permit(trail, opinion.objections)
    if opinion.objections:
        return verdicts.forbidden(trail, opinion.objections, ())
    return Judgement(effect=Effect.ALLOW, shadow=trail.shadow)
