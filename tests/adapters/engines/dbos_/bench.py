"""DBOS on the bench of the conformance suite: real workflows over one SQLite database."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dbos import DBOS, SetWorkflowAttributes, SetWorkflowID, StepOptions

from adapters.conformance.bench import Came
from adapters.conformance.sink import page
from bridle.adapters.engines import dbos as adapter
from bridle.client.worker import Worker

_TRIED = StepOptions(retries_allowed=True, max_attempts=3, interval_seconds=0.05)


@adapter.step("page.get", **_TRIED)
def get(id: int) -> dict[str, Any]:  # noqa: A002 - the argument's name
    return page("page.get", id)


@adapter.step("page.put", **_TRIED)
def put(id: int) -> dict[str, Any]:  # noqa: A002 - the argument's name
    return page("page.put", id)


@DBOS.step(name="outer")
def outer(number: int) -> Any:
    return get(number)


@DBOS.workflow(name="conforming")
def conforming(tool: str, number: int) -> Any:
    return (get if tool == "page.get" else put)(number)


@DBOS.workflow(name="above")
def above(number: int) -> Any:
    return conforming("page.get", number)


@DBOS.workflow(name="nesting")
def nesting(number: int) -> Any:
    return outer(number)


class Bench:
    """Processes of DBOS that come and go over one database."""

    gaps: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self._database = folder / "dbos.sqlite"
        self._items: list[tuple[str, Callable[[], Any], int]] = []
        self._handles: dict[int, Any] = {}
        self._launched = False

    @contextmanager
    def running(self, carrier: Worker) -> Iterator[None]:
        adapter.govern(carrier, again=0.2)
        try:
            DBOS(config=self._config())
            DBOS.launch()
            self._launched = True
            for item in range(len(self._items)):
                self._start(item)
            yield
        finally:
            self._launched = False
            DBOS.destroy()
            adapter.release()

    def submit(
        self, reference: str, number: int, *, tool: str = "page.get", deliveries: int = 1
    ) -> int:
        name = f"item-{len(self._items)}"
        attributes = {adapter.ATTRIBUTE: reference} if reference else {}

        def start() -> Any:
            with SetWorkflowAttributes(attributes), SetWorkflowID(name):
                return DBOS.start_workflow(conforming, tool, number)

        self._items.append((name, start, deliveries))
        if self._launched:
            self._start(len(self._items) - 1)
        return len(self._items) - 1

    def came(self, item: int, *, within: float = 20.0) -> Came:
        name, _, deliveries = self._items[item]
        came = self._came(name, within)
        for _ in range(1, deliveries):
            # A fork from the first step does again what its workflow did, under another name.
            forked = DBOS.fork_workflow(name, 1)
            came = self._came(forked.workflow_id, within)
        return came

    def again(self, item: int) -> None:
        raise NotImplementedError("what is held asks again by itself")

    def bypasses(self) -> Mapping[str, Callable[[], object]]:
        def ran(of: Callable[..., Any], *given: Any) -> Callable[[], object]:
            return lambda: DBOS.start_workflow(of, *given).get_result()

        return {
            "a workflow without a reference": ran(conforming, "page.get", 99),
            "a child workflow": ran(above, 99),
            "a step within a step": ran(nesting, 99),
            "a step that no workflow calls": lambda: get(99),
        }

    def stored(self) -> bytes:
        files = self._database.parent.glob("dbos.sqlite*")
        return b"".join(file.read_bytes() for file in files)

    def close(self) -> None:
        pass

    def _start(self, item: int) -> None:
        if item not in self._handles:
            self._handles[item] = self._items[item][1]()

    def _came(self, name: str, within: float) -> Came:
        end = time.monotonic() + within
        handle = DBOS.retrieve_workflow(name)
        while handle.get_status().status in ("PENDING", "ENQUEUED"):
            if time.monotonic() > end:
                return Came("waiting")
            time.sleep(0.05)
        try:
            return Came("done", handle.get_result())
        except adapter.DeniedError as denied:
            return Came("refused", text=str(denied))
        except Exception as problem:
            return Came("failed", text=str(problem))

    def _config(self) -> Any:
        named = {"name": "pages", "application_version": "1"}
        quick = {"notification_listener_polling_interval_sec": 0.05, "log_level": "CRITICAL"}
        return {**named, **quick, "system_database_url": f"sqlite:///{self._database}"}


def make(folder: Path) -> Bench:
    return Bench(folder)
