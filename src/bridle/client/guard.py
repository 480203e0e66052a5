"""The only code of ours that runs an effect: decide and start, run, observe, release.

`guard` and its async twin differ in how they wait, not in what they do; `stream` hands items out
as they come, for tools whose results no rule judges. `HeldEffect` goes on after an approval.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Any

from msgspec import structs

from bridle.client.attempt import gate, results
from bridle.client.attempt.gate import Intent, Started, Stored
from bridle.client.errors import Origin
from bridle.client.transport.channel import Channel, ask
from bridle.model.calls import ApprovalOf, Listing, Redeem
from bridle.model.errors import NotFoundError, UnreachableError, UsageError
from bridle.model.outcome import Outcome, OutcomeKind

PENDING = "pending"

_POLL_MS = 20_000
_ASYNC_POLL_SECONDS = 0.2
_RECONNECT_SECONDS = 0.2
_PATIENCE_SECONDS = 60.0
_MARGIN_SECONDS = 30.0
_NO_ITERATOR = "stream=True needs an effect that returns an (async) iterator"
_STREAMED = Outcome(OutcomeKind.OK, opaque=True)

EffectFunction = Callable[..., Any]


def guard(channel: Channel, intent: Intent, effect: EffectFunction | None) -> Any:
    """Run `effect` with the verdict's arguments, if a verdict lets it, and return its result.

    Without an effect, the governor's side is asked to carry it out (`intent.performs`), which may
    raise `PerformedError`.
    Raises `Denied` or `Held`, whatever the effect raised (unchanged), or `UnreachableError` when
    the effect ran and its outcome could not be reported; the result is then withheld.
    """
    resumable = functools.partial(HeldEffect, channel, intent, effect)
    admitted = gate.admit(channel, intent, resumable)
    if isinstance(admitted, Stored):
        return admitted.value
    try:
        with admitted.pulse:
            result = _finished(_run(effect, admitted), admitted)
    except BaseException as problem:
        admitted.failed(problem)
        raise
    return gate.finish(admitted, result, resumable)


async def aguard(channel: Channel, intent: Intent, effect: EffectFunction | None) -> Any:
    """Do what `guard` does without blocking the event loop. A sync `effect` runs in a thread."""
    from bridle.client.attempt import waiting

    resumable = functools.partial(HeldEffect, channel, intent, effect)
    admitted = await waiting.or_undo(_undo, gate.admit, channel, intent, resumable)
    if isinstance(admitted, Stored):
        return admitted.value
    try:
        with admitted.pulse:
            result = await _arun(effect, admitted)
    except GeneratorExit as problem:
        # The coroutine is being closed: nothing may be awaited any more.
        waiting.submit(admitted.failed, problem)
        raise
    except BaseException as problem:
        await waiting.to_the_end(admitted.failed, problem)
        raise
    return await waiting.to_the_end(gate.finish, admitted, result, resumable)


def stream(channel: Channel, intent: Intent, effect: EffectFunction) -> Generator[Any, Any, None]:
    """Run a generator `effect`, yielding its items as they come.

    The verdict is asked for at the first item. The caller has made sure that no rule judges this
    tool's results. An iterator that is given up before its end leaves the outcome `unknown`.
    """
    admitted = gate.admit(channel, intent, functools.partial(HeldEffect, channel, intent, effect))
    if isinstance(admitted, Stored):
        yield from results.items_of(admitted.value)
        return
    try:
        with admitted.pulse:
            items = _run(effect, admitted)
            if not results.is_iterator(items):
                raise UsageError(_NO_ITERATOR)  # noqa: TRY301 - reported as the effect's end
            yield from items
    except BaseException as problem:
        admitted.failed(problem)
        raise
    admitted.report(_STREAMED)


async def astream(
    channel: Channel, intent: Intent, effect: EffectFunction
) -> AsyncGenerator[Any, None]:
    """Do what `stream` does for an async generator."""
    from bridle.client.attempt import waiting

    resumable = functools.partial(HeldEffect, channel, intent, effect)
    admitted = await waiting.or_undo(_undo, gate.admit, channel, intent, resumable)
    if isinstance(admitted, Stored):
        for item in results.items_of(admitted.value):
            yield item
        return
    try:
        with admitted.pulse:
            items = _run(effect, admitted)
            if not results.is_async_iterator(items):
                raise UsageError(_NO_ITERATOR)  # noqa: TRY301 - as above
            async for item in items:
                yield item
    except GeneratorExit as problem:
        waiting.submit(admitted.failed, problem)
        raise
    except BaseException as problem:
        await waiting.to_the_end(admitted.failed, problem)
        raise
    await waiting.to_the_end(admitted.report, _STREAMED)


class HeldEffect:
    """The way on for a held action or result: see how the approval stands, redeem it, run."""

    def __init__(
        self, channel: Channel, intent: Intent, effect: EffectFunction | None, approval: str
    ) -> None:
        self._channel = channel
        # Several identical calls may wait for one approval: each redeems it for its own action.
        call = Redeem(session=intent.session, approval=approval, action=intent.action, start=True)
        self._intent = structs.replace(intent, call=call)
        self._effect = effect
        self._approval = approval

    @property
    def origin(self) -> Origin | None:
        """Who was held."""
        return self._intent.origin

    def wait(self, timeout: float | None) -> str:
        """See `Held.wait`."""
        end, silence = _end(timeout), _Silence()
        while True:
            left = end - time.monotonic()
            try:
                status = self._status(int(min(_POLL_MS, max(0.0, left * 1000))))
            except UnreachableError:
                if silence.too_long(end):
                    raise
                time.sleep(_RECONNECT_SECONDS)
                continue
            silence.over()
            if status != PENDING or time.monotonic() >= end:
                return status

    async def await_(self, timeout: float | None) -> str:  # noqa: ASYNC109 - see `Held.await_`
        """See `Held.await_`."""
        from bridle.client.attempt import waiting

        end, silence = _end(timeout), _Silence()
        while True:
            try:
                status: str = await waiting.to_the_end(self._status, 0)
            except UnreachableError:
                if silence.too_long(end):
                    raise
            else:
                silence.over()
                if status != PENDING or time.monotonic() >= end:
                    return status
            await waiting.pause(_ASYNC_POLL_SECONDS)

    def resume(self, effect: EffectFunction | None) -> Any:
        """See `Held.resume`."""
        chosen = effect or self._effect or self._without()
        if chosen is not None and needs_loop(chosen):
            raise UsageError("the held effect is async", hint="use `await held.aresume()`")
        return guard(self._channel, self._asking(chosen), chosen)

    async def aresume(self, effect: EffectFunction | None) -> Any:
        """See `Held.aresume`."""
        from bridle.client.attempt import waiting

        chosen = effect or self._effect
        if chosen is None:
            chosen = await waiting.to_the_end(self._without)
        return await aguard(self._channel, self._asking(chosen), chosen)

    def _asking(self, effect: EffectFunction | None) -> Intent:
        """Ask the governor's side to carry it out where nothing here would run."""
        call = self._intent.call
        assert isinstance(call, Redeem)
        return structs.replace(self._intent, call=structs.replace(call, perform=effect is None))

    def _without(self) -> EffectFunction | None:
        """Stand in for the effect where none is needed. Raises `UsageError` where one is."""
        # INVARIANT: I4 — nothing is started that nobody here could run.
        row = approval_of(self._channel, self._intent.session, self._approval)
        if row.get("subject") == "result":
            return _no_effect
        if row.get("performed"):
            wait = patience(int(row.get("timeout_ms", 0)))
            self._intent = structs.replace(self._intent, wait=wait)
            return None
        raise UsageError(
            "this action was held in another process: its effect did not come along",
            hint="pass it: resume(effect=…)",
        )

    def _status(self, wait_ms: int) -> str:
        row = approval_of(self._channel, self._intent.session, self._approval, wait_ms)
        return str(row.get("status", ""))


class _Silence:
    """How long the governor has not answered: long enough to be restarted, and not for ever."""

    def __init__(self) -> None:
        self._since = 0.0

    def too_long(self, end: float) -> bool:
        """Note that it did not answer; say whether to give up."""
        now = time.monotonic()
        self._since = self._since or now
        return now >= min(end, self._since + _PATIENCE_SECONDS)

    def over(self) -> None:
        """It has answered."""
        self._since = 0.0


def approval_of(channel: Channel, session: str, approval: str, wait_ms: int = 0) -> dict[str, Any]:
    """Ask how a hold of this session's agent stands. Raises `NotFoundError`."""
    call = ApprovalOf(session=session, approval=approval, wait_ms=wait_ms)
    rows = ask(channel, call, Listing).rows
    if len(rows) != 1:
        raise NotFoundError(f"the governor does not know the approval {approval}")
    return rows[0]


def patience(timeout_ms: int) -> float:
    """Seconds that the answer to what the governor's side carries out may take.

    The tool's timeout, which a credential is made within, and time to say what came of it.
    """
    return timeout_ms / 1000 + _MARGIN_SECONDS


def _no_effect(**arguments: Any) -> Any:
    del arguments
    raise UsageError("a held result has no effect to run")


def needs_loop(effect: EffectFunction) -> bool:
    """Whether calling `effect` yields a coroutine or an async iterator."""
    call = getattr(type(effect), "__call__", None)  # noqa: B004 - the method itself is wanted
    return any(
        inspect.iscoroutinefunction(f) or inspect.isasyncgenfunction(f) for f in (effect, call)
    )


def _run(effect: EffectFunction | None, started: Started) -> Any:
    if effect is None:
        raise UsageError("nothing here could run this", hint="pass effect=…")
    # INVARIANT: I1, I3 — the one line that starts an effect: behind a `Started`, with what it says.
    return effect(**started.arguments)


def _finished(result: Any, started: Started) -> Any:
    """Return the result of a sync effect once there is nothing left of it to run."""
    result = started.unwrapped(result)
    if results.is_async(result):
        if inspect.iscoroutine(result):
            result.close()
        raise UsageError(
            "the effect returned something to await", hint="use `acall` for async effects"
        )
    return results.drained(result, started.intent.limit, started.intent.action)


async def _arun(effect: EffectFunction | None, started: Started) -> Any:
    from bridle.client.attempt import waiting

    intent = started.intent
    if effect is not None and needs_loop(effect):
        result = _run(effect, started)
    else:
        result = await waiting.in_thread(_run_whole, effect, started)
    if inspect.isawaitable(result):
        result = await result
    result = started.unwrapped(result)
    if results.is_async_iterator(result):
        return await results.adrained(result, intent.limit, intent.action)
    return results.drained(result, intent.limit, intent.action)


def _run_whole(effect: EffectFunction | None, started: Started) -> Any:
    """Run a sync effect in its thread, with everything that an iterator still has to do."""
    try:
        result = started.unwrapped(_run(effect, started))
        return results.drained(result, started.intent.limit, started.intent.action)
    except StopIteration as problem:
        # A future cannot carry it: whoever awaits would wait for ever.
        raise RuntimeError("the effect raised StopIteration") from problem


def _undo(admitted: Started | Stored) -> None:
    """Whoever asked was cancelled before the effect was reached."""
    if isinstance(admitted, Started):
        admitted.abandoned()


def _end(timeout: float | None) -> float:
    return float("inf") if timeout is None else time.monotonic() + timeout
