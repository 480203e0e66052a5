"""Tasks of a real worker on a real Redis and RabbitMQ, governed: asserted at the sink."""

import itertools
import threading
import time
from collections.abc import Iterator
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

pytest.importorskip("celery", reason="not run: `make engines` brings Celery")

from celery import Celery, Task, beat, signals
from celery.contrib.testing.worker import start_worker

from adapters.engines.celery_.redis import close
from adapters.engines.celery_.redis import serving as serving_redis
from adapters.engines.rabbitmq_.broker import broker
from bridle.adapters.engines import celery as adapter
from bridle.model.errors import UsageError

pytestmark = [pytest.mark.engines, pytest.mark.filterwarnings("ignore::DeprecationWarning")]

SINK: list[dict[str, Any]] = []
FAILING: list[str] = []
AGAIN = 0.2
NAMES = itertools.count()


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with serving_redis(tmp_path_factory.mktemp("redis")) as url:
        yield url


@pytest.fixture(autouse=True)
def sink() -> Iterator[list[dict[str, Any]]]:
    SINK.clear()
    yield SINK
    SINK.clear()


@pytest.fixture(scope="module")
def rabbitmq(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with broker(tmp_path_factory.mktemp("rabbitmq")) as port:
        yield f"amqp://guest:guest@127.0.0.1:{port}//"


@pytest.fixture(params=["redis", "rabbitmq"])
def app(request: pytest.FixtureRequest, redis: str) -> Iterator[Celery]:
    url = request.getfixturevalue(request.param)
    made = Celery("pages", broker=url, backend=redis, set_as_current=False)
    made.conf.task_default_queue = f"pages-{next(NAMES)}"
    # A worker looks at whether it has to end as often as it says that it is alive.
    made.conf.broker_heartbeat = 1
    made.conf.update(task_acks_late=True, worker_hijack_root_logger=False)
    made.conf.broker_connection_retry_on_startup = True
    made.conf.result_backend_thread_safe = True

    @made.task(name="page.get", shared=False)
    def get(id: int) -> str:  # noqa: A002 - the argument's name
        SINK.append({"id": id})
        if FAILING:
            raise ValueError(FAILING.pop())
        return f"page {id}"

    @made.task(name="note.read", base=Task, shared=False)
    def read(id: int) -> str:  # noqa: A002 - the argument's name
        SINK.append({"note": id})
        return "a note"

    yield made
    close(made)


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


@pytest.fixture
def running(app: Celery, carrier: Worker) -> Iterator[Celery]:
    """A worker of the engine whose tasks are governed."""
    yield from governed(app, carrier)


def governed(app: Celery, carrier: Worker) -> Iterator[Celery]:
    adapter.govern(carrier, again=AGAIN)
    try:
        with start_worker(app, pool="solo", perform_ping_check=False, shutdown_timeout=20):
            yield app
    finally:
        adapter.release()


def dispatched(clerk: bridle.Agent, *ids: int, task: str = "t") -> dict[str, str]:
    tools = {"page.get": {"id": bridle.one_of(*ids)}}
    return {adapter.HEADER: clerk.dispatch("worker", task=task, tools=tools)}


def failed(app: Celery, name: str, headers: dict[str, str], **given: Any) -> str:
    """The type of what a task ended with."""
    with pytest.raises(Exception) as found:
        app.send_task(name, headers=headers, **given).get(timeout=20)
    return type(found.value).__name__


def test_what_an_agent_dispatched_is_carried_out_with_both_identities_on_record(
    site: Site, clerk: bridle.Agent, running: Celery
) -> None:
    headers = dispatched(clerk, 7)
    for given in ({"args": [7]}, {"kwargs": {"id": 7}}):
        assert running.send_task("page.get", headers=headers, **given).get(timeout=20) == "page 7"
    assert SINK == [{"id": 7}] * 2
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert [(row["agent"], row["executor"]) for row in rows] == [("clerk", "worker")] * 2


def test_what_was_not_dispatched_does_not_run_and_is_not_tried_again(
    site: Site, clerk: bridle.Agent, running: Celery
) -> None:
    headers = dispatched(clerk, 7)
    assert failed(running, "page.get", headers, args=[8]) == "DeniedError"
    assert failed(running, "page.get", {}, args=[7]) == "DeniedError"
    assert failed(running, "page.get", dispatched(clerk, 13, task="u"), args=[13]) == "DeniedError"
    assert not SINK
    assert not site.ana.rows(calls.Attempts(state="ok"))


def test_a_task_of_another_base_class_is_governed_too(clerk: bridle.Agent, running: Celery) -> None:
    assert failed(running, "note.read", dispatched(clerk, 7), args=[7]) == "DeniedError"
    assert not SINK


def test_what_policy_changes_is_what_runs(clerk: bridle.Agent, running: Celery) -> None:
    headers = dispatched(clerk, 900)
    assert running.send_task("page.get", args=[900], headers=headers).get(timeout=20) == "page 100"
    assert SINK == [{"id": 100}]


def test_a_message_that_is_delivered_twice_is_carried_out_once(
    site: Site, clerk: bridle.Agent, running: Celery
) -> None:
    headers = dispatched(clerk, 7)
    for _ in range(2):
        again = running.send_task("page.get", args=[7], headers=headers, task_id="one")
        assert again.get(timeout=20) == "page 7"
        again.forget()
    assert SINK == [{"id": 7}]
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 1


def test_a_held_task_comes_back_until_a_human_has_answered(
    site: Site, clerk: bridle.Agent, running: Celery
) -> None:
    found = running.send_task("page.get", args=[66], headers=dispatched(clerk, 66))
    until = time.monotonic() + 20
    while not (rows := site.ana.rows(calls.Approvals())) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(3 * AGAIN)
    assert not SINK
    assert len(site.ana.rows(calls.Approvals())) == 1
    site.ana.done(calls.Answer(approval=rows[0]["id"], approve=True, as_user="ben"))
    assert found.get(timeout=20) == "page 66"
    assert SINK == [{"id": 66}]


def test_what_is_revoked_while_it_waits_in_the_queue_does_not_start(
    clerk: bridle.Agent, app: Celery, carrier: Worker
) -> None:
    headers = dispatched(clerk, 7)
    waiting = app.send_task("page.get", args=[7], headers=headers)
    clerk.revoke(context.parse(headers[adapter.HEADER]).leaf)
    for _ in governed(app, carrier):
        with pytest.raises(Exception, match="revoked"):
            waiting.get(timeout=20)
    assert not SINK


def test_another_workload_carries_nothing_out(
    clerk: bridle.Agent, app: Celery, tmp_path: Path
) -> None:
    with bridle.worker(tmp_path, credential=OTHER) as other:
        for running in governed(app, other):
            assert failed(running, "page.get", dispatched(clerk, 7), args=[7]) == "DeniedError"
    assert not SINK


def test_what_signals_do_to_the_arguments_is_judged_and_their_failure_opens_nothing(
    clerk: bridle.Agent, running: Celery
) -> None:
    def meddle(kwargs: dict[str, Any] | None = None, **_: Any) -> None:
        if kwargs:
            kwargs["id"] = 8
        raise ConnectionError

    signals.task_prerun.connect(meddle)
    try:
        headers = dispatched(clerk, 7)
        assert failed(running, "page.get", headers, kwargs={"id": 7}) == "DeniedError"
    finally:
        signals.task_prerun.disconnect(meddle)
    assert not SINK


def test_without_a_governor_nothing_runs_and_the_task_comes_back(
    site: Site, clerk: bridle.Agent, running: Celery
) -> None:
    headers = dispatched(clerk, 7)
    site.stop()
    waiting = running.send_task("page.get", args=[7], headers=headers)
    until = time.monotonic() + 20
    while waiting.state != "RETRY" and time.monotonic() < until:
        time.sleep(0.05)
    assert waiting.state == "RETRY"
    assert not SINK


def test_an_effect_that_fails_ends_the_task_as_it_would_without_bridle(
    site: Site, clerk: bridle.Agent, running: Celery
) -> None:
    FAILING.append("broken")
    assert failed(running, "page.get", dispatched(clerk, 7), args=[7]) == "ValueError"
    assert SINK == [{"id": 7}]
    assert len(site.ana.rows(calls.Attempts(state="error"))) == 1


@contextmanager
def beating(app: Celery, **entry: Any) -> Iterator[None]:
    """Run Celery's beat with one entry, which is due five times a second."""
    app.conf.beat_schedule = {"pages": {"task": "page.get", "schedule": 0.2, **entry}}
    clock = beat.Service(app, max_interval=0.1, scheduler_cls=beat.Scheduler)
    thread = threading.Thread(target=clock.start)
    thread.start()
    try:
        yield
    finally:
        clock.stop(wait=True)
        thread.join(20)
        assert not thread.is_alive()


def test_each_time_of_a_beat_is_an_action_of_its_own_until_the_reference_is_revoked(
    site: Site, clerk: bridle.Agent, running: Celery
) -> None:
    headers = dispatched(clerk, 7)
    with beating(running, args=[7], options={"headers": headers}):
        until = time.monotonic() + 20
        while len(SINK) < 3 and time.monotonic() < until:
            time.sleep(0.05)
        clerk.revoke(context.parse(headers[adapter.HEADER]).leaf)
        time.sleep(AGAIN)
        done = len(SINK)
        time.sleep(1)
    assert len(SINK) == done >= 3
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert len({row["action"] for row in rows}) == len(rows) == done
    assert {(row["agent"], row["executor"]) for row in rows} == {("clerk", "worker")}


def test_a_beat_without_a_reference_or_with_other_arguments_does_nothing(
    site: Site, clerk: bridle.Agent, running: Celery
) -> None:
    for options in ({}, {"headers": dispatched(clerk, 8)}):
        ended: list[Any] = []

        def on_failure(exception: Any = None, ended: list[Any] = ended, **_: Any) -> None:
            ended.append(exception)

        signals.task_failure.connect(on_failure)
        try:
            with beating(running, args=[7], options=options):
                until = time.monotonic() + 20
                while not ended and time.monotonic() < until:
                    time.sleep(0.05)
        finally:
            signals.task_failure.disconnect(on_failure)
        assert {type(each).__name__ for each in ended} == {"DeniedError"}
    assert not SINK
    assert not site.ana.rows(calls.Attempts(state="ok"))


def test_where_there_is_no_place_for_the_gate_it_is_said(
    carrier: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("celery.worker.consumer.consumer.build_tracer", lambda: None)
    with pytest.raises(UsageError) as refused:
        adapter.govern(carrier)
    assert refused.value.code == "unsupported"
