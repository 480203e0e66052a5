"""Carries out what agents ask the governor's side to: the one path of every action, in here.

An action that an agent asks for is decided and started, the effect is a request of ours with the
credential in it, and what comes of it is observed and judged before the agent is told. It goes on
when the agent hangs up: what has started is reported.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol

from msgspec import structs

from bridle.brokers.broker import Secret
from bridle.brokers.performing import performers
from bridle.brokers.performing.failures import UnreachedError
from bridle.brokers.performing.stopping import Stop
from bridle.brokers.scrubbing import Scrubber
from bridle.client import guard, stopping
from bridle.client.attempt import results, running
from bridle.client.attempt.gate import Intent
from bridle.governor import refusals
from bridle.governor.action.carrying import Carried
from bridle.model.calls import (
    Call,
    Caller,
    Decide,
    Failed,
    Judged,
    Performed,
    Redeem,
    Released,
    Reply,
    Vend,
    Vended,
)
from bridle.model.errors import BridleError, NotReachedError
from bridle.model.reason import Reason, ReasonCode
from bridle.model.verdict import Effect, Release, Verdict

_log = logging.getLogger("bridle.server")

# At a time, of all agents together; and the seconds that one more waits for its turn.
_MOST = 64
_WAIT = 10.0

_UNTOLD = "the result is withheld: its outcome could not be recorded"


class Governor(Protocol):
    """What is needed of a governor here."""

    @property
    def store(self) -> str:
        """The id of its store."""
        ...

    def handle(self, caller: Caller, call: Call) -> Reply:
        """Answer one call. Never raises for a call."""
        ...

    def carried(self, verdict: Verdict) -> Carried:
        """Return the tool and the system of what a verdict has started. Raises `BridleError`."""
        ...


class Performances:
    """Carries actions out, so many at a time. Safe for threads; each runs in its caller's."""

    def __init__(self, governor: Governor, *, most: int = _MOST, wait: float = _WAIT) -> None:
        self._governor = governor
        self._free = threading.BoundedSemaphore(most)
        self._wait = wait
        self._stops = _Stops()

    def answer(self, caller: Caller, call: Decide | Redeem) -> Reply:
        """Judge an action and, where it may start, carry it out. Never raises."""
        if not call.start:
            text = "what is to be carried out is to be started as well"
            return refusals.no(call, Reason(ReasonCode.MALFORMED, text))
        if not self._free.acquire(timeout=self._wait):
            text = "the governor's side carries out as much as it can: ask again"
            return refusals.no(call, Reason(ReasonCode.LIMIT_EXCEEDED, text))
        try:
            if self._stops.stopped:
                text = "the governor is about to end: ask the next one"
                return refusals.no(call, Reason(ReasonCode.LIMIT_EXCEEDED, text))
            # INVARIANT: I9 — the only place that says so, and for this one action.
            performing = structs.replace(caller, performing=True)
            return _Performance(_Inside(self._governor, performing), self._stops).answer(call)
        finally:
            self._free.release()

    def end(self) -> None:
        """Stop what is still being carried out: the governor ends."""
        self._stops.stop("ending")


class _Stops:
    """What ends the requests under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stops: set[Stop] = set()
        self._code = ""

    @contextmanager
    def among(self, stop: Stop) -> Generator[None]:
        with self._lock:
            self._stops.add(stop)
            code = self._code
        if code:
            # Its credential was still being made when all others were stopped.
            stop.stop(code)
        try:
            yield
        finally:
            with self._lock:
                self._stops.discard(stop)

    @property
    def stopped(self) -> bool:
        return bool(self._code)

    def stop(self, code: str) -> None:
        """End all of them, and for good: whatever comes later ends at once."""
        with self._lock:
            self._code = self._code or code
            stops = tuple(self._stops)
        for stop in stops:
            stop.stop(code)


class _Inside:
    """The channel of what is carried out here: straight into the governor.

    `release` is what the governor said of the outcome, None while it was not told one.
    """

    def __init__(self, governor: Governor, caller: Caller) -> None:
        self.governor = governor
        self.release: Release | None = None
        self._caller = caller
        self._answers: tuple[Call, Reply] | None = None

    @property
    def store(self) -> str:
        """The id of the governor's store."""
        return self.governor.store

    def answers(self, call: Call, reply: Reply) -> None:
        """Give `reply` when `call` is sent: it was asked already."""
        self._answers = call, reply

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        """See `Channel.send`. There is nothing to wait for here, so `timeout` has no meaning."""
        del timeout
        if self._answers is not None and self._answers[0] is call:
            return self._answers[1]
        reply = self.governor.handle(self._caller, call)
        if isinstance(reply, Released):
            self.release = reply.release
        return reply

    def close(self) -> None:
        """Nothing to let go of."""


class _Performance:
    """One action, from the question to the answer."""

    def __init__(self, inside: _Inside, stops: _Stops) -> None:
        self._inside = inside
        self._stops = stops
        self._scrubber = Scrubber(())

    def answer(self, call: Decide | Redeem) -> Reply:
        reply = self._inside.send(call)
        if not isinstance(reply, Judged) or not reply.verdict.attempt:
            return reply
        verdict, result = reply.verdict, None
        failure: Exception | None = None
        # To the guard this is an effect like any other: it runs here.
        own = structs.replace(call, perform=False)
        self._inside.answers(own, reply)

        def effect(**arguments: Any) -> Any:
            return self._run(verdict, arguments)

        try:
            result = guard.guard(self._inside, Intent(own, verdict.action), effect)
        except Exception as problem:
            failure = problem
        return self._told(verdict, result, failure)

    def _run(self, verdict: Verdict, arguments: dict[str, Any]) -> Any:
        """Carry out a started action with the arguments that were judged."""
        carried = self._inside.governor.carried(verdict)
        stop = Stop(carried.tool.timeout_ms / 1000)
        stopping.on_stop(stop.stop)
        secret, lease = None, ""
        if carried.system.credential is not None:
            secret, lease = self._vended(stop)
        try:
            with self._stops.among(stop):
                result = performers.perform(
                    carried.tool, carried.system, arguments, secret, stop, lease=lease
                )
        except BridleError as problem:
            raise self._scrubbed(problem) from None
        # INVARIANT: I9 — whatever a performer overlooked, no secret is recorded or answered.
        return self._scrubber.value(result)

    def _vended(self, stop: Stop) -> tuple[Secret, str]:
        now = running.current()
        reply = self._inside.send(Vend(session=now.session, attempt=now.attempt))
        if isinstance(reply, Vended):
            self._scrubber = Scrubber.of(reply.secret)
            # INVARIANT: I9 — nothing is sent, or goes on, with a credential whose lease is over.
            stop.within(reply.expires / 1_000 - time.time())
            return Secret(**reply.secret), reply.lease
        if isinstance(reply, Failed):
            raise UnreachedError(reply.message, code=reply.code)
        raise UnreachedError("no credential was answered", code="credential_unavailable")

    def _scrubbed(self, problem: BridleError) -> BridleError:
        scrub = self._scrubber.text
        again = type(problem)(scrub(problem.message), code=scrub(problem.code))
        # Nothing of where it came from goes along: a frame there may hold the secret.
        return again.with_traceback(None)

    def _told(self, verdict: Verdict, result: Any, failure: Exception | None) -> Reply:
        release = self._inside.release
        if release is None:
            _log.error("what was carried out could not be reported: %s", _code(failure))
            reason = Reason(ReasonCode.STORE_UNAVAILABLE, _UNTOLD)
            release = Release(verdict.action, Effect.DENY, (reason,))
        if not release.effect.runs or release.output:
            # As it was judged; a failure may have been, too.
            return _answer(verdict, release, failure)
        if failure is None:
            outcome = results.outcome_of(result)
            if outcome.opaque:
                why = "the result is too large to be answered"
                return Performed(
                    verdict=verdict, release=release, error="answer_too_large", message=why
                )
            release = structs.replace(release, output=outcome.output)
        return _answer(verdict, release, failure)


def _answer(verdict: Verdict, release: Release, failure: Exception | None) -> Performed:
    # INVARIANT: I3 — what was judged and may not pass is not told by way of its failure either.
    if failure is None or not release.effect.runs:
        return Performed(verdict=verdict, release=release)
    return Performed(
        verdict=verdict,
        release=release,
        error=_code(failure),
        message=failure.message if isinstance(failure, BridleError) else "it failed inside",
        reached=not isinstance(failure, NotReachedError),
    )


def _code(failure: Exception | None) -> str:
    return failure.code if isinstance(failure, BridleError) else ReasonCode.INTERNAL.value
