"""Plans: what an agent means to do is judged as a whole, and each action then cites its step."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from bridle.client.attempt import arguments
from bridle.client.transport.channel import ask
from bridle.model.calls import CheckPlan, Planned
from bridle.model.errors import UsageError
from bridle.model.plan import Forecast

if TYPE_CHECKING:
    from bridle.client.agent import Session

PlanText = Mapping[str, Any] | str
Cited = Forecast | str

_DIGEST_DIGITS = 64
_KEY_DIGITS = 32


class Planner:
    """The part of an agent that deals with plans."""

    _session: Session
    _requester: str

    def check_plan(self, plan: PlanText) -> Forecast:
        """Have a plan judged as a whole, as this agent, before anything of it runs.

        `plan` is the plan as a mapping of JSON values, or its exact JSON text. Nothing is charged,
        held or done. Where no step is denied (`allowed`), the plan is registered in the mission:
        pass what this returns, or its `reference`, as `plan=` of each call. Each step is still
        judged when it comes. Raises `UsageError` (`plan_invalid`) for what is no plan, and
        `RefusedError` where this session may not ask.
        """
        try:
            text = arguments.to_text(plan)
        except arguments.ArgumentError as problem:
            raise UsageError(f"the plan: {problem.message}", code="plan_invalid") from None
        call = CheckPlan(session=self._session.handle, plan=text, requester=self._requester)
        return ask(self._session.channel, call, Planned).forecast

    async def acheck_plan(self, plan: PlanText) -> Forecast:
        """The async twin of `check_plan`."""
        from bridle.client.attempt import waiting

        return await waiting.to_the_end(self.check_plan, plan)


def check_plan(plan: PlanText) -> Forecast:
    """Have a plan judged as a whole as `bridle.current()`. See `Agent.check_plan`."""
    from bridle.client import agent

    return agent.current().check_plan(plan)


def digest_of(plan: Cited | None) -> str:
    """Return the digest of the plan that a call cites, empty for none. Raises `UsageError`."""
    if plan is None:
        return ""
    if isinstance(plan, Forecast):
        return plan.digest
    if len(plan) == _DIGEST_DIGITS:
        return plan
    from bridle.trust import plan_word
    from bridle.trust.grants.codes import GrantError

    try:
        return plan_word.claims(plan).pln
    except GrantError as problem:
        hint = "pass what `check_plan` returned, its `reference` or its `digest`"
        raise UsageError(f"this names no plan: {problem.message}", hint=hint) from None


def assert_cites(plan: Cited | None, step: str) -> None:
    """Refuse a plan without a step of it, or a step of no plan. Raises `UsageError`."""
    if bool(step) != (plan is not None):
        raise UsageError("`plan=` and `step=` go together")


def key_of(plan: Cited | None, step: str) -> str | None:
    """Return the key that a step of a plan has by itself: asked for again it is the same action."""
    return f"plan/{digest_of(plan)[:_KEY_DIGITS]}/{step}" if plan is not None else None
