"""Key rotation in traffic: old and new overlap for as long as was said, and nobody notices."""

from __future__ import annotations

import pytest

from bridle.model import calls
from bridle.model.calls import Failed, Listing, Offered, Opened
from bridle.trust import credential
from bridle.trust.grants.roots import RootKey, Roots
from bridle.trust.grants.verify import Verifier
from bridle.trust.holder import Holder
from governor.desk import MINUTE, codes
from trust.forging import ANY, HOUR, NOW, Line, judged, key, public
from trust.office import NOTES, OPERATOR, Office, edited

OLD, NEW = (credential.generate("agent", "clerk") for _ in range(2))
KEYED = ("agents.toml", "[agents.clerk]\n", f'[agents.clerk]\nkey = "{OLD.public}"\n')


@pytest.fixture
def office() -> Office:
    return Office()


def rotate(office: Office, overlap_ms: int, **given: str) -> list[str]:
    call = calls.KeyVerb(
        verb="rotate", overlap_ms=overlap_ms, as_user="ana", **({"kind": "governor"} | given)
    )
    reply = office.desk.done(call, OPERATOR)
    assert isinstance(reply, Listing)
    return [row["key"] for row in reply.rows]


def test_chains_of_the_old_key_hold_as_long_as_was_said(office: Office) -> None:
    before = office.run().hand("scout", NOTES)
    decided = before.decide("note.write", key="waits", text="x")
    keys = rotate(office, 10 * MINUTE)
    after = office.run().hand("scout", NOTES)
    assert len(set(keys)) == 2
    assert before.begin(decided.action).attempt
    for run in (before, after, before.hand("digger")):
        assert run.act("note.write", text="x") == ""
    office.desk.later(10 * MINUTE - 1)
    assert before.act("note.write", text="x") == ""
    office.desk.later(1)
    assert before.act("note.write", text="x") == "grant_expired"
    assert after.act("note.write", text="x") == ""


def test_what_waits_beyond_the_overlap_does_not_begin(office: Office) -> None:
    run = office.run()
    rotate(office, 1_000)
    decided = run.decide("note.write", text="x")
    assert decided.effect.runs
    office.desk.later(1_000)
    assert codes(run.begin(decided.action)) == ["grant_expired"]


def test_nothing_is_handed_on_or_taken_up_under_a_key_that_ended(office: Office) -> None:
    giver, receiver = office.run(), Holder.generate()
    offered = giver.offer(giver.link("scout", receiver, NOTES))
    assert isinstance(offered, Offered)
    rotate(office, 0)
    assert isinstance(giver.accepted("scout", receiver, offered.grant), Failed)
    assert isinstance(giver.offer(giver.link("digger", Holder.generate())), Failed)


def test_an_agents_old_key_certifies_runs_until_its_end_and_its_runs_go_on() -> None:
    office = Office(edited(KEYED))
    before = office.run("clerk", OLD)
    rotate(office, 10 * MINUTE, kind="agent", name="clerk", key=NEW.public)
    runs = [before, office.run("clerk", OLD), office.run("clerk", NEW)]
    office.desk.later(10 * MINUTE)
    late = office.opening("clerk", Holder.generate(), OLD)
    assert isinstance(late, Failed)
    assert late.code == "not_certified"
    assert isinstance(office.opening("clerk", Holder.generate(), NEW), Opened)
    assert [run.act("note.write", text="x") for run in runs] == ["", "", ""]


def test_offline_a_pinned_key_counts_within_its_window_cached_or_not() -> None:
    line, later = Line(ANY), key()
    old = RootKey(public(line.grant_key), NOW - HOUR, NOW + 60)
    verifier = Verifier(Roots([old, RootKey(public(later), NOW, 0)]))
    assert judged(verifier, line.texts, now=NOW + 59) == ("", -1)
    assert judged(verifier, line.texts, now=NOW + 60) == ("root_key_expired", 0)
    assert judged(Verifier(Roots([RootKey(public(later))])), line.texts) == ("root_unknown", 0)
