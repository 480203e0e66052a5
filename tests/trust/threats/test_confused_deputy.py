"""Confused deputy: broad authority serves narrow authority, and gets done what both allow."""

from __future__ import annotations

import pytest

from bridle.model import calls
from bridle.trust.holder import Holder
from governor.desk import HOUR
from trust.office import ANYTHING, NOTES, OPERATOR, Office, Run, edited

DEPUTY = ("agents.toml", '[agents.digger]\nowner = "ana"\n',
          '[agents.digger]\nowner = "ana"\ndeputy = true\n')  # fmt: skip
NO_SCOUTS = (
    "policies/limits.dw", "",
    ('@id("no-scouts") forbid (principal == Agent::"scout", action == Action::"note.index", '
    "resource);\n"),
)  # fmt: skip


@pytest.fixture
def office() -> Office:
    return Office(edited(DEPUTY, NO_SCOUTS))


@pytest.fixture
def requester(office: Office) -> Run:
    return office.run().hand("scout", NOTES)


@pytest.fixture
def deputy(office: Office) -> Run:
    return office.run("digger")


def test_the_deputy_does_for_the_requester_what_both_may(deputy: Run, requester: Run) -> None:
    assert deputy.act("note.write", requester=requester.grant, text="x") == ""
    assert deputy.act("bank.tip", requester=requester.grant, amount=1) == "not_granted"
    assert [tool for _, tool, _ in deputy.office.ran] == ["note.write"]


def test_a_declared_deputy_never_acts_for_itself(deputy: Run) -> None:
    assert deputy.act("note.write", text="x") == "requester_missing"
    assert deputy.office.ran == []


def test_a_narrow_deputy_is_not_widened_by_a_broad_requester(office: Office) -> None:
    broad = office.run()
    narrow = office.run().hand("digger", NOTES)
    assert narrow.act("bank.tip", requester=broad.grant, amount=1) == "not_granted"
    assert narrow.act("note.write", requester=broad.grant, text="x") == ""


def test_forbids_on_the_requesters_agents_count(office: Office, deputy: Run, requester: Run
                                                ) -> None:  # fmt: skip
    plain = office.run()
    assert deputy.act("note.index", requester=plain.grant, depth=1) == ""
    assert deputy.act("note.index", requester=requester.grant, depth=1) == "forbidden"


@pytest.mark.parametrize("subject", ["", "ab" * 32, "scout", "../x", "0" * 63])
def test_a_requester_that_nobody_knows_is_none(deputy: Run, subject: str) -> None:
    expected = "requester_invalid" if subject else "requester_missing"
    assert deputy.act("note.write", requester=subject, text="x") == expected


def test_an_offer_that_nobody_took_up_is_no_requester(office: Office, deputy: Run) -> None:
    giver = office.run()
    offered = giver.offer(giver.link("scout", Holder.generate(), ANYTHING))
    assert isinstance(offered, calls.Offered)
    assert deputy.act("note.write", requester=offered.grant, text="x") == "requester_invalid"


def test_what_ends_the_requester_ends_what_is_done_for_it(
    office: Office, deputy: Run, requester: Run
) -> None:
    decided = deputy.decide("note.write", requester=requester.grant, text="x")
    assert decided.effect.runs
    office.revoke("grant", requester.grant)
    begun = deputy.begin(decided.action)
    assert begun.reasons[0].code == "requester_invalid"
    assert deputy.act("note.write", requester=requester.grant, text="x") == "requester_invalid"
    assert office.ran == []


def test_a_requesters_agent_that_is_killed_or_suspended_stops_it(
    office: Office, deputy: Run, requester: Run
) -> None:
    office.desk.done(calls.Kill(scope="agent", subject="scout", as_user="ana"), OPERATOR)
    assert deputy.act("note.write", requester=requester.grant, text="x") == "killed"
    office.desk.done(calls.Unkill(scope="agent", subject="scout", as_user="ben"), OPERATOR)
    suspend = calls.IdentityVerb(kind="agent", id="scout", verb="suspend", as_user="ben")
    office.desk.done(suspend, OPERATOR)
    assert deputy.act("note.write", requester=requester.grant, text="x") == "suspended"
    assert office.ran == []


def test_a_requester_that_ran_out_is_none(office: Office, deputy: Run) -> None:
    short = office.run().hand("scout", NOTES, expires=office.now_s + 60)
    office.desk.later(HOUR // 10)
    assert deputy.act("note.write", requester=short.grant, text="x") == "requester_invalid"


def test_both_chains_stand_on_the_record(office: Office, deputy: Run, requester: Run) -> None:
    assert deputy.act("note.write", requester=requester.grant, text="x") == ""
    for kind in ("decision", "started"):
        ids = office.desk.leaves(kind)[-1].ids
        assert ids["grants"] == deputy.grant[:16]
        assert ids["requester"] == requester.chain.trail


def test_an_answer_that_was_given_for_one_requester_is_not_given_for_another(
    office: Office, deputy: Run, requester: Run
) -> None:
    broad, alike = office.run(), office.run().hand("scout", ANYTHING)
    for who, code in ((alike, ""), (requester, "not_granted"), (broad, "args_changed")):
        assert deputy.act("bank.tip", key="step", requester=who.grant, amount=1) == code
    plain = office.run("porter")
    decided = plain.decide("bank.tip", key="step", requester=broad.grant, amount=1)
    assert decided.effect.runs
    assert plain.act("bank.tip", key="step", amount=1) == "args_changed"
    assert len(office.ran) == 1


def test_an_approval_does_not_outlive_the_requester(office: Office, deputy: Run) -> None:
    broad = office.run()
    held = deputy.decide("bank.pay", requester=broad.grant, amount=60)
    office.desk.answer(held.approval)
    office.revoke("grant", broad.grant)
    assert deputy.redeem(held).reasons[0].code == "approval_void"
    assert office.ran == []
