"""Many threads at one governor over a store on disk: who comes second comes too late."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridle.model import calls
from bridle.model.calls import Terms
from bridle.model.verdict import Verdict
from bridle.store.sqlite import open_store
from governor.desk import Desk, changed

ROUNDS = 8
FILES = changed(
    ("bridle.toml", "pending_holds = 3", "pending_holds = 1000\npending_holds_mission = 1000"),
    ("missions.toml", "limit = 100\n", "limit = 100000\n"),
)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    tmp_path.chmod(0o700)
    desk = Desk(FILES, store=open_store(tmp_path / "bridle.db"))
    desk.session()
    yield desk
    desk.verified()
    desk.governor.close()


def together(*jobs: Callable[[], Any]) -> list[Any]:
    """Run every job in a thread of its own, all from one moment; return what they returned."""
    found: list[Any] = [None] * len(jobs)
    gate = threading.Barrier(len(jobs))

    def run(number: int) -> None:
        gate.wait()
        found[number] = jobs[number]()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(jobs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
        assert not thread.is_alive()
    return found


def starts(found: list[Any]) -> list[Verdict]:
    return [each for each in found if isinstance(each, Verdict) and each.attempt]


def test_one_approval_starts_one_action_however_many_ask(desk: Desk):
    for number in range(ROUNDS):
        amount = 51 + number
        held = desk.decide("bank.pay", f"{number}", amount=amount)
        desk.answer(held.approval)
        asking = [
            (lambda key=f"{number}/{n}", a=amount: desk.act("bank.pay", key, amount=a))
            for n in range(6)
        ]
        redeeming = [lambda a=held.approval: desk.redeem(a)] * 6
        assert len(starts(together(*asking, *redeeming))) == 1
        assert desk.hold(held.approval).status == "used"


def test_an_exception_is_used_as_often_as_granted_and_no_more(desk: Desk):
    held = desk.decide("bank.pay", "first", amount=60)
    desk.answer(held.approval, terms=Terms(count=5, free=("order",)))
    desk.redeem(held.approval)
    asking = [(lambda n=n: desk.act("bank.pay", f"k{n}", amount=60, order=n)) for n in range(24)]
    found = together(*asking)
    assert len(starts(found)) == 5
    [row] = desk.rows(calls.Exceptions(all=True))
    assert (row["used"], row["status"]) == (5, "used")
    named = [x for x in desk.leaves("decision") if x.ids.get("exceptions") == row["id"]]
    assert len(named) == 5


def test_what_runs_among_racing_edits_was_seen_by_two_humans(desk: Desk):
    for number in range(ROUNDS):
        held = desk.decide("safe.open", f"{number}", id=number)
        voting = [
            (lambda u=user, i=box, h=held.approval: vote(desk, h, u, i))
            for user in ("ben", "cleo", "dora")
            for box in (100, 200, None)
        ]
        redeeming = [lambda h=held.approval: desk.redeem(h)] * 3
        found = starts(together(*voting, *redeeming, lambda h=held.approval: desk.redeem(h)))
        row = desk.hold(held.approval)
        if row.status == "approved":
            found += starts([desk.redeem(held.approval)])
        assert len(found) == (row.status in ("approved", "used"))
        if found:
            [shown] = desk.rows(calls.Approvals(approval=held.approval))
            assert found[0].args == shown["args"]
            assert sum(v["approve"] and v["counts"] for v in shown["votes"]) >= 2


def vote(desk: Desk, hold: str, user: str, box: int | None) -> str:
    """Look at a hold, then approve it, or something else in its place."""
    args = f'{{"id":{box}}}' if box else ""
    digest = desk.rows(calls.Approvals(approval=hold))[0]["digest"]
    call = calls.Answer(approval=hold, approve=True, as_user=user, digest=digest, args=args)
    reply = desk.ask(call)
    return getattr(reply, "note", "") or getattr(reply, "code", "")


def test_nothing_starts_after_a_kill_however_close_the_approval_was(desk: Desk):
    for number in range(ROUNDS):
        held = desk.decide("bank.pay", f"{number}", amount=60 + number)
        together(
            lambda h=held.approval: vote(desk, h, "ben", None),
            *[lambda h=held.approval: desk.redeem(h)] * 4,
            lambda: desk.done(calls.Kill(scope="all", as_user="ana")),
        )
        leaves = desk.leaves()
        killed = max(i for i, x in enumerate(leaves) if x.kind == "kill")
        assert not [x for x in leaves[killed:] if x.kind == "started"]
        desk.done(calls.Unkill(scope="all", as_user="ben"))


def test_no_old_approval_starts_anything_under_a_new_text(desk: Desk):
    texts = ("needs a lead", "wants a lead")
    for number in range(ROUNDS):
        held = desk.decide("bank.pay", f"{number}", amount=60 + number)
        desk.answer(held.approval)
        text = texts[(number + 1) % 2]
        files = {**FILES, "policies/limits.dw": FILES["policies/limits.dw"].replace(texts[0], text)}
        together(*[lambda h=held.approval: desk.redeem(h)] * 4, lambda f=files: desk.activate(f))
        leaves = desk.leaves()
        changed_at = max(i for i, x in enumerate(leaves) if x.kind == "policy")
        assert not [x for x in leaves[changed_at:] if x.kind == "started"]
        assert desk.hold(held.approval).status in ("used", "void")


def test_many_who_wait_are_told_at_once(desk: Desk):
    held = desk.decide("bank.pay", "a", amount=60)
    waiting = calls.ApprovalOf(session=desk.session(), approval=held.approval, wait_ms=20_000)
    jobs = [lambda: desk.rows(waiting)[0]["status"]] * 8
    found = together(*jobs, lambda: desk.answer(held.approval))
    assert set(found) == {"approved"}
