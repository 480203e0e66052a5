"""A plan: what an agent means to do, as steps, before it does any of it. And how it was judged."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from bridle.model.call import AgentCall
from bridle.model.reason import Reason
from bridle.model.verdict import Effect, Receipt


class Reference(Struct, frozen=True):
    """A part of an earlier step's result: a JSON pointer (RFC 6901) into it, split at its `/`."""

    step: str
    path: tuple[str, ...] = ()


class PlanStep(Struct, frozen=True, kw_only=True):
    """One action to be. `args` are plain JSON values with a `Reference` where a result stands.

    `after` are the steps that have to be done before, those that `args` refer to included. `task`
    is what the step is for, in words; nothing is judged by it.
    """

    id: str
    tool: str
    args: dict[str, Any]
    after: tuple[str, ...] = ()
    refers: bool = False
    task: str = ""


class Plan(Struct, frozen=True):
    """Steps in an order in which they can be done: each comes after all that it needs.

    `text` is the canonical form and `digest` its SHA-256 (hex): another plan has another.
    """

    steps: tuple[PlanStep, ...]
    text: str
    digest: str

    def step(self, name: str) -> PlanStep | None:
        """Return a step by its id."""
        return next((step for step in self.steps if step.id == name), None)


class Foreseen(StrEnum):
    """What is foreseen for a step: a verdict, or `open` where it hangs on what is not known yet."""

    ALLOW = Effect.ALLOW.value
    MODIFY = Effect.MODIFY.value
    HOLD = Effect.HOLD.value
    DENY = Effect.DENY.value
    OPEN = "open"


class StepForecast(Struct, frozen=True, forbid_unknown_fields=True):
    """What is foreseen for one step, and why.

    `args` is the JSON text that would execute, on modify. `waits` are the steps whose results or
    verdicts it hangs on, where it is open.
    """

    step: str
    tool: str
    effect: Foreseen
    reasons: tuple[Reason, ...] = ()
    args: str = ""
    waits: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The reasons as one agent-safe sentence."""
        return "; ".join(r.text or r.code.value for r in self.reasons)


class Forecast(Struct, frozen=True, forbid_unknown_fields=True):
    """How a plan was judged as a whole, at one moment. It allows nothing by itself.

    `allowed` says that no step is denied: then the plan is registered in its mission, and
    `reference` is the governor's signed word on its digest.
    """

    digest: str
    allowed: bool
    steps: tuple[StepForecast, ...]
    bundle: str
    reference: str = ""
    receipt: Receipt | None = None


class CheckPlan(AgentCall, frozen=True, kw_only=True, tag="check_plan"):
    """Judge a plan (its JSON text) as a whole, and register it where no step is denied.

    Answers `Planned`. `requester` as in `Decide`. `provenance` is no part of a plan.
    """

    plan: str
    requester: str = ""


AGENT_CALLS = CheckPlan
