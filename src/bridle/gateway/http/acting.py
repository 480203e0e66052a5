"""`/v1`: decide, begin, beat and observe for an enforcement point that runs the effect itself.

Each names whose action it is: the `reference` that an agent dispatched to this gateway's workload,
or the `run` of a pipeline. The answers are the governor's own verdicts.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from bridle.engine import strict_json
from bridle.engine.case import Refusal
from bridle.gateway.http import messages
from bridle.gateway.http.messages import Answer, Request, RequestError
from bridle.gateway.http.taking import Run, Takings
from bridle.model.outcome import Outcome
from bridle.model.provenance import Provenance
from bridle.model.verdict import Effect, Release, Verdict

_DEEPEST = 128
_LONGEST_KEY = 1_024


class Asked(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Whose action it is: one of the two."""

    reference: str = ""
    run: Run | None = None

    @property
    def whose(self) -> str | Run:
        """The reference or the run. Raises `RequestError`."""
        if bool(self.reference) == (self.run is not None):
            raise RequestError(
                400, "whose action it is: name `reference` or `run`", code="bad_request"
            )
        return self.run or self.reference


class Decide(Asked, frozen=True, kw_only=True):
    """See `Agent.decide`. `args` is a JSON object; with `start` an allowed action is begun, too."""

    tool: str
    key: str
    args: msgspec.Raw = msgspec.Raw(b"{}")
    start: bool = False
    provenance: dict[str, Provenance] = {}
    plan: str = ""
    step: str = ""


class Begin(Asked, frozen=True, kw_only=True):
    """See `Agent.begin`. `args` is the text of the verdict: what is about to be done."""

    action: str
    args: str


class Beat(Asked, frozen=True, kw_only=True):
    """See `Agent.beat`."""

    action: str
    attempt: str


class Observe(Asked, frozen=True, kw_only=True):
    """See `Agent.observe`."""

    action: str
    attempt: str
    outcome: Outcome
    used: dict[str, str] = {}


B = TypeVar("B", bound=Struct)


def decide(takings: Takings, request: Request) -> Answer:
    """Judge an action, and with `start` begin it."""
    asked = body(request, Decide)
    if not 1 <= len(asked.key) <= _LONGEST_KEY:
        raise RequestError(400, "`key` names the step, in 1 to 1,024 characters", code="bad_key")
    text = bytes(asked.args).decode()
    verdict = takings.asked(
        asked.whose,
        lambda agent: agent.decide(
            asked.tool,
            text,
            key=asked.key,
            provenance=asked.provenance or None,
            plan=asked.plan or None,
            step=asked.step,
        ),
    )
    if asked.start and verdict.effect.runs and verdict.outcome is None:
        verdict = takings.asked(asked.whose, lambda agent: agent.begin(verdict))
    return _judged(verdict)


def begin(takings: Takings, request: Request) -> Answer:
    """Start what was decided, if what is about to be done is that."""
    asked = body(request, Begin)
    decided = Verdict(asked.action, Effect.ALLOW, args=asked.args)
    return _judged(takings.asked(asked.whose, lambda agent: agent.begin(decided)))


def beat(takings: Takings, request: Request) -> Answer:
    """Renew what runs."""
    asked = body(request, Beat)
    started = Verdict(asked.action, Effect.ALLOW, attempt=asked.attempt)
    takings.agent(asked.whose).beat(started)
    return messages.answer(messages.OK, {})


def observe(takings: Takings, request: Request) -> Answer:
    """Report what came of it, and say what may be told of its result."""
    asked = body(request, Observe)
    started = Verdict(asked.action, Effect.ALLOW, attempt=asked.attempt)
    release: Release = takings.asked(
        asked.whose, lambda agent: agent.observe(started, asked.outcome, used=asked.used)
    )
    return messages.answer(messages.of_release(release), {"release": release})


def _judged(verdict: Verdict) -> Answer:
    return messages.answer(messages.of_verdict(verdict), {"verdict": verdict})


def body(request: Request, kind: type[B]) -> B:
    """Return the body of a request. Raises `RequestError` for what is no such JSON."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise RequestError(415, "the body is to be application/json", code="bad_content_type")
    try:
        text = request.body.decode()
        # Keys that stand twice, half characters and depth: what two readers read in two ways.
        read: Any = strict_json.parse_result(text, size=len(request.body), depth=_DEEPEST)
        if isinstance(read, Refusal):
            raise RequestError(400, read.text, code=read.code.value)
        return msgspec.json.decode(request.body, type=kind)
    except (UnicodeDecodeError, msgspec.MsgspecError, ValueError, RecursionError) as problem:
        raise RequestError(400, str(problem)[:200], code="bad_request") from problem
