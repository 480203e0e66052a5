"""APScheduler: every run of a job is decided before it starts, and carried out once.

    scheduler.add_job(send, "date", kwargs=mail, id="ticket-7", name=reference)  # who dispatches
    govern(bridle.worker("bundle/", credential=…), tools={send: "mail.send"})  # before it starts

The reference is the job's name: what is stored with a job and reaches no function. Which function
is which tool is said here, by the workload, and not by who schedules a job.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NoReturn

from apscheduler.executors import asyncio, base, pool
from msgspec import Struct

from bridle.adapters.contract import Deed, acarry_out, carry_out, is_undecided
from bridle.client.errors import Held
from bridle.client.worker import Worker
from bridle.model.errors import BridleError, UsageError

_EXECUTORS = "apscheduler.executors."
_RUN, _ARUN = "run_job", "run_coroutine_job"


class DeniedError(Exception):
    """What a run that was refused ends with."""


class HeldError(Exception):
    """What a run that waits for a human ends with: run it again when `approval_id` is answered."""

    def __init__(self, text: str, approval_id: str) -> None:
        super().__init__(text)
        self.approval_id = approval_id


class UndecidedError(Exception):
    """What a run ends with that nobody could be asked about."""


def govern(carrier: Worker, *, tools: Mapping[Callable[..., Any], str]) -> None:
    """Have every run of this process's schedulers decided, and carried out by this workload.

    `tools` says which function is which tool; a job of another function does not run. Call it
    once, before a scheduler starts. Raises `UsageError` where this APScheduler has no place for the
    gate.
    """
    run, arun = getattr(base, _RUN, None), getattr(base, _ARUN, None)
    if None in (run, arun) or getattr(pool, _RUN, None) is not run or _undo:
        raise UsageError(
            "this APScheduler runs its jobs elsewhere, or a gate is there already",
            code="unsupported",
            hint="the adapter is for APScheduler 3.11",
        )
    if getattr(asyncio, _RUN, None) is not run or getattr(asyncio, _ARUN, None) is not arun:
        raise UsageError("this APScheduler runs coroutines elsewhere", code="unsupported")
    gate = _Gate(carrier, dict(tools), run, arun)
    _put(_RUN, run, gate.run)
    _put(_ARUN, arun, gate.arun)


def release() -> None:
    """Take the gate away again: for tests."""
    while _undo:
        module, name, original = _undo.pop()
        setattr(module, name, original)


_undo: list[tuple[Any, str, Any]] = []


def _put(name: str, original: Any, made: Any) -> None:
    """Replace this wherever an executor has it; those imported later find it in `base`."""
    for found, module in list(sys.modules.items()):
        if found.startswith(_EXECUTORS) and getattr(module, name, None) is original:
            setattr(module, name, made)
            _undo.append((module, name, original))


class _Run(Struct):
    """One run of a job. The job itself stays as it is for the runs to come."""

    job: Any
    time: datetime
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class _Stand:
    """A job to the engine's own runner, whose function is decided first."""

    def __init__(self, job: Any, func: Callable[..., Any]) -> None:
        self.func, self.args, self.kwargs = func, (), {}
        self.id, self.misfire_grace_time, self._job = job.id, job.misfire_grace_time, job

    def __str__(self) -> str:
        return str(self._job)


class _Gate:
    def __init__(
        self, carrier: Worker, tools: dict[Callable[..., Any], str], run: Any, arun: Any
    ) -> None:
        self._carrier = carrier
        self._tools = tools
        self._run, self._arun = run, arun

    def __reduce__(self) -> NoReturn:
        # The processes of a pool would begin without the gate.
        raise TypeError("governed jobs run in threads or tasks, not in a pool of processes")

    def run(self, job: Any, alias: str, times: list[datetime], logger: str) -> list[Any]:
        events = []
        for time in times:
            native = _Run(job, time, tuple(job.args), dict(job.kwargs))

            def func(native: _Run = native) -> Any:
                return carry_out(self, native, self._carrier, lambda: _ran(native))

            events += self._run(_Stand(job, func), alias, [time], logger)
        return events

    async def arun(self, job: Any, alias: str, times: list[datetime], logger: str) -> list[Any]:
        events = []
        for time in times:
            native = _Run(job, time, tuple(job.args), dict(job.kwargs))

            async def func(native: _Run = native) -> Any:
                return await acarry_out(self, native, self._carrier, lambda: _ran(native))

            events += await self._arun(_Stand(job, func), alias, [time], logger)
        return events

    def identify(self, native: _Run) -> str:
        return f"{native.job.id}/{native.time.astimezone(UTC).isoformat()}"

    def describe(self, native: _Run) -> Deed:
        func = native.job.func
        tool = self._tools.get(func)
        if tool is None:
            raise UsageError("the job's function is no tool of this worker", code="unknown_tool")
        bound = inspect.signature(func).bind(*native.args, **native.kwargs)
        return Deed(tool, dict(bound.arguments), str(native.job.name))

    def apply(self, native: _Run, arguments: Mapping[str, Any]) -> None:
        native.args, native.kwargs = (), dict(arguments)

    def refuse(self, native: _Run, refusal: BridleError) -> BaseException:
        del native
        if isinstance(refusal, Held):
            return HeldError(str(refusal), refusal.approval_id)
        return (UndecidedError if is_undecided(refusal) else DeniedError)(str(refusal))


def _ran(native: _Run) -> Any:
    return native.job.func(*native.args, **native.kwargs)
