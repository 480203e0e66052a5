"""Temporal on the bench of the conformance suite: real workers on the real core."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RawValue, RetryPolicy
from temporalio.worker import Worker as Running

with workflow.unsafe.imports_passed_through():
    from adapters.conformance.bench import Came
    from adapters.conformance.sink import page
    from adapters.engines.temporal_.frontend import Frontend
    from bridle.adapters.engines.temporal import DENIED, HELD, Carrying, Governed, carrying
    from bridle.client.worker import Worker

_TIMES: dict[str, Any] = {
    "start_to_close_timeout": timedelta(seconds=10),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=50), backoff_coefficient=1.0
    ),
}
_KINDS = {DENIED: "refused", HELD: "held"}


@activity.defn(name="page.get")
def get(id: int) -> dict[str, Any]:  # noqa: A002 - the argument's name
    return page("page.get", id)


@activity.defn(name="page.put")
def put(id: int) -> dict[str, Any]:  # noqa: A002 - the argument's name
    return page("page.put", id)


@activity.defn(dynamic=True)
def whatever(given: Sequence[RawValue]) -> dict[str, Any]:
    return page("page.get", 99)


@workflow.defn
class Step:
    @workflow.run
    async def run(self, tool: str, number: int) -> Any:
        return await workflow.execute_activity(tool, number, **_TIMES)


@workflow.defn
class Local:
    @workflow.run
    async def run(self, tool: str, number: int) -> Any:
        return await workflow.execute_local_activity(tool, number, **_TIMES)


@workflow.defn
class Above:
    @workflow.run
    async def run(self, tool: str, number: int) -> Any:
        return await workflow.execute_child_workflow(Step.run, args=[tool, number])


class Bench:
    """A frontend and a client, and workers that come and go."""

    gaps: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        del folder
        self._open = ExitStack()
        self._frontend = self._open.enter_context(Frontend().serving())
        self._pool = self._open.enter_context(ThreadPoolExecutor(4))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._carrying = self._do(Client.connect(self._frontend.address, interceptors=[Carrying()]))
        self._plain = self._do(Client.connect(self._frontend.address))
        self._items: list[Any] = []

    @contextmanager
    def running(self, carrier: Worker) -> Iterator[None]:
        async def made() -> Running:
            return Running(
                self._plain,
                task_queue="q",
                workflows=[Step, Local, Above],
                activities=[get, put, whatever],
                activity_executor=self._pool,
                interceptors=[Governed(carrier, again=timedelta(milliseconds=100))],
            )

        worker = self._do(made())
        run = asyncio.run_coroutine_threadsafe(worker.run(), self._loop)
        try:
            yield
        finally:
            self._do(worker.shutdown())
            run.result(30)

    def submit(
        self, reference: str, number: int, *, tool: str = "page.get", deliveries: int = 1
    ) -> int:
        name = f"item-{len(self._items)}"
        if deliveries > 1:
            self._frontend.losing.add(name)
        with carrying(reference):
            started = self._carrying.start_workflow(
                Step.run, args=[tool, number], id=name, task_queue="q"
            )
            self._items.append(self._do(started))
        return len(self._items) - 1

    def came(self, item: int, *, within: float = 20.0) -> Came:
        try:
            ended = asyncio.wait_for(self._items[item].result(), within)
            return Came("done", self._do(ended))
        except TimeoutError:
            return Came("waiting")
        except WorkflowFailureError as failed:
            why = failed.cause.cause  # type: ignore[union-attr]
            return Came(_KINDS.get(getattr(why, "type", ""), "failed"), text=str(why))

    def again(self, item: int) -> None:
        raise NotImplementedError("what is held comes back by itself")

    def bypasses(self) -> Mapping[str, Callable[[], object]]:
        def ran(of: Any, name: str, tool: str = "page.get") -> Callable[[], object]:
            job = self._plain.execute_workflow
            return lambda: self._do(
                asyncio.wait_for(job(of, args=[tool, 99], id=name, task_queue="q"), 5)
            )

        return {
            "a workflow without a reference": ran(Step.run, "plain"),
            "a local activity": ran(Local.run, "local"),
            "a child workflow": ran(Above.run, "child"),
            "a dynamic activity": ran(Step.run, "dynamic", "page.anything"),
        }

    def stored(self) -> bytes:
        names = [handle.id for handle in self._items]
        return b"".join(
            event.SerializeToString() for name in names for event in self._frontend.history(name)
        )

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        self._open.close()

    def _do(self, job: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(job, self._loop).result(60)


def make(folder: Path) -> Bench:
    return Bench(folder)
