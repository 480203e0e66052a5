"""What happens before and after an effect: ask, check the answer, report, judge the release.

Everything here ends in a value that lets the effect run or its result pass, or raises. `guard`
puts the effect in between.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from bridle.client.attempt import arguments, results
from bridle.client.attempt.beats import Pulse
from bridle.client.errors import Denied, Held, Origin, PerformedError, Resumption
from bridle.client.transport.channel import SILENT, Channel
from bridle.client.used import Used, texts
from bridle.model.calls import (
    Begin,
    Decide,
    Failed,
    Judged,
    Observe,
    Performed,
    Redeem,
    Released,
    Reply,
)
from bridle.model.errors import BridleError, ProtocolError, UnreachableError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect, Release, Verdict

_HINTS = {
    ReasonCode.NOT_SEPARATED.value: "leave `effect` out where the tool says `http` or `sql`; "
    "otherwise a workload with `separate = true` and its key has to carry it out",
    ReasonCode.CREDENTIAL_DENIED.value: 'permit `Action::"vend_credential"` in governance/',
    ReasonCode.PROOF_MISSING.value: "act through the agent that opened the session, or attach to "
    "the whole text that `Mission.session` gave",
    ReasonCode.PROOF_STALE.value: "set this machine's clock",
    ReasonCode.EXECUTOR_NOT_PROVEN.value: "connect with the workload's credential "
    "(`bridle.unlock`)",
    ReasonCode.GRANT_EXPIRED.value: "ask whoever handed it on for a new grant",
    ReasonCode.NOT_GRANTED.value: "`bridle delegations` shows what each grant of the chain allows",
    ReasonCode.REVOKED.value: "revoking is final: a human, or whoever handed it on, grants anew",
    ReasonCode.REQUESTER_MISSING.value: "say whom it serves: `agent.serving(reference)`",
}
_NOBODY_KNOWS = "no answer came: nobody here can say whether it was carried out"
_SAME_KEY = "call it again with the same key: what has ended is answered, and not done again"
_RAN = "the effect ran; until this outcome arrives the governor counts it as `unknown`"


# Makes the way back of a `Held` from the approval's id.
Resumable = Callable[[str], Resumption]


class Intent(Struct, frozen=True):
    """What is to be asked, and what the answer must fit.

    `action` is the id the answer must name, `limit` the bytes an iterator's items may have.
    `origin` is who asks. `wait` is the seconds that the answer may take (None: as ever).
    """

    call: Decide | Begin | Redeem
    action: str
    limit: int = results.RESULT_BYTES
    origin: Origin | None = None
    wait: float | None = None

    @property
    def performs(self) -> bool:
        """Whether the governor's side is asked to carry it out."""
        return not isinstance(self.call, Begin) and self.call.perform

    @property
    def session(self) -> str:
        """The session's handle."""
        return self.call.session


class Stored(Struct, frozen=True):
    """The action has ended before: its result, and no effect to run."""

    value: Any


class Started:
    """An attempt that this process, and no other, is to run."""

    def __init__(self, channel: Channel, intent: Intent, verdict: Verdict) -> None:
        self.channel = channel
        self.intent = intent
        self.id = verdict.attempt
        self.arguments: dict[str, Any] = {}
        self.used: dict[str, str] = {}
        self.pulse = Pulse(channel, intent.session, verdict.attempt, verdict.lease_ms)

    def unwrapped(self, result: Any) -> Any:
        """Return an effect's result, keeping what it says of its use for the report."""
        if not isinstance(result, Used):
            return result
        self.used = texts(result.used)
        return result.result

    def failed(self, problem: BaseException) -> None:
        """Report that the effect raised. Never raises: the effect's own exception matters more."""
        try:
            self.report(results.error_of(problem))
        except Exception as untold:
            code = untold.code if isinstance(untold, BridleError) else type(untold).__name__
            problem.add_note(f"bridle: the governor could not be told of this outcome ({code})")

    def abandoned(self) -> None:
        """Report that the effect was never reached."""
        try:
            self.report(Outcome(OutcomeKind.NOT_STARTED))
        except Exception:
            # The lease settles it: nobody will run it, so only the governor's books are late.
            return

    def report(self, outcome: Outcome) -> Release:
        """Report the outcome. Raises `UnreachableError` when it did not arrive."""
        if self.pulse.lost and not outcome.message:
            lost = f"the lease could not be renewed ({self.pulse.lost})"
            outcome = msgspec.structs.replace(outcome, message=lost)
        return report(self.channel, self.intent, self.id, outcome, self.used)


def admit(channel: Channel, intent: Intent, resumable: Resumable) -> Started | Stored:
    """Ask, and return the started attempt (or the stored result). Raises `Denied` or `Held`.

    INVARIANT: I2 — whatever goes wrong on the way, no `Started` is returned, so no effect runs.
    """
    reply = _answer(channel, intent)
    if isinstance(reply, Released) and isinstance(intent.call, Redeem):
        if reply.release.action != intent.action and reply.release.effect is not Effect.DENY:
            raise _unusable(intent, "the governor's release is about another action")
        return Stored(released(reply.release, resumable))
    if isinstance(reply, Performed) and intent.performs:
        return Stored(performed(reply, intent, resumable))
    verdict = _verdict(reply, intent)
    if not verdict.effect.runs:
        raise refusal(verdict, resumable)
    if verdict.outcome is not None:
        return Stored(stored(verdict, verdict.outcome))
    if not verdict.attempt or verdict.lease_ms < 0:
        raise _unusable(intent, "the governor's answer started nothing")
    started = Started(channel, intent, verdict)
    try:
        started.arguments = executable(verdict, intent)
    except BaseException:
        started.abandoned()
        raise
    return started


def judge(channel: Channel, intent: Intent) -> Verdict:
    """Ask for a verdict. Raises `Denied` when none came, or one that belongs to something else."""
    return _verdict(_answer(channel, intent), intent)


def _answer(channel: Channel, intent: Intent) -> Reply:
    try:
        if intent.wait is None:
            reply = channel.send(intent.call)
        else:
            reply = channel.send(intent.call, timeout=intent.wait)
    except Exception as problem:
        if intent.performs and getattr(problem, "code", "") == SILENT:
            raise UnreachableError(_NOBODY_KNOWS, code=SILENT, hint=_SAME_KEY) from problem
        raise _not_asked(intent, problem) from problem
    if isinstance(reply, Failed):
        raise Denied(reply.message, code=reply.code, hint=reply.hint, action=intent.action)
    return reply


def _verdict(reply: Reply, intent: Intent) -> Verdict:
    if not isinstance(reply, Judged):
        raise _unusable(intent, "the governor answered something else than a verdict")
    verdict = reply.verdict
    if verdict.effect is Effect.DENY:
        # A denial holds whatever it names; those made before a session is known name nothing.
        return msgspec.structs.replace(verdict, action=intent.action)
    if verdict.action != intent.action:
        raise _unusable(intent, "the governor's verdict is about another action")
    return verdict


def executable(verdict: Verdict, intent: Intent) -> dict[str, Any]:
    """Return the arguments that the verdict lets execute, here. Raises `Denied`."""
    if intent.performs:
        raise _unusable(intent, "the governor's side started it and did not carry it out")
    # INVARIANT: I3 — what executes is read from the verdict, never from the caller's objects.
    try:
        return arguments.from_text(verdict.args)
    except ProtocolError as problem:
        raise _unusable(intent, problem.message) from problem


def stored(verdict: Verdict, outcome: Outcome) -> Any:
    """Return the result of an action that has ended `ok` before. Raises `Denied`."""
    if outcome.kind is not OutcomeKind.OK or outcome.opaque:
        raise Denied(
            "this action has ended before, and its result could not be kept",
            code=ReasonCode.RESULT_OPAQUE.value,
            action=verdict.action,
            receipt=verdict.receipt,
        )
    try:
        return results.decode(outcome.output)
    except ProtocolError as problem:
        raise Denied(problem.message, code=problem.code, action=verdict.action) from problem


def refusal(verdict: Verdict | Release, resumable: Resumable | None = None) -> Denied | Held:
    """Return the exception for a verdict or release that stops here."""
    code = _code(verdict)
    text = verdict.text or "refused without a reason"
    if verdict.effect is Effect.HOLD and verdict.approval:
        return Held(
            text,
            code=code,
            approval_id=verdict.approval,
            action=verdict.action,
            reasons=verdict.reasons,
            receipt=verdict.receipt,
            resumption=resumable(verdict.approval) if resumable else None,
        )
    return Denied(
        text,
        code=code,
        hint=_HINTS.get(code or "", ""),
        action=verdict.action,
        reasons=verdict.reasons,
        receipt=verdict.receipt,
    )


def _code(verdict: Verdict | Release) -> str | None:
    """The code of the first reason that stops; what was also rewritten on the way does not."""
    codes = [reason.code for reason in verdict.reasons]
    stopping = (code for code in codes if code is not ReasonCode.MODIFIED)
    first = next(stopping, codes[0] if codes else None)
    return first.value if first else None


def report(
    channel: Channel,
    intent: Intent,
    attempt: str,
    outcome: Outcome,
    used: dict[str, str] | None = None,
) -> Release:
    """Send an outcome and return the release verdict. Raises `UnreachableError`."""
    call = Observe(session=intent.session, attempt=attempt, outcome=outcome, used=used or {})
    try:
        reply = channel.send(call)
    except UnreachableError:
        raise
    except Exception as problem:
        code = problem.code if isinstance(problem, BridleError) else ReasonCode.INTERNAL.value
        raise UnreachableError("the outcome could not be reported", code=code) from problem
    if isinstance(reply, Failed):
        raise UnreachableError(reply.message, code=reply.code, hint=reply.hint)
    if not isinstance(reply, Released):
        raise UnreachableError("the governor answered something else than a release")
    release = reply.release
    if release.effect is Effect.DENY:
        return msgspec.structs.replace(release, action=intent.action)
    if release.action != intent.action:
        raise UnreachableError("the governor's release is about another action")
    return release


def finish(started: Started, result: Any, resumable: Resumable) -> Any:
    """Report a result and return what may reach the caller. Raises `Denied`, `Held` or withholds.

    Raises `UnreachableError` when the effect ran and its outcome could not be reported.
    """
    try:
        release = started.report(results.outcome_of(result))
    except UnreachableError as problem:
        raise UnreachableError(
            f"the result is withheld: {problem.message}", code=problem.code, hint=_RAN
        ) from problem
    # INVARIANT: I3 — a result that a rule has judged is passed on as it was judged.
    if release.effect is Effect.ALLOW and not release.output:
        return result
    return released(release, resumable)


def performed(reply: Performed, intent: Intent, resumable: Resumable) -> Any:
    """Return the result of what the governor's side carried out.

    Raises `Denied` or `Held` where it may not pass, `PerformedError` where there is none.
    """
    action, release = intent.action, reply.release
    if reply.verdict.action != action:
        raise _unusable(intent, "the governor carried out another action")
    if not release.effect.runs:
        raise refusal(msgspec.structs.replace(release, action=action), resumable)
    if reply.error:
        raise PerformedError(reply.message, code=reply.error, action=action, reached=reply.reached)
    if release.action != action:
        raise _unusable(intent, "the governor's release is about another action")
    return released(release, resumable)


def released(release: Release, resumable: Resumable) -> Any:
    """Return the output that a release carries. Raises `Denied` or `Held`."""
    if not release.effect.runs:
        raise refusal(release, resumable)
    try:
        return results.decode(release.output)
    except ProtocolError as problem:
        raise Denied(problem.message, code=problem.code, action=release.action) from problem


def _unusable(intent: Intent, why: str) -> Denied:
    return Denied(why, code=ProtocolError.code, action=intent.action)


def _not_asked(intent: Intent, problem: Exception) -> Denied:
    if isinstance(problem, BridleError):
        why, code, hint = problem.message, problem.code, problem.hint
    else:
        why, code, hint = type(problem).__name__, ReasonCode.INTERNAL.value, ""
    return Denied(f"not judged, so not run: {why}", code=code, hint=hint, action=intent.action)
