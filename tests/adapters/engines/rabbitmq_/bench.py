"""RabbitMQ on the bench of the conformance suite: a real consumer on a real broker."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import pika
import pytest

from adapters.conformance.bench import Came
from adapters.conformance.sink import page
from adapters.engines.rabbitmq_.broker import broker
from bridle.adapters.engines import rabbitmq as adapter
from bridle.client.worker import Worker
from bridle.trust.context import HEADER

QUEUE, DEAD = "pages", "pages.dead"
TOOLS = ("page.get", "page.put")


class Bench:
    """Consumers that come and go over one broker, begun anew when an effect has ended them."""

    gaps: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self._open = ExitStack()
        self._folder = folder
        port = self._open.enter_context(broker(folder))
        self._to = pika.ConnectionParameters("127.0.0.1", port)
        self._ended: dict[str, list[Came]] = {}
        self._items: list[tuple[tuple[str, int, str], str, int]] = []
        self._steps = itertools.count()
        patch = self._open.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(adapter, "carry_out", self._noting(adapter.carry_out))
        with self._channel() as channel:
            for name in (QUEUE, DEAD):
                channel.queue_declare(name, durable=True)

    @contextmanager
    def running(self, carrier: Worker) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._consume, args=(carrier, over))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join(60)
            assert not thread.is_alive()

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
            self._put(*given, step)
            came = self._came(step, before, within)
        return came

    def again(self, item: int) -> None:
        raise NotImplementedError("what is held comes back by itself")

    def bypasses(self) -> Mapping[str, Callable[[], object]]:
        def sent(queue: str = QUEUE, **changes: Any) -> Callable[[], object]:
            step = f"step-{next(self._steps)}"
            given = {"message_id": step, "type": "page.get", **changes}

            def send() -> Came:
                with self._channel() as channel:
                    envelope = pika.BasicProperties(**given)
                    channel.basic_publish("", queue, b'{"id": 99}', envelope)
                return self._came(step, 0, 3.0)

            return send

        return {
            "a message without a reference": sent(),
            "a reference that is none": sent(headers={HEADER: "v1; nonsense"}),
            "a message without an id": sent(message_id=None),
            "a type that is no tool": sent(type="page.own"),
            "put where messages wait": sent(QUEUE + adapter.WAITING, expiration="50"),
            "copies": sent(headers={"CC": [QUEUE], "BCC": [QUEUE + adapter.WAITING]}),
        }

    def stored(self) -> bytes:
        kept = [each for each in (self._folder / "data").rglob("*") if each.is_file()]
        return b"".join(each.read_bytes() for each in kept)

    def close(self) -> None:
        self._open.close()

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        connection = pika.BlockingConnection(self._to)
        try:
            yield connection.channel()
        finally:
            connection.close()

    def _put(self, tool: str, number: int, reference: str, step: str) -> None:
        with self._channel() as channel:
            adapter.Sender(channel).send(QUEUE, tool, {"id": number}, reference, step=step)

    def _consume(self, carrier: Worker, over: threading.Event) -> None:
        tools = {tool: lambda id, tool=tool: page(tool, id) for tool in TOOLS}  # noqa: A006
        while not over.is_set():
            # What an effect raises ends a consumer: whoever runs it begins it anew.
            with suppress(OSError), self._channel() as channel:
                adapter.Governed(carrier, tools, again=0.2, dead=DEAD).consume(channel, QUEUE)
                while not over.is_set():
                    channel.connection.process_data_events(0.05)

    def _noting(self, carry_out: Callable[..., Any]) -> Callable[..., Any]:
        def noting(gate: Any, native: Any, *more: Any) -> Any:
            ended = self._ended.setdefault(str(native.envelope.message_id), [])
            try:
                value = carry_out(gate, native, *more)
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


def make(folder: Path) -> Bench:
    return Bench(folder)
