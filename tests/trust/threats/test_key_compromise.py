"""Key compromise: revoking a key ends everything at and below it, and nothing beside it."""

from __future__ import annotations

import pytest

from bridle.model.calls import Failed, Keys
from bridle.model.public_key import fingerprint
from bridle.trust import credential
from bridle.trust.holder import Holder
from governor.desk import codes
from trust.office import NOTES, Office, edited

CLERK = credential.generate("agent", "clerk")
SPARE = credential.generate("agent", "clerk")
KEYED = ("agents.toml", "[agents.clerk]\n", f'[agents.clerk]\nkey = "{CLERK.public}"\n')


@pytest.fixture
def office() -> Office:
    return Office()


def test_a_runs_key_takes_what_it_handed_on_with_it(office: Office) -> None:
    top = office.run()
    taken, beside = top.hand("scout", NOTES), top.hand("digger", NOTES)
    below = taken.hand("porter", NOTES)
    office.revoke("key", taken.holder.fingerprint)
    told = [run.act("note.write", text="x") for run in (top, taken, beside, below)]
    assert told == ["", "revoked", "", "revoked"]


def test_who_has_the_key_hands_nothing_more_on_and_takes_nothing_up(office: Office) -> None:
    thief = office.run().hand("scout", NOTES)
    office.revoke("key", thief.holder.fingerprint)
    assert isinstance(thief.offer(thief.link("digger", Holder.generate(), NOTES)), Failed)
    giver = office.run()
    again = giver.offer(giver.link("scout", thief.holder, NOTES))
    opened = office.opening("scout", thief.holder)
    assert isinstance(again, Failed)
    assert isinstance(opened, Failed)
    assert (again.code, opened.code) == ("revoked", "revoked")
    assert office.ran == []
    assert office.run("scout").act("note.write", text="x") == ""


def test_an_agents_key_ends_the_runs_it_certified_and_certifies_none(office: Office) -> None:
    del office
    office = Office(edited(KEYED))
    certified = office.run("clerk", CLERK)
    below = certified.hand("scout", NOTES)
    office.revoke("key", CLERK.fingerprint)
    assert [run.act("note.write", text="x") for run in (certified, below)] == ["revoked"] * 2
    assert isinstance(office.opening("clerk", Holder.generate(), CLERK), Failed)


def test_the_governors_own_key_ends_every_chain_that_began_with_it(office: Office) -> None:
    runs = [office.run(), office.run().hand("scout", NOTES)]
    decided = runs[0].decide("note.write", text="x")
    [row] = office.desk.rows(Keys(kind="governor"))
    key = fingerprint(row["key"])
    office.revoke("key", key)
    for run in runs:
        assert run.act("note.write", text="x") == "grant_expired"
    assert codes(runs[0].begin(decided.action)) == ["grant_expired"]
    assert office.ran == []
    assert office.run().act("note.write", text="x") == ""


def test_a_key_that_is_revoked_is_revoked_for_good(office: Office) -> None:
    run = office.run()
    office.revoke("key", run.holder.fingerprint)
    office.desk.later(10_000)
    assert run.act("note.write", text="x") == "revoked"
    assert office.revoke("key", run.holder.fingerprint).running == []
    assert run.act("note.write", text="x") == "revoked"
