"""Governance actions (`start_mission`, `add_prompt`), judged by `governance/` alone.

A permit of `policies/` never reaches them. There are no remedies here: an objection denies.
"""

from __future__ import annotations

from bridle.bundle.bundle import Bundle
from bridle.engine import verdicts
from bridle.engine.case import GovernanceCase, Judgement
from bridle.engine.cedar.answer import Request
from bridle.engine.cedar.entities import (
    entities,
    kin_of_action,
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
        if case.action not in ACTIONS or case.user not in self._bundle.users:
            text = "this user may not, or this is no governance action"
            return verdicts.refused(ReasonCode.NO_PERMIT, text)
        try:
            opinion = self._panel.ask(Question(self._party(case)), frozenset())
        except Exception:
            # INVARIANT: I2. No failure of ours reaches the caller as anything but a denial.
            return verdicts.refused(ReasonCode.INTERNAL, "judging failed")
        return _judgement(opinion)

    def _party(self, case: GovernanceCase) -> Party:
        request = Request(
            uid("User", case.user),
            uid("Action", case.action),
            uid("Mission", case.mission.id),
            governance_context(case),
        )
        return Party(self._slice(case), request)

    def _slice(self, case: GovernanceCase) -> Slice:
        # Missions come and go, so slices are not kept per mission: any resource may match.
        return self._slicer.slice(
            (case.action, case.user),
            lambda: Scope(
                kin_of_user(self._bundle, case.user), kin_of_action(case.action, "governance"), None
            ),
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
