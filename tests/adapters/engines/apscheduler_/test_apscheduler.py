"""Jobs of real schedulers, governed: asserted at the sink."""

import asyncio
import queue
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.client.worker import Worker
from bridle.model import calls
from bridle.trust import context
from server.carrying import Site, serving
from server.test_dispatching import CHANGED, OTHER, PLAIN, WORKER

pytest.importorskip("apscheduler", reason="not run: `make engines` brings APScheduler")

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED
from apscheduler.executors.debug import DebugExecutor
from apscheduler.executors.pool import ProcessPoolExecutor
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.schedulers.background import BackgroundScheduler

from bridle.adapters.engines import apscheduler as adapter
from bridle.model.errors import UsageError

pytestmark = pytest.mark.engines

SINK: list[dict[str, Any]] = []
FAILING: list[str] = []
WHEN = datetime.now(UTC) - timedelta(seconds=1)


def get(id: int) -> str:  # noqa: A002 - the argument's name
    SINK.append({"id": id})
    if FAILING:
        raise ValueError(FAILING.pop())
    return f"page {id}"


async def aget(id: int) -> str:  # noqa: A002 - the argument's name
    return get(id)


def other(id: int) -> str:  # noqa: A002 - the argument's name
    return get(id)


TOOLS = {get: "page.get", aget: "page.get"}


@pytest.fixture(autouse=True)
def sink() -> Iterator[list[dict[str, Any]]]:
    SINK.clear()
    FAILING.clear()
    yield SINK
    SINK.clear()


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


class Running:
    """A scheduler whose jobs are governed, and what came of them."""

    def __init__(self, scheduler: Any) -> None:
        self.scheduler = scheduler
        self.events: queue.Queue[Any] = queue.Queue()
        scheduler.add_listener(self.events.put, EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)

    def add(self, reference: str, *args: Any, func: Callable[..., Any] = get, **more: Any) -> None:
        given = {"run_date": WHEN, "misfire_grace_time": None, "id": "one", **more}
        self.scheduler.add_job(func, "date", args, name=reference, **given)

    def ran(self, reference: str, *args: Any, **more: Any) -> Any:
        """Run a job once, and return the event of its end."""
        self.add(reference, *args, **more)
        return self.events.get(timeout=20)

    def refused(self, reference: str, *args: Any, **more: Any) -> str:
        """The type of what a run ended with."""
        return type(self.ran(reference, *args, **more).exception).__name__


def governed(carrier: Worker, **executors: Any) -> Iterator[Running]:
    adapter.govern(carrier, tools=TOOLS)
    scheduler = BackgroundScheduler(timezone=UTC, executors=executors)
    try:
        scheduler.start()
        yield Running(scheduler)
    finally:
        scheduler.shutdown()
        adapter.release()


@pytest.fixture
def running(carrier: Worker) -> Iterator[Running]:
    yield from governed(carrier)


def dispatched(clerk: bridle.Agent, *ids: int, task: str = "t") -> str:
    return clerk.dispatch("worker", task=task, tools={"page.get": {"id": bridle.one_of(*ids)}})


def test_what_an_agent_dispatched_is_carried_out_with_both_identities_on_record(
    site: Site, clerk: bridle.Agent, running: Running
) -> None:
    reference = dispatched(clerk, 7)
    assert running.ran(reference, 7).retval == "page 7"
    assert running.ran(reference, id="two", kwargs={"id": 7}).retval == "page 7"
    assert SINK == [{"id": 7}] * 2
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert [(row["agent"], row["executor"]) for row in rows] == [("clerk", "worker")] * 2


def test_what_was_not_dispatched_does_not_run(
    site: Site, clerk: bridle.Agent, running: Running
) -> None:
    assert running.refused(dispatched(clerk, 7), 8) == "DeniedError"
    unnamed = "get"  # what the engine calls a job that has no name
    assert running.refused(unnamed, 7) == "DeniedError"
    assert running.refused(dispatched(clerk, 7, task="s")[:-1] + "0", 7) == "DeniedError"
    assert running.refused(dispatched(clerk, 13, task="u"), 13) == "DeniedError"
    assert not SINK
    assert not site.ana.rows(calls.Attempts(state="ok"))


def test_a_function_that_the_worker_did_not_name_does_not_run(
    clerk: bridle.Agent, running: Running
) -> None:
    assert running.refused(dispatched(clerk, 7), 7, func=other) == "DeniedError"
    assert not SINK


def test_what_policy_changes_is_what_runs(clerk: bridle.Agent, running: Running) -> None:
    assert running.ran(dispatched(clerk, 900), 900).retval == "page 100"
    assert SINK == [{"id": 100}]


def test_each_time_that_is_due_is_a_run_and_the_job_stays_as_it_was_made(
    site: Site, clerk: bridle.Agent, running: Running
) -> None:
    running.scheduler.add_job(
        get, "interval", seconds=0.2, args=[900], id="often", name=dispatched(clerk, 900)
    )
    for _ in range(2):
        assert running.events.get(timeout=20).retval == "page 100"
    assert running.scheduler.get_job("often").args == (900,)
    running.scheduler.remove_job("often")
    assert {row["id"] for row in SINK} == {100}
    assert len(site.ana.rows(calls.Attempts(state="ok"))) >= 2


def test_a_run_that_comes_twice_is_carried_out_once(
    site: Site, clerk: bridle.Agent, running: Running
) -> None:
    reference = dispatched(clerk, 7)
    for _ in range(2):
        assert running.ran(reference, 7).retval == "page 7"
    assert SINK == [{"id": 7}]
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 1


def test_a_held_run_names_its_approval_and_runs_when_it_is_run_again(
    site: Site, clerk: bridle.Agent, running: Running
) -> None:
    reference = dispatched(clerk, 66)
    for _ in range(2):
        held = running.ran(reference, 66).exception
        assert isinstance(held, adapter.HeldError)
        assert [row["id"] for row in site.ana.rows(calls.Approvals())] == [held.approval_id]
    assert not SINK
    site.ana.done(calls.Answer(approval=held.approval_id, approve=True, as_user="ben"))
    assert running.ran(reference, 66).retval == "page 66"
    assert SINK == [{"id": 66}]


def test_a_held_run_that_is_rejected_never_runs(
    site: Site, clerk: bridle.Agent, running: Running
) -> None:
    reference = dispatched(clerk, 66)
    held = running.ran(reference, 66).exception
    site.ana.done(calls.Answer(approval=held.approval_id, approve=False, as_user="ben"))
    assert running.refused(reference, 66) == "DeniedError"
    assert not SINK


def test_what_is_revoked_while_it_is_scheduled_does_not_start(
    clerk: bridle.Agent, running: Running
) -> None:
    reference = dispatched(clerk, 7)
    running.add(reference, 7, run_date=datetime.now(UTC) + timedelta(seconds=0.5))
    clerk.revoke(context.parse(reference).leaf)
    assert "revoked" in str(running.events.get(timeout=20).exception)
    assert not SINK


def test_another_workload_carries_nothing_out(
    clerk: bridle.Agent, site: Site, tmp_path: Path
) -> None:
    del site
    with bridle.worker(tmp_path, credential=OTHER) as found:
        for running in governed(found):
            assert running.refused(dispatched(clerk, 7), 7) == "DeniedError"
    assert not SINK


def test_every_executor_has_the_gate(clerk: bridle.Agent, carrier: Worker) -> None:
    for running in governed(carrier, debug=DebugExecutor()):
        reference = dispatched(clerk, 7)
        assert running.refused(reference, 8, executor="debug") == "DeniedError"
        assert running.ran(reference, 7, executor="debug", id="two").retval == "page 7"
    assert SINK == [{"id": 7}]


def test_coroutines_are_decided_too(clerk: bridle.Agent, carrier: Worker) -> None:
    async def run() -> list[Any]:
        running = Running(AsyncIOScheduler(timezone=UTC))
        running.scheduler.start()
        try:
            references = dispatched(clerk, 900), dispatched(clerk, 7, task="u")
            running.add(references[0], 900, func=aget)
            running.add(references[1], 8, func=aget, id="two")
            running.add(references[1], 9, func=get, id="three")
            return [await asyncio.to_thread(running.events.get, timeout=20) for _ in range(3)]
        finally:
            running.scheduler.shutdown()

    adapter.govern(carrier, tools=TOOLS)
    try:
        events = {event.job_id: event for event in asyncio.run(run())}
    finally:
        adapter.release()
    assert events["one"].retval == "page 100"
    assert [type(events[name].exception) for name in ("two", "three")] == [adapter.DeniedError] * 2
    assert SINK == [{"id": 100}]


def test_a_pool_of_processes_would_have_no_gate_and_runs_nothing(carrier: Worker) -> None:
    adapter.govern(carrier, tools=TOOLS)
    try:
        from apscheduler.executors import pool

        executor = ProcessPoolExecutor(1)
        future = executor._pool.submit(pool.run_job, None, "", [], "")
        with pytest.raises(TypeError, match="not in a pool of processes"):
            future.result(20)
        executor.shutdown()
    finally:
        adapter.release()


def test_without_a_governor_nothing_runs(site: Site, clerk: bridle.Agent, running: Running) -> None:
    reference = dispatched(clerk, 7)
    site.stop()
    assert running.refused(reference, 7) == "UndecidedError"
    assert not SINK


def test_an_effect_that_fails_ends_the_run_as_it_would_without_bridle(
    site: Site, clerk: bridle.Agent, running: Running
) -> None:
    FAILING.append("broken")
    assert running.refused(dispatched(clerk, 7), 7) == "ValueError"
    assert SINK == [{"id": 7}]
    assert len(site.ana.rows(calls.Attempts(state="error"))) == 1


@pytest.mark.parametrize("lost", ["base.run_coroutine_job", "pool.run_job", "asyncio.run_job"])
def test_where_there_is_no_place_for_the_gate_it_is_said(
    carrier: Worker, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr(f"apscheduler.executors.{lost}", None)
    with pytest.raises(UsageError) as refused:
        adapter.govern(carrier, tools=TOOLS)
    assert refused.value.code == "unsupported"


def test_a_second_gate_is_refused(running: Running, carrier: Worker) -> None:
    del running
    with pytest.raises(UsageError, match="a gate is there already"):
        adapter.govern(carrier, tools=TOOLS)
