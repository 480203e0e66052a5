"""64 callers at once on a store on disk: no budget is overspent, and the books balance exactly."""

import random
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from bridle.model.record import Leaf
from bridle.store.rows import BudgetRow
from bridle.store.sqlite import open_store
from governor.books import outcome_of
from governor.desk import Desk, changed, codes
from governor.test_crowds import together

CALLERS = 64
SCALE = 10_000

BUDGETS = """
[users.ana.budgets.money]
limit = {user}
measure = {{ "bank.pay" = "input.amount" }}
[users.ben.budgets.money]
limit = {user}
measure = {{ "bank.pay" = "input.amount" }}
[agents.clerk.budgets.money]
limit = {agent}
measure = {{ "bank.pay" = "input.amount" }}
[agents.clerk.budgets.calls]
limit = 1000000
"""


def house_of(folder: Path, *, mission: int, agent: int, user: int) -> Desk:
    """A desk on disk at which a mission, the clerk and each user can pay so much."""
    folder.chmod(0o700)
    files = changed(
        ("agents.toml", "", BUDGETS.format(agent=agent, user=user)),
        ("missions.toml", "limit = 100\n", f"limit = {mission}\n"),
        ("missions.toml", "limit = 1000\n", "limit = 1000000\n"),
    )
    return Desk(files, store=open_store(folder / "bridle.db"))


class Book:
    """What the callers saw of one account: what was taken, and what came back."""

    def __init__(self) -> None:
        self.taken = Counter[str]()
        self.lock = threading.Lock()

    def enter(self, payers: tuple[str, ...], amount: int) -> None:
        with self.lock:
            for payer in payers:
                self.taken[payer] += amount


def ceilings(desk: Desk, limits: dict[str, int]) -> dict[str, int]:
    """The limit of each row of `money`, by its id."""
    rows = desk.core.write(lambda turn: turn.tx.find(BudgetRow))
    return {row.id: limits[row.id.split("_")[0]] * SCALE for row in rows if row.name == "money"}


def assert_never_over(leaves: list[Leaf], limits: dict[str, int]) -> Counter[str]:
    """Add the ledger up, record by record: no sum ever lies above its limit, or below nothing."""
    total = Counter[str]()
    for leaf in leaves:
        total.update(leaf.body.get("charged", {}))
        total.subtract(leaf.body.get("returned", {}))
        for key, limit in limits.items():
            assert 0 <= total[key] <= limit, (key, total[key])
    return total


def spend(desk: Desk, steps: int) -> Book:
    """Let 64 callers pay in four missions of two users, some of it for nothing."""
    places = [
        (desk.opened(agent, mission=mission), (mission, agent, user))
        for user in ("ana", "ben")
        for mission in (desk.start_mission(user=user), desk.start_mission(user=user))
        for agent in ("clerk", "scout")
    ]
    book = Book()

    def work(number: int) -> None:
        chance = random.Random(number)
        session, payers = places[number % len(places)]
        for step in range(steps):
            amount = chance.randint(1, 7)
            key = f"{number}-{step}"
            verdict = desk.act("bank.pay", key, session=session, amount=amount)
            if not verdict.attempt:
                assert codes(verdict) == ["budget_exhausted"]
                continue
            end = chance.choice(["ok", "timeout", "not_started", "no_such_order", ""])
            if end:
                desk.observe(verdict.attempt, outcome_of(end), session)
            if end not in {"not_started", "no_such_order"}:
                book.enter(payers, amount)
            elif chance.random() < 0.5:
                again = desk.act("bank.pay", key, session=session, amount=amount)
                if again.attempt:
                    book.enter(payers, amount)

    together(work, CALLERS)
    return book


def check_crowd(folder: Path, steps: int) -> None:
    limits = {"mis": steps * 30, "agent": steps * 80, "user": steps * 70}
    desk = house_of(folder, mission=limits["mis"], agent=limits["agent"], user=limits["user"])
    book = spend(desk, steps)
    rows = {row.id: row.used for row in desk.core.write(lambda turn: turn.tx.find(BudgetRow))}
    total = assert_never_over(desk.leaves(), ceilings(desk, limits))
    assert dict(total) == rows
    by_payer, by_kind = Counter[str](), Counter[str]()
    for key, used in rows.items():
        if key.endswith("/money"):
            by_payer[key.split("/")[0]] += used
            by_kind[key.split("_")[0]] += used
    for mission in [payer for payer in book.taken if payer.startswith("mis_")]:
        assert by_payer[mission] == book.taken[mission] * SCALE
    assert by_kind["agent"] == book.taken["clerk"] * SCALE
    assert by_kind["user"] == (book.taken["ana"] + book.taken["ben"]) * SCALE == by_kind["mis"]
    # It was tight: somebody was refused, so the last coin was fought for.
    assert any("budget_exhausted" in leaf.body.get("codes", ()) for leaf in desk.leaves("decision"))
    desk.verified()
    desk.governor.close()


def test_64_callers_never_overspend_what_they_share(tmp_path: Path):
    check_crowd(tmp_path, 12)


@pytest.mark.slow
@pytest.mark.timeout(1_800)
def test_64_callers_never_overspend_what_they_share_for_long(
    tmp_path: Path, count: Callable[[int, int], int]
):
    check_crowd(tmp_path, count(60, 400))


def test_the_last_coin_is_spent_once(tmp_path: Path):
    desk = house_of(tmp_path, mission=100, agent=100, user=1)
    sessions = [desk.opened(mission=desk.start_mission()) for _ in range(4)]
    sink: list[str] = []

    def work(number: int) -> None:
        verdict = desk.act("bank.pay", f"{number}", session=sessions[number % 4], amount=1)
        if verdict.attempt:
            sink.append(verdict.attempt)

    together(work, CALLERS)
    assert len(sink) == 1
    desk.verified()
    desk.governor.close()


def test_64_callers_with_the_same_key_pay_once(tmp_path: Path):
    desk = house_of(tmp_path, mission=100, agent=100, user=100)
    session = desk.session()
    together(lambda _: desk.decide("bank.pay", "same", session=session, amount=30), CALLERS)
    rows = desk.core.write(lambda turn: turn.tx.find(BudgetRow))
    assert {row.used for row in rows if row.name == "money"} == {30 * SCALE}
    assert {row.used for row in rows if row.name == "calls"} == {SCALE}
    desk.governor.close()
