"""Runs a bundle's scenarios through a throw-away governor: events in, verdicts compared."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from bridle.bundle.bundle import Bundle
from bridle.bundle.parse import scenarios
from bridle.bundle.parse.scenarios import Scenario, Step
from bridle.governor.governor import Governor
from bridle.governor.ground.clock import VirtualClock
from bridle.governor.throwaway import OPERATOR, governor_over
from bridle.model.calls import (
    AddPrompt,
    Answer,
    CheckPlan,
    Decide,
    Failed,
    Judged,
    Observe,
    Opened,
    OpenSession,
    Planned,
    Redeem,
    Released,
    Reply,
    StartMission,
)
from bridle.model.errors import BundleError, UsageError
from bridle.model.finding import Location
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect, Release, Verdict

# Virtual time starts here (2026-01-01T00:00:00Z), so that `advance` reads naturally in policies.
_EPOCH_MS = 1_767_225_600_000
_ALLOWED = Verdict(action="", effect=Effect.ALLOW)


class StepResult(Struct, frozen=True):
    """What one step came to. `message` is empty when it went as expected."""

    location: Location
    effect: str
    message: str = ""


class ScenarioResult(Struct, frozen=True):
    """What one scenario came to."""

    name: str
    location: Location
    steps: tuple[StepResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every step went as expected."""
        return all(not step.message for step in self.steps)


def run_scenarios(bundle: Bundle, only: str = "") -> tuple[ScenarioResult, ...]:
    """Run the scenarios whose name contains `only`. Raises `BundleError` if one cannot be read."""
    found, findings = scenarios.read(bundle)
    if findings:
        raise BundleError("the scenarios cannot be read", findings, code="scenarios_invalid")
    return tuple(_run(bundle, item) for item in found if only in item.name)


def _run(bundle: Bundle, scenario: Scenario) -> ScenarioResult:
    governor, clock = governor_over(bundle, leases=False, seed=b"bridle scenario", start=_EPOCH_MS)
    try:
        stage = _Stage(governor, clock, scenario)
        return ScenarioResult(scenario.name, scenario.location, stage.play())
    finally:
        governor.close()


class _Stage:
    """One scenario being played: its mission, its sessions, the last hold."""

    def __init__(self, governor: Governor, clock: VirtualClock, scenario: Scenario) -> None:
        self._governor = governor
        self._clock = clock
        self._scenario = scenario
        self._mission = ""
        self._sessions: dict[str, str] = {}
        self._held: tuple[str, str] = ("", "")
        self._plans: dict[str, str] = {}

    def play(self) -> tuple[StepResult, ...]:
        results: list[StepResult] = []
        scenario = self._scenario
        call = StartMission(template=scenario.mission, user=scenario.user, prompt=scenario.prompt)
        reply = self._governor.handle(OPERATOR, call)
        if not isinstance(reply, Opened):
            why = reply.message if isinstance(reply, Failed) else "it did not start"
            return (StepResult(scenario.location, "", f"the mission was refused: {why}"),)
        self._mission = reply.id
        for number, step in enumerate(scenario.steps):
            try:
                results.append(self._step(step, number))
            except UsageError as problem:
                results.append(StepResult(step.location, "", problem.message))
        return tuple(results)

    def _step(self, step: Step, number: int) -> StepResult:
        if step.advance_ms:
            self._clock.move_to(self._clock.now() + step.advance_ms)
            self._governor.tick()
        verdict = self._done(step, number)
        message = _verdict_message(step, verdict)
        if not message and verdict.attempt:
            message = self._end(step, verdict)
        return StepResult(step.location, verdict.effect.value, message)

    def _done(self, step: Step, number: int) -> Verdict:
        if step.prompt:
            return self._prompt(step)
        return self._approve(step) if step.approve else self._act(step, number)

    def _prompt(self, step: Step) -> Verdict:
        who = step.user or self._scenario.user
        call = AddPrompt(mission=self._mission, user=who, prompt=step.prompt)
        reply = self._governor.handle(OPERATOR, call)
        return _as_denial(reply) if isinstance(reply, Failed) else _ALLOWED

    def _act(self, step: Step, number: int) -> Verdict:
        session = self._session(step.agent)
        if isinstance(session, Failed):
            return _as_denial(session)
        call = Decide(
            session=session,
            tool=step.tool,
            args=step.args,
            key=f"step-{number}",
            start=True,
            plan=self._checked(session) if step.cites else "",
            step=step.cites,
        )
        reply = self._governor.handle(OPERATOR, call)
        verdict = _judged(reply)
        if verdict.approval:
            self._held = (verdict.approval, session)
        return verdict

    def _checked(self, session: str) -> str:
        """Have the plan checked by the agent that cites it first. Returns its digest."""
        if session not in self._plans:
            call = CheckPlan(session=session, plan=self._scenario.plan)
            reply = self._governor.handle(OPERATOR, call)
            if not isinstance(reply, Planned):
                why = reply.message if isinstance(reply, Failed) else "it was not judged"
                raise UsageError(f"the plan was refused: {why}")
            self._plans[session] = reply.forecast.digest
        return self._plans[session]

    def _approve(self, step: Step) -> Verdict:
        approval, session = self._held
        if not approval:
            raise UsageError("there is no hold to approve")
        vote = Answer(approval=approval, approve=True, as_user=step.approve)
        answered = self._governor.handle(OPERATOR, vote)
        if isinstance(answered, Failed):
            return _as_denial(answered)
        redeem = Redeem(session=session, approval=approval, start=True)
        verdict = _judged(self._governor.handle(OPERATOR, redeem))
        if verdict.approval:
            self._held = (verdict.approval, session)
        return verdict

    def _end(self, step: Step, verdict: Verdict) -> str:
        session = self._sessions[step.agent] if step.agent else self._held[1]
        if step.error:
            outcome = Outcome(OutcomeKind.ERROR, error=step.error, output=step.output)
        else:
            outcome = Outcome(OutcomeKind.OK, output=step.output or "null")
        reply = self._governor.handle(
            OPERATOR, Observe(session=session, attempt=verdict.attempt, outcome=outcome)
        )
        if not isinstance(reply, Released):
            return "the outcome was not accepted"
        if not step.output and not step.error:
            return ""  # the step says nothing of a result
        if reply.release.approval:
            self._held = (reply.release.approval, session)
        return _release_message(step, reply.release)

    def _session(self, agent: str) -> str | Failed:
        if agent not in self._sessions:
            call = OpenSession(mission=self._mission, agent=agent)
            reply = self._governor.handle(OPERATOR, call)
            if not isinstance(reply, Opened):
                return reply if isinstance(reply, Failed) else Failed(code="internal", message="")
            self._sessions[agent] = reply.id
        return self._sessions[agent]


def _judged(reply: Reply) -> Verdict:
    """The verdict in a reply; the release of a held result counts as one."""
    if isinstance(reply, Judged):
        return reply.verdict
    if isinstance(reply, Released):
        found = reply.release
        return Verdict(
            action=found.action,
            effect=found.effect,
            reasons=found.reasons,
            approval=found.approval,
        )
    if isinstance(reply, Failed):
        return _as_denial(reply)
    raise UsageError("no verdict")


def _as_denial(failed: Failed) -> Verdict:
    """An operation that was refused, such as a session for an agent that has no part here."""
    codes = {code.value for code in ReasonCode}
    code = ReasonCode(failed.code) if failed.code in codes else ReasonCode.FORBIDDEN
    return Verdict(action="", effect=Effect.DENY, reasons=(Reason(code, failed.message),))


def _verdict_message(step: Step, verdict: Verdict) -> str:
    said = f"{verdict.effect.value} ({verdict.text})" if verdict.text else verdict.effect.value
    if verdict.effect is not step.expect:
        return f"expected {step.expect.value}, got {said}"
    if step.policy and step.policy not in {r.policy for r in verdict.reasons}:
        return f"policy {step.policy!r} is not among the reasons: {said}"
    if step.code and step.code not in {r.code.value for r in verdict.reasons}:
        return f"code {step.code!r} is not among the reasons: {said}"
    if step.expect_args is not None and _loaded(verdict.args) != _loaded_again(step.expect_args):
        return f"the arguments are {verdict.args}"
    return ""


def _release_message(step: Step, release: Release) -> str:
    expected = step.release or Effect.ALLOW
    if release.effect is expected:
        return ""
    said = f" ({release.text})" if release.text else ""
    return f"expected the result's release to be {expected.value}, got {release.effect.value}{said}"


def _loaded(text: str) -> Any:
    return json.loads(text) if text else None


def _loaded_again(value: Any) -> Any:
    """Bring the expectation through JSON too, so that 1.50 and 1.5 compare equal."""
    return json.loads(json.dumps(value, default=float))
