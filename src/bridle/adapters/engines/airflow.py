"""Airflow: what a task does is decided before it is done, and carried out once.

In `airflow_local_settings.py`, which every process of Airflow loads and no DAG file brings:

    govern(
        lambda: bridle.worker("bundle/", credential=…),
        tools={"answers.send": "mail.send"},                # DAG and task: the tool that it is
        harmless=("airflow.providers.standard.operators.empty.EmptyOperator",),
    )

A run carries the reference in its `conf`, as CONF. The gate stands where the task's process calls
`execute`: what it sees is rendered, mapped, and what runs. A task that is neither a tool nor
harmless does not run.
"""

from __future__ import annotations

import functools
import inspect
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk.definitions.context import KNOWN_CONTEXT_KEYS
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
from airflow.sdk.execution_time import task_runner
from msgspec import Struct

from bridle.adapters.contract import Deed, WorkerOfProcess, carry_out, is_undecided
from bridle.client.binding import Binding
from bridle.client.errors import Held
from bridle.client.worker import Worker
from bridle.model.errors import BridleError, UsageError

CONF = "bridle_context"
"""What carries the reference in a run's `conf`; it is no secret."""

_HOOK = "_run_execute_callable"
_PARAMETERS = ("context", "execute", "task")
# No operator has such a method: what goes on there was held here.
_HELD = "bridle held"


class DeniedError(AirflowFailException):
    """What a task that was refused raises. It is not tried again, whatever its retries."""


class UndecidedError(AirflowException):
    """What a task raises that nobody could be asked about: it is tried again as its DAG says."""


def govern(
    opening: Callable[[], Worker],
    *,
    tools: Mapping[str, str],
    harmless: Iterable[str] = (),
    again: float = 15.0,
) -> None:
    """Have this process's tasks decided, and carried out by the workload that `opening` returns.

    `tools` says of `dag_id.task_id` which tool the task is; its arguments are those of the function
    (`@task`, `PythonOperator`), of other operators their templated fields. `harmless` are types of
    operators that reach nothing outside, with their modules. A held task is deferred, and asks
    again every `again` seconds. Raises `UsageError` (`unsupported`) for an Airflow that runs
    tasks in another way.
    """
    hook = getattr(task_runner, _HOOK, None)
    original = getattr(hook, "bridle", hook)
    if original is None or tuple(inspect.signature(original).parameters) != _PARAMETERS:
        raise UsageError(
            "this Airflow runs its tasks in another way",
            code="unsupported",
            hint="install the version that the extra `airflow` names",
        )
    gate = _Gate(opening, again)

    @functools.wraps(original)
    def governed(context: Any, execute: Any, task: Any) -> Any:
        if _is_harmless(task, untouched):
            return original(context, execute, task)
        tool = known.get(f"{task.dag_id}.{task.task_id}", "")
        native = _Step(context, task, tool)
        proceed = functools.partial(original, context, _resumed(execute, task), task)
        return carry_out(gate, native, gate.carrier(native), proceed)

    known, untouched = dict(tools), frozenset(harmless)
    governed.bridle = original  # type: ignore[attr-defined] - whose place it takes
    setattr(task_runner, _HOOK, governed)


def release() -> None:
    """Take the gate away again: for tests. The worker stays open: it is its owner's."""
    hook = getattr(task_runner, _HOOK)
    setattr(task_runner, _HOOK, getattr(hook, "bridle", hook))


class _Step(Struct):
    """A task as it is about to be executed: rendered, and of one mapped index."""

    context: Any
    task: Any
    tool: str


class _Gate:
    def __init__(self, opening: Callable[[], Worker], again: float) -> None:
        self._workers = WorkerOfProcess(opening)
        self._again = again

    def carrier(self, native: _Step) -> Worker:
        """Return this process's worker. Raises as a refusal of the step."""
        try:
            return self._workers.get()
        except BridleError as problem:
            raise self.refuse(native, problem) from problem

    def identify(self, native: _Step) -> str:
        ti = native.context["ti"]
        return json.dumps([ti.dag_id, ti.run_id, ti.task_id, ti.map_index])

    def describe(self, native: _Step) -> Deed:
        if not native.tool:
            raise UsageError("this task is no tool, and not known to be harmless")
        conf = native.context["dag_run"].conf or {}
        return Deed(native.tool, _arguments(native.task), str(conf.get(CONF, "")))

    def apply(self, native: _Step, arguments: Mapping[str, Any]) -> None:
        if _is_function(native.task):
            native.task.op_args, native.task.op_kwargs = (), dict(arguments)
            return
        for name, value in arguments.items():
            setattr(native.task, name, value)

    def refuse(self, native: _Step, refusal: BridleError) -> BaseException:
        del native
        if isinstance(refusal, Held):
            trigger = TimeDeltaTrigger(timedelta(seconds=self._again))
            return TaskDeferred(trigger=trigger, method_name=_HELD)
        return (UndecidedError if is_undecided(refusal) else DeniedError)(str(refusal))


def _is_harmless(task: Any, names: frozenset[str]) -> bool:
    """Whether a task is of a type that is named: no namesake of it, and nothing put over it."""
    kind = type(task)
    # INVARIANT: I3 — a DAG gives its own classes any name: only what the module has counts.
    found = getattr(sys.modules.get(kind.__module__), kind.__qualname__, None)
    named = found is kind and f"{kind.__module__}.{kind.__qualname__}" in names
    return named and not vars(task).keys() & {"execute", "resume_execution"}


def _is_function(task: Any) -> bool:
    return hasattr(task, "python_callable") and hasattr(task, "op_kwargs")


def _arguments(task: Any) -> dict[str, Any]:
    """Return what a task will be executed with, by name: without what Airflow adds of its own."""
    if not _is_function(task):
        return {name: getattr(task, name, None) for name in task.template_fields}
    if getattr(task, "templates_dict", None):
        raise UsageError("a templates_dict is no argument", hint="give it in `op_kwargs`")
    binding = Binding(task.python_callable)
    own = KNOWN_CONTEXT_KEYS & binding.signature.parameters.keys() - task.op_kwargs.keys()
    given = {**dict.fromkeys(own), **task.op_kwargs}
    found = binding.arguments(tuple(task.op_args), given)
    return {name: value for name, value in found.items() if name not in own}


def _resumed(execute: Any, task: Any) -> Any:
    """Return what to execute: after a hold of ours the task begins, it does not go on."""
    ours = getattr(execute, "keywords", {}).get("next_method") == _HELD
    return task.execute if ours else execute
