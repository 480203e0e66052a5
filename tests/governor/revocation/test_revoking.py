"""What is revoked is over at once, with everything below it and nothing beside it."""

import pytest

from bridle.governor.governor import Governor
from bridle.model import calls
from bridle.model.calls import Offered
from bridle.store.rows import GrantRow, RevokedRow
from bridle.trust.holder import Holder
from governor.delegation.runs import (
    HANDING,
    Run,
    begin_run,
    denied,
    revoke,
    take_up,
)
from governor.desk import AGENT, HOUR, MINUTE, Desk, said


@pytest.fixture
def desk() -> Desk:
    return Desk(HANDING)


def reads(run: Run, key: str = "") -> str:
    """Empty, or the code with which a read is denied."""
    run.desk.clock.move_to(run.desk.clock.now() + 1)
    return denied(run.act("note.read", key or f"k{run.desk.clock.now()}", id=1))


# --- what ends -----------------------------------------------------------------------------------


def test_a_revoked_grant_ends_with_all_below_it_and_nothing_above(desk: Desk) -> None:
    top = begin_run(desk)
    middle = top.hand("scout")
    leaf = middle.hand("clerk")
    fenced = revoke(desk, "grant", middle.grant)
    assert [row["id"] for row in fenced.stopped] == [middle.grant, leaf.grant]
    assert [reads(run) for run in (top, middle, leaf)] == ["", "revoked", "revoked"]
    desk.verified()


def test_a_sibling_goes_on(desk: Desk) -> None:
    top = begin_run(desk)
    one, other = top.hand("scout"), top.hand("scout")
    revoke(desk, "grant", one.grant)
    assert (reads(one), reads(other)) == ("revoked", "")


def test_a_descendant_that_nobody_enumerated_is_dead(desk: Desk) -> None:
    """One row is written, however much hangs below it."""
    top = begin_run(desk)
    run, runs = top, []
    for depth in range(8):
        run = run.hand("scout" if depth % 2 else "clerk")
        runs.append(run)
    revoke(desk, "grant", top.grant)
    assert desk.core.write(lambda turn: turn.tx.count(RevokedRow)) == 1
    assert {reads(each) for each in runs} == {"revoked"}


def test_a_child_registered_after_its_parents_revocation_is_dead(desk: Desk) -> None:
    top = begin_run(desk)
    middle = top.hand("scout")
    before, after = Holder.generate(), Holder.generate()
    early = middle.offer(middle.link("clerk", before))
    assert isinstance(early, Offered)
    link = middle.link("clerk", after)
    revoke(desk, "grant", middle.grant)
    assert take_up(desk, "clerk", before, early.grant) == "revoked"
    assert middle.offer(link) == "revoked"


def test_a_revoked_key_ends_what_is_bound_to_it_and_what_it_has_signed(desk: Desk) -> None:
    top = begin_run(desk)
    middle = top.hand("scout")
    leaf = middle.hand("clerk")
    revoke(desk, "key", middle.holder.fingerprint)
    assert [reads(run) for run in (top, middle, leaf)] == ["", "revoked", "revoked"]


def test_a_key_can_be_named_as_it_is_written_and_before_anyone_has_used_it(desk: Desk) -> None:
    holder, late = Holder.generate(), Holder.generate()
    revoke(desk, "key", holder.public)
    top = begin_run(desk)
    assert top.offer(top.link("scout", holder)) == "revoked"
    offered = top.offer(top.link("scout", late))
    assert isinstance(offered, Offered)
    revoke(desk, "key", late.public)
    assert take_up(desk, "scout", late, offered.grant) == "revoked"


def test_a_revoked_agent_ends_wherever_the_task_came_through_it(desk: Desk) -> None:
    top = begin_run(desk)
    middle = top.hand("scout")
    leaf = middle.hand("clerk")
    keyless = desk.opened("scout")
    revoke(desk, "agent", "scout")
    assert [reads(run) for run in (top, middle, leaf)] == ["", "revoked", "revoked"]
    assert denied(desk.act("note.read", "k", id=1, session=keyless)) == "revoked"


def test_what_an_agent_is_granted_later_holds_until_it_is_revoked_again(desk: Desk) -> None:
    top = begin_run(desk)
    revoke(desk, "agent", "clerk")
    again = begin_run(desk)
    assert (reads(top), reads(again)) == ("revoked", "")
    revoke(desk, "agent", "clerk")
    assert (reads(top), reads(again)) == ("revoked", "revoked")


def test_an_offer_dated_ahead_does_not_outlive_the_receivers_revocation(desk: Desk) -> None:
    top, holder = begin_run(desk), Holder.generate()
    desk.clock.move_to(desk.clock.now() + 1)
    link = top.link("scout", holder)
    offered = top.offer(link)
    assert isinstance(offered, Offered)
    revoke(desk, "agent", "scout")
    assert take_up(desk, "scout", holder, offered.grant) == "revoked"


def test_a_revoked_mission_and_a_revoked_user_end_all_in_them(desk: Desk) -> None:
    other = desk.start_mission(user="ben")
    mine, theirs = begin_run(desk), begin_run(desk, mission=other)
    revoke(desk, "mission", desk.mission)
    assert (reads(mine), reads(theirs)) == ("revoked", "")
    revoke(desk, "user", "ben")
    assert reads(theirs) == "revoked"


def test_whoever_serves_a_revoked_requester_is_stopped(desk: Desk) -> None:
    asker, deputy = begin_run(desk), begin_run(desk, "scout")
    waiting = deputy.decide("note.read", "a", requester=asker.grant, id=1)
    running = deputy.decide("note.read", "b", requester=asker.grant, start=True, id=1)
    fenced = revoke(desk, "grant", asker.grant)
    assert [row["id"] for row in fenced.running] == [running.attempt]
    assert denied(deputy.begin(waiting.action)) == "requester_invalid"
    assert deputy.beat(running.attempt) == "requester_invalid"
    assert reads(deputy) == ""


# --- the fence -----------------------------------------------------------------------------------


def test_an_action_allowed_before_does_not_start_after(desk: Desk) -> None:
    top = begin_run(desk)
    run = top.hand("scout")
    allowed = run.decide("note.write", "a", text="x")
    assert said(allowed)[0] == "allow"
    revoke(desk, "grant", run.grant)
    assert denied(run.begin(allowed.action)) == "revoked"


def test_what_had_started_is_listed_and_told_by_its_next_beat(desk: Desk) -> None:
    top = begin_run(desk)
    run = top.hand("scout")
    above, below = top.act("note.write", "a", text="x"), run.act("note.write", "b", text="x")
    fenced = revoke(desk, "grant", run.grant)
    assert [row["id"] for row in fenced.running] == [below.attempt]
    assert (top.beat(above.attempt), run.beat(below.attempt)) == ("", "revoked")


def test_it_may_still_say_how_it_ended(desk: Desk) -> None:
    run = begin_run(desk).hand("scout")
    below = run.act("note.write", "b", text="x")
    revoke(desk, "grant", run.grant)
    run.observe(below.attempt)
    assert desk.attempt(below.attempt).state == "ok"
    assert revoke(desk, "grant", run.grant).running == []


def test_an_attempt_nobody_knows_the_end_of_stays_on_the_list(desk: Desk) -> None:
    run = begin_run(desk)
    lost = run.act("note.write", "b", text="x")
    desk.later(HOUR)
    fenced = revoke(desk, "grant", run.grant)
    assert [(row["id"], row["state"]) for row in fenced.running] == [(lost.attempt, "unknown")]


def test_a_stored_answer_is_not_repeated_to_whoever_was_revoked(desk: Desk) -> None:
    run = begin_run(desk)
    done = run.act("note.write", "a", text="x")
    run.observe(done.attempt)
    assert run.act("note.write", "a", text="x").outcome is not None
    revoke(desk, "grant", run.grant)
    again = run.act("note.write", "a", text="x")
    assert (denied(again), again.outcome) == ("revoked", None)


def test_a_preview_changes_nothing_and_says_what_would_be(desk: Desk) -> None:
    run = begin_run(desk)
    running = run.act("note.write", "a", text="x")
    before = len(desk.leaves())
    seen = revoke(desk, "grant", run.grant, preview=True)
    assert len(desk.leaves()) == before
    assert reads(run) == ""
    real = revoke(desk, "grant", run.grant)
    assert {row["id"] for row in seen.running} == {running.attempt}
    assert seen.stopped == real.stopped


def test_revoking_again_changes_nothing_and_lists_what_still_runs(desk: Desk) -> None:
    run = begin_run(desk)
    running = run.act("note.write", "a", text="x")
    first = revoke(desk, "grant", run.grant)
    leaves = len(desk.leaves())
    again = revoke(desk, "grant", run.grant)
    assert (again.epoch, again.running) == (first.epoch, first.running)
    assert {row["id"] for row in again.running} == {running.attempt}
    assert len(desk.leaves()) == leaves


# --- what hangs on it ----------------------------------------------------------------------------


def test_what_humans_were_asked_under_a_revoked_grant_is_theirs_to_answer_no_more(
    desk: Desk,
) -> None:
    top = begin_run(desk)
    run = top.hand("scout")
    held, beside = (
        run.decide("bank.pay", "a", amount=60),
        top.decide("bank.pay", "b", amount=60),
    )
    revoke(desk, "grant", run.grant)
    assert (desk.hold(held.approval).status, desk.hold(beside.approval).status) == (
        "void",
        "pending",
    )


def test_an_approval_does_not_outlive_the_grant_it_was_asked_under(desk: Desk) -> None:
    run = begin_run(desk).hand("scout")
    held = run.decide("bank.pay", "a", amount=60)
    assert desk.answer(held.approval) == "approved"
    revoke(desk, "grant", run.grant)
    assert denied(run.redeem(held.approval)) == "approval_void"
    assert desk.hold(held.approval).status == "void"


def test_an_exception_ends_with_the_grant_it_was_given_to(desk: Desk) -> None:
    top = begin_run(desk)
    run, beside = top.hand("scout"), begin_run(desk, "scout")
    terms = calls.Terms(count=5)
    for each in (run, beside):
        held = each.decide("bank.pay", "a", amount=60)
        desk.answer(held.approval, terms=terms)
    revoke(desk, "grant", run.grant)
    states = {row["line"]: row["status"] for row in desk.rows(calls.Exceptions(all=True))}
    assert states == {"clerk>scout": "void", "": "active"}


# --- kills and suspensions -----------------------------------------------------------------------


def test_a_kill_of_a_grant_stops_all_below_it_until_another_human_lifts_it(desk: Desk) -> None:
    top = begin_run(desk)
    middle = top.hand("scout")
    leaf = middle.hand("clerk")
    running = leaf.act("note.write", "a", text="x")
    rows = desk.rows(calls.Kill(scope="grant", subject=middle.grant, as_user="ana"))
    assert [row["id"] for row in rows] == [running.attempt]
    assert [reads(run) for run in (top, middle, leaf)] == ["", "killed", "killed"]
    lift = calls.Unkill(scope="grant", subject=middle.grant, as_user="ana")
    assert desk.refused(lift) == "same_human"
    desk.done(calls.Unkill(scope="grant", subject=middle.grant, as_user="ben"))
    assert [reads(run) for run in (top, middle, leaf)] == ["", "", ""]


def test_a_kill_of_what_is_no_grant_is_refused(desk: Desk) -> None:
    assert desk.refused(calls.Kill(scope="grant", subject="a" * 64, as_user="ana")) == "not_found"


@pytest.mark.parametrize("verb", ["suspend", "retire"])
def test_an_agent_above_that_is_suspended_or_retired_stops_those_below(
    desk: Desk, verb: str
) -> None:
    leaf = begin_run(desk).hand("scout")
    allowed = leaf.decide("note.read", "a", id=1)
    desk.done(calls.IdentityVerb(kind="agent", id="clerk", verb=verb, as_user="ana"))
    assert denied(leaf.begin(allowed.action)) == "suspended"
    assert reads(leaf) == "suspended"


def test_a_killed_agent_above_stops_those_below_and_its_attempts_are_listed(desk: Desk) -> None:
    leaf = begin_run(desk).hand("scout")
    running = leaf.act("note.write", "a", text="x")
    rows = desk.rows(calls.Kill(scope="agent", subject="clerk", as_user="ana"))
    assert [row["id"] for row in rows] == [running.attempt]
    assert reads(leaf) == "killed"


def test_a_kill_of_a_grant_stops_whoever_serves_it(desk: Desk) -> None:
    asker, deputy = begin_run(desk), begin_run(desk, "scout")
    running = deputy.decide("note.read", "b", requester=asker.grant, start=True, id=1)
    rows = desk.rows(calls.Kill(scope="grant", subject=asker.grant, as_user="ana"))
    assert [row["id"] for row in rows] == [running.attempt]
    assert denied(deputy.decide("note.read", "c", requester=asker.grant, id=1)) == "killed"


# --- who may -------------------------------------------------------------------------------------


def test_a_holder_takes_back_what_came_from_its_key_and_nothing_else(desk: Desk) -> None:
    top, beside = begin_run(desk), begin_run(desk, "scout")
    middle = top.hand("scout")
    leaf = middle.hand("clerk")
    for grant in (top.grant, beside.grant, "0" * 64, ""):
        assert middle.revoke(grant) == "not_yours"
    assert leaf.revoke(middle.grant) == "not_yours"
    fenced = top.revoke(leaf.grant)
    assert not isinstance(fenced, str)
    assert [reads(run) for run in (top, middle, leaf)] == ["", "", "revoked"]
    assert not isinstance(middle.revoke(middle.grant), str)
    assert [reads(run) for run in (top, middle, beside)] == ["", "revoked", ""]


def test_a_session_without_a_key_has_given_nothing_that_it_could_take_back(desk: Desk) -> None:
    top = begin_run(desk)
    call = calls.RevokeGrant(session=desk.opened(), grant=top.grant)
    assert desk.refused(call, AGENT) == "not_yours"
    assert desk.refused(calls.RevokeGrant(session="no", grant=top.grant), AGENT) == "no_session"


def test_users_take_back_what_is_theirs_and_operators_anything(desk: Desk) -> None:
    """cleo is no operator; ana and ben are."""
    hers, his = desk.start_mission(user="cleo"), desk.start_mission(user="dora")
    mine, theirs = begin_run(desk, mission=hers), begin_run(desk, mission=his)

    def refused(kind: str, subject: str) -> str:
        return desk.refused(calls.Revoke(kind=kind, subject=subject, as_user="cleo"))

    for kind, subject in (
        ("mission", his),
        ("grant", theirs.grant),
        ("user", "dora"),
        ("agent", "scout"),
        ("key", mine.holder.fingerprint),
    ):
        assert refused(kind, subject) == "not_an_operator"
    for kind, subject in (("grant", mine.grant), ("mission", hers), ("user", "cleo")):
        revoke(desk, kind, subject, "cleo")
    assert (reads(mine), reads(theirs)) == ("revoked", "")
    revoke(desk, "grant", theirs.grant, "ben")
    assert reads(theirs) == "revoked"


def test_an_owner_takes_back_their_agent(desk: Desk) -> None:
    files = {
        **HANDING,
        "agents.toml": HANDING["agents.toml"].replace('owner = "ben"', 'owner = "dora"'),
    }
    desk = Desk(files)
    run = begin_run(desk, "scout")
    assert desk.refused(calls.Revoke(kind="agent", subject="clerk", as_user="dora")) == (
        "not_an_operator"
    )
    revoke(desk, "agent", "scout", "dora")
    assert reads(run) == "revoked"


def test_an_agents_connection_revokes_by_its_session_alone(desk: Desk) -> None:
    run = begin_run(desk)
    call = calls.Revoke(kind="grant", subject=run.grant, as_user="ana")
    assert desk.refused(call, AGENT) == "operator_only"
    assert reads(run) == ""


@pytest.mark.parametrize(
    ("kind", "subject", "code"),
    [
        ("grant", "f" * 64, "not_found"),
        ("mission", "mis_0", "not_found"),
        ("agent", "nobody", "not_found"),
        ("user", "nobody", "not_found"),
        ("key", "f" * 63, "usage"),
        ("key", "F" * 64, "usage"),
        ("key", "ed25519:AAAA", "key_invalid"),
        ("everything", "", "usage"),
    ],
)
def test_what_cannot_be_meant_is_refused(desk: Desk, kind: str, subject: str, code: str) -> None:
    assert desk.refused(calls.Revoke(kind=kind, subject=subject, as_user="ana")) == code


# --- for good ------------------------------------------------------------------------------------


def test_a_revocation_is_on_record_with_the_epoch_and_what_ran(desk: Desk) -> None:
    run = begin_run(desk)
    run.act("note.write", "a", text="x")
    fenced = revoke(desk, "grant", run.grant, reason="odd mails")
    leaf = desk.leaves("revocation")[-1]
    assert leaf.body == {
        "what": "revoke",
        "kind": "grant",
        "subject": run.grant,
        "mission": desk.mission,
        "epoch": fenced.epoch,
        "running": 1,
    }
    assert leaf.ids["by"] == "ana"
    assert "odd mails" not in str(leaf)


def test_a_restart_keeps_it(desk: Desk) -> None:
    run = begin_run(desk).hand("scout")
    revoke(desk, "grant", run.grant)
    fresh = Desk.over(desk.core, desk.clock)
    assert isinstance(fresh.governor, Governor)
    run.desk = fresh
    assert reads(run) == "revoked"


def test_no_call_takes_a_revocation_away(desk: Desk) -> None:
    run = begin_run(desk)
    revoke(desk, "grant", run.grant)
    lift = calls.Unkill(scope="grant", subject=run.grant, as_user="ben")
    assert desk.refused(lift) == "not_found"
    for verb in ("suspend", "resume"):
        desk.done(calls.MissionVerb(mission=desk.mission, verb=verb, as_user="ana"))
        desk.done(calls.IdentityVerb(kind="agent", id="clerk", verb=verb, as_user="ana"))
    desk.later(MINUTE)
    assert reads(run) == "revoked"


def test_grants_end_with_their_time_and_with_their_mission(desk: Desk) -> None:
    top = begin_run(desk)
    short, long = top.hand("scout", lasts_s=60), top.hand("scout")
    desk.later(2 * MINUTE)
    assert reads(short) == "grant_expired"

    def state(run: Run) -> str:
        row = desk.core.write(lambda turn: turn.tx.get(GrantRow, run.grant))
        assert row is not None
        return row.state

    assert [state(run) for run in (top, short, long)] == ["active", "ended", "active"]
    desk.done(calls.MissionVerb(mission=desk.mission, verb="close", as_user="ana", anyway=True))
    assert [state(run) for run in (top, short, long)] == ["ended"] * 3
    desk.verified()
