"""Celery on the bench of the conformance suite: a real worker on a real Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from celery import Celery, Task
from celery.contrib.testing.worker import start_worker
from celery.exceptions import TimeoutError as NotYet

from adapters.conformance.bench import Came
from adapters.conformance.sink import page
from adapters.engines.celery_ import redis
from bridle.adapters.engines import celery as adapter
from bridle.client.worker import Worker


class Own(Task):
    """A base class that calls its function by itself: a way around gates that stand in `Task`."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.run(*args, **kwargs)


def _app(url: str) -> Celery:
    app = Celery("pages", broker=url, backend=url, set_as_current=False)
    app.conf.update(task_acks_late=True, worker_hijack_root_logger=False)
    app.conf.broker_connection_retry_on_startup = True
    app.conf.result_backend_thread_safe = True
    app.conf.task_serializer = app.conf.result_serializer = "json"

    @app.task(name="page.get", shared=False)
    def get(id: int) -> Any:  # noqa: A002 - the argument's name
        return page("page.get", id)

    @app.task(name="page.put", shared=False)
    def put(id: int) -> Any:  # noqa: A002 - the argument's name
        return page("page.put", id)

    @app.task(name="page.own", base=Own, shared=False)
    def own(id: int) -> Any:  # noqa: A002 - the argument's name
        return page("page.get", id)

    return app


class Bench:
    """Workers that come and go over one broker."""

    gaps: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self._open = ExitStack()
        self._app = _app(self._open.enter_context(redis.serving(folder)))
        self._items: list[tuple[str, dict[str, Any], int]] = []

    @contextmanager
    def running(self, carrier: Worker) -> Iterator[None]:
        adapter.govern(carrier, again=0.2)
        try:
            with start_worker(
                self._app, pool="solo", perform_ping_check=False, shutdown_timeout=20
            ):
                yield
        finally:
            adapter.release()

    def submit(
        self, reference: str, number: int, *, tool: str = "page.get", deliveries: int = 1
    ) -> Any:
        headers = {adapter.HEADER: reference} if reference else {}
        given = {"args": [number], "headers": headers}
        sent = self._app.send_task(tool, **given)
        self._items.append((tool, {**given, "task_id": sent.id}, deliveries - 1))
        return len(self._items) - 1

    def came(self, item: int, *, within: float = 20.0) -> Came:
        tool, given, more = self._items[item]
        came = self._came(given["task_id"], within)
        for _ in range(more):
            self._app.AsyncResult(given["task_id"]).forget()
            self._app.send_task(tool, **given)
            came = self._came(given["task_id"], within)
        return came

    def again(self, item: int) -> None:
        raise NotImplementedError("what is held comes back by itself")

    def bypasses(self) -> Mapping[str, Callable[[], object]]:
        def sent(name: str = "page.get", **more: Any) -> Callable[[], object]:
            return lambda: self._app.send_task(name, args=[99], **more).get(timeout=5)

        chained = self._app.signature("page.get", args=[99], immutable=True)
        return {
            "a task without a reference": sent(),
            "a base class of its own": sent("page.own"),
            "a reference that is none": sent(headers={adapter.HEADER: "v1; nonsense"}),
            "ignored results": sent(ignore_result=True),
            "a chain": lambda: (chained | chained.clone()).apply_async().get(timeout=5),
            "what follows a failure": sent(link_error=chained),
        }

    def stored(self) -> bytes:
        kept = self._app.backend.client
        return b"".join(key + (kept.dump(key) or b"") for key in kept.keys("*"))

    def close(self) -> None:
        redis.close(self._app)
        self._open.close()

    def _came(self, task: str, within: float) -> Came:
        try:
            return Came("done", self._app.AsyncResult(task).get(timeout=within))
        except NotYet:
            return Came("waiting")
        except Exception as problem:
            kind = "refused" if type(problem).__name__ == "DeniedError" else "failed"
            return Came(kind, text=str(problem))


def make(folder: Path) -> Bench:
    return Bench(folder)
