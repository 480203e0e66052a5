"""Cross-mission reuse: what was granted in one mission is worth nothing in another."""

from __future__ import annotations

import pytest
from msgspec import structs

from bridle.model import calls
from bridle.model.calls import Failed, Offered, Opened
from bridle.trust.holder import Holder
from governor.desk import codes, judged
from trust.forging import resigned
from trust.office import NOTES, OPERATOR, Office, Run


@pytest.fixture
def office() -> Office:
    return Office()


def elsewhere(office: Office, holder: Holder) -> Run:
    """A run of the same agent with the same key in another mission."""
    mission = office.desk.start_mission()
    opening = calls.OpenSession(
        mission=mission, agent="clerk", executor="worker", holder=holder.public
    )
    reply = office.desk.done(opening, OPERATOR)
    assert isinstance(reply, Opened)
    return Run(office, "clerk", holder, reply)


def test_a_proof_is_for_the_session_and_grant_of_its_mission(office: Office) -> None:
    here = office.run()
    there = elsewhere(office, here.holder)
    assert here.grant != there.grant
    call = there.decision("note.write", start=True, text="x")
    signed = there.proved(call, grant=here.grant)
    assert codes(judged(there.ask(signed))) == ["proof_invalid"]
    moved = structs.replace(there.proved(call), session=here.session)
    assert codes(judged(here.ask(moved))) == ["proof_invalid"]
    assert office.ran == []


def test_a_link_is_offered_in_no_other_mission_even_by_the_same_key(office: Office) -> None:
    here = office.run()
    there = elsewhere(office, here.holder)
    link = here.link("scout", Holder.generate(), NOTES)
    assert isinstance(there.offer(link), Failed)
    mission = there.chain.leaf.claims.mis
    assert isinstance(there.offer(resigned(link, here.holder.private, mis=mission)), Failed)
    assert isinstance(here.offer(resigned(link, here.holder.private, mis=mission)), Failed)
    assert isinstance(here.offer(link), Offered)


def test_an_action_of_another_mission_is_not_begun(office: Office) -> None:
    here = office.run()
    there = elsewhere(office, here.holder)
    decided = here.decide("note.write", text="x")
    assert codes(there.begin(decided.action)) == ["not_decided"]
    assert office.ran == []


def test_a_mission_that_is_over_takes_its_grants_with_it(office: Office) -> None:
    run = office.run().hand("scout", NOTES)
    there = elsewhere(office, run.holder)
    close = calls.MissionVerb(mission=office.desk.mission, verb="close", as_user="ana")
    office.desk.done(close, OPERATOR)
    assert run.act("note.write", text="x") == "mission_not_active"
    assert there.act("note.write", text="x") == ""
    assert [agent for agent, _, _ in office.ran] == ["clerk"]


def test_a_grant_below_a_revoked_mission_is_dead_and_another_mission_is_not(
    office: Office,
) -> None:
    run = office.run().hand("scout", NOTES)
    there = elsewhere(office, run.holder)
    office.revoke("mission", office.desk.mission)
    assert run.act("note.write", text="x") == "revoked"
    assert there.act("note.write", text="x") == ""
