"""A stream with its consumer and dead letters, on an event loop of its own."""

import asyncio
import itertools
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from typing import Any

import nats
from nats.js.api import AckPolicy, ConsumerConfig

from bridle.adapters.engines.nats import ID, Governed, Sender
from bridle.client.worker import Worker
from bridle.trust import context

AGAIN = 0.2
NAMES = itertools.count()


class Bus:
    """What users of the server do with it, and the sink."""

    def __init__(self, port: int) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()
        self._port = port
        self._open: list[Any] = []
        self.sink: list[int] = []
        self.on_page: Callable[[], None] = lambda: None
        self.operator = self.connect("operator").jetstream()
        self.agent = self.connect("agent")
        self.run(self._made())

    async def _made(self) -> None:
        for name, subjects in (("ASK", ["ask.>"]), ("DO", ["do.>"]), ("DENIED", ["denied.>"])):
            await self.operator.add_stream(name=name, subjects=subjects)
        config = ConsumerConfig(durable_name="worker", ack_policy=AckPolicy.EXPLICIT, ack_wait=1)
        await self.operator.add_consumer("ASK", config)
        self.dead = await self.operator.subscribe("denied.>", ordered_consumer=True)

    def run(self, job: Coroutine[Any, Any, Any], within: float = 30.0) -> Any:
        return asyncio.run_coroutine_threadsafe(job, self.loop).result(within)

    def connect(self, user: str) -> Any:
        async def refused(problem: Exception) -> None:
            refusals.append(str(problem))

        refusals: list[str] = []
        options = {"inbox_prefix": f"_INBOX_{user}".encode(), "error_cb": refused}
        url = f"nats://127.0.0.1:{self._port}"
        found = self.run(nats.connect(url, user=user, password=user, **options))
        found.refusals = refusals
        self._open.append(found)
        return found

    def page(self, id: int) -> str:  # noqa: A002 - the argument's name
        self.sink.append(id)
        self.on_page()
        return f"page {id}"

    def put(self, reference: str, number: int, step: str = "1") -> None:
        sender = Sender(self.agent.jetstream())
        self.run(sender.send("ask.page.get", {"id": number}, reference, step=step))

    def raw(self, body: bytes, subject: str = "ask.page.get", **headers: str) -> None:
        names = {"id": ID, "reference": context.HEADER}
        given = {names.get(name, name): value for name, value in headers.items()}
        self.run(self.agent.jetstream().publish(subject, body, headers=given or None))

    def buried(self) -> Any:
        return self.run(self.dead.next_msg(20))

    def left(self) -> int:
        """How many messages wait for the worker, or for an answer of it."""
        info = self.run(self.operator.consumer_info("ASK", "worker"))
        return int(info.num_pending + info.num_ack_pending)

    @contextmanager
    def consuming(self, carrier: Worker, **more: Any) -> Iterator[Any]:
        """A worker of the engine whose messages are governed."""
        js = self.connect("worker").jetstream()
        tools = more.pop("tools", {"page.get": self.page})
        governed = Governed(carrier, tools, **{"again": AGAIN, "dead": "denied", **more})
        serving = asyncio.run_coroutine_threadsafe(governed.serve(js, "ASK", "worker"), self.loop)
        try:
            yield serving
        finally:
            serving.cancel()
            wait([serving], 20)

    def close(self) -> None:
        async def end() -> None:
            for name in ("ASK", "DO", "DENIED"):
                await self.operator.delete_stream(name)
            for each in self._open:
                await each.close()
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(20)
        self.loop.close()
