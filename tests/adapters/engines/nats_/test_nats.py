"""Messages of a real NATS server, governed: asserted at the sink."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.client.worker import Worker
from bridle.model import calls
from bridle.model.errors import UsageError
from bridle.trust import context
from server.carrying import Site, serving
from server.test_dispatching import CHANGED, OTHER, PLAIN, WORKER

pytest.importorskip("nats", reason="not run: `make engines` brings nats-py")

from nats.errors import TimeoutError as NothingError
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NoStreamResponseError

from adapters.engines.nats_.bus import AGAIN, Bus
from adapters.engines.nats_.server import server
from bridle.adapters.engines.nats import REASON

pytestmark = pytest.mark.engines


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with server(tmp_path_factory.mktemp("nats")) as found:
        yield found


@pytest.fixture
def bus(port: int) -> Iterator[Bus]:
    found = Bus(port)
    yield found
    found.close()


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
    end = time.monotonic() + 10
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
        until(lambda: bus.left() == 0)
    assert bus.sink == [7, 8]
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert [(row["agent"], row["executor"]) for row in rows] == [("clerk", "worker")] * 2


def test_async_functions_are_governed_too(clerk: bridle.Agent, carrier: Worker, bus: Bus) -> None:
    async def page(id: int) -> None:  # noqa: A002 - the argument's name
        await asyncio.sleep(0)
        bus.page(id)

    reference = dispatched(clerk, 7, 900)
    with bus.consuming(carrier, tools={"page.get": page}):
        bus.put(reference, 900, "1")
        bus.put(reference, 8, "2")
        assert bus.buried().headers[REASON]
    assert bus.sink == [100]


def test_what_was_not_dispatched_goes_to_the_dead_letters_with_the_reason(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    reference = dispatched(clerk, 7)
    with bus.consuming(carrier):
        bus.put(reference, 8)
        dead = bus.buried()
        assert (dead.subject, json.loads(dead.data)) == ("denied.ask.page.get", {"id": 8})
        assert dead.headers[context.HEADER] == reference
        for step, given in (("2", ""), ("3", "nonsense")):
            bus.raw(b'{"id": 7}', id=step, reference=given, Odd="x")
            assert set(bus.buried().headers) >= {REASON}
        bus.put(dispatched(clerk, 13, task="u"), 13)
        dead = bus.buried()
        assert "no page 13" in dead.headers[REASON]
        assert set(dead.headers) == {REASON, context.HEADER}
        until(lambda: bus.left() == 0)
    assert not bus.sink
    assert not site.ana.rows(calls.Attempts(state="ok"))


def test_messages_that_are_none_of_a_step_are_refused_and_the_consumer_goes_on(
    clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    reference = dispatched(clerk, 7)
    odd = [b"", b"[]", b"null", b"{", b'{"id": NaN}', b"\xff", b"[" * 100_000, b'{"id": 7.5e999}']
    with bus.consuming(carrier):
        for at, body in enumerate(odd):
            bus.raw(body, id=str(at), reference=reference)
            assert bus.buried().headers[REASON]
        for given in (
            {"id": "", "reference": reference},
            {"reference": reference},
            {"id": "x" * 2_000, "reference": reference},
            {"id": "w", "subject": "ask.page", "reference": reference},
            {"id": "y", "subject": "ask.ask.page.get", "reference": reference},
            {},
        ):
            bus.raw(b'{"id": 7}', **given)
            assert bus.buried().headers[REASON]
        assert not bus.sink
        bus.put(reference, 7)
        until(lambda: bus.sink == [7])


def test_without_a_place_for_dead_letters_a_refused_message_is_terminated(
    clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    reference = dispatched(clerk, 7)
    bus.run(bus.operator.delete_stream("DENIED"))
    for step, dead in (("1", ""), ("2", "denied")):
        with bus.consuming(carrier, dead=dead):
            bus.put(reference, 8, step)
            until(lambda: bus.left() == 0)
    with pytest.raises(NothingError):
        bus.run(bus.dead.next_msg(0.1))
    assert not bus.sink
    bus.run(bus.operator.add_stream(name="DENIED", subjects=["denied.>"]))


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
        bus.put(reference, 7)
        bus.put(reference, 7)  # the server knows it again
        until(lambda: bus.left() == 0)
        # After its window it would not.
        bus.run(bus.operator.purge_stream("ASK"))
        bus.run(bus.operator.delete_stream("ASK"))
    bus.run(bus.operator.add_stream(name="ASK", subjects=["ask.>"]))
    config = ConsumerConfig(durable_name="worker", ack_policy=AckPolicy.EXPLICIT)
    bus.run(bus.operator.add_consumer("ASK", config))
    with bus.consuming(carrier):
        bus.put(reference, 7)
        bus.put(reference, 7, "last")
        until(lambda: len(bus.sink) == 2)
        until(lambda: bus.left() == 0)
    assert bus.sink == [7, 7]
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 2


def test_the_steps_of_two_tasks_never_meet(clerk: bridle.Agent, carrier: Worker, bus: Bus) -> None:
    with bus.consuming(carrier):
        bus.put(dispatched(clerk, 7, task="t"), 7, "1")
        bus.put(dispatched(clerk, 7, task="u"), 7, "1")
        bus.raw(b'{"id": 7}', id="v/1", reference=dispatched(clerk, 7, task="t"))
        until(lambda: bus.left() == 0)
    assert bus.sink == [7] * 3


def test_a_worker_that_ends_before_it_acknowledges_has_done_it_once(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    def lost() -> None:
        asyncio.run_coroutine_threadsafe(connection.close(), bus.loop).result(10)

    with bus.consuming(carrier) as serving:
        connection = bus._open[-1]
        bus.on_page = lost
        bus.put(dispatched(clerk, 7), 7)
        until(serving.done)
        assert serving.exception() is not None
    assert bus.sink == [7]
    assert bus.left() == 1
    with bus.consuming(carrier):
        until(lambda: bus.left() == 0)
    assert bus.sink == [7]
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 1


def test_what_takes_longer_than_the_server_waits_is_given_to_nobody_else(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    bus.on_page = lambda: time.sleep(2.5)  # the consumer's `ack_wait` is 1 second
    with bus.consuming(carrier), bus.consuming(carrier):
        bus.put(dispatched(clerk, 7), 7)
        until(lambda: site.ana.rows(calls.Attempts(state="ok")))
        until(lambda: bus.left() == 0)
        info = bus.run(bus.operator.consumer_info("ASK", "worker"))
        assert info.delivered.consumer_seq == 1
    assert bus.sink == [7]


def test_a_held_message_comes_back_until_a_human_has_answered_whatever_becomes_of_its_worker(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    with bus.consuming(carrier):
        bus.put(dispatched(clerk, 66), 66)
        until(lambda: site.ana.rows(calls.Approvals()))
    time.sleep(2 * AGAIN)
    assert not bus.sink
    with bus.consuming(carrier):
        time.sleep(3 * AGAIN)
        assert not bus.sink
        assert len(site.ana.rows(calls.Approvals())) == 1
        approved(site)
        until(lambda: bus.left() == 0)
    assert bus.sink == [66]


def test_what_is_revoked_while_it_waits_does_not_start(
    clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    reference = dispatched(clerk, 7)
    bus.put(reference, 7)
    clerk.revoke(context.parse(reference).leaf)
    with bus.consuming(carrier):
        assert "revoked" in bus.buried().headers[REASON]
    assert not bus.sink


def test_another_workload_carries_nothing_out(
    clerk: bridle.Agent, bus: Bus, tmp_path: Path
) -> None:
    with bridle.worker(tmp_path, credential=OTHER) as other, bus.consuming(other):
        bus.put(dispatched(clerk, 7), 7)
        assert bus.buried().headers[REASON]
    assert not bus.sink


def test_without_a_governor_nothing_runs_and_the_message_comes_again(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    reference = dispatched(clerk, 7)
    site.stop()
    with bus.consuming(carrier):
        bus.put(reference, 7)
        until(
            lambda: bus.run(bus.operator.consumer_info("ASK", "worker")).delivered.consumer_seq > 1
        )
    assert not bus.sink
    assert bus.left() == 1


def test_an_effect_that_fails_ends_the_consumer_and_its_message_is_not_lost(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    def broken() -> None:
        raise ValueError("broken")

    bus.on_page = broken
    with bus.consuming(carrier) as serving:
        bus.put(dispatched(clerk, 7), 7)
        with pytest.raises(ValueError, match="broken"):
            serving.result(20)
    assert len(site.ana.rows(calls.Attempts(state="error"))) == 1
    bus.on_page = lambda: None
    with bus.consuming(carrier):
        # It may have happened: only a human has it done again.
        until(lambda: site.ana.rows(calls.Approvals()))
        assert bus.sink == [7]
        approved(site, by="ana")
        until(lambda: bus.sink == [7, 7])


def test_the_server_lets_an_agent_ask_and_nothing_else(
    clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    hand, agent = bus.connect("hand"), bus.connect("agent")
    done: list[bytes] = []

    async def do(msg: Any) -> None:
        done.append(msg.data)

    bus.run(hand.subscribe("do.>", cb=do))
    bus.put(dispatched(clerk, 7), 7)
    for subject in (
        "do.page.get",
        "denied.ask.page.get",
        "$JS.ACK.ASK.worker.1.1.1.1.0",
        "$JS.API.STREAM.PURGE.ASK",
        "$JS.API.STREAM.MSG.DELETE.ASK",
        "$JS.API.CONSUMER.MSG.NEXT.ASK.worker",
        "_INBOX_worker.x",
    ):
        before = len(agent.refusals)
        bus.run(agent.publish(subject, b'{"seq": 1}'))
        bus.run(agent.flush())
        until(lambda: len(agent.refusals) > before)  # noqa: B023 - waited for at once
        assert "permissions violation" in agent.refusals[-1].lower()
    assert (bus.left(), done) == (1, [])

    async def forward(id: int) -> str:  # noqa: A002 - the argument's name
        ack = await bus._open[-1].jetstream().publish("do.page.get", b"%d" % id)
        return f"{ack.stream} has it"

    with bus.consuming(carrier, tools={"page.get": forward}):
        until(lambda: done == [b"7"])


def test_an_effect_that_publishes_is_done_once_the_server_has_confirmed_it(
    site: Site, clerk: bridle.Agent, carrier: Worker, bus: Bus
) -> None:
    async def forward(id: int) -> None:  # noqa: A002 - the argument's name
        await bus._open[-1].jetstream().publish("do.page.get", b"%d" % id)

    bus.run(bus.operator.delete_stream("DO"))
    with bus.consuming(carrier, tools={"page.get": forward}) as serving:
        bus.put(dispatched(clerk, 7), 7)
        with pytest.raises(NoStreamResponseError):
            serving.result(20)
    bus.run(bus.operator.add_stream(name="DO", subjects=["do.>"]))
    assert not site.ana.rows(calls.Attempts(state="ok"))
    assert len(site.ana.rows(calls.Attempts(state="error"))) == 1


def test_a_consumer_that_would_lose_what_waits_is_not_served(carrier: Worker, bus: Bus) -> None:
    for more in ({"max_deliver": 3, "ack_policy": AckPolicy.EXPLICIT}, {"ack_policy": "none"}):
        bus.run(bus.operator.delete_consumer("ASK", "worker"))
        if more["ack_policy"] == "none":
            more["ack_policy"] = AckPolicy.NONE
        config = ConsumerConfig(durable_name="worker", **more)
        bus.run(bus.operator.add_consumer("ASK", config))
        with bus.consuming(carrier) as serving, pytest.raises(UsageError) as refused:
            serving.result(20)
        assert refused.value.code == "unsupported"


def test_a_handoff_over_nats_is_a_delegation_with_both_identities_on_record(
    site: Site, clerk: bridle.Agent, bus: Bus, tmp_path: Path
) -> None:
    with bridle.connect(tmp_path, role="agent") as elsewhere:
        invited = elsewhere.invite("scout")
        taken: list[Any] = []

        async def on_handoff(msg: Any) -> None:
            found = context.extract(msg.headers)
            taken.append(await asyncio.to_thread(invited.accept, context.format(found.reference)))

        scout_s = bus.connect("operator")
        bus.run(scout_s.subscribe("ask.handoff", cb=on_handoff))
        bus.run(scout_s.flush())
        offer = clerk.offer("scout", to=invited.public, tools=["page.get"])
        bus.raw(b"", subject="ask.handoff", reference=offer.reference)
        scout = until(lambda: taken)[0]
        assert scout.call("page.get", {"id": 7}, effect=bus.page) == "page 7"
    assert bus.sink == [7]
    (row,) = site.ana.rows(calls.Attempts(state="ok"))
    (explained,) = site.ana.rows(calls.Explain(action=row["action"]))
    assert (explained["agent"], explained["line"]) == ("scout", "clerk>scout")
