"""What every adapter gets from the contract, tried on a small queue: asserted at the sink."""

import asyncio
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.adapters.contract import Deed, acarry_out, carry_out, is_undecided
from bridle.client.worker import Worker
from bridle.model import calls
from bridle.model.errors import BridleError, UnreachableError, UsageError
from server.carrying import Site, serving
from server.test_dispatching import CHANGED, PLAIN, WORKER

PAGE = {"id": 7}


class RefusedError(Exception):
    """What the queue makes of a refusal."""

    def __init__(self, refusal: BridleError) -> None:
        super().__init__(str(refusal))
        self.code = refusal.code
        self.held = isinstance(refusal, bridle.Held)
        self.again = is_undecided(refusal)


class Queue:
    """An engine: messages, and a function that handles one as it is when it is handled."""

    def __init__(self) -> None:
        self.done: list[dict[str, Any]] = []
        self.loses_changes = False

    def identify(self, native: dict[str, Any]) -> str:
        return str(native["number"])

    def describe(self, native: dict[str, Any]) -> Deed:
        return Deed("page.get", native["arguments"], native["bridle"])

    def apply(self, native: dict[str, Any], arguments: Mapping[str, Any]) -> None:
        if not self.loses_changes:
            native["arguments"] = dict(arguments)

    def refuse(self, native: dict[str, Any], refusal: BridleError) -> BaseException:
        del native
        return RefusedError(refusal)

    def handle(
        self, worker: Worker | bridle.Agent, message: dict[str, Any], problem: Any = None
    ) -> Any:
        def effect() -> str:
            self.done.append(message["arguments"])
            if problem is not None:
                raise problem
            return "done"

        return carry_out(self, message, worker, effect)

    def ahandle(
        self, worker: Worker | bridle.Agent, message: dict[str, Any], problem: Any = None
    ) -> Any:
        async def effect() -> str:
            self.done.append(message["arguments"])
            if problem is not None:
                raise problem
            return "done"

        return asyncio.run(acarry_out(self, message, worker, effect))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, "http://127.0.0.1:1", systems=PLAIN, files=CHANGED) as found:
        yield found


@pytest.fixture
def clerk(site: Site) -> bridle.Agent:
    return site.ana.start_mission("office", user="ana").agent("clerk")


@pytest.fixture
def worker(site: Site, tmp_path: Path) -> Iterator[Worker]:
    del site
    with bridle.worker(tmp_path, credential=WORKER) as found:
        yield found


@pytest.fixture(params=["handle", "ahandle"])
def queue(request: pytest.FixtureRequest) -> Queue:
    made = Queue()
    if request.param == "ahandle":
        made.handle = made.ahandle  # type: ignore[method-assign]
    return made


def message(clerk: bridle.Agent, args: Mapping[str, Any] = PAGE, number: int = 1) -> dict[str, Any]:
    tools = {"page.get": bridle.exactly(args)}
    reference = clerk.dispatch("worker", task=f"task {args}", tools=tools)
    return {"number": number, "arguments": dict(args), "bridle": reference}


def refused(queue: Queue, worker: Worker, given: dict[str, Any]) -> RefusedError:
    with pytest.raises(RefusedError) as found:
        queue.handle(worker, given)
    return found.value


def test_a_step_is_carried_out_once_however_often_it_is_delivered(
    clerk: bridle.Agent, worker: Worker, queue: Queue
) -> None:
    given = message(clerk)
    assert [queue.handle(worker, given) for _ in range(3)] == ["done"] * 3
    assert queue.done == [PAGE]


def test_a_refusal_is_told_in_the_engines_own_way(
    clerk: bridle.Agent, worker: Worker, queue: Queue
) -> None:
    changed = {**message(clerk), "arguments": {"id": 8}}
    assert refused(queue, worker, changed).code == "not_granted"
    assert refused(queue, worker, message(clerk, {"id": 13})).code == "forbidden"
    assert refused(queue, worker, {**message(clerk), "bridle": "x"}).code == "context_malformed"
    assert refused(queue, worker, message(clerk, {"id": 66})).held
    odd = {**message(clerk), "arguments": {"id": {1, 2}}}
    assert refused(queue, worker, odd).code
    assert not queue.done


def test_what_policy_changes_is_put_where_the_engine_reads(
    clerk: bridle.Agent, worker: Worker, queue: Queue
) -> None:
    assert queue.handle(worker, message(clerk, {"id": 900})) == "done"
    assert queue.done == [{"id": 100}]


def test_a_change_that_is_lost_stops_the_step(
    clerk: bridle.Agent, worker: Worker, queue: Queue
) -> None:
    queue.loses_changes = True
    assert refused(queue, worker, message(clerk, {"id": 900})).code == "not_applied"
    assert not queue.done


def test_what_the_effect_raises_comes_as_it_is(
    site: Site, clerk: bridle.Agent, worker: Worker, queue: Queue
) -> None:
    for number, problem in enumerate((ValueError("broken"), UsageError("its own"))):
        with pytest.raises(type(problem)) as found:
            queue.handle(worker, message(clerk, {"id": number}, number), problem)
        assert found.value is problem
    assert len(site.ana.rows(calls.Attempts(state="error"))) == 2


def test_without_a_governor_nothing_runs_and_the_engine_may_try_again(
    site: Site, clerk: bridle.Agent, worker: Worker, queue: Queue
) -> None:
    given = message(clerk)
    site.stop()
    found = refused(queue, worker, given)
    assert found.again
    assert not found.held
    assert not queue.done
    assert is_undecided(UnreachableError("x"))


def test_what_runs_elsewhere_is_neither_refused_nor_run_twice(
    clerk: bridle.Agent, worker: Worker, queue: Queue
) -> None:
    given = message(clerk)
    running, over = threading.Event(), threading.Event()

    def slowly() -> str:
        running.set()
        over.wait(20)
        queue.done.append(PAGE)
        return "done"

    with ThreadPoolExecutor(1) as elsewhere:
        first = elsewhere.submit(carry_out, queue, given, worker, slowly)
        assert running.wait(20)
        try:
            found = refused(queue, worker, given)
        finally:
            over.set()
        assert found.code == "already_started"
        assert found.again
        assert first.result() == "done"
    assert queue.handle(worker, given) == "done"
    assert queue.done == [PAGE]


def test_an_agent_carries_out_itself_what_it_decided_and_no_reference_counts(
    site: Site, clerk: bridle.Agent, queue: Queue
) -> None:
    given = {"number": 1, "arguments": PAGE, "bridle": "of nobody"}
    for _ in range(2):
        assert queue.handle(clerk, given) == "done"
    changed = {"number": 2, "arguments": {"id": 900}, "bridle": ""}
    assert queue.handle(clerk, changed) == "done"
    for number, page in enumerate((13, 66), 3):
        with pytest.raises(RefusedError):
            queue.handle(clerk, {"number": number, "arguments": {"id": page}, "bridle": ""})
    assert queue.done == [PAGE, {"id": 100}]
    rows = site.ana.rows(calls.Attempts(state="ok"))
    assert [(row["agent"], row["executor"]) for row in rows] == [("clerk", clerk.executor)] * 2
