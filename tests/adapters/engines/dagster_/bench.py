"""Dagster on the bench of the conformance suite: runs over one instance, in an in-process executor.

Whoever left a run is followed by one that re-executes it, as Dagster's own run retries do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, ReexecutionOptions, execute_job, materialize, reconstructable

from adapters.conformance.bench import Came
from adapters.engines.dagster_ import work
from bridle.adapters.engines import dagster as adapter
from bridle.client.worker import Worker


class Bench:
    """Processes that run jobs, and come and go over one instance."""

    gaps: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "dagster"
        self._folder.mkdir()
        self._instance = DagsterInstance.local_temp(
            str(self._folder), overrides={"telemetry": {"enabled": False}}
        )
        self._items: list[tuple[str, dict[str, Any], int]] = []
        self._runs: dict[int, Future[Came]] = {}
        self._left: dict[int, str] = {}
        self._carrier: Worker | None = None
        self._pool: ThreadPoolExecutor | None = None

    @contextmanager
    def running(self, carrier: Worker) -> Iterator[None]:
        if carrier is not self._carrier:  # another trial, which has items of its own
            self._left.clear()
        self._carrier = carrier
        adapter.govern(lambda: carrier, again=0.2)
        try:
            # One at a time: two runs of one process lock each other out as they set up their logs.
            with ThreadPoolExecutor(1) as self._pool:
                for item in range(len(self._items)):
                    if item not in self._runs or item in self._left:
                        self._start(item)
                try:
                    yield
                finally:
                    # A run that waits finds no gate when it is tried again, and fails.
                    adapter.release()
        finally:
            self._pool = None

    def submit(
        self, reference: str, number: int, *, tool: str = "page.get", deliveries: int = 1
    ) -> int:
        config = {"ops": {"step": {"config": {"tool": tool, "number": number}}}}
        self._items.append((reference, config, deliveries))
        if self._pool is not None:
            self._start(len(self._items) - 1)
        return len(self._items) - 1

    def came(self, item: int, *, within: float = 20.0) -> Came:
        try:
            return self._runs[item].result(within)
        except NotYet:
            return Came("waiting")

    def again(self, item: int) -> None:
        raise NotImplementedError("what is held is tried again by Dagster")

    def bypasses(self) -> Mapping[str, Callable[[], object]]:
        def ran(job: Any, **tags: str) -> Callable[[], object]:
            return lambda: job.execute_in_process(instance=self._instance, tags=tags)

        return {
            "a run without a reference": ran(work.pages),
            "a reference that is none": ran(work.pages, **{adapter.TAG: "v1; nonsense"}),
            "a retry policy": ran(work.trying),
            "an op that catches its refusal": ran(work.insisting),
            "a thread of its own": ran(work.threading_),
            "a hook, whose errors are swallowed": ran(work.hooked),
            "an asset": lambda: materialize([work.stock], instance=self._instance),
            "an op that is called directly": lambda: work.step(work.Asked()),
            "outside of any step": lambda: work.get(99),
        }

    def stored(self) -> bytes:
        return b"".join(each.read_bytes() for each in self._folder.rglob("*") if each.is_file())

    def close(self) -> None:
        self._instance.dispose()

    def _start(self, item: int) -> None:
        assert self._pool is not None
        self._runs[item] = self._pool.submit(self._run, item, self._left.pop(item, ""))

    def _run(self, item: int, parent: str) -> Came:
        _, _, deliveries = self._items[item]
        for _ in range(deliveries):
            parent, came = self._executed(item, parent)
        if came.kind == "left":
            self._left[item] = parent
        return came

    def _executed(self, item: int, parent: str) -> tuple[str, Came]:
        reference, config, _ = self._items[item]
        options = ReexecutionOptions(parent, step_selection=["step"]) if parent else None
        tags = {adapter.TAG: reference} if reference else {}
        with execute_job(
            reconstructable(work.pages),
            instance=self._instance,
            run_config=config,
            tags=tags,
            reexecution_options=options,
        ) as result:
            if result.success:
                return result.run_id, Came("done", result.output_for_node("step"))
            (failed,) = result.get_step_failure_events()
            problem = failed.step_failure_data.error
            name = problem.cls_name
            if name == "DagsterExecutionStepExecutionError":
                problem, name = problem.cause, problem.cause.cls_name
            kind = {"DeniedError": "refused", "UsageError": "left"}.get(name, "failed")
            return result.run_id, Came(kind, text=problem.message)


def make(folder: Path) -> Bench:
    return Bench(folder)
