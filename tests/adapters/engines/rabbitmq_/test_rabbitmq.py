"""Messages of a real RabbitMQ, governed: asserted at the sink."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.client.worker import Worker
from bridle.model import calls
from bridle.trust import context
from server.carrying import Site, serving
from server.test_dispatching import CHANGED, OTHER, PLAIN, WORKER

pytest.importorskip("pika", reason="not run: `make engines` brings pika")

import pika

from adapters.engines.rabbitmq_.broker import broker
from bridle.adapters.engines.rabbitmq import REASON, WAITING, Governed, Sender

pytestmark = pytest.mark.engines

AGAIN = 0.2
NAMES = itertools.count()


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with broker(tmp_path_factory.mktemp("rabbitmq")) as found:
        yield found


class Bus:
    """One queue with its dead letters, the function that handles its messages, and the sink."""

    def __init__(self, port: int) -> None:
        self.to = pika.ConnectionParameters("127.0.0.1", port)
        self.connection = pika.BlockingConnection(self.to)
        self.channel = self.connection.channel()
        self.sender = Sender(self.channel)
        self.queue = f"pages-{next(NAMES)}"
        self.dead = f"{self.queue}.dead"
        for name in (self.queue, self.dead):
            self.channel.queue_declare(name, durable=True)
        self.sink: list[int] = []
        self.on_page: Callable[[], None] = lambda: None

    def page(self, id: int) -> str:  # noqa: A002 - the argument's name
        self.sink.append(id)
        self.on_page()
        return f"page {id}"

    def put(self, reference: str, number: int, step: str = "1") -> None:
        self.sender.send(self.queue, "page.get", {"id": number}, reference, step=step)

    def raw(self, body: bytes = b'{"id": 7}', **given: Any) -> None:
        headers = {context.HEADER: given.pop("reference", ""), **given.pop("headers", {})}
        fields = {"message_id": "1", "type": "page.get", "headers": headers, **given}
        self.channel.basic_publish("", self.queue, body, pika.BasicProperties(**fields))

    def left(self, queue: str) -> int:
        return int(self.channel.queue_declare(queue, passive=True).method.message_count)

    def buried(self) -> tuple[Any, bytes]:
        """The dead letter that comes: its properties and body."""
        until(lambda: self.left(self.dead))
        _, envelope, body = self.channel.basic_get(self.dead, auto_ack=True)
        return envelope, body

    @contextmanager
    def consuming(self, carrier: Worker, *, name: str = "page.get", **more: Any) -> Iterator[None]:
        """A worker of the engine whose messages are governed."""
        connection = pika.BlockingConnection(self.to)
        channel = connection.channel()
        more = {"again": AGAIN, "dead": self.dead, **more}
        Governed(carrier, {name: self.page}, **more).consume(channel, self.queue)

        def run() -> None:
            try:
                channel.start_consuming()
            except (pika.exceptions.AMQPError, OSError):
                return  # its connection has been cut

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            if connection.is_open:
                connection.add_callback_threadsafe(channel.stop_consuming)
            thread.join(30)
            assert not thread.is_alive()
            if connection.is_open:
                connection.close()


@pytest.fixture
def bus(port: int) -> Iterator[Bus]:
    found = Bus(port)
    yield found
    found.connection.close()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, "http://127.0.0.1:1", systems=PLAIN, files=CHANGED) as found:
        yield found


@pytest.fixture
def clerk(site: Site) -> bridle.Agent:
    return site.ana.start_mission("office", user="ana").agent("clerk")


@pytest.fixture
def carrier(site: Site, tmp_path: Path) -> Iterator[Worker]:
    del site
    with bridle.worker(tmp_path, credential=WORKER) as found:
        yield found


def dispatched(clerk: bridle.Agent, *ids: int, task: str = "t") -> str:
    return clerk.dispatch("worker", task=task, tools={"page.get": {"id": bridle.one_of(*ids)}})


def until(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while not (it := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return it


def approved(site: Site, by: str = "ben") -> None:
    (row,) = until(lambda: site.ana.rows(calls.Approvals()))
    site.ana.done(calls.Answer(approval=row["id"], approve=True, as_user=by))


def test_what_an_agent_dispatched_is_carried_out_with_both_identities_on_record(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    reference = dispatched(clerk, 7, 8)
    with bus.consuming(carrier):
        bus.put(reference, 7, "1")
        bus.put(reference, 8, "2")
        rows = until(lambda: [*site.ana.rows(calls.Attempts(state="ok"))][1:])
    assert bus.sink == [7, 8]
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert [(row["agent"], row["executor"]) for row in rows] == [("clerk", "worker")] * 2
    assert bus.left(bus.queue) == bus.left(bus.dead) == bus.left(bus.queue + WAITING) == 0


def test_what_was_not_dispatched_goes_to_the_dead_letters_with_the_reason(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    reference = dispatched(clerk, 7)
    with bus.consuming(carrier):
        for given, number in ((reference, 8), ("", 7), ("nonsense", 7)):
            bus.put(given, number)
            envelope, body = bus.buried()
            assert json.loads(body) == {"id": number}
            assert envelope.headers[REASON]
            assert envelope.message_id == "1"
        bus.put(dispatched(clerk, 13, task="u"), 13)
        assert "no page 13" in bus.buried()[0].headers[REASON]
    assert not bus.sink
    assert not site.ana.rows(calls.Attempts(state="ok"))
    assert bus.left(bus.queue) == 0


def test_messages_that_are_none_of_a_step_are_refused_and_the_consumer_goes_on(
    clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    reference = dispatched(clerk, 7)
    odd = [b"", b"[]", b"null", b"{", b'{"id": NaN}', b"\xff", b"[" * 100_000, b'{"id": 7.5e999}']
    with bus.consuming(carrier):
        for body in odd:
            bus.raw(body, reference=reference)
            assert bus.buried()[0].headers[REASON]
        for given in (
            {"message_id": None},
            {"message_id": "x" * 255, "type": "page.put"},
            {"type": None},
            {"headers": {context.HEADER: 5}},
            {"headers": {context.HEADER: [reference]}},
            {"headers": {context.HEADER.lower(): reference, context.HEADER: "x"}},
        ):
            bus.raw(**{"reference": reference, **given})
            assert bus.buried()[0].headers[REASON]
        assert not bus.sink
        bus.put(reference, 7)
        until(lambda: bus.sink == [7])


def test_without_a_place_for_dead_letters_a_refused_message_is_rejected(
    clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    reference = dispatched(clerk, 7)
    for dead in ("", "no-such-queue"):
        with bus.consuming(carrier, dead=dead):
            bus.put(reference, 8, "1")
            bus.put(reference, 7, f"after {dead}")
            count = 1 if not dead else 2
            until(lambda: len(bus.sink) == count)  # noqa: B023 - waited for at once
    assert bus.sink == [7, 7]
    assert bus.left(bus.queue) == bus.left(bus.dead) == 0


def test_what_policy_changes_is_what_runs(clerk: bridle.Agent, carrier: Worker, bus: Bus) -> None:
    with bus.consuming(carrier):
        bus.put(dispatched(clerk, 900), 900)
        until(lambda: bus.sink)
    assert bus.sink == [100]


def test_a_message_that_is_delivered_again_is_carried_out_once(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    reference = dispatched(clerk, 7)
    with bus.consuming(carrier):
        for _ in range(3):
            bus.put(reference, 7)
        bus.put(reference, 7, "last")
        until(lambda: len(site.ana.rows(calls.Attempts(state="ok"))) == 2)
    assert bus.sink == [7, 7]
    assert bus.left(bus.queue) == bus.left(bus.dead) == 0


def test_the_steps_of_two_tasks_never_meet(clerk: bridle.Agent, carrier: Worker, bus: Bus) -> None:
    with bus.consuming(carrier):
        bus.put(dispatched(clerk, 7, task="t"), 7, "u/1")
        bus.put(dispatched(clerk, 7, task="t/u"), 7, "1")
        until(lambda: bus.sink == [7, 7])


def test_a_worker_that_is_cut_off_before_it_acknowledges_has_done_it_once(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    cut = pika.BlockingConnection(bus.to)
    channel = cut.channel()
    Governed(carrier, {"page.get": bus.page}, again=AGAIN).consume(channel, bus.queue)
    bus.on_page = lambda: cut._impl._transport._sock.shutdown(socket.SHUT_RDWR)
    bus.put(dispatched(clerk, 7), 7)
    with pytest.raises(pika.exceptions.AMQPError):
        channel.start_consuming()
    assert bus.sink == [7]
    bus.on_page = lambda: None
    with bus.consuming(carrier):
        until(lambda: bus.left(bus.queue) == 0)
        time.sleep(AGAIN)
    assert bus.sink == [7]
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 1
    assert bus.left(bus.queue) == bus.left(bus.dead) == bus.left(bus.queue + WAITING) == 0


def test_a_duplicate_that_comes_while_the_step_runs_elsewhere_waits_for_it(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    go = threading.Event()
    bus.on_page = lambda: go.wait(20)
    reference = dispatched(clerk, 7)
    with bus.consuming(carrier), bus.consuming(carrier):
        bus.put(reference, 7)
        bus.put(reference, 7)
        until(lambda: bus.left(bus.queue + WAITING))
        go.set()
        until(lambda: site.ana.rows(calls.Attempts(state="ok")))
        time.sleep(3 * AGAIN)
    assert bus.sink == [7]
    assert bus.left(bus.queue) == bus.left(bus.dead) == bus.left(bus.queue + WAITING) == 0


def test_a_held_message_comes_back_until_a_human_has_answered_whatever_becomes_of_its_worker(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    reference = dispatched(clerk, 66)
    with bus.consuming(carrier):
        bus.put(reference, 66)
        until(lambda: site.ana.rows(calls.Approvals()))
    time.sleep(3 * AGAIN)
    assert not bus.sink
    with bus.consuming(carrier):
        time.sleep(3 * AGAIN)
        assert not bus.sink
        assert len(site.ana.rows(calls.Approvals())) == 1
        approved(site)
        until(lambda: bus.sink)
        time.sleep(2 * AGAIN)
    assert bus.sink == [66]
    assert bus.left(bus.queue) == bus.left(bus.dead) == bus.left(bus.queue + WAITING) == 0


def test_a_message_that_waits_reaches_nothing_by_the_workers_permissions(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    bus.channel.queue_declare("vault", durable=True)
    bus.channel.queue_purge("vault")
    reference = dispatched(clerk, 66)
    with bus.consuming(carrier):
        # The sender's own copies reach the vault once; what the worker publishes never does.
        bus.raw(
            b'{"id": 66}',
            reference=reference,
            headers={"CC": ["vault"], "BCC": ["vault"], "odd": [1]},
            user_id="guest",
        )
        until(lambda: site.ana.rows(calls.Approvals()))
        own = bus.left("vault")
        time.sleep(4 * AGAIN)
        assert bus.left("vault") == own
        approved(site)
        until(lambda: bus.sink)
    assert bus.sink == [66]


def test_what_is_revoked_while_it_waits_in_the_queue_does_not_start(
    clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    reference = dispatched(clerk, 7)
    bus.put(reference, 7)
    clerk.revoke(context.parse(reference).leaf)
    with bus.consuming(carrier):
        assert "revoked" in bus.buried()[0].headers[REASON]
    assert not bus.sink


def test_another_workload_carries_nothing_out(
    clerk: bridle.Agent, bus: Bus, tmp_path: Path
) -> None:
    with bridle.worker(tmp_path, credential=OTHER) as other, bus.consuming(other):
        bus.put(dispatched(clerk, 7), 7)
        assert bus.buried()[0].headers[REASON]
    assert not bus.sink


def test_without_a_governor_nothing_runs_and_the_message_waits(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    reference = dispatched(clerk, 7)
    site.stop()
    with bus.consuming(carrier):
        bus.put(reference, 7)
        until(lambda: bus.left(bus.queue + WAITING))
    time.sleep(3 * AGAIN)
    assert not bus.sink
    assert bus.left(bus.dead) == 0
    assert bus.left(bus.queue) + bus.left(bus.queue + WAITING) == 1


def test_an_effect_that_fails_is_reported_as_failed_and_its_message_is_not_lost(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    def broken() -> None:
        raise ValueError("broken")

    bus.on_page = broken
    connection = pika.BlockingConnection(bus.to)
    channel = connection.channel()
    Governed(carrier, {"page.get": bus.page}).consume(channel, bus.queue)
    bus.put(dispatched(clerk, 7), 7)
    with pytest.raises(ValueError, match="broken"):
        channel.start_consuming()
    connection.close()
    assert len(site.ana.rows(calls.Attempts(state="error"))) == 1
    until(lambda: bus.left(bus.queue) == 1)
    bus.on_page = lambda: None
    with bus.consuming(carrier):
        # It may have happened: only a human has it done again.
        until(lambda: bus.left(bus.queue + WAITING))
        assert bus.sink == [7]
        approved(site, by="ana")
        until(lambda: bus.sink == [7, 7])


def test_an_effect_that_sends_is_done_once_the_broker_has_confirmed_it(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    connection = pika.BlockingConnection(bus.to)
    sender = Sender(connection.channel())
    to = [bus.dead, "no-such-queue"]
    bus.on_page = lambda: sender.send(to.pop(0), "page.get", {"id": 1}, "", step="2")
    channel = connection.channel()
    Governed(carrier, {"page.get": bus.page}).consume(channel, bus.queue)
    reference = dispatched(clerk, 7, 8)
    bus.put(reference, 7, "1")
    bus.put(reference, 8, "2")
    with pytest.raises(pika.exceptions.UnroutableError):
        channel.start_consuming()
    connection.close()
    assert bus.sink == [7, 8]
    assert bus.left(bus.dead) == 1
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 1
    assert len(site.ana.rows(calls.Attempts(state="error"))) == 1
