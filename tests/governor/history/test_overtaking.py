"""An action that waits for its start is not started over what happened meanwhile."""

import pytest

from bridle.model.outcome import Outcome, OutcomeKind
from governor.desk import said
from governor.history.past import LongDesk

PAY = {"amount": 5}


@pytest.mark.parametrize("again", [False, True], ids=["in memory", "read in anew"])
def test_what_forbids_an_action_is_not_done_between_its_verdict_and_its_start(again: bool) -> None:
    desk = LongDesk()
    pay = desk.decide("bank.pay", "p", **PAY)
    assert said(pay)[0] == "allow"
    desk.observe(desk.act("note.read", "r", id=1).attempt, '{"body":"x"}')
    if again:
        desk.forget()
    assert said(desk.begin(pay.action)) == ("deny", ["lease_lapsed"])
    assert desk.action(pay).attempts == 0
    # Nor by the same key, nor by the same start once more.
    assert said(desk.decide("bank.pay", "p", **PAY)) == ("deny", ["forbidden"])
    assert said(desk.begin(pay.action))[0] == "deny"


def test_what_changes_no_answer_keeps_nobody_from_starting() -> None:
    desk = LongDesk()
    pay = desk.decide("bank.pay", "p", **PAY)
    desk.observe(desk.act("note.write", "w", text="hello").attempt)
    assert said(desk.begin(pay.action))[0] == "allow"


def test_a_limit_counts_an_action_that_waits_once() -> None:
    desk = LongDesk()
    waiting = [desk.decide("bank.tip", f"t{number}", amount=1) for number in range(3)]
    assert [said(each)[0] for each in waiting] == ["allow"] * 3
    assert said(desk.decide("bank.tip", "t3", amount=1))[0] == "deny"
    for each in waiting:
        assert said(desk.begin(each.action))[0] == "allow"


def test_an_attempt_that_did_not_start_is_no_way_round_either() -> None:
    desk = LongDesk()
    pay = desk.act("bank.pay", "p", **PAY)
    desk.observe(pay.attempt, Outcome(kind=OutcomeKind.NOT_STARTED))
    desk.observe(desk.act("note.read", "r", id=1).attempt, '{"body":"x"}')
    assert said(desk.begin(pay.action))[0] == "deny"
