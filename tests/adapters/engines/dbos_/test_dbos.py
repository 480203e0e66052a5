"""Steps of real workflows on SQLite and PostgreSQL, governed: asserted at the sink."""

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.client.worker import Worker
from bridle.model import calls
from bridle.trust import context
from brokers import database
from server.carrying import Site, serving
from server.test_dispatching import CHANGED, OTHER, PLAIN, WORKER

pytest.importorskip("dbos", reason="not run: `make engines` brings DBOS")

from dbos import DBOS, SetWorkflowAttributes, SetWorkflowID

from adapters.engines.dbos_ import work
from bridle.adapters.engines import dbos as adapter
from bridle.model.errors import UsageError

pytestmark = pytest.mark.engines

AGAIN = 0.2
# What may be asked for twice, beside what may not.
TOOLS = """
[tools."page.look"]
system = "open"
effect = "read"
idempotent = true
input = { type = "object", required = ["id"], properties = { id = { type = "integer" } } }
"""
NAMES = itertools.count()


@pytest.fixture(autouse=True)
def sink() -> Iterator[list[dict[str, Any]]]:
    work.SINK.clear()
    work.FAILING.clear()
    yield work.SINK
    work.SINK.clear()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/dbos.sqlite"
    return database.shared().dsn.removesuffix("/postgres") + f"/dbos_{next(NAMES)}"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, "http://127.0.0.1:1", systems=PLAIN + TOOLS, files=CHANGED) as found:
        yield found


@pytest.fixture
def clerk(site: Site) -> bridle.Agent:
    return site.ana.start_mission("office", user="ana").agent("clerk")


@pytest.fixture
def carrier(site: Site, tmp_path: Path) -> Iterator[Worker]:
    del site
    with bridle.worker(tmp_path, credential=WORKER) as found:
        yield found


def launched(url: str) -> None:
    quick = {"notification_listener_polling_interval_sec": 0.05, "log_level": "CRITICAL"}
    named = {"name": "pages", "application_version": "1", "system_database_url": url}
    DBOS(config={**named, **quick})
    DBOS.launch()


@pytest.fixture
def running(carrier: Worker, url: str) -> Iterator[str]:
    """A process of the engine whose steps are governed."""
    adapter.govern(carrier, again=AGAIN)
    try:
        launched(url)
        yield url
    finally:
        DBOS.destroy()
        adapter.release()


def dispatched(clerk: bridle.Agent, *ids: int, task: str = "t") -> str:
    tools = {tool: {"id": bridle.one_of(*ids)} for tool in ("page.get", "page.look")}
    return clerk.dispatch("worker", task=task, tools=tools)


def started(reference: str, of: Callable[..., Any], ids: list[int], name: str = "w") -> Any:
    with SetWorkflowAttributes({adapter.ATTRIBUTE: reference}), SetWorkflowID(name):
        return DBOS.start_workflow(of, ids)


def refused(reference: str, of: Callable[..., Any], ids: list[int], name: str = "w") -> str:
    """The type of what a workflow ended with."""
    with pytest.raises(Exception) as found:
        started(reference, of, ids, name).get_result()
    return type(found.value).__name__


def until(found: Callable[[], Any]) -> Any:
    end = time.monotonic() + 20
    while not (it := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return it


def approved(site: Site, by: str = "ben") -> None:
    (row,) = site.ana.rows(calls.Approvals())
    site.ana.done(calls.Answer(approval=row["id"], approve=True, as_user=by))


def test_what_an_agent_dispatched_is_carried_out_with_both_identities_on_record(
    site: Site, clerk: bridle.Agent, running: str
) -> None:
    reference = dispatched(clerk, 7, 8)
    for name, of in (("w", work.pages), ("v", work.parent)):
        assert started(reference, of, [7, 8], name).get_result() == ["page 7", "page 8"]
    assert work.SINK == [{"id": 7}, {"id": 8}] * 2
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert [(row["agent"], row["executor"]) for row in rows] == [("clerk", "worker")] * 4


def asked(reference: str, ids: list[int]) -> Any:
    """Run a workflow in an event loop, and return its result."""

    async def run() -> Any:
        with SetWorkflowAttributes({adapter.ATTRIBUTE: reference}), SetWorkflowID("w"):
            return await (await DBOS.start_workflow_async(work.apages, ids)).get_result()

    return asyncio.run(run())


def test_async_steps_are_governed_beside_one_another(
    site: Site, clerk: bridle.Agent, running: str
) -> None:
    with ThreadPoolExecutor(1) as beside:
        found = beside.submit(asked, dispatched(clerk, 7, 8, 66), [7, 66, 8])
        until(lambda: site.ana.rows(calls.Approvals()) or found.done())
        time.sleep(2 * AGAIN)
        assert not found.done(), found.result()
        assert {"id": 66} not in work.SINK
        approved(site)
        assert found.result(20) == ["page 7", "page 66", "page 8"]
    assert sorted(each["id"] for each in work.SINK) == [7, 8, 66]


def test_what_was_not_dispatched_does_not_run_and_is_not_tried_again(
    site: Site, clerk: bridle.Agent, running: str
) -> None:
    reference = dispatched(clerk, 7)
    assert refused(reference, work.pages, [8]) == "DeniedError"
    assert refused("", work.pages, [7], "none") == "DeniedError"
    assert refused("nonsense", work.pages, [7], "odd") == "DeniedError"
    assert refused(dispatched(clerk, 13, task="u"), work.pages, [13], "v") == "DeniedError"
    assert refused(reference, work.notes, [7], "x") == "DeniedError"
    assert refused(reference, work.stubborn, [13], "y") == "DeniedError"
    assert not work.SINK
    assert not site.ana.rows(calls.Attempts(state="ok"))


def test_what_the_engine_tries_again_is_the_effects_failure_and_never_a_refusal(
    site: Site, clerk: bridle.Agent, running: str
) -> None:
    for of in (work.retried, work.looks):
        assert refused(dispatched(clerk, 7), of, [8], of.__name__) == "DeniedError"
    work.FAILING.append("broken")
    assert started(dispatched(clerk, 7), work.looks, [7], "v").get_result() == ["page 7"]
    assert work.SINK == [{"id": 7}] * 2
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 1


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_may_have_taken_effect_is_tried_again_after_a_human_only(
    site: Site, clerk: bridle.Agent, running: str
) -> None:
    work.FAILING.append("broken")
    found = started(dispatched(clerk, 7), work.retried, [7])
    until(lambda: site.ana.rows(calls.Approvals()))
    time.sleep(2 * AGAIN)
    assert work.SINK == [{"id": 7}]
    approved(site, by="ana")
    assert found.get_result() == ["page 7"]
    assert work.SINK == [{"id": 7}] * 2


def test_what_policy_changes_is_what_runs(clerk: bridle.Agent, running: str) -> None:
    found = started(dispatched(clerk, 900), work.pages, [900])
    assert found.get_result() == ["page 100"]
    assert work.SINK == [{"id": 100}]


def test_a_held_step_waits_for_a_human_and_goes_on_by_itself(
    site: Site, clerk: bridle.Agent, running: str
) -> None:
    found = started(dispatched(clerk, 66), work.pages, [66])
    waiting = DBOS.get_event("w", adapter.WAITING, timeout_seconds=20)
    assert [row["id"] for row in site.ana.rows(calls.Approvals())] == [waiting["approval"]]
    time.sleep(3 * AGAIN)
    assert not work.SINK
    approved(site)
    assert found.get_result() == ["page 66"]
    assert work.SINK == [{"id": 66}]


def test_a_held_step_waits_on_where_the_engine_is_started_again(
    site: Site, clerk: bridle.Agent, running: str
) -> None:
    started(dispatched(clerk, 7, 66), work.pages, [7, 66])
    until(lambda: site.ana.rows(calls.Approvals()))
    DBOS.destroy()
    time.sleep(2 * AGAIN)
    launched(running)
    time.sleep(2 * AGAIN)
    assert work.SINK == [{"id": 7}]
    approved(site)
    assert DBOS.retrieve_workflow("w").get_result() == ["page 7", "page 66"]
    assert work.SINK == [{"id": 7}, {"id": 66}]
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 2


def test_a_workflow_that_is_cancelled_while_it_is_held_does_nothing_until_it_is_resumed(
    site: Site, clerk: bridle.Agent, running: str
) -> None:
    started(dispatched(clerk, 66), work.pages, [66])
    until(lambda: site.ana.rows(calls.Approvals()))
    DBOS.cancel_workflow("w")
    approved(site)
    time.sleep(3 * AGAIN)
    assert not work.SINK
    assert DBOS.resume_workflow("w").get_result() == ["page 66"]
    assert work.SINK == [{"id": 66}]


def test_a_workflow_that_runs_again_or_is_forked_repeats_nothing(
    site: Site, clerk: bridle.Agent, running: str
) -> None:
    reference = dispatched(clerk, 7, 8)
    for of in (work.pages, work.parent):
        name = of.__name__
        started(reference, of, [7, 8], name).get_result()
        assert started(reference, of, [7, 8], name).get_result() == ["page 7", "page 8"]
        forked = DBOS.fork_workflow(name, 1)
        assert forked.get_result() == ["page 7", "page 8"]
        again = DBOS.fork_workflow(forked.get_workflow_id(), 2)
        assert again.get_result() == ["page 7", "page 8"]
    assert work.SINK == [{"id": 7}, {"id": 8}] * 2
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 4


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_is_stored_of_a_refusal_is_raised_again_and_not_asked_again(
    site: Site, clerk: bridle.Agent, running: str
) -> None:
    reference = dispatched(clerk, 7)
    started(reference, work.caught, [8])
    until(lambda: DBOS.get_event("w", "caught", timeout_seconds=0))
    DBOS.destroy()
    site.stop()
    launched(running)
    # Its first step is replayed from the journal: nobody is there to be asked.
    DBOS.send("w", "go on")
    said = DBOS.retrieve_workflow("w").get_result()
    assert said.startswith("DeniedError: ")
    assert "not_granted" in said
    assert not work.SINK


def test_a_fork_of_what_is_gone_does_nothing(site: Site, clerk: bridle.Agent, running: str) -> None:
    started(dispatched(clerk, 7, 66), work.pages, [7, 66])
    until(lambda: site.ana.rows(calls.Approvals()))
    forked = DBOS.fork_workflow("w", 1)
    DBOS.cancel_workflow("w")
    DBOS.delete_workflow("w")
    approved(site)
    with pytest.raises(adapter.DeniedError, match="gone"):
        forked.get_result()
    assert work.SINK == [{"id": 7}]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_step_that_another_executor_still_runs_waits_for_what_comes_of_it(
    site: Site, clerk: bridle.Agent, carrier: Worker, running: str
) -> None:
    reference = dispatched(clerk, 7)
    begun, over = threading.Event(), threading.Event()

    def slowly(**_: Any) -> str:
        begun.set()
        over.wait(20)
        return "the other's"

    with ThreadPoolExecutor(1) as beside:
        other = beside.submit(
            carrier.take(reference).call, "page.get", {"id": 7}, effect=slowly, key="w/1"
        )
        assert begun.wait(20)
        found = started(reference, work.pages, [7])
        waiting = DBOS.get_event("w", adapter.WAITING, timeout_seconds=20)
        over.set()
        assert "already_started" in waiting["text"]
        assert other.result(20) == "the other's"
    assert found.get_result() == ["the other's"]
    assert not work.SINK


def test_what_is_revoked_while_it_waits_does_not_start(
    site: Site, clerk: bridle.Agent, running: str
) -> None:
    reference = dispatched(clerk, 66)
    found = started(reference, work.pages, [66])
    until(lambda: site.ana.rows(calls.Approvals()))
    clerk.revoke(context.parse(reference).leaf)
    with pytest.raises(adapter.DeniedError, match="revoked"):
        found.get_result()
    assert not work.SINK


def test_another_workload_carries_nothing_out(
    clerk: bridle.Agent, url: str, tmp_path: Path
) -> None:
    with bridle.worker(tmp_path, credential=OTHER) as other:
        adapter.govern(other, again=AGAIN)
        try:
            launched(url)
            assert refused(dispatched(clerk, 7), work.pages, [7]) == "DeniedError"
        finally:
            DBOS.destroy()
            adapter.release()
    assert not work.SINK


def test_without_a_governor_nothing_runs_and_the_step_waits(
    site: Site, clerk: bridle.Agent, running: str
) -> None:
    reference = dispatched(clerk, 7)
    site.stop()
    found = started(reference, work.pages, [7])
    waiting = DBOS.get_event("w", adapter.WAITING, timeout_seconds=20)
    assert not waiting["approval"]
    assert found.get_status().status == "PENDING"
    assert not work.SINK


def test_an_effect_that_fails_ends_the_step_as_it_would_without_bridle(
    site: Site, clerk: bridle.Agent, running: str
) -> None:
    work.FAILING.append("broken")
    assert refused(dispatched(clerk, 7), work.pages, [7]) == "ValueError"
    assert work.SINK == [{"id": 7}]
    assert len(site.ana.rows(calls.Attempts(state="error"))) == 1


def test_a_step_that_no_workflow_calls_does_not_run(clerk: bridle.Agent, running: str) -> None:
    with pytest.raises(UsageError):
        work.get(7)
    # DBOS runs a step within a step as a plain function.
    assert refused(dispatched(clerk, 7), work.nested, [7]) == "UsageError"
    assert not work.SINK


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_a_process_without_a_gate_or_with_two_does_nothing(
    clerk: bridle.Agent, carrier: Worker, url: str
) -> None:
    try:
        launched(url)
        assert refused(dispatched(clerk, 7), work.pages, [7]) == "UsageError"
    finally:
        DBOS.destroy()
    adapter.govern(carrier)
    try:
        with pytest.raises(UsageError):
            adapter.govern(carrier)
    finally:
        adapter.release()
    assert not work.SINK


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_what_is_stored_holds_a_reference_and_no_secret(
    site: Site, clerk: bridle.Agent, running: str, tmp_path: Path
) -> None:
    reference = dispatched(clerk, 7, 66)
    started(reference, work.pages, [7, 66])
    until(lambda: site.ana.rows(calls.Approvals()))
    DBOS.destroy()
    stored = b"".join(path.read_bytes() for path in tmp_path.glob("dbos.sqlite*"))
    assert reference.encode() in stored
    for secret in (clerk._session.handle, WORKER.holder().seed_text()):
        assert secret.encode() not in stored
