"""What waits for a human outlives the governor and the process that asked."""

import asyncio
import pickle
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.model.errors import UnreachableError, UsageError
from client.desk import copied, serving
from client.scripted import Sink

Connect = Callable[[], bridle.Bridle]
REFUND = {"order": 7, "amount": 300, "currency": "EUR"}
TICKET = {"id": 7, "status": "closed", "body": "orchid", "customer": {"id": "C-1", "name": "Dora"}}


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    bundle = copied(
        tmp_path, {'"payments"\neffect = "irreversible"': '"payments"\neffect = "write"'}
    )
    held = """
@id("closed-tickets") @reason("a lead opens closed tickets") @hold("support-leads")
forbid (principal, action == Action::"desk.read_ticket:result", resource)
when { context.output.status == "closed" };
"""
    results = bundle / "policies" / "results.dw"
    results.write_text(results.read_text("utf-8") + held, "utf-8")
    return bundle


@pytest.fixture
def connect(bundle: Path) -> Iterator[Connect]:
    """Clients that outlive the governor they were connected to."""
    with ExitStack() as clients:
        yield lambda: clients.enter_context(bridle.connect(bundle))


def asked(triage: bridle.Agent, **more: Any) -> bridle.Held:
    with pytest.raises(bridle.Held) as held:
        triage.call("payments.refund", REFUND, **more)
    return held.value


def start(governor: bridle.Bridle) -> bridle.Agent:
    mission = governor.start_mission("ticket-desk", user="ana")
    return mission.agent("triage", executor="worker-1")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_wait_goes_on_when_the_governor_is_killed_and_started_again(
    bundle: Path, connect: Connect, asynchronous: bool
) -> None:
    sink, got = Sink("paid"), list[str]()
    with serving(bundle) as served:
        held = asked(start(connect()), effect=sink)
        wait = (lambda: asyncio.run(held.await_())) if asynchronous else held.wait
        waiter = threading.Thread(target=lambda: got.append(wait()))
        waiter.start()
        served.end(signal.SIGKILL)
    with serving(bundle):
        other = connect()
        assert other.approve(held.approval_id, as_user="ben") == "approved"
        waiter.join(30)
        assert got == ["approved"]
        assert held.resume() == "paid"
    assert sink.got == [REFUND]


def test_a_wait_that_runs_out_while_nobody_answers_says_so(bundle: Path, connect: Connect) -> None:
    with serving(bundle):
        held = asked(start(connect()), effect=Sink())
    with pytest.raises(UnreachableError):
        held.wait(timeout=0)
    with pytest.raises(UnreachableError):
        asyncio.run(held.await_(timeout=0))


def go_on(data: bytes, pipe: Any) -> None:
    """Run in another process: wait for the approval and act on it."""
    held = pickle.loads(data)
    ran: list[dict[str, Any]] = []

    def pay(**given: Any) -> str:
        ran.append(given)
        return "paid elsewhere"

    pipe.send((held.wait(30), held.resume(effect=pay), ran))


def test_another_process_goes_on_with_a_pickled_hold(bundle: Path, connect: Connect) -> None:
    with serving(bundle):
        governor, sink = connect(), Sink()
        held = asked(start(governor), effect=sink)
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=go_on, args=(pickle.dumps(held), theirs))
        process.start()
        args = '{"order":7,"amount":250,"currency":"EUR"}'
        assert governor.approve(held.approval_id, as_user="ben", args=args) == "approved"
        assert ours.poll(60)
        status, result, ran = ours.recv()
        process.join(30)
        assert (status, result) == ("approved", "paid elsewhere")
        assert ran == [{"order": 7, "amount": 250, "currency": "EUR"}]
        # It ran once, there; here is what it returned.
        assert held.resume() == "paid elsewhere"
        assert sink.ran == 0


def test_the_call_repeated_with_its_key_goes_on_after_both_were_restarted(
    bundle: Path, connect: Connect
) -> None:
    with serving(bundle) as served:
        triage = start(connect())
        reference = pickle.dumps(triage)
        held = asked(triage, effect=Sink(), key="refund-7")
        served.end(signal.SIGKILL)
    sink = Sink("paid")
    with serving(bundle):
        other = connect()
        other.approve(held.approval_id, as_user="ben")
        again = pickle.loads(reference)
        assert again.call("payments.refund", REFUND, effect=sink, key="refund-7") == "paid"
    assert sink.got == [REFUND]


def test_an_agent_resumes_what_an_earlier_process_asked_by_its_id(
    bundle: Path, connect: Connect
) -> None:
    sink = Sink("paid")
    with serving(bundle):
        governor = connect()
        held = asked(start(governor), effect=Sink())
        name, mission = held.approval_id, governor.missions()[0]["id"]
        agent = governor.mission(mission).agent("triage", executor="worker-1")
        with pytest.raises(UsageError, match="effect"):
            agent.resume(name)
        with pytest.raises(bridle.Held):
            agent.resume(name, effect=sink)
        governor.approve(name, as_user="ben")
        assert agent.resume(name, effect=sink) == "paid"
    assert sink.got == [REFUND]


def test_under_another_agent_executor_or_mission_it_is_not_resumed(
    bundle: Path, connect: Connect
) -> None:
    with serving(bundle):
        governor = connect()
        held = asked(start(governor), effect=Sink())
        governor.approve(held.approval_id, as_user="ben")
        mission = governor.mission(governor.missions()[0]["id"])
        sink = Sink()
        others = [
            mission.agent("triage"),
            mission.agent("researcher", executor="worker-1"),
            start(governor),
        ]
        for other in others:
            with pytest.raises(bridle.BridleError) as refused:
                other.resume(held.approval_id, effect=sink)
            assert refused.value.code == "not_decided"
        assert sink.ran == 0
        assert held.resume() == "done"


@pytest.mark.parametrize("by", ["pickle", "id"])
def test_a_held_result_is_fetched_after_a_restart(bundle: Path, connect: Connect, by: str) -> None:
    with serving(bundle) as served:
        triage = start(connect())
        with pytest.raises(bridle.Held) as caught:
            triage.call("desk.read_ticket", {"id": 7}, effect=lambda **_: TICKET)
        data, reference = pickle.dumps(caught.value), pickle.dumps(triage)
        assert b"orchid" not in data
        served.end(signal.SIGKILL)
    with serving(bundle):
        other = connect()
        other.approve(caught.value.approval_id, as_user="ben")
        if by == "pickle":
            result = pickle.loads(data).resume()
        else:
            result = pickle.loads(reference).resume(caught.value.approval_id)
    assert result == TICKET


def test_a_kill_ends_a_wait(bundle: Path, connect: Connect) -> None:
    with serving(bundle):
        governor = connect()
        held = asked(start(governor), effect=Sink())
        got: list[str] = []
        waiter = threading.Thread(target=lambda: got.append(held.wait()))
        waiter.start()
        governor.kill("all", as_user="ana")
        waiter.join(30)
        assert got == ["void"]
