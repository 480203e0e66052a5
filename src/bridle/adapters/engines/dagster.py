"""Dagster: what an op or asset does is decided before it is done, and carried out once.

    @governed("mail.send")
    def send(to: str, body: str) -> str: …                  # called by ops and assets

    govern(lambda: bridle.worker("bundle/", credential=…))  # in the module of the definitions
    job.execute_in_process(tags={TAG: reference})           # whoever launches the run

The gate stands where the step's process calls the function, whatever the executor. A tag is shown
in the interface: the reference is no secret. A run that is re-executed is the same work.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from dagster import DagsterInvariantViolationError, Failure, OpExecutionContext, RetryRequested
from msgspec import Struct

from bridle.adapters.contract import Deed, WorkerOfProcess, acarry_out, carry_out, is_undecided
from bridle.client.binding import Binding, KeyFunction
from bridle.client.errors import Held
from bridle.client.worker import Worker
from bridle.model.errors import BridleError, UsageError

TAG = "bridle/context"
"""The tag of a run that carries the reference; a run that is re-executed inherits it."""

_handed: ContextVar[str] = ContextVar("bridle_handed", default="")


class DeniedError(Failure):
    """What a call that was refused raises. Its step is not tried again, whatever its policy."""

    def __init__(self, text: str) -> None:
        super().__init__(description=text, allow_retries=False)


def govern(opening: Callable[[], Worker], *, again: float = 15.0) -> None:
    """Have governed functions decided, and carried out by the workload that `opening` returns.

    It is called in each process that runs a step, at the first that it has to decide. A held step,
    and one that nobody could be asked about, is tried again every `again` seconds. Dagster may load
    a module of definitions more than once: the last gate counts.
    """
    _gates[:] = [_Gate(opening, again)]


def release() -> None:
    """Take the gate away again: for tests. The worker stays open: it is its owner's."""
    _gates.clear()


_gates: list[_Gate] = []


@contextmanager
def handed(reference: str) -> Iterator[None]:
    """Have what is done within carried out for another agent: of whom this is the reference."""
    token = _handed.set(reference)
    try:
        yield
    finally:
        _handed.reset(token)


def governed(
    tool: str, *, key: KeyFunction | None = None
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function one that is decided as a call of `tool`, and does it once for each run.

    Within a run and a step the same arguments are the same work. A step that does the same again,
    on purpose, tells them apart: `key`, called with the arguments, names the work.
    """

    def decorate(func: Callable[..., Any]) -> Callable[..., Any]:
        binding = Binding(func)

        @functools.wraps(func)
        def call(*args: Any, **kwargs: Any) -> Any:
            gate, native = _begun(tool, binding.arguments(args, kwargs), key)
            return carry_out(gate, native, gate.carrier(native), lambda: func(**native.arguments))

        @functools.wraps(func)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            gate, native = _begun(tool, binding.arguments(args, kwargs), key)
            carrier = gate.carrier(native)
            return await acarry_out(gate, native, carrier, lambda: func(**native.arguments))

        return acall if inspect.iscoroutinefunction(func) else call

    return decorate


class _Call(Struct):
    """A call as it is about to happen."""

    tool: str
    arguments: dict[str, Any]
    name: str
    reference: str


class _Gate:
    def __init__(self, opening: Callable[[], Worker], again: float) -> None:
        self._workers = WorkerOfProcess(opening)
        self._again = again

    def carrier(self, native: _Call) -> Worker:
        """Return this process's worker. Raises as a refusal of the step."""
        try:
            return self._workers.get()
        except BridleError as problem:
            raise self.refuse(native, problem) from problem

    def identify(self, native: _Call) -> str:
        return native.name

    def describe(self, native: _Call) -> Deed:
        return Deed(native.tool, native.arguments, native.reference)

    def apply(self, native: _Call, arguments: Mapping[str, Any]) -> None:
        native.arguments = dict(arguments)

    def refuse(self, native: _Call, refusal: BridleError) -> BaseException:
        del native
        if isinstance(refusal, Held) or is_undecided(refusal):
            return RetryRequested(max_retries=sys.maxsize, seconds_to_wait=self._again)
        return DeniedError(str(refusal))


def _begun(tool: str, arguments: dict[str, Any], key: KeyFunction | None) -> tuple[_Gate, _Call]:
    if not _gates:
        raise UsageError("nobody governs this process's steps", hint="call `govern` first")
    try:
        context = OpExecutionContext.get().get_step_execution_context()
    except DagsterInvariantViolationError as problem:
        raise UsageError(f"{tool!r} is called by a step, and here is none") from problem
    run = context.dagster_run
    work = key(**arguments) if key else _digest(arguments)
    # The step's key has its place in graphs and the mapping; the run is the one it all began with.
    name = json.dumps([run.root_run_id or run.run_id, context.step.key, tool, work])
    return _gates[0], _Call(tool, arguments, name, _handed.get() or run.tags.get(TAG, ""))


def _digest(arguments: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()
