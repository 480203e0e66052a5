"""Temporal: every activity is decided before it runs, and carried out once.

    client = await Client.connect(…, interceptors=[Carrying()])
    with carrying(reference):
        await client.start_workflow(…)                      # whoever dispatches
    Worker(client, …, interceptors=[Governed(worker)])      # the workload

The reference travels in a header: into the history, which may tell it. Nothing is asked in
workflow code, which is replayed; it copies the header and no more.
"""

# ruff: noqa: A002 - the names that Temporal gives its parameters

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

from temporalio import activity, client, worker
from temporalio.api.common.v1 import Payload
from temporalio.exceptions import ApplicationError

from bridle.adapters.contract import Deed, acarry_out, is_undecided
from bridle.client.errors import Held
from bridle.client.worker import Worker
from bridle.model.errors import BridleError

HEADER = "bridle-context"
"""The header that carries the reference."""

DENIED, HELD, UNREACHABLE = "BridleDenied", "BridleHeld", "BridleUnreachable"
"""The types of the failures that a refusal is."""

_AGAIN = timedelta(seconds=15)
_carried: ContextVar[str] = ContextVar("bridle_carried", default="")


@contextmanager
def carrying(reference: str) -> Iterator[None]:
    """Have workflows that are started within carry this reference."""
    token = _carried.set(reference)
    try:
        yield
    finally:
        _carried.reset(token)


class Carrying(client.Interceptor):
    """A client's: workflows that it starts within `carrying` carry the reference."""

    def intercept_client(self, next: client.OutboundInterceptor) -> client.OutboundInterceptor:
        """See `temporalio.client.Interceptor`."""
        return _Client(next)


class Governed(worker.Interceptor):
    """A worker's: each activity is decided before it runs, and carried out by this workload.

    `again` is how long a held activity waits before it asks once more: it is an attempt of its
    retry policy, so let that have as many as a human needs.
    """

    def __init__(self, carrier: Worker, *, again: timedelta = _AGAIN) -> None:
        self._carrier = carrier
        self._again = again

    def workflow_interceptor_class(
        self, input: worker.WorkflowInterceptorClassInput
    ) -> type[worker.WorkflowInboundInterceptor]:
        """See `temporalio.worker.Interceptor`."""
        del input
        return _Workflow

    def intercept_activity(
        self, next: worker.ActivityInboundInterceptor
    ) -> worker.ActivityInboundInterceptor:
        """See `temporalio.worker.Interceptor`."""
        return _Activity(next, self._carrier, self._again)


class _Client(client.OutboundInterceptor):
    async def start_workflow(self, input: client.StartWorkflowInput) -> Any:
        input.headers = _with(input.headers, _carried.get())
        return await super().start_workflow(input)


class _Workflow(worker.WorkflowInboundInterceptor):
    def init(self, outbound: worker.WorkflowOutboundInterceptor) -> None:
        self._outbound = _Outbound(outbound)
        super().init(self._outbound)

    async def execute_workflow(self, input: worker.ExecuteWorkflowInput) -> Any:
        self._outbound.carried = {k: v for k, v in input.headers.items() if k == HEADER}
        return await super().execute_workflow(input)


class _Outbound(worker.WorkflowOutboundInterceptor):
    """Copies the header of the workflow to what it starts. It is replayed: nothing else."""

    carried: Mapping[str, Payload] = {}

    def start_activity(self, input: worker.StartActivityInput) -> Any:
        input.headers = {**self.carried, **input.headers}
        return super().start_activity(input)

    def start_local_activity(self, input: worker.StartLocalActivityInput) -> Any:
        input.headers = {**self.carried, **input.headers}
        return super().start_local_activity(input)

    async def start_child_workflow(self, input: worker.StartChildWorkflowInput) -> Any:
        input.headers = {**self.carried, **input.headers}
        return await super().start_child_workflow(input)


class _Activity(worker.ActivityInboundInterceptor):
    def __init__(
        self,
        next: worker.ActivityInboundInterceptor,
        carrier: Worker,
        again: timedelta,
    ) -> None:
        super().__init__(next)
        self._carrier = carrier
        self._again = again

    async def execute_activity(self, input: worker.ExecuteActivityInput) -> Any:
        run = super().execute_activity
        return await acarry_out(self, input, self._carrier, lambda: run(input))

    def identify(self, native: worker.ExecuteActivityInput) -> str:
        del native
        about = activity.info()
        return f"{about.workflow_run_id}/{about.activity_id}"

    def describe(self, native: worker.ExecuteActivityInput) -> Deed:
        found = native.headers.get(HEADER)
        return Deed(
            activity.info().activity_type,
            dict(zip(_names(native), native.args, strict=False)),
            found.data.decode() if found is not None else "",
        )

    def apply(self, native: worker.ExecuteActivityInput, arguments: Mapping[str, Any]) -> None:
        native.args = [arguments[name] for name in _names(native)[: len(native.args)]]

    def refuse(self, native: worker.ExecuteActivityInput, refusal: BridleError) -> BaseException:
        del native
        if isinstance(refusal, Held):
            return ApplicationError(
                str(refusal), refusal.approval_id, type=HELD, next_retry_delay=self._again
            )
        if is_undecided(refusal):
            return ApplicationError(str(refusal), type=UNREACHABLE)
        return ApplicationError(str(refusal), refusal.code, type=DENIED, non_retryable=True)


def _names(native: worker.ExecuteActivityInput) -> list[str]:
    return list(inspect.signature(native.fn).parameters)


def _with(headers: Mapping[str, Payload], reference: str) -> Mapping[str, Payload]:
    if not reference:
        return headers
    return {**headers, HEADER: Payload(data=reference.encode())}
