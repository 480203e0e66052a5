"""Budget splitting: a cap that is divided among siblings is still one cap."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal

import pytest

from trust.office import ANYTHING, Office, Run


@pytest.fixture
def office() -> Office:
    return Office()


def test_siblings_share_what_their_parent_was_given(office: Office) -> None:
    parent = office.run().hand("scout", budgets={"calls": "4"})
    one, two = (parent.hand(agent, budgets={"calls": "3"}) for agent in ("digger", "porter"))
    told = [run.act("note.write", text="x") for run in (one, two, one, two, one, two)]
    assert told == ["", "", "", "", *["budget_exhausted"] * 2]
    assert parent.act("note.write", text="x") == "budget_exhausted"
    assert len(office.ran) == 4


def test_a_child_does_not_have_more_by_saying_so(office: Office) -> None:
    parent = office.run().hand("scout", budgets={"tips": "2"})
    child = parent.hand("digger", budgets={"tips": "1000"})
    assert child.act("bank.tip", amount=2) == ""
    assert child.act("bank.tip", amount=1) == "budget_exhausted"
    assert child.act("note.write", text="x") == ""


def test_new_grants_do_not_fill_the_cap_anew(office: Office) -> None:
    parent = office.run().hand("scout", budgets={"calls": "3"})
    for _ in range(3):
        assert parent.hand("digger").act("note.write", text="x") == ""
    assert parent.hand("digger").act("note.write", text="x") == "budget_exhausted"
    assert len(office.ran) == 3


def test_of_many_that_come_at_once_as_many_run_as_the_cap_has(office: Office) -> None:
    parent = office.run().hand("scout", budgets={"calls": "10"})
    crowd = [parent.hand(agent) for agent in ("digger", "porter", "clerk", "digger")]

    def work(run: Run) -> list[str]:
        return [run.act("note.write", text="x") for _ in range(10)]

    with ThreadPoolExecutor(4) as pool:
        told = [code for codes in pool.map(work, crowd) for code in codes]
    assert told.count("") == len(office.ran) == 10
    assert set(told) == {"", "budget_exhausted"}


def test_what_is_not_started_is_given_back_to_every_cap_above(office: Office) -> None:
    parent = office.run().hand("scout", budgets={"tips": "5"})
    child = parent.hand("digger", budgets={"tips": "5"})
    verdict = child.decide("bank.tip", start=True, amount=5)
    assert child.act("bank.tip", amount=1) == "budget_exhausted"
    office.desk.observe(verdict.attempt, "not_started", child.session)
    assert child.act("bank.tip", amount=5) == ""


def test_the_missions_own_budget_pays_too(office: Office) -> None:
    runs = [office.run().hand("scout", ANYTHING, budgets={"tips": "10"}) for _ in range(2)]
    assert runs[0].act("bank.tip", amount=8) == ""
    # The mission's budget is held for a lead where it cannot pay: not run.
    assert runs[1].act("bank.tip", amount=8) == "held"
    assert office.desk.used("tips") == Decimal(8)
