"""LangGraph: what a node or tool does is decided before it is done, and carried out once.

    @governed("mail.send")
    def send(to: str, body: str) -> str: …                  # called by nodes, or made a tool

    govern(bridle.worker("bundle/", credential=…))          # the process that runs the graph
    graph.invoke(state, {"configurable": {"thread_id": "ticket-7", CONTEXT: reference}})

The reference stands in the configuration, which checkpoints keep, and is no secret. Nodes run again
from their top, at a resume and at a replay: the governor is asked again, and does nothing twice.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from langgraph.config import get_config
from langgraph.types import interrupt
from msgspec import Struct

from bridle.adapters.contract import Deed, acarry_out, carry_out, is_undecided
from bridle.client.binding import Binding, KeyFunction
from bridle.client.errors import Held
from bridle.client.worker import Worker
from bridle.model.errors import BridleError, UsageError

CONTEXT = "bridle_context"
"""What carries the reference in `configurable`; subgraphs inherit it."""

_handed: ContextVar[str] = ContextVar("bridle_handed", default="")


class DeniedError(RuntimeError):
    """What a call that was refused raises. No default policy has its node tried again."""


class UndecidedError(ConnectionError):
    """What a call raises that nobody could be asked about. Default policies try again."""


class _HeldError(Exception):
    """A call waits for a human."""


def govern(carrier: Worker) -> None:
    """Have this process's governed functions decided, and carried out by this workload."""
    if _gates:
        raise UsageError("this process has a gate already", code="unsupported")
    _gates.append(_Gate(carrier))


def release() -> None:
    """Take the gate away again: for tests."""
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
    """Make a function one that is decided as a call of `tool`, and does it once for each thread.

    Within a thread and a node the same arguments are the same work. A node that does the same
    again, on purpose, tells them apart: `key`, called with the arguments, names the work.
    """

    def decorate(func: Callable[..., Any]) -> Callable[..., Any]:
        binding = Binding(func)

        @functools.wraps(func)
        def call(*args: Any, **kwargs: Any) -> Any:
            gate, native = _begun(tool, binding.arguments(args, kwargs), key)
            while True:
                try:
                    return carry_out(gate, native, gate.carrier, lambda: func(**native.arguments))
                except _HeldError as held:
                    # What it is resumed with grants nothing: the governor is asked again.
                    interrupt(held.args[0])

        @functools.wraps(func)
        async def acall(*args: Any, **kwargs: Any) -> Any:
            gate, native = _begun(tool, binding.arguments(args, kwargs), key)
            while True:
                try:
                    return await acarry_out(
                        gate, native, gate.carrier, lambda: func(**native.arguments)
                    )
                except _HeldError as held:
                    # What it is resumed with grants nothing: the governor is asked again.
                    interrupt(held.args[0])

        return acall if inspect.iscoroutinefunction(func) else call

    return decorate


class _Call(Struct):
    """A call as it is about to happen."""

    tool: str
    arguments: dict[str, Any]
    name: str
    reference: str


class _Gate:
    def __init__(self, carrier: Worker) -> None:
        self.carrier = carrier

    def identify(self, native: _Call) -> str:
        return native.name

    def describe(self, native: _Call) -> Deed:
        return Deed(native.tool, native.arguments, native.reference)

    def apply(self, native: _Call, arguments: Mapping[str, Any]) -> None:
        native.arguments = dict(arguments)

    def refuse(self, native: _Call, refusal: BridleError) -> BaseException:
        del native
        if isinstance(refusal, Held):
            return _HeldError({"approval": refusal.approval_id, "text": str(refusal)})
        return (UndecidedError if is_undecided(refusal) else DeniedError)(str(refusal))


def _begun(tool: str, arguments: dict[str, Any], key: KeyFunction | None) -> tuple[_Gate, _Call]:
    if not _gates:
        raise UsageError("nobody governs this process's graphs", hint="call `govern` first")
    found = get_config()["configurable"]
    thread = found.get("thread_id")
    if not thread:
        raise UsageError(f"{tool!r} is called in a thread, and this one has no id")
    # Tasks, checkpoints and steps are others wherever a thread is replayed or forked.
    nodes = [part.split(":")[0] for part in str(found.get("checkpoint_ns", "")).split("|")]
    work = key(**arguments) if key else _digest(arguments)
    name = json.dumps([str(thread), *nodes, tool, work], ensure_ascii=False)
    return _gates[0], _Call(tool, arguments, name, _handed.get() or str(found.get(CONTEXT, "")))


def _digest(arguments: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(arguments, sort_keys=True).encode()).hexdigest()
