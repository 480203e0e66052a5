"""Judges recorded traces by a bundle: each call decided, each hold answered by a human.

The human is always right: what the user's task asks for is approved, what an injection asks for is
refused. One throw-away governor judges all traces of a bundle, each in a mission of its own.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import structs

from bench.agentdojo.scoring import Judgement
from bench.agentdojo.steps import steps
from bench.agentdojo.traces import Call, Trace
from bridle.bundle.load import load
from bridle.governor.throwaway import OPERATOR, governor_over
from bridle.model import calls
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.tool import EffectClass
from bridle.model.verdict import Effect, Verdict

R = TypeVar("R")

# What every bundle of the evaluation calls them.
_TEMPLATE, _USER, _AGENT = "task", "user", "assistant"
# 2024-05-15T12:00:00Z, the day on which the suites are set.
_START = 1_715_774_400_000


class Ruling(msgspec.Struct, frozen=True):
    """What became of one call, and which policies objected."""

    said: Judgement
    policies: tuple[str, ...] = ()
    card: int = 0
    """Which card asked for it, counted from 1 in its trace (0: nobody was asked)."""


class Desk:
    """A governor over one bundle, asked about one trace after the other.

    Raises `BundleError` where the bundle is none.
    """

    def __init__(self, bundle: Path) -> None:
        loaded = load(bundle)
        self._reads = frozenset(
            name for name, tool in loaded.tools.items() if tool.effect is EffectClass.READ
        )
        self._governor, _ = governor_over(
            loaded, leases=False, seed=b"bridle agentdojo", start=_START
        )

    def close(self) -> None:
        """Drop the throw-away store."""
        self._governor.close()

    def judge(self, trace: Trace, *, asking: bool = True) -> tuple[Ruling, ...]:
        """Return what becomes of each call of a trace, in order.

        What is refused does not run, and is not read; everything else goes on as it was recorded.
        Without `asking` nobody is there who could approve anything.
        """
        opened = self._asked(
            calls.StartMission(template=_TEMPLATE, user=_USER, prompt=trace.prompt), calls.Opened
        )
        session = self._asked(calls.OpenSession(mission=opened.id, agent=_AGENT), calls.Opened).id
        return self._run(session, trace, asking=asking)

    def _run(self, session: str, trace: Trace, *, asking: bool) -> tuple[Ruling, ...]:
        found: list[Ruling] = []
        card = 0
        for step in steps(trace, self._reads):
            pending: list[tuple[Call, Verdict]] = []
            for call in step:
                ruling, verdict = self._decided(session, f"call-{len(found)}", call)
                if verdict.effect is Effect.HOLD:
                    pending.append((call, verdict))
                    ruling = structs.replace(ruling, card=card + 1)
                found.append(ruling)
            if pending:
                card += 1
                self._answered(session, pending, asking=asking)
        return tuple(found)

    def _decided(self, session: str, key: str, call: Call) -> tuple[Ruling, Verdict]:
        verdict = self._asked(
            calls.Decide(
                session=session, tool=call.tool, args=json.dumps(call.args), key=key, start=True
            ),
            calls.Judged,
        ).verdict
        policies = tuple(sorted({r.policy for r in verdict.reasons if r.policy}))
        said: Judgement = "allow" if verdict.effect.runs else "deny"
        if verdict.effect is Effect.HOLD:
            said = "ask"
        if verdict.attempt:
            self._report(session, verdict, call)
        return Ruling(said, policies), verdict

    def _answered(
        self, session: str, pending: Sequence[tuple[Call, Verdict]], *, asking: bool
    ) -> None:
        """Answer one card, and go on with what it approved."""
        approve = asking and pending[0][0].origin == "user"
        first = pending[0][1].approval
        shown = self._asked(calls.Approvals(approval=first), calls.Listing).rows[0]
        answer = calls.Answer(
            approval=first, approve=approve, as_user=_USER, card=str(shown["card"])
        )
        self._asked(answer, calls.Done)
        for call, verdict in pending:
            redeem = calls.Redeem(session=session, approval=verdict.approval, start=True)
            again = self._asked(redeem, calls.Judged).verdict
            if approve and not again.effect.runs:
                raise RuntimeError(f"approved, and still refused: {again.reasons}")
            if again.attempt:
                self._report(session, again, call)

    def _report(self, session: str, verdict: Verdict, call: Call) -> None:
        if call.error is None:
            outcome = Outcome(OutcomeKind.OK, output=json.dumps(call.output))
        else:
            outcome = Outcome(OutcomeKind.ERROR, error="failed", message=call.error)
        observed = calls.Observe(session=session, attempt=verdict.attempt, outcome=outcome)
        self._asked(observed, calls.Released)

    def _asked(self, call: calls.Call, kind: type[R]) -> R:
        reply = self._governor.handle(OPERATOR, call)
        if not isinstance(reply, kind):
            raise RuntimeError(f"{type(call).__name__}: {reply}")  # noqa: TRY004 (not a wrong type)
        return reply
