"""Steps of real runs, in processes of their own and in this one, governed: seen at the sink."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.model import calls
from server.carrying import Site, serving
from server.test_dispatching import CHANGED, PLAIN, WORKER

pytest.importorskip("dagster", reason="not run: `make dagster` brings Dagster")

from dagster import (
    DagsterEventType,
    DagsterInstance,
    HookContext,
    ReexecutionOptions,
    asset,
    execute_job,
    failure_hook,
    job,
    materialize,
    op,
    reconstructable,
)

from adapters.engines.dagster_ import flows
from bridle.adapters.engines import dagster as adapter
from bridle.model.errors import UsageError

pytestmark = [
    pytest.mark.engines,
    pytest.mark.timeout(120),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

# Whom the clerk hands on to may have its work carried out, too.
SCOUT = """
@id("scouts") permit (principal == Agent::"scout", action == Action::"delegate", resource)
when { context has workload && context.workload == Workload::"worker" && context.task };
"""
GOVERNED = {**CHANGED, "governance/permits.dw": CHANGED["governance/permits.dw"] + SCOUT}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    (tmp_path / "site").mkdir()
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text(WORKER.sealed_by(lambda raw: raw).hex())
    monkeypatch.setenv(flows.KEYS, str(tmp_path))
    with serving(tmp_path / "site", "http://127.0.0.1:1", systems=PLAIN, files=GOVERNED) as found:
        yield found


@pytest.fixture
def clerk(site: Site) -> bridle.Agent:
    return site.ana.start_mission("office", user="ana").agent("clerk")


@pytest.fixture
def instance(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    # Processes of steps import the modules as this one does.
    tests = Path(__file__).parents[3]
    monkeypatch.setenv("PYTHONPATH", f"{tests}:{tests.parent}")
    (tmp_path / "dagster").mkdir()
    telemetry = {"telemetry": {"enabled": False}}
    with DagsterInstance.local_temp(str(tmp_path / "dagster"), overrides=telemetry) as found:
        yield found


@pytest.fixture
def gate(site: Site) -> Iterator[None]:
    """Govern this process."""
    opened = []

    def opening() -> Any:
        opened.append(flows.opened())
        return opened[-1]

    adapter.govern(opening, again=0.2)
    yield
    adapter.release()
    for each in opened:
        each.close()


def dispatched(agent: bridle.Agent, *ids: int, task: str = "t") -> str:
    return agent.dispatch("worker", task=task, tools={"page.get": {"id": bridle.one_of(*ids)}})


def pages(folder: Path) -> list[int]:
    sink = folder / "sink"
    return [int(line.split()[0]) for line in sink.read_text().splitlines()] if sink.exists() else []


def ran(flow: Any, instance: Any, reference: str, *numbers: int, **more: Any) -> Any:
    """Run a flow to its end, its steps in processes of their own; return its events by kind."""
    config = {"ops": {"each": {"config": {"numbers": list(numbers)}}}}
    given = {"run_config": config, "tags": {adapter.TAG: reference}, **more}
    with execute_job(reconstructable(flow), instance=instance, **given) as result:
        return result


def count(result: Any, kind: DagsterEventType) -> int:
    return sum(event.event_type == kind for event in result.all_events)


def failures(result: Any) -> str:
    return "\n".join(
        str(event.step_failure_data.error) for event in result.get_step_failure_events()
    )


def answered(site: Site, *, approve: bool = True) -> None:
    (row,) = site.ana.rows(calls.Approvals())
    site.ana.done(calls.Answer(approval=row["id"], approve=approve, as_user="ben"))


def test_steps_in_processes_of_their_own_are_carried_out_with_both_identities_on_record(
    site: Site, clerk: bridle.Agent, instance: Any, tmp_path: Path
) -> None:
    result = ran(flows.flow, instance, dispatched(clerk, 7, 8), 7, 8, 7)
    assert result.success, failures(result)
    # The same page in two steps of a mapping is two actions.
    assert Counter(pages(tmp_path)) == {7: 2, 8: 1}
    processes = {line.split()[1] for line in (tmp_path / "sink").read_text().splitlines()}
    assert len(processes) == 3
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert [(row["agent"], row["executor"]) for row in rows] == [("clerk", "worker")] * 3


def test_a_denial_in_a_process_of_its_own_is_not_tried_again_and_the_rest_goes_on(
    site: Site, clerk: bridle.Agent, instance: Any, tmp_path: Path
) -> None:
    result = ran(flows.flow, instance, dispatched(clerk, 7, 13), 7, 13, 8)
    assert not result.success
    assert count(result, DagsterEventType.STEP_UP_FOR_RETRY) == 0
    assert count(result, DagsterEventType.STEP_FAILURE) == 2
    assert "no page 13" in failures(result)
    assert pages(tmp_path) == [7]
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 1


def test_a_held_step_comes_again_in_new_processes_until_a_human_has_answered(
    site: Site, clerk: bridle.Agent, instance: Any, tmp_path: Path
) -> None:
    reference = dispatched(clerk, 66)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(ran, flows.flow, instance, reference, 66)
        end = time.monotonic() + 60
        while not site.ana.rows(calls.Approvals()) and time.monotonic() < end:
            time.sleep(0.1)
        assert pages(tmp_path) == []
        answered(site)
        result = running.result(60)
    assert result.success, failures(result)
    assert count(result, DagsterEventType.STEP_UP_FOR_RETRY) >= 1
    assert pages(tmp_path) == [66]


def test_without_retries_a_held_step_fails_and_its_reexecution_is_the_same_action(
    site: Site, clerk: bridle.Agent, instance: Any, tmp_path: Path
) -> None:
    reference = dispatched(clerk, 7, 66)
    first = ran(flows.patient, instance, reference, 7, 66)
    assert not first.success
    assert pages(tmp_path) == [7]
    answered(site)
    options = ReexecutionOptions(first.run_id)  # all of it, also what was done already
    second = ran(flows.patient, instance, reference, 7, 66, reexecution_options=options)
    assert second.success, failures(second)
    assert pages(tmp_path) == [7, 66]
    assert len(site.ana.rows(calls.Attempts(state="ok"))) == 2


def test_an_absent_governor_is_asked_again_and_nothing_runs_meanwhile(
    site: Site, clerk: bridle.Agent, instance: Any, gate: None, tmp_path: Path
) -> None:
    reference = dispatched(clerk, 7)
    tried: list[int] = []

    @op
    def act() -> str:
        tried.append(1)
        if len(tried) == 3:
            adapter.release()  # ends the run: it would ask for as long as it takes
        return flows.get(7)

    @job
    def alone() -> None:
        act()

    site.stop()
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(tmp_path / "site" / "agents.sock"))  # as a governor that died leaves it
    result = alone.execute_in_process(
        instance=instance, tags={adapter.TAG: reference}, raise_on_error=False
    )
    assert not result.success
    assert len(tried) == 3
    assert pages(tmp_path) == []


def test_what_a_hook_does_is_no_step_and_its_swallowed_error_runs_nothing(
    clerk: bridle.Agent, instance: Any, gate: None, tmp_path: Path
) -> None:
    said: list[BaseException] = []

    @failure_hook
    def instead(context: HookContext) -> None:
        del context
        try:
            flows.get(7)
        except BaseException as problem:
            said.append(problem)
            raise

    @op
    def act() -> str:
        return flows.get(13)

    @job(hooks={instead})
    def hooked() -> None:
        act()

    reference = dispatched(clerk, 7, 13)
    result = hooked.execute_in_process(
        instance=instance, tags={adapter.TAG: reference}, raise_on_error=False
    )
    assert not result.success
    assert [type(problem) for problem in said] == [UsageError]
    assert count(result, DagsterEventType.HOOK_ERRORED) == 1
    assert pages(tmp_path) == []


def test_an_asset_and_a_coroutine_are_decided_alike(
    site: Site, clerk: bridle.Agent, instance: Any, gate: None, tmp_path: Path
) -> None:
    @adapter.governed("page.get")
    async def aget(id: int) -> str:  # noqa: A002 - the argument's name
        return flows.happened(id)

    @asset
    async def stock() -> str:
        return await aget(900)

    tags = {adapter.TAG: dispatched(clerk, 900)}
    result = materialize([stock], instance=instance, tags=tags)
    assert result.output_for_node("stock") == "page 100"
    assert pages(tmp_path) == [100]
    untagged = materialize([stock], instance=instance, raise_on_error=False)
    assert not untagged.success
    assert pages(tmp_path) == [100]


def test_a_step_that_was_handed_to_another_agent_names_that_one_on_record(
    site: Site, clerk: bridle.Agent, instance: Any, gate: None, tmp_path: Path
) -> None:
    scout = clerk.delegate("scout", tools={"page.get": {"id": bridle.one_of(8)}})
    handed_on = dispatched(scout, 8, task="part")

    @op
    def own() -> str:
        flows.get(7)
        return handed_on

    @op
    def other(reference: str) -> str:
        with adapter.handed(reference):
            return flows.get(8)

    @job
    def both() -> None:
        other(own())

    result = both.execute_in_process(
        instance=instance, tags={adapter.TAG: dispatched(clerk, 7)}, raise_on_error=False
    )
    assert result.success
    assert pages(tmp_path) == [7, 8]
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert sorted((row["agent"], row["executor"]) for row in rows) == [
        ("clerk", "worker"),
        ("scout", "worker"),
    ]


def test_a_step_that_does_the_same_again_on_purpose_names_the_work(
    site: Site, clerk: bridle.Agent, instance: Any, gate: None, tmp_path: Path
) -> None:
    rounds = iter(["first", "second"])
    poll = adapter.governed("page.get", key=lambda **_: next(rounds))(flows.happened)

    @op
    def act() -> list[str]:
        return [flows.get(7), flows.get(7), poll(id=7), poll(id=7)]

    @job
    def polling() -> None:
        act()

    result = polling.execute_in_process(
        instance=instance, tags={adapter.TAG: dispatched(clerk, 7)}, raise_on_error=False
    )
    assert result.output_for_node("act") == ["page 7"] * 4
    assert pages(tmp_path) == [7] * 3


def test_a_process_without_a_gate_runs_nothing(
    clerk: bridle.Agent, instance: Any, tmp_path: Path
) -> None:
    @op
    def act() -> str:
        return flows.get(7)

    @job
    def ungoverned() -> None:
        act()

    adapter.release()
    with pytest.raises(UsageError, match="nobody governs"):
        ungoverned.execute_in_process(instance=instance, tags={adapter.TAG: dispatched(clerk, 7)})
    assert pages(tmp_path) == []
