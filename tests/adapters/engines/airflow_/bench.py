"""Airflow on the bench of the conformance suite: runs of DAGs, over one database.

Whoever left a run is followed by one that clears and runs it again, as a scheduler would.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapters.conformance.bench import Came
from adapters.engines.airflow_ import home
from bridle.adapters.engines import airflow as adapter
from bridle.client.worker import Worker
from bridle.model.errors import UnreachableError


class Bench:
    """Processes that run tasks, and come and go over one database."""

    gaps: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        home.migrated()
        self._items: list[tuple[str, str, int, int]] = []
        self._runs: dict[int, Future[Came]] = {}
        self._left: set[int] = set()
        self._seen: dict[str, Came] = {}
        self._carrier: Worker | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr(adapter, "carry_out", self._noting(adapter.carry_out))
        # A task ends its process on a signal; here it has a thread of this one.
        self._patch.setattr(signal, "signal", _only_in_main(signal.signal))

    @contextmanager
    def running(self, carrier: Worker) -> Iterator[None]:
        if carrier is not self._carrier:  # another trial, which has items of its own
            self._left.clear()
        self._carrier = carrier
        adapter.govern(lambda: carrier, tools=home.TOOLS, harmless=home.HARMLESS, again=0.2)
        try:
            with ThreadPoolExecutor(1) as self._pool:
                for item in range(len(self._items)):
                    if item not in self._runs or item in self._left:
                        self._start(item)
                try:
                    yield
                finally:
                    # A run that waits finds nobody when it is tried again, and fails.
                    adapter.govern(_gone, tools=home.TOOLS)
                    # Its thread ends, and gives its connection back: Airflow has but a few.
                    self._pool.submit(home.disconnected)
        finally:
            self._pool = None

    def submit(
        self, reference: str, number: int, *, tool: str = "page.get", deliveries: int = 1
    ) -> int:
        self._items.append((reference, tool.removeprefix("page."), number, deliveries))
        if self._pool is not None:
            self._start(len(self._items) - 1)
        return len(self._items) - 1

    def came(self, item: int, *, within: float = 20.0) -> Came:
        try:
            return self._runs[item].result(within)
        except NotYet:
            return Came("waiting")

    def again(self, item: int) -> None:
        raise NotImplementedError("what is held is deferred, and comes again by itself")

    def bypasses(self) -> Mapping[str, Callable[[], object]]:
        def ran(dag_id: str, **conf: Any) -> Callable[[], object]:
            number = 10_000 + len(self._items)
            self._items.append(("", dag_id, 99, 0))
            return lambda: self._submitted(dag_id, number, {"number": 99, **conf})

        return {
            "a run without a reference": ran("get"),
            "a reference that is none": ran("get", **{adapter.CONF: "v1; nonsense"}),
            "a task that no tool is named for": ran("unknown"),
            "an operator of another kind": ran("classic"),
            "arguments by position": ran("positional"),
            "mapped tasks": ran("mapped"),
            "a class of the DAG's own with a harmless name": ran("namesake"),
            "a harmless task whose execute is another": ran("replaced"),
        }

    def stored(self) -> bytes:
        return b"".join(each.read_bytes() for each in home.HOME.rglob("*") if each.is_file())

    def close(self) -> None:
        self._patch.undo()
        adapter.release()

    def _submitted(self, dag_id: str, number: int, conf: dict[str, Any]) -> object:
        assert self._pool is not None
        return self._pool.submit(home.run, dag_id, number, **conf).result(60)

    def _start(self, item: int) -> None:
        assert self._pool is not None
        if self._items[item][3]:
            self._left.discard(item)
            self._runs[item] = self._pool.submit(self._run, item)

    def _run(self, item: int) -> Came:
        reference, dag_id, number, deliveries = self._items[item]
        conf = {"number": number, **({adapter.CONF: reference} if reference else {})}
        came = Came("waiting")
        for _ in range(deliveries):
            ran = home.run(dag_id, item, **conf)
            came = self._seen.pop(ran.run_id, Came("waiting"))
        if came.kind == "waiting":  # it ended without a word of the governor's
            self._left.add(item)
        return came

    def _noting(self, carry_out: Callable[..., Any]) -> Callable[..., Any]:
        def noting(gate: Any, native: Any, *more: Any) -> Any:
            run_id = str(native.context["ti"].run_id)
            try:
                value = carry_out(gate, native, *more)
            except adapter.TaskDeferred:
                raise
            except Exception as problem:
                kinds = {adapter.DeniedError: "refused", adapter.UndecidedError: "undecided"}
                self._seen[run_id] = Came(kinds.get(type(problem), "failed"), text=str(problem))
                raise
            self._seen[run_id] = Came("done", value)
            return value

        return noting


def _only_in_main(real: Callable[..., Any]) -> Callable[..., Any]:
    def signalling(*given: Any) -> Any:
        if threading.current_thread() is threading.main_thread():
            return real(*given)
        return signal.SIG_DFL

    return signalling


def _gone() -> Worker:
    raise UnreachableError("this process ends")


def make(folder: Path) -> Bench:
    return Bench(folder)
