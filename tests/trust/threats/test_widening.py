"""Widening: a holder signs itself more than it was given, and may still do no more."""

from __future__ import annotations

import pytest

from bridle.model.calls import Answer, Failed, Offered
from bridle.trust.grants.claims import Predicate, Range
from bridle.trust.holder import Holder
from governor.desk import codes
from trust.forging import resigned
from trust.office import ANYTHING, NOTES, Office, only


@pytest.fixture
def office() -> Office:
    return Office()


def test_a_child_that_grants_itself_everything_gains_nothing(office: Office) -> None:
    narrow = office.run().hand("scout", NOTES)
    wide = narrow.hand("digger", ANYTHING)
    assert wide.act("note.write", text="a") == ""
    assert wide.act("bank.tip", amount=1) == "not_granted"
    assert wide.act("bell.ring", times=1) == "not_granted"
    assert [tool for _, tool, _ in office.ran] == ["note.write"]


def test_what_cannot_have_any_effect_is_said_when_it_is_offered(office: Office) -> None:
    narrow = office.run().hand("scout", NOTES)
    both = (*NOTES, *only("bank.tip"))
    reply = narrow.offer(narrow.link("digger", Holder.generate(), both))
    assert isinstance(reply, Offered)
    assert any("bank.tip" in note for note in reply.notes)
    reply = narrow.offer(narrow.link("digger", Holder.generate(), only("bank.tip")))
    assert isinstance(reply, Failed)
    assert reply.code == "grants_nothing"


@pytest.mark.parametrize("depth", [1, 2])
def test_arguments_stay_within_what_every_link_says(office: Office, depth: int) -> None:
    said = [only("bank.tip", amount=Predicate(range=Range(max=3))), ANYTHING]
    run = office.run()
    for agent, details in zip(("scout", "digger")[:depth], said, strict=False):
        run = run.hand(agent, details)
    assert run.act("bank.tip", amount=3) == ""
    assert run.act("bank.tip", amount=4) == "not_granted"
    assert run.act("bank.tip") == "not_granted"
    assert len(office.ran) == 1


def test_arguments_that_a_policy_changes_are_held_against_the_grant_too(office: Office) -> None:
    ends = only("note.write", text=Predicate(suffix="!"))
    run = office.run().hand("scout", ends)
    assert run.act("note.write", text="short!") == ""
    # A policy cuts texts to ten characters, and what is left does not end as the grant has it.
    assert run.act("note.write", text="far too long!") == "not_granted"
    assert [args for _, _, args in office.ran] == [{"text": "short!"}]


def test_arguments_that_a_human_edits_are_held_against_the_grant_too(office: Office) -> None:
    run = office.run().hand("scout", only("bank.pay", amount=Predicate(range=Range(max=70))))
    held = run.decide("bank.pay", amount=60)
    assert held.approval
    edited = Answer(approval=held.approval, approve=True, as_user="ben", args='{"amount":80}')
    reply = office.desk.ask(edited)
    assert isinstance(reply, Failed)
    assert reply.code == "edit_refused"
    assert codes(run.redeem(held)) == ["held"]  # as it was: nobody has approved anything
    assert office.ran == []


WIDER = {
    "a longer life": ({"exp": 2_000_000_000}, "expires after its parent"),
    "more depth": ({"del_max_depth": 64}, "del_max_depth is above its parent's"),
    "another user": ({"sub": "ben"}, "user, audience and mission stay"),
    "another mission": ({"mis": "mis_other"}, "user, audience and mission stay"),
}


@pytest.mark.parametrize("name", WIDER)
def test_claims_that_are_no_predicates_are_refused_when_offered(office: Office, name: str) -> None:
    changed, why = WIDER[name]
    giver = office.run()
    link = resigned(giver.link("scout", Holder.generate()), giver.holder.private, **changed)
    reply = giver.offer(link)
    assert isinstance(reply, Failed)
    assert why in reply.message


def test_an_agent_that_is_not_of_the_mission_receives_nothing(office: Office) -> None:
    giver = office.run()
    for agent in ("nobody", "ana", "clerk>scout"):
        reply = giver.offer(giver.link(agent, Holder.generate()))
        assert isinstance(reply, Failed), agent
