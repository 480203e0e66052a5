"""DBOS: every step is decided before it runs, and carried out once.

    @step("mail.send")                                      # in place of @DBOS.step
    def send(to: str, body: str) -> str: …

    govern(bridle.worker("bundle/", credential=…))          # the worker, before it launches
    with SetWorkflowAttributes({ATTRIBUTE: reference}):     # whoever dispatches
        DBOS.start_workflow(answer, mail)

The reference is an attribute of the workflow: stored with it, and no secret. Nothing is asked in
workflow code, which is replayed; what a step's row has is not asked again.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Unpack

from dbos import DBOS, StepOptions, error
from msgspec import Struct

from bridle.adapters.contract import Deed, acarry_out, carry_out, is_undecided
from bridle.client.binding import Binding
from bridle.client.errors import Held
from bridle.client.worker import Worker
from bridle.model.errors import BridleError, UsageError

ATTRIBUTE = "bridle_context"
"""The attribute of a workflow that carries the reference; child workflows need none."""

WAITING = "bridle_waiting"
"""The event of a workflow that says why a step waits: `step`, `text` and, held, `approval`."""


class DeniedError(Exception):
    """What a step that was refused ends with. It is not tried again."""


class _WaitingError(Exception):
    """Held, or nobody could be asked: the step asks again, and nothing of it is stored."""


def govern(carrier: Worker, *, again: float = 15.0) -> None:
    """Have this process's governed steps decided, and carried out by this workload.

    Call it before `DBOS.launch`, which goes on with what was under way. A held step, and one that
    nobody could be asked about, asks again every `again` seconds, for as long as it takes.
    """
    if _gates:
        raise UsageError("this process has a gate already", code="unsupported")
    _gates.append(_Gate(carrier, again))


def release() -> None:
    """Take the gate away again: for tests."""
    _gates.clear()


_gates: list[_Gate] = []


def step(
    tool: str, **options: Unpack[StepOptions]
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a function a step of DBOS, with its `options`, that is decided as a call of `tool`.

    It is called by workflows, and nowhere else. An attempt that was refused is the last.
    """
    options = {"name": tool, **options, "should_retry": _retried(options.get("should_retry"))}

    def decorate(func: Callable[..., Any]) -> Callable[..., Any]:
        binding = Binding(func)

        @functools.wraps(func)
        def call(*args: Any, **kwargs: Any) -> Any:
            gate, native = _taken(tool, func, binding.arguments(args, kwargs))
            return DBOS.run_step(options, gate.run, native)

        @functools.wraps(func)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            gate, native = _taken(tool, func, binding.arguments(args, kwargs))
            return await DBOS.run_step_async(options, gate.arun, native)

        return acall if inspect.iscoroutinefunction(func) else call

    return decorate


class _Step(Struct):
    """A step as it is about to run. `name` and `reference` are read where it is stored."""

    tool: str
    arguments: dict[str, Any]
    func: Callable[..., Any]
    workflow: str
    name: str = ""
    reference: str = ""

    def run(self) -> Any:
        return self.func(**self.arguments)


class _Gate:
    def __init__(self, carrier: Worker, again: float) -> None:
        self._carrier = carrier
        self._again = again

    def run(self, native: _Step) -> Any:
        while True:
            _found(native)
            try:
                return carry_out(self, native, self._carrier, native.run)
            except _WaitingError as waiting:
                _told(native, waiting)
                time.sleep(self._again)

    async def arun(self, native: _Step) -> Any:
        while True:
            await asyncio.to_thread(_found, native)
            try:
                return await acarry_out(self, native, self._carrier, native.run)
            except _WaitingError as waiting:
                await asyncio.to_thread(_told, native, waiting)
                await asyncio.sleep(self._again)

    def identify(self, native: _Step) -> str:
        return native.name

    def describe(self, native: _Step) -> Deed:
        return Deed(native.tool, native.arguments, native.reference)

    def apply(self, native: _Step, arguments: Mapping[str, Any]) -> None:
        native.arguments = dict(arguments)

    def refuse(self, native: _Step, refusal: BridleError) -> BaseException:
        del native
        if isinstance(refusal, Held) or is_undecided(refusal):
            return _WaitingError(str(refusal), getattr(refusal, "approval_id", ""))
        return DeniedError(str(refusal))


def _taken(tool: str, func: Callable[..., Any], arguments: dict[str, Any]) -> tuple[_Gate, _Step]:
    """Return a step that a workflow calls: DBOS runs any other as a plain function."""
    if not _gates:
        raise UsageError("nobody governs this process's steps", hint="call `govern` first")
    if DBOS.workflow_id is None or DBOS.step_id is not None:
        raise UsageError(f"{tool!r} is a step of workflows, and no workflow calls it")
    return _gates[0], _Step(tool, arguments, func, DBOS.workflow_id)


def _found(native: _Step) -> None:
    """Read what a step's workflow carries, and whether it is under way still."""
    with _leaving_no_row(native):
        origin, native.reference, status = _origin(native.workflow)
        if status != "PENDING":
            raise error.DBOSException(status)
    native.name = f"{origin}/{DBOS.step_id}"


def _told(native: _Step, waiting: _WaitingError) -> None:
    text, approval = waiting.args
    with _leaving_no_row(native):
        DBOS.set_event(WAITING, {"step": native.tool, "text": text, "approval": approval})


@contextmanager
def _leaving_no_row(native: _Step) -> Iterator[None]:
    """End a step whose workflow is over, or whose DBOS shuts down, so that it can be resumed."""
    try:
        yield
    except error.DBOSException as problem:
        raise error.DBOSWorkflowCancelledError(f"{native.workflow}: {problem}") from problem


def _origin(workflow: str) -> tuple[str, str, str]:
    """Return what a workflow's steps are named by, the reference that it carries, and its state.

    A fork is the same work as what it was made from, and so are the children of both.
    """
    found = DBOS.get_workflow_status(workflow)
    if found is None:
        raise DeniedError(f"workflow {workflow}, which this comes from, is gone")
    name, carried = workflow, str((found.attributes or {}).get(ATTRIBUTE, ""))
    if above := found.forked_from or found.parent_workflow_id:
        origin, inherited, _ = _origin(above)
        carried = carried or inherited
        if found.forked_from:
            name = origin
        elif workflow.startswith(f"{above}-"):
            name = origin + workflow[len(above) :]
    return name, carried, found.status


def _retried(asked: Callable[[BaseException], bool | Awaitable[bool]] | None) -> Any:
    """Say which failures of an attempt are tried again: those of the effect, as the step says."""

    def retried(problem: BaseException) -> bool | Awaitable[bool]:
        return not isinstance(problem, DeniedError) and (asked is None or asked(problem))

    return retried
