"""APScheduler on the bench of the conformance suite."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ProcessPoolExecutor
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler

from adapters.conformance.bench import GAPS, Came
from adapters.conformance.sink import page
from bridle.adapters.engines import apscheduler as adapter
from bridle.client.worker import Worker

_HELD = "held, then approved"
_LATE = {"misfire_grace_time": None}


def get(id: int) -> dict[str, Any]:  # noqa: A002 - the argument's name
    return page("page.get", id)


def put(id: int) -> dict[str, Any]:  # noqa: A002 - the argument's name
    return page("page.put", id)


def unnamed(id: int) -> dict[str, Any]:  # noqa: A002 - the argument's name
    return page("page.get", id)


_TOOLS: dict[Callable[..., Any], str] = {get: "page.get", put: "page.put"}
_KINDS = {"DeniedError": "refused", "HeldError": "held", "UndecidedError": "undecided"}


class Bench:
    """Schedulers that come and go over one store of jobs."""

    gaps: Mapping[str, str] = {_HELD: next(iter(GAPS[_HELD]))}

    def __init__(self, folder: Path) -> None:
        self._store = folder / "jobs.sqlite"
        self._items: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {}
        self._more: dict[str, int] = {}
        self._scheduler: Any = None
        self._ended: dict[str, queue.Queue[Any]] = {}
        self._under_way: set[str] = set()

    @contextmanager
    def running(self, carrier: Worker) -> Iterator[None]:
        adapter.govern(carrier, tools=_TOOLS)
        store = SQLAlchemyJobStore(f"sqlite:///{self._store}")
        self._scheduler = BackgroundScheduler(
            timezone=UTC, jobstores={"default": store}, executors={"debug": DebugExecutor()}
        )
        self._scheduler.add_listener(self._heard, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)
        try:
            self._scheduler.start()
            for item, (func, given) in self._items.items():
                if item not in self._ended:
                    self._add(item, func, given)
            yield
        finally:
            self._scheduler.shutdown()
            self._scheduler = None
            adapter.release()

    def submit(
        self, reference: str, number: int, *, tool: str = "page.get", deliveries: int = 1
    ) -> str:
        item = f"item-{len(self._items)}"
        func = get if tool == "page.get" else put
        at = datetime.now(UTC) - timedelta(seconds=1)
        self._items[item] = (
            func,
            {"args": [number], "name": reference or None, "run_date": at, **_LATE},
        )
        self._more[item] = deliveries - 1
        if self._scheduler is not None:
            self._add(item, *self._items[item])
        return item

    def came(self, item: str, *, within: float = 20.0) -> Came:
        try:
            event = self._ended[item].get(timeout=within)
        except queue.Empty:
            return Came("waiting")
        if event.exception is None:
            return Came("done", event.retval)
        kind = _KINDS.get(type(event.exception).__name__, "failed")
        said = getattr(event.exception, "approval_id", "")
        return Came(kind, text=f"{event.exception} {said}")

    def again(self, item: str) -> None:
        while item in self._under_way:
            time.sleep(0.02)
        self._ended.pop(item)
        self._add(item, *self._items[item])

    def bypasses(self) -> Mapping[str, Callable[[], object]]:
        def added(**more: Any) -> Callable[[], object]:
            given = {"args": [99], "run_date": datetime.now(UTC), **more}
            return lambda: self._came(given)

        return {
            "a job without a reference": added(),
            "a function that is no tool": added(func=unnamed),
            "another executor": added(executor="debug"),
            "a pool of processes": lambda: ProcessPoolExecutor(1)._do_submit_job(None, []),
        }

    def stored(self) -> bytes:
        return self._store.read_bytes()

    def close(self) -> None:
        pass

    def _came(self, given: dict[str, Any]) -> Came:
        item = f"around-{len(self._items)}-{len(self._ended)}"
        self._add(item, given.pop("func", get), given)
        return self.came(item)

    def _add(self, item: str, func: Callable[..., Any], given: dict[str, Any]) -> None:
        self._ended.setdefault(item, queue.Queue())
        self._under_way.add(item)
        self._scheduler.add_job(func, "date", id=item, **given)

    def _heard(self, event: Any) -> None:
        if self._more.get(event.job_id, 0) > 0:
            self._more[event.job_id] -= 1
            self._add(event.job_id, *self._items[event.job_id])
        else:
            self._ended[event.job_id].put(event)
            self._under_way.discard(event.job_id)


def make(folder: Path) -> Bench:
    return Bench(folder)
