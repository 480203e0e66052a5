"""Celery: every task is decided in the worker before it runs, and carried out once.

    app.send_task("mail.send", kwargs=mail, headers={HEADER: reference})  # whoever dispatches
    govern(bridle.worker("bundle/", credential=…))  # the worker, at its start

The gate stands where the worker makes what runs a task: a task of another base class, or one whose
signals fail, does not get around it.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any

from celery.app import trace
from celery.exceptions import Ignore
from celery.worker.consumer import consumer
from msgspec import Struct

from bridle.adapters.contract import Deed, carry_out, is_undecided
from bridle.client.errors import Held
from bridle.client.worker import Worker
from bridle.model.errors import BridleError, UsageError

HEADER = "bridle_context"
"""The header of a message that carries the reference."""

_NAME = "build_tracer"
_GATED = "_bridle_gated"


class DeniedError(Exception):
    """What a task that was refused ends with. It is not tried again."""


def govern(carrier: Worker, *, again: float = 15.0) -> None:
    """Have every task of this process's worker decided, and carried out by this workload.

    Call it before the worker starts, once. A held task, and one that nobody could be asked about,
    comes back to its queue after `again` seconds, for as long as it takes. Raises `UsageError`
    where this Celery has no place for the gate.
    """
    original = getattr(trace, _NAME, None)
    if original is None or getattr(consumer, _NAME, None) is not original:
        raise UsageError(
            "this Celery makes its tracers elsewhere, or a gate is there already",
            code="unsupported",
            hint="the adapter is for Celery 5.7",
        )
    gate = _Gate(carrier, again)

    def build_tracer(name: str, task: Any, *args: Any, **kwargs: Any) -> Any:
        return original(name, gate.on(task), *args, **kwargs)

    setattr(trace, _NAME, build_tracer)
    setattr(consumer, _NAME, build_tracer)
    _undo.append(original)


def release() -> None:
    """Take the gate away again: for tests."""
    while _undo:
        original = _undo.pop()
        setattr(trace, _NAME, original)
        setattr(consumer, _NAME, original)


_undo: list[Callable[..., Any]] = []


class _Native(Struct):
    """A task as it is about to run."""

    task: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


class _Gate:
    def __init__(self, carrier: Worker, again: float) -> None:
        self._carrier = carrier
        self._again = again

    def on(self, task: Any) -> Any:
        """Give a task a class whose call is decided first."""
        kind = type(task)
        if getattr(kind, _GATED, None) is not self:
            made = {"__call__": self._call(kind), _GATED: self, "__module__": kind.__module__}
            task.__class__ = type(kind.__name__, (kind,), made)
        return task

    def _call(self, kind: type) -> Callable[..., Any]:
        def call(task: Any, *args: Any, **kwargs: Any) -> Any:
            # A function that another task calls is a part of that.
            if task.request.called_directly:
                return kind.__call__(task, *args, **kwargs)
            native = _Native(task, args, kwargs)

            def proceed() -> Any:
                return task.run(*native.args, **native.kwargs)

            return carry_out(self, native, self._carrier, proceed)

        return call

    def identify(self, native: _Native) -> str:
        return str(native.task.request.id)

    def describe(self, native: _Native) -> Deed:
        # Of a bound task `run` has its first parameter already.
        bound = inspect.signature(native.task.run).bind(*native.args, **native.kwargs)
        reference = (native.task.request.headers or {}).get(HEADER, "")
        return Deed(str(native.task.name), dict(bound.arguments), str(reference))

    def apply(self, native: _Native, arguments: Mapping[str, Any]) -> None:
        native.args, native.kwargs = (), dict(arguments)

    def refuse(self, native: _Native, refusal: BridleError) -> BaseException:
        if isinstance(refusal, Held) or is_undecided(refusal):
            later = native.task.retry(
                countdown=self._again, max_retries=sys.maxsize, exc=refusal, throw=False
            )
            return later if isinstance(later, BaseException) else Ignore(str(refusal))
        return DeniedError(str(refusal))
