"""What a human writes in place of a sub-agent's arguments is judged for everybody above it, too."""

import pytest

from bridle.model import calls
from bridle.trust.grants.claims import Detail, Predicate, ToolGrant
from governor.delegation.runs import HANDING, Run, begin_run
from governor.desk import Desk, codes

LIMITS = """
@id("clerks-orders") forbid (principal == Agent::"clerk", action == Action::"bank.pay", resource)
when { context.input has order && context.input.order == 7 };
@id("handed-orders") forbid (principal == Agent::"scout", action == Action::"bank.pay", resource)
when { context.chain.agents.contains(Agent::"clerk")
       && context.input has order && context.input.order == 8 };
"""
FILES = {**HANDING, "policies/limits.dw": HANDING["policies/limits.dw"] + LIMITS}


@pytest.fixture
def desk():
    made = Desk(FILES)
    yield made
    made.verified()
    made.governor.close()


@pytest.fixture
def scout(desk: Desk) -> Run:
    return begin_run(desk).hand("scout")


def proposed(desk: Desk, approval: str, order: int) -> calls.Reply:
    text = f'{{"amount":60,"order":{order}}}'
    return desk.ask(calls.Answer(approval=approval, approve=True, as_user="ben", args=text))


@pytest.mark.parametrize("order", [7, 8])
def test_an_edit_past_a_limit_on_an_ancestor_is_refused_to_its_author(
    desk: Desk, scout: Run, order: int
):
    held = scout.decide("bank.pay", "a", amount=60, order=1).approval
    reply = proposed(desk, held, order)
    assert isinstance(reply, calls.Failed), reply
    assert reply.code == "edit_refused"
    assert not desk.hold(held).edited
    assert isinstance(proposed(desk, held, 2), calls.Done)
    assert scout.redeem(held).args == '{"amount":60,"order":2}'


@pytest.mark.parametrize("order", [7, 8])
def test_a_limit_on_an_ancestor_is_kept_on_release_whatever_was_approved(order: int):
    free = Desk(HANDING)
    held = begin_run(free).hand("scout")
    approval = held.decide("bank.pay", "a", amount=60, order=1).approval
    assert isinstance(proposed(free, approval, order), calls.Done)
    free.activate(FILES)
    released = held.redeem(approval)
    assert (released.effect, codes(released)) == ("deny", ["forbidden"])
    free.governor.close()


def test_a_limit_on_whom_an_agent_hands_to_is_no_limit_on_its_own_edits(desk: Desk):
    alone = begin_run(desk, "scout")
    held = alone.decide("bank.pay", "a", amount=60, order=1).approval
    assert isinstance(proposed(desk, held, 8), calls.Done)
    assert alone.redeem(held).args == '{"amount":60,"order":8}'


def test_an_edit_past_what_the_agent_was_handed_is_refused_to_its_author(desk: Desk):
    first = Detail(
        "bridle_action",
        {"bank.pay": ToolGrant({"order": Predicate(in_=(1, 2)), "amount": Predicate(any=True)})},
    )
    grant, holder = desk.hand_on("scout", details=(first,))
    session = desk.taken_up(grant, holder)
    held = desk.decide("bank.pay", "a", session=session, amount=60, order=1).approval
    reply = proposed(desk, held, 3)
    assert isinstance(reply, calls.Failed), reply
    assert reply.code == "edit_refused"
    assert isinstance(proposed(desk, held, 2), calls.Done)
    assert desk.redeem(held, session=session).args == '{"amount":60,"order":2}'
