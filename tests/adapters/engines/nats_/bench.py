"""NATS on the bench of the conformance suite: a real consumer of a stream on a real server."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import wait
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from adapters.conformance.bench import Came
from adapters.conformance.sink import page
from adapters.engines.nats_.bus import Bus
from adapters.engines.nats_.server import server
from bridle.adapters.engines import nats as adapter
from bridle.client.worker import Worker

TOOLS = ("page.get", "page.put")
WINDOW = 0.2
"""Seconds for which the server itself knows a message again: less than a delivery takes."""


class Bench:
    """Consumers that come and go over one server, begun anew when an effect has ended them."""

    gaps: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self._open = ExitStack()
        self._folder = folder
        self._bus = Bus(self._open.enter_context(server(folder)))
        self._open.callback(self._bus.close)
        window = {"subjects": ["ask.>"], "duplicate_window": WINDOW}
        self._bus.run(self._bus.operator.update_stream(name="ASK", **window))
        self._ended: dict[str, list[Came]] = {}
        self._items: list[tuple[tuple[str, int, str], str, int]] = []
        self._steps = itertools.count()
        patch = self._open.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(adapter, "acarry_out", self._noting(adapter.acarry_out))

    @contextmanager
    def running(self, carrier: Worker) -> Iterator[None]:
        js = self._bus.connect("worker").jetstream()
        running = asyncio.run_coroutine_threadsafe(self._serve(js, carrier), self._bus.loop)
        try:
            yield
        finally:
            running.cancel()
            wait([running], 60)

    def submit(
        self, reference: str, number: int, *, tool: str = "page.get", deliveries: int = 1
    ) -> Any:
        step = f"step-{next(self._steps)}"
        self._items.append(((tool, number, reference), step, deliveries - 1))
        self._put(tool, number, reference, step)
        return len(self._items) - 1

    def came(self, item: int, *, within: float = 20.0) -> Came:
        given, step, more = self._items[item]
        came = self._came(step, 0, within)
        for _ in range(more):
            before = len(self._ended.get(step, []))
            time.sleep(2 * WINDOW)
            self._put(*given, step)
            came = self._came(step, before, within)
        return came

    def again(self, item: int) -> None:
        raise NotImplementedError("what is held comes back by itself")

    def bypasses(self) -> Mapping[str, Callable[[], object]]:
        def sent(subject: str = "ask.page.get", **headers: str) -> Callable[[], object]:
            step = f"step-{next(self._steps)}"
            given = {"id": step, **headers}

            def send() -> Came:
                self._bus.raw(b'{"id": 99}', subject, **given)
                return self._came(step, 0, 3.0)

            return send

        def direct(subject: str) -> Callable[[], object]:
            return lambda: self._bus.run(self._bus.agent.publish(subject, b'{"id": 99}'))

        return {
            "a message without a reference": sent(),
            "a reference that is none": sent(reference="v1; nonsense"),
            "a message without an id": sent(id=""),
            "a subject that is no tool": sent("ask.page.own"),
            "past the worker": direct("do.page.get"),
            "into the worker's inbox": direct("_INBOX_worker.page.get"),
        }

    def stored(self) -> bytes:
        kept = [each for each in self._folder.rglob("*") if each.is_file()]
        return b"".join(each.read_bytes() for each in kept)

    def close(self) -> None:
        self._open.close()

    def _put(self, tool: str, number: int, reference: str, step: str) -> None:
        body = json.dumps({"id": number}).encode()
        self._bus.raw(body, f"ask.{tool}", id=step, reference=reference)

    async def _serve(self, js: Any, carrier: Worker) -> None:
        tools = {tool: partial(_page, tool) for tool in TOOLS}
        while True:
            # What an effect raises ends a consumer: whoever runs it begins it anew.
            with suppress(OSError):
                await adapter.Governed(carrier, tools, again=0.2).serve(js, "ASK", "worker")

    def _noting(self, acarry_out: Callable[..., Any]) -> Callable[..., Any]:
        async def noting(gate: Any, native: Any, *more: Any) -> Any:
            ended = self._ended.setdefault(native.headers.get(adapter.ID, ""), [])
            try:
                value = await acarry_out(gate, native, *more)
            except adapter._RefusedError as refused:
                ended.append(Came("refused", text=str(refused)))
                raise
            except OSError as problem:
                ended.append(Came("failed", text=str(problem)))
                raise
            ended.append(Came("done", value))
            return value

        return noting

    def _came(self, step: str, before: int, within: float) -> Came:
        end = time.monotonic() + within
        while time.monotonic() < end:
            if found := self._ended.get(step, [])[before:]:
                return found[-1]
            time.sleep(0.02)
        return Came("waiting")


def _page(tool: str, id: int) -> Any:  # noqa: A002 - the argument's name
    return page(tool, id)


def make(folder: Path) -> Bench:
    return Bench(folder)
