"""Judges the steps of a plan one after the other, each as it would be judged now.

Runs in a turn that is undone: verdicts are those of the one decision path, with budgets charged and
history told of, so that a later step is judged after the earlier ones. Each is taken to succeed;
what it brings is not known. So what hangs on a result, or on whether an open or held step comes to
run, is `open`: never allowed, and never denied for a reason that might go away.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from bridle.engine.case import Typed
from bridle.engine.parties import asks_what_was_read
from bridle.engine.plans import reading
from bridle.governor.action import budgets, judging
from bridle.governor.action.rulings import Asked
from bridle.governor.action.standing import Standing, obstacle
from bridle.governor.credentials import separation
from bridle.governor.history import telling
from bridle.governor.identity import proofs
from bridle.governor.planning import citing
from bridle.language.policy import Policy
from bridle.language.temporal.ast import Predicate, Previous, Since, Tp
from bridle.language.temporal.tree import walk
from bridle.model.calls import Decide
from bridle.model.event import EventKind
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.plan import Foreseen, Plan, PlanStep, StepForecast
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect, Verdict

ADAPTER = "plan"

# Refusals of policies: another one may speak once more is known. All others stay as they are.
_OPINIONS = frozenset(
    {
        ReasonCode.NO_PERMIT,
        ReasonCode.FORBIDDEN,
        ReasonCode.POLICY_ERROR,
        ReasonCode.MODIFY_DIVERGED,
        ReasonCode.HISTORY_INCOMPLETE,
    }
)
_KEYLESS = Reason(
    ReasonCode.PROOF_MISSING,
    "what cannot be undone needs a session with a key, and this one has none",
)


def of_plan(at: Standing, plan: Plan) -> tuple[StepForecast, ...]:
    """Return what is foreseen for each step, in order."""
    return tuple(_Forecaster(at, plan).steps())


class _Forecaster:
    """One pass over a plan.

    `_before` are the steps so far, `_loose` those that may not come, and `_unsure` the budgets that
    an earlier step charges nobody knows how much.
    """

    def __init__(self, at: Standing, plan: Plan) -> None:
        self._at = at
        self._plan = plan
        self._before: list[PlanStep] = []
        self._loose: list[PlanStep] = []
        self._unsure: dict[str, str] = {}

    def steps(self) -> Iterator[StepForecast]:
        for step in self._plan.steps:
            found = self._step(step)
            self._before.append(step)
            if found.effect in (Foreseen.OPEN, Foreseen.HOLD):
                self._loose.append(step)
            yield found

    def _step(self, step: PlanStep) -> StepForecast:
        at = self._standing(step)
        stop = _stopped(at, step.tool)
        if stop is not None:
            return _denied(step, (stop,))
        if step.refers:
            self._charge(at, step)
            text = "its arguments take the results of earlier steps"
            return _open(step, _sources(step), text)
        asked = self._asked(at, step)
        verdict = judging.judge(asked)
        final = verdict.effect is Effect.DENY and self._is_final(step, verdict)
        waits = () if final else self._hangs_on(at, step)
        if not verdict.effect.runs and (waits or verdict.effect is Effect.HOLD):
            self._charge(at, step, asked)
        if waits:
            return _open(step, waits, "what policies or budgets say of it hangs on earlier steps")
        self._take_as_done(asked, verdict)
        return StepForecast(
            step=step.id,
            tool=step.tool,
            effect=Foreseen(verdict.effect.value),
            reasons=verdict.reasons,
            args=verdict.args if verdict.effect is Effect.MODIFY else "",
        )

    def _standing(self, step: PlanStep) -> Standing:
        at = citing.foreseen(self._at, self._plan, step)
        tool = at.bundle.tools.get(step.tool)
        elsewhere = at.turn.core.level not in ("embedded", "offline")
        performed = tool is not None and tool.performed is not None and elsewhere
        return structs.replace(at, foreseen=performed)

    def _asked(self, at: Standing, step: PlanStep) -> Asked:
        call = Decide(
            session="",
            tool=step.tool,
            args=reading.plain_args(step),
            key=step.id,
            adapter=ADAPTER,
            perform=at.foreseen,
            plan=self._plan.digest,
            step=step.id,
        )
        found = at.engine.normalise(step.tool, call.args)
        # An id that no action has: it is judged as one that nobody has asked for before.
        return Asked(at=at, call=call, id=at.turn.id("act"), found=found)

    def _charge(self, at: Standing, step: PlanStep, asked: Asked | None = None) -> None:
        """Charge what a step will cost that may still run, as far as that is known."""
        tool, typed = at.bundle.tools[step.tool], asked.typed if asked is not None else None
        if typed is not None:
            budgets.take(at.turn.tx, budgets.price(at, tool, typed.value, {}).amounts)
            return
        known = budgets.measures(at, tool)
        budgets.take(at.turn.tx, known.flat)
        self._unsure |= dict.fromkeys(known.open, step.id)

    def _take_as_done(self, asked: Asked, verdict: Verdict) -> None:
        """Tell history that a step that may run has run."""
        if not verdict.effect.runs or not telling.has_history(asked.turn):
            return
        typed = asked.at.engine.normalise(asked.call.tool, verdict.args)
        if isinstance(typed, Typed):
            done = Outcome(OutcomeKind.OK, output="null")
            telling.of_outcome(asked.turn, asked.deed(typed), done, "")

    def _is_final(self, step: PlanStep, verdict: Verdict) -> bool:
        """Whether a denial stays one, whatever the steps before bring."""
        return any(
            reason.code not in _OPINIONS or self._stays(step, reason) for reason in verdict.reasons
        )

    def _stays(self, step: PlanStep, reason: Reason) -> bool:
        if not reason.policy or reason.code is not ReasonCode.FORBIDDEN:
            return False
        policies = {p.id: p for p in self._at.engine.policies(step.tool)}
        policy = policies.get(reason.policy)
        return policy is not None and not (self._moved_by_results(policy) or policy.leaves)

    def _moved_by_results(self, policy: Policy) -> bool:
        return asks_what_was_read(policy)

    def _hangs_on(self, at: Standing, step: PlanStep) -> tuple[str, ...]:
        """Return the earlier steps that what is said of this one may hang on, beyond order."""
        charged = budgets.measures(at, at.bundle.tools[step.tool]).charged
        found = {self._unsure[name] for name in charged & self._unsure.keys()}
        for policy in at.engine.policies(step.tool):
            if self._moved_by_results(policy):
                found.update(each.id for each in self._before)
            for leaf in policy.leaves:
                found.update(self._asked_of(leaf.condition))
        return tuple(each.id for each in self._before if each.id in found)

    def _asked_of(self, condition: object) -> Iterator[str]:
        """Yield the steps that a condition over history asks more of than that they were done."""
        nodes = tuple(walk(condition))  # type: ignore[arg-type]
        if any(isinstance(node, Previous | Since | Tp) for node in nodes):
            yield from (each.id for each in self._loose)
        for node in nodes:
            if isinstance(node, Predicate):
                result = node.kind == EventKind.RESPONSE.value and any(
                    field.path.partition(".")[0] == "output" for field in node.fields
                )
                steps = self._before if result else self._loose
                yield from (each.id for each in steps if each.tool == node.action)


def _stopped(at: Standing, tool: str) -> Reason | None:
    """Return what stops every action with this tool here, whatever its arguments."""
    if tool not in at.bundle.tools:
        return Reason(ReasonCode.UNKNOWN_TOOL, "no tool has exactly this name")
    stop = (
        obstacle(at, tool)
        or separation.refusal(at, tool, perform=at.foreseen)
        or separation.denied(at, tool)
    )
    if stop is None and not at.session.holder and proofs.missing(at, tool):
        return _KEYLESS
    return stop


def _sources(step: PlanStep) -> tuple[str, ...]:
    return tuple(dict.fromkeys(reading.sources(step.args)))


def _denied(step: PlanStep, reasons: tuple[Reason, ...]) -> StepForecast:
    return StepForecast(step.id, step.tool, Foreseen.DENY, reasons)


def _open(step: PlanStep, waits: tuple[str, ...], text: str) -> StepForecast:
    why = Reason(ReasonCode.NOT_DECIDED, text)
    return StepForecast(step.id, step.tool, Foreseen.OPEN, (why,), waits=waits)
