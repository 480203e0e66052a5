"""Many threads on one governor: no record or start is lost or doubled, and a kill is a fence."""

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bridle.model import calls
from bridle.store.sqlite import open_store
from governor.desk import ANYONE, Desk, codes

THREADS = 16


def together(work: Callable[[int], None], threads: int = THREADS) -> None:
    """Run `work(number)` in many threads that begin at once; what one raises is raised here."""
    barrier, problems = threading.Barrier(threads), []

    def run(number: int) -> None:
        try:
            barrier.wait()
            work(number)
        except BaseException as problem:
            problems.append(problem)

    crowd = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    if problems:
        raise problems[0]


@pytest.fixture(params=["memory", "file"])
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Desk:
    if request.param == "memory":
        return Desk()
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return Desk(store=open_store(folder / "bridle.db"))


def test_each_action_of_each_thread_is_decided_started_and_ended_once(house: Desk):
    session, sink = house.session(), Counter[str]()
    lock = threading.Lock()

    def work(number: int) -> None:
        for step in range(8):
            verdict = house.act("note.write", f"{number}-{step}", session=session, text="x")
            assert verdict.attempt
            with lock:
                sink[verdict.attempt] += 1
            assert house.observe(verdict.attempt, "ok", session).effect == "allow"

    together(work)
    assert set(sink.values()) == {1}
    assert len(sink) == THREADS * 8
    for kind in ("decision", "started", "outcome"):
        records = Counter(leaf.ids["action"] for leaf in house.leaves(kind))
        assert len(records) == THREADS * 8
        assert set(records.values()) == {1}
    assert house.used("calls") == THREADS * 8
    house.verified()
    house.governor.close()


def test_of_many_that_ask_for_the_same_step_one_runs_it(house: Desk):
    session, sink = house.session(), []

    def work(number: int) -> None:
        for step in range(6):
            verdict = house.act("bank.pay", f"same-{step}", session=session, amount=10)
            if verdict.attempt:
                sink.append((step, verdict.attempt))
            else:
                assert codes(verdict) == ["already_started"]

    together(work)
    assert sorted(step for step, _ in sink) == list(range(6))
    assert house.used("money") == 60
    house.verified()
    house.governor.close()


def test_of_many_that_begin_the_same_verdict_one_starts_it(desk: Desk):
    session, sink = desk.session(), []
    verdict = desk.decide("note.index", "a")
    together(lambda _: sink.append(desk.begin(verdict.action, session).attempt))
    assert len([attempt for attempt in sink if attempt]) == 1
    assert len(desk.leaves("started")) == 1


def test_of_many_that_redeem_one_approval_one_starts(desk: Desk):
    session, sink = desk.session(), []
    held = desk.decide("bank.pay", "a", amount=60)
    desk.answer(held.approval)
    together(lambda _: sink.append(desk.redeem(held.approval, session=session).attempt))
    assert len([attempt for attempt in sink if attempt]) == 1
    assert desk.used("money") == 60


def test_of_many_humans_that_answer_at_once_each_counts_once(desk: Desk):
    held = desk.decide("safe.open", "a", id=1)

    def vote(number: int) -> None:
        user = ("ben", "cleo", "dora")[number % 3]
        desk.ask(calls.Answer(approval=held.approval, approve=True, as_user=user))

    together(vote)
    hold = desk.hold(held.approval)
    assert hold.status == "approved"
    assert len({v["user"] for v in hold.votes}) == len(hold.votes) == 2


def test_every_effect_seen_after_a_kill_returned_is_on_its_list(house: Desk):
    session, sink = house.session(), []
    killed = threading.Event()
    after: list[str] = []

    def work(number: int) -> None:
        if number == 0:
            while len(sink) < 20:
                pass
            reply = house.ask(calls.Kill(scope="all", as_user="ana"), ANYONE)
            killed.set()
            after.extend(row["id"] for row in reply.rows)
            return
        for step in range(500):
            verdict = house.act("note.write", f"{number}-{step}", session=session, text="x")
            if not verdict.attempt:
                assert codes(verdict) == ["killed"]
                return
            sink.append(verdict.attempt)

    together(work)
    assert set(sink) == set(after)
    assert len(house.leaves("started")) == len(sink)
    house.verified()
    house.governor.close()


def test_agents_humans_and_time_at_once_leave_a_whole_ledger(house: Desk):
    session = house.session()

    def work(number: int) -> None:
        for step in range(6):
            verdict = house.act("bank.tip", f"{number}-{step}", session=session, amount=1)
            if verdict.approval and number % 2:
                house.ask(calls.Answer(approval=verdict.approval, approve=step % 2 == 0,
                                       as_user="ben"))  # fmt: skip
                verdict = house.redeem(verdict.approval, session=session)
            if verdict.attempt:
                house.observe(verdict.attempt, "ok" if step % 3 else "not_started", session)
            house.later(100)
            house.ask(calls.Status())

    together(work)
    house.verified()
    started = Counter(leaf.ids["attempt"] for leaf in house.leaves("started"))
    ended = Counter(leaf.ids["attempt"] for leaf in house.leaves("outcome"))
    assert started == ended
    house.governor.close()
