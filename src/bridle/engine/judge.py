"""The algorithm of remedies: from what the policies say, round by round, to one judgement.

Pure. It works alike on arguments and on results; a `Stage` says how each is put to the policies
and read again after a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from bridle.engine import verdicts
from bridle.engine.case import Case, Judgement, Refusal, Typed
from bridle.engine.cedar.panel import Opinion, Panel, Question
from bridle.engine.detect import Detectors
from bridle.engine.normalise import encode
from bridle.engine.remedies import RemedyError, apply
from bridle.engine.temporal.history import UnknownHistoryError
from bridle.language.policy import Policy
from bridle.model.identity import ApproverGroup
from bridle.model.reason import ReasonCode

MAX_ROUNDS = 3
"""How often a changed action is judged again before its changes count as endless."""


class Stage(Protocol):
    """What is being judged: the arguments of an action, or its result."""

    @property
    def root(self) -> str:
        """Return where remedies start: `input` or `output`."""
        ...

    def question(self, case: Case, typed: Typed) -> Question:
        """Return how one form of the action (or result) is put to the policies.

        Raises `UnknownHistoryError` where an enforced one looks back and cannot be told.
        """
        ...

    def read(self, tool: str, text: str) -> Typed | Refusal:
        """Read a changed text exactly as one from outside is read."""
        ...


class Judge:
    """Carries out the algorithm over one panel of policies."""

    __slots__ = ("_approvers", "_detectors", "_panel")

    def __init__(
        self, panel: Panel, detectors: Detectors, approvers: Mapping[str, ApproverGroup]
    ) -> None:
        self._panel = panel
        self._detectors = detectors
        self._approvers = approvers

    def judge(self, stage: Stage, case: Case, requested: Typed) -> Judgement:
        """Judge `requested`; apply what policies ask to change and judge again, a few times."""
        trail = verdicts.Trail()
        typed = requested
        for last in (*(False for _ in range(MAX_ROUNDS)), True):
            try:
                question = stage.question(case, typed)
            except UnknownHistoryError as e:
                # INVARIANT: I2. What cannot be looked up denies, permits and forbids alike.
                return verdicts.unknown_history(trail, e)
            opinion = self._panel.ask(question, case.waived)
            trail.tried(opinion.shadow)
            denial = _denial(trail, opinion)
            if denial is not None:
                return denial
            changes = tuple(p for p in opinion.objections if p.modify)
            if not changes:
                return self._settle(trail, requested, typed, opinion.objections)
            if last:
                break
            trail.met(changes)
            again = self._changed(stage, case.tool, typed, changes)
            if isinstance(again, Refusal):
                return verdicts.diverged(trail, again)
            typed = again
        return verdicts.diverged(
            trail, Refusal(ReasonCode.MODIFY_DIVERGED, "no end after 3 rounds")
        )

    def _settle(
        self, trail: verdicts.Trail, requested: Typed, typed: Typed, holds: tuple[Policy, ...]
    ) -> Judgement:
        if holds:
            return verdicts.hold(trail, typed, holds, self._approvers)
        return verdicts.passed(trail, requested, typed)

    def _changed(
        self, stage: Stage, tool: str, typed: Typed, changes: Iterable[Policy]
    ) -> Typed | Refusal:
        """Apply every change in policy-id order; read the outcome as if it came from outside."""
        value: Any = typed.value
        for policy in changes:
            try:
                value = apply(policy.modify, stage.root, value, self._detectors)
            except RemedyError as e:
                return Refusal(ReasonCode.MODIFY_DIVERGED, f"{policy.id}: {e.message}")
        return stage.read(tool, encode(value))


def _denial(trail: verdicts.Trail, opinion: Opinion) -> Judgement | None:
    """Return the denial that no remedy can avert, if there is one."""
    # INVARIANT: I2. An erroring policy denies; Cedar would skip it.
    if opinion.faults:
        return verdicts.policy_error(trail, opinion.faults)
    if not opinion.permitted:
        return verdicts.no_permit(trail, opinion.objections)
    unmet = tuple(p for p in opinion.objections if not verdicts.met_by_remedy(p))
    # INVARIANT: I8. Without its remedy a forbid lands here, so stripping remedies only denies more.
    return verdicts.forbidden(trail, unmet, opinion.objections) if unmet else None
