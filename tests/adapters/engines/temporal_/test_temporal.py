"""Activities of real workers on Temporal's real core, governed: asserted at the sink."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.client.opening import connect
from bridle.client.worker import Worker
from bridle.model import calls
from bridle.trust import context
from server.carrying import Site, serving
from server.test_dispatching import CHANGED, OTHER, PLAIN, WORKER

temporalio = pytest.importorskip("temporalio", reason="not run: `make engines` brings Temporal")

from temporalio.client import Client, WorkflowFailureError  # noqa: E402
from temporalio.worker import Worker as Running  # noqa: E402

from adapters.engines.temporal_ import work  # noqa: E402
from adapters.engines.temporal_.frontend import Frontend  # noqa: E402
from bridle.adapters.engines.temporal import (  # noqa: E402
    HEADER,
    Carrying,
    Governed,
    carrying,
)

pytestmark = pytest.mark.engines

AGAIN = timedelta(milliseconds=100)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, "http://127.0.0.1:1", systems=PLAIN, files=CHANGED) as found:
        yield found


@pytest.fixture
def clerk(site: Site) -> bridle.Agent:
    return site.ana.start_mission("office", user="ana").agent("clerk")


@pytest.fixture
def mailer(tmp_path: Path, site: Site) -> Iterator[Worker]:
    del site
    with bridle.worker(tmp_path, credential=WORKER) as found:
        yield found


@pytest.fixture(autouse=True)
def sink() -> Iterator[list[dict[str, Any]]]:
    work.SINK.clear()
    yield work.SINK
    work.SINK.clear()


@pytest.fixture
def frontend() -> Iterator[Frontend]:
    with Frontend().serving() as found:
        yield found


def dispatched(clerk: bridle.Agent, *ids: int, task: str = "t") -> str:
    return clerk.dispatch("worker", task=task, tools={"page.get": {"id": bridle.one_of(*ids)}})


def governed(
    frontend: Frontend,
    carrier: Worker,
    job: Callable[[Client], Awaitable[Any]],
    *,
    cached: int = 100,
) -> Any:
    """Do this beside a worker that is governed."""

    async def run() -> Any:
        client = await Client.connect(frontend.address, interceptors=[Carrying()])
        with ThreadPoolExecutor(4) as pool:
            async with Running(
                client,
                task_queue="q",
                workflows=[work.Pages, work.Stubborn, work.Parent],
                activities=[work.get, work.read],
                activity_executor=pool,
                max_cached_workflows=cached,
                interceptors=[Governed(carrier, again=AGAIN)],
            ):
                return await asyncio.wait_for(job(client), 40)

    return asyncio.run(run())


def ran(reference: str, of: Any, given: Any, name: str = "w") -> Callable[[Client], Awaitable[Any]]:
    async def job(client: Client) -> Any:
        with carrying(reference):
            handle = await client.start_workflow(of, given, id=name, task_queue="q")
        return await handle.result()

    return job


def refused(frontend: Frontend, carrier: Worker, job: Callable[[Client], Awaitable[Any]]) -> str:
    """The type of the failure that an activity ended with."""
    with pytest.raises(WorkflowFailureError) as failed:
        governed(frontend, carrier, job)
    return str(failed.value.cause.cause.type)


def test_what_an_agent_dispatched_is_carried_out_with_both_identities_on_record(
    site: Site, clerk: bridle.Agent, mailer: Worker, frontend: Frontend
) -> None:
    reference = dispatched(clerk, 7, 8)
    assert governed(frontend, mailer, ran(reference, work.Pages.run, [7, 8])) == [
        "page 7",
        "page 8",
    ]
    assert work.SINK == [{"id": 7}, {"id": 8}]
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert [(row["agent"], row["executor"]) for row in rows] == [("clerk", "worker")] * 2


def test_what_was_not_dispatched_does_not_run_and_is_not_tried_again(
    clerk: bridle.Agent, mailer: Worker, frontend: Frontend
) -> None:
    reference = dispatched(clerk, 7)
    assert refused(frontend, mailer, ran(reference, work.Pages.run, [8])) == "BridleDenied"
    assert refused(frontend, mailer, ran(reference, work.Pages.run, [13], "v")) == "BridleDenied"
    assert not work.SINK
    events = [event for event in frontend.history("w") if event.HasField(
        "activity_task_started_event_attributes")]  # fmt: skip
    assert [event.activity_task_started_event_attributes.attempt for event in events] == [1]


def test_a_workflow_without_a_reference_or_with_a_forged_one_does_nothing(
    clerk: bridle.Agent, mailer: Worker, frontend: Frontend
) -> None:
    real = context.parse(dispatched(clerk, 7))
    forged = context.format(context.Reference(real.mission, real.task, "0" * 64))
    for number, reference in enumerate(("", forged, "nonsense")):
        job = ran(reference, work.Pages.run, [7], f"w{number}")
        assert refused(frontend, mailer, job) == "BridleDenied"
    assert not work.SINK


def test_what_policy_changes_is_what_runs(
    clerk: bridle.Agent, mailer: Worker, frontend: Frontend
) -> None:
    reference = dispatched(clerk, 900)
    assert governed(frontend, mailer, ran(reference, work.Pages.run, [900])) == ["page 100"]
    assert work.SINK == [{"id": 100}]


def test_a_held_activity_waits_for_a_human_and_goes_on_by_itself(
    site: Site, clerk: bridle.Agent, mailer: Worker, frontend: Frontend
) -> None:
    reference = dispatched(clerk, 66)

    async def job(client: Client) -> Any:
        with carrying(reference):
            handle = await client.start_workflow(work.Pages.run, [66], id="w", task_queue="q")
        rows: list[dict[str, Any]] = []
        while not rows:
            await asyncio.sleep(0.05)
            rows = await asyncio.to_thread(site.ana.rows, calls.Approvals())
        await asyncio.sleep(0.3)
        assert not work.SINK
        answer = calls.Answer(approval=rows[0]["id"], approve=True, as_user="ben")
        await asyncio.to_thread(site.ana.done, answer)
        return await handle.result()

    assert governed(frontend, mailer, job) == ["page 66"]
    assert work.SINK == [{"id": 66}]


def test_a_worker_that_has_gone_is_replaced_by_one_that_meets_the_same_steps(
    site: Site, clerk: bridle.Agent, mailer: Worker, frontend: Frontend, tmp_path: Path
) -> None:
    reference = dispatched(clerk, 7, 8, 9)
    work.FAILING.append("the connection broke after it was done")
    with pytest.raises(WorkflowFailureError) as failed:
        governed(frontend, mailer, ran(reference, work.Pages.run, [7, 8]))
    # Work that may have taken effect never runs twice without a human.
    assert failed.value.cause.cause.type in {"BridleHeld", "BridleDenied"}
    assert work.SINK == [{"id": 7}]


def test_forced_replay_asks_nothing_again(
    site: Site, clerk: bridle.Agent, mailer: Worker, frontend: Frontend
) -> None:
    reference = dispatched(clerk, 1, 2, 3, 4)
    job = ran(reference, work.Pages.run, [1, 2, 3, 4])
    governed(frontend, mailer, job, cached=0)
    assert [each["id"] for each in work.SINK] == [1, 2, 3, 4]
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 4


def test_a_child_workflow_carries_the_reference_on(
    clerk: bridle.Agent, mailer: Worker, frontend: Frontend
) -> None:
    reference = dispatched(clerk, 7)
    assert governed(frontend, mailer, ran(reference, work.Parent.run, 7)) == ["page 7"]
    assert work.SINK == [{"id": 7}]


def test_a_workflow_that_catches_its_refusal_gains_nothing(
    clerk: bridle.Agent, mailer: Worker, frontend: Frontend
) -> None:
    reference = dispatched(clerk, 7)
    assert refused(frontend, mailer, ran(reference, work.Stubborn.run, 13)) == "BridleDenied"
    assert not work.SINK


def test_what_is_revoked_while_it_waits_does_not_start(
    clerk: bridle.Agent, mailer: Worker, frontend: Frontend
) -> None:
    reference = dispatched(clerk, 7)
    clerk.revoke(context.parse(reference).leaf)
    assert refused(frontend, mailer, ran(reference, work.Pages.run, [7])) == "BridleDenied"
    assert not work.SINK


def test_another_workload_carries_nothing_out(
    clerk: bridle.Agent, mailer: Worker, frontend: Frontend, tmp_path: Path
) -> None:
    reference = dispatched(clerk, 7)
    with bridle.worker(tmp_path, credential=OTHER) as other:
        assert refused(frontend, other, ran(reference, work.Pages.run, [7])) == "BridleDenied"
    stolen = Worker(connect(tmp_path, role="agent"), WORKER)
    try:
        job = ran(reference, work.Pages.run, [7], "v")
        assert refused(frontend, stolen, job) == "BridleDenied"
    finally:
        stolen.close()
    assert not work.SINK


def test_without_a_governor_nothing_runs_and_the_engine_tries_again(
    site: Site, clerk: bridle.Agent, mailer: Worker, frontend: Frontend
) -> None:
    reference = dispatched(clerk, 7)
    site.stop()

    async def job(client: Client) -> str:
        with carrying(reference):
            handle = await client.start_workflow(work.Pages.run, [7], id="w", task_queue="q")
        try:
            await handle.result()
        except WorkflowFailureError as failed:
            return str(failed.cause.cause.type)
        return ""

    assert governed(frontend, mailer, job) == "BridleUnreachable"
    assert not work.SINK
    events = [event for event in frontend.history("w") if event.HasField(
        "activity_task_started_event_attributes")]  # fmt: skip
    assert events[0].activity_task_started_event_attributes.attempt == 20


def test_the_history_holds_a_reference_and_no_secret(
    clerk: bridle.Agent, mailer: Worker, frontend: Frontend
) -> None:
    reference = dispatched(clerk, 7)
    governed(frontend, mailer, ran(reference, work.Pages.run, [7]))
    said = b"".join(event.SerializeToString() for event in frontend.history("w"))
    assert HEADER.encode() in said
    assert reference.encode() in said
    for secret in (clerk._session.handle, WORKER.holder().seed_text()):
        assert secret.encode() not in said
