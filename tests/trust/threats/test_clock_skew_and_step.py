"""Clock skew and step: bounded tolerance one way, none the other, and no way back to life."""

from __future__ import annotations

import pytest
from msgspec import structs

from bridle.model.calls import Failed, Offered
from bridle.trust.holder import Holder
from governor.desk import HOUR, SECOND, codes, judged
from trust.forging import NOW, Line, resigned
from trust.forging import judged as verdict
from trust.office import ANYTHING, NOTES, Office, Run


@pytest.fixture
def office() -> Office:
    return Office()


def asked(run: Run, ahead_ms: int) -> list[str]:
    """What is said to a request whose proof is by a clock that is so far ahead."""
    call = run.decision("note.write", text="x")
    now = run.office.desk.clock.now()
    proof = run.holder.prove(call, run.office.desk.core.instance, run.grant, time_ms=now + ahead_ms)
    return codes(judged(run.ask(structs.replace(call, proof=proof))))


@pytest.mark.parametrize("sign", [-1, 1])
def test_a_proof_is_good_for_half_a_minute_and_no_longer(office: Office, sign: int) -> None:
    run = office.run()
    assert asked(run, sign * 30_000) == []
    assert asked(run, sign * 30_001) == ["proof_stale"]
    assert asked(run, sign * 10**12) == ["proof_stale"]


def test_a_clock_that_is_set_back_makes_no_proof_new(office: Office) -> None:
    run = office.run()
    used = run.proved(run.decision("note.write", start=True, text="once"))
    assert judged(run.ask(used)).attempt
    office.desk.later(61 * SECOND)
    run.act("bell.ring", times=1)
    assert codes(judged(run.ask(used))) == ["proof_stale"]
    office.desk.clock.move_to(office.desk.clock.now() - 61 * SECOND)
    assert codes(judged(run.ask(used)))[0] in {"proof_stale", "proof_replayed"}


def test_a_grant_ends_to_the_second(office: Office) -> None:
    run = office.run().hand("scout", NOTES, expires=office.now_s + 60)
    office.desk.later(60 * SECOND - 1)
    assert run.act("note.write", text="last") == ""
    office.desk.later(1)
    assert run.act("note.write", text="late") == "grant_expired"


def test_what_was_decided_in_time_does_not_begin_too_late(office: Office) -> None:
    run = office.run().hand("scout", NOTES, expires=office.now_s + 2)
    decided = run.decide("note.write", text="x")
    assert decided.effect.runs
    office.desk.later(2 * SECOND)
    assert codes(run.begin(decided.action)) == ["grant_expired"]


def test_a_clock_that_is_set_back_revives_nothing_that_was_revoked(office: Office) -> None:
    run = office.run().hand("scout", NOTES)
    office.desk.later(HOUR // 2)
    for kind, subject in (("agent", "scout"), ("grant", run.grant)):
        office.revoke(kind, subject)
    office.desk.clock.move_to(office.desk.clock.now() - HOUR // 2)
    assert run.act("note.write", text="back") == "revoked"


def test_a_link_from_the_future_is_not_yet_one(office: Office) -> None:
    giver = office.run()
    for ahead, fine in ((59, True), (3_000, False)):
        link = giver.link("scout", Holder.generate(), NOTES, issued=office.now_s + ahead)
        reply = giver.offer(link)
        assert isinstance(reply, Offered if fine else Failed)
    line = Line(ANYTHING, issued=NOW + 61, expires=NOW + HOUR)
    assert verdict(line.verifier(), line.texts) == ("grant_not_yet_valid", 0)
    assert verdict(line.verifier(), line.texts, now=NOW + 1) == ("", -1)


def test_there_is_no_tolerance_for_an_end() -> None:
    line = Line(ANYTHING, expires=NOW + 10)
    assert verdict(line.verifier(), line.texts, now=NOW + 9) == ("", -1)
    assert verdict(line.verifier(), line.texts, now=NOW + 10) == ("grant_expired", 0)
    backdated = resigned(line.texts[0], line.grant_key, iat=NOW + 20, exp=NOW + 15)
    assert verdict(line.verifier(), [backdated]) == ("link_malformed", 0)
