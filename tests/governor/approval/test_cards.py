"""Cards: what an agent has pending at once is answered together, and as it was shown."""

import pytest

from bridle.model import calls
from governor.desk import Desk, codes


def card_of(desk: Desk, approval: str) -> str:
    [row] = desk.rows(calls.Approvals(approval=approval))
    card = row["card"]
    assert isinstance(card, str)
    return card


def held(desk: Desk, *amounts: int) -> list[str]:
    return [desk.decide("bank.pay", f"pay-{n}", amount=n).approval for n in amounts]


def answer(approval: str, card: str, *, yes: bool = True, **more: str) -> calls.Answer:
    return calls.Answer(approval=approval, approve=yes, as_user="ben", card=card, **more)


def statuses(desk: Desk, *approvals: str) -> list[str]:
    return [desk.hold(each).status for each in approvals]


def test_one_answer_approves_every_action_on_the_card_each_on_record(desk: Desk):
    one, two = held(desk, 60, 61)
    card = card_of(desk, one)
    assert card == card_of(desk, two)
    desk.done(answer(one, card))
    assert statuses(desk, one, two) == ["approved", "approved"]
    leaves = desk.leaves("approval")[-2:]
    assert {leaf.ids["approval"] for leaf in leaves} == {one, two}
    assert [leaf.ids["user"] for leaf in leaves] == ["ben", "ben"]


def test_each_approval_of_a_card_is_bound_to_its_own_action_and_used_once(desk: Desk):
    one, two = held(desk, 60, 61)
    desk.done(answer(one, card_of(desk, one)))
    votes = [desk.hold(each).votes[0]["digest"] for each in (one, two)]
    assert votes == [desk.hold(each).digest for each in (one, two)]
    assert votes[0] != votes[1]
    assert desk.redeem(one).attempt
    assert codes(desk.redeem(one)) == ["approval_void"]


@pytest.mark.parametrize("yes", [True, False])
def test_no_action_slips_into_a_card_that_was_shown(desk: Desk, yes):
    [one] = held(desk, 60)
    shown = card_of(desk, one)
    [two] = held(desk, 61)
    assert desk.refused(answer(one, shown, yes=yes)) == "digest_differs"
    assert statuses(desk, one, two) == ["pending", "pending"]


def test_a_card_that_was_answered_is_no_card_any_more(desk: Desk):
    one, two = held(desk, 60, 61)
    card = card_of(desk, one)
    desk.answer(two)
    assert desk.refused(answer(one, card)) == "digest_differs"
    desk.done(answer(one, card_of(desk, one)))
    assert desk.refused(answer(one, card)) == "digest_differs"
    assert card_of(desk, one) == ""


def test_a_card_is_denied_as_a_whole(desk: Desk):
    one, two = held(desk, 60, 61)
    desk.done(answer(two, card_of(desk, two), yes=False))
    assert statuses(desk, one, two) == ["denied", "denied"]


def test_who_may_not_answer_a_hold_may_not_answer_its_card(desk: Desk):
    one, two = held(desk, 60, 61)
    vote = calls.Answer(approval=one, approve=True, as_user="dora", card=card_of(desk, one))
    assert desk.refused(vote) == "not_an_approver"
    assert statuses(desk, one, two) == ["pending", "pending"]
    assert not desk.leaves("approval")


def test_other_missions_have_cards_of_their_own(desk: Desk):
    [one] = held(desk, 60)
    other = desk.session(mission=desk.start_mission())
    two = desk.decide("bank.pay", "b", session=other, amount=61).approval
    assert card_of(desk, one) != card_of(desk, two)
    assert desk.refused(answer(one, card_of(desk, two))) == "digest_differs"


@pytest.mark.parametrize("more", [{"args": '{"amount":1,"order":1}'}, {"digest": "x"}])
def test_a_card_is_answered_as_it_is_shown(desk: Desk, more):
    [one] = held(desk, 60)
    assert desk.refused(answer(one, card_of(desk, one), **more)) == "usage"
    assert statuses(desk, one) == ["pending"]


def test_what_a_human_has_written_is_on_no_card(desk: Desk):
    one, two = held(desk, 60, 61)
    terms = calls.Terms(count=2)
    desk.done(calls.Answer(approval=one, approve=True, as_user="ben", terms=terms))
    assert card_of(desk, one) == ""
    desk.done(answer(two, card_of(desk, two)))
    assert statuses(desk, two) == ["approved"]
