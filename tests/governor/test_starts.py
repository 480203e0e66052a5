"""The gate: who may start what, when, and how long a start is alive."""

import pytest

from bridle.governor.action import outcomes, path, standing
from bridle.model import calls
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.verdict import Effect
from governor.desk import FILES, MINUTE, SECOND, Desk, changed, codes, said


def test_a_start_is_recorded_under_its_own_verdict_before_the_effect(desk: Desk):
    verdict = desk.decide("note.write", "a", text="a long note indeed")
    assert verdict.attempt == ""
    started = desk.begin(verdict.action)
    assert started.attempt
    assert (started.effect, started.args) == (verdict.effect, verdict.args)
    assert started.receipt == verdict.receipt
    assert codes(started) == codes(verdict) == ["modified"]
    assert started.lease_ms == 30 * SECOND
    leaf = desk.leaves("started")[-1]
    assert leaf.ids["action"] == desk.pseudonym(verdict.action)
    assert leaf.ids["attempt"] == started.attempt


def test_one_verdict_authorises_one_start(desk: Desk):
    verdict = desk.decide("note.index", "a")
    assert desk.begin(verdict.action).attempt
    assert codes(desk.begin(verdict.action)) == ["already_started"]


def test_deciding_and_starting_in_one_call_is_the_same_start(desk: Desk):
    verdict = desk.act("note.index", "a")
    assert (verdict.effect, verdict.args, verdict.lease_ms) == (Effect.ALLOW, "{}", 30 * SECOND)
    assert desk.attempt(verdict.attempt).state == "started"


def test_a_verdict_that_was_not_started_in_time_is_judged_again_under_the_same_id(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=20)
    desk.later(5 * SECOND, tick=False)
    assert codes(desk.begin(verdict.action)) == ["lease_lapsed"]
    assert desk.used("money") == 0
    again = desk.act("bank.pay", "a", amount=20)
    assert again.action == verdict.action
    assert again.attempt
    assert desk.used("money") == 20


def test_a_lapsed_verdict_gives_back_its_budget_even_if_nobody_asks(desk: Desk):
    desk.decide("bank.pay", "a", amount=20)
    desk.later(4 * SECOND)
    assert desk.used("money") == 20
    desk.later(SECOND)
    assert desk.used("money") == 0


def _kill(desk: Desk) -> None:
    desk.done(calls.Kill(scope="agent", subject="clerk", as_user="ana"))


def _suspend_agent(desk: Desk) -> None:
    desk.done(calls.IdentityVerb(kind="agent", id="clerk", verb="suspend", as_user="ana"))


def _suspend_workload(desk: Desk) -> None:
    desk.done(calls.IdentityVerb(kind="workload", id="worker", verb="suspend", as_user="ana"))


def _suspend(desk: Desk) -> None:
    desk.done(calls.MissionVerb(mission=desk.mission, verb="suspend"))


def _close(desk: Desk) -> None:
    desk.done(calls.MissionVerb(mission=desk.mission, verb="close"))


def _activate(desk: Desk) -> None:
    desk.activate(changed(("bridle.toml", 'version = "1"', 'version = "2"')))


STOPS = [
    (_kill, "killed"),
    (_suspend_agent, "suspended"),
    (_suspend_workload, "suspended"),
    (_suspend, "mission_not_active"),
    (_close, "mission_not_active"),
    (_activate, "lease_lapsed"),
]


@pytest.mark.parametrize(("stop", "code"), STOPS)
def test_what_happens_between_verdict_and_start_beats_the_verdict(desk: Desk, stop, code):
    verdict = desk.decide("bank.pay", "a", amount=20)
    stop(desk)
    assert said(desk.begin(verdict.action)) == ("deny", [code])
    assert desk.leaves("started") == []
    assert desk.leaves("decision")[-1].body["gate"] is True
    assert desk.used("money") == 0


@pytest.mark.parametrize(("stop", "code"), STOPS[:5])
def test_a_repeat_after_a_stop_is_not_told_the_old_allow(desk: Desk, stop, code):
    desk.decide("bank.pay", "a", amount=20)
    stop(desk)
    assert said(desk.decide("bank.pay", "a", amount=20)) == ("deny", [code])


def test_a_held_or_denied_action_has_no_start(desk: Desk):
    held = desk.decide("bank.pay", "a", amount=60)
    denied = desk.decide("note.write", "b", text="gossip")
    for verdict in (held, denied):
        assert codes(desk.begin(verdict.action)) == ["not_decided"]
    assert codes(desk.begin("act_" + "0" * 32)) == ["not_decided"]


def others(desk: Desk) -> dict[str, str]:
    """Sessions that are not the clerk's of this mission and workload."""
    return {
        "agent": desk.session("scout"),
        "mission": desk.session(mission=desk.start_mission()),
        "workload": desk.session(executor="porter"),
        "none": desk.session(executor=""),
        "unknown": "ses_1",
    }


@pytest.mark.parametrize("who", ["agent", "mission", "workload", "none", "unknown"])
def test_nobody_else_starts_renews_or_reports(desk: Desk, who):
    session = others(desk)[who]
    refusal = "no_session" if who == "unknown" else "not_decided"
    verdict = desk.decide("note.write", "a", text="x")
    assert codes(desk.begin(verdict.action, session)) == [refusal]
    started = desk.begin(verdict.action)
    assert desk.beat(started.attempt, session) == refusal
    for outcome in ("not_started", "ok", "error"):
        assert said(desk.observe(started.attempt, outcome, session)) == ("deny", [refusal])
    assert desk.attempt(started.attempt).state == "started"
    assert desk.beat(started.attempt) == ""


@pytest.mark.parametrize("who", ["agent", "mission", "unknown"])
def test_nobody_else_redeems_or_asks_after_a_hold(desk: Desk, who):
    session = others(desk)[who]
    held = desk.decide("bank.pay", "a", amount=60)
    desk.answer(held.approval, "cleo")
    assert desk.redeem(held.approval, session=session).effect == "deny"
    asked = calls.ApprovalOf(session=session, approval=held.approval)
    assert desk.refused(asked) in {"not_decided", "no_session"}
    assert desk.redeem(held.approval).attempt


def test_a_verdict_for_one_workload_is_judged_again_for_another(desk: Desk):
    text = """@id("porters-write-nothing")
    forbid (principal, action == Action::"note.write", resource)
    when { context has executor && context.executor == Workload::"porter" };"""
    desk.activate(changed(("policies/permits.dw", "", text)))
    porter = desk.session(executor="porter")
    desk.decide("note.write", "a", text="x")
    assert codes(desk.decide("note.write", "a", session=porter, start=True, text="x")) == [
        "forbidden"
    ]


def test_a_session_that_was_closed_is_worth_nothing(desk: Desk):
    session = desk.opened()
    verdict = desk.decide("note.write", "a", session=session, start=True, text="x")
    desk.done(calls.CloseSession(session=session))
    assert codes(desk.decide("note.write", "b", session=session, text="x")) == ["no_session"]
    assert codes(desk.observe(verdict.attempt, "ok", session)) == ["no_session"]
    assert desk.beat(verdict.attempt, session) == "no_session"
    assert desk.leaves("mission")[-1].body["what"] == "close_session"


def test_heartbeats_keep_a_start_alive(desk: Desk):
    verdict = desk.act("note.write", "a", text="x")
    for _ in range(5):
        desk.later(20 * SECOND)
        assert desk.beat(verdict.attempt) == ""
    assert desk.attempt(verdict.attempt).state == "started"
    desk.later(30 * SECOND)
    assert desk.attempt(verdict.attempt).state == "unknown"
    assert desk.beat(verdict.attempt) == "lease_lapsed"


def test_a_heartbeat_cannot_revive_a_lease_that_nobody_has_swept_yet(desk: Desk):
    verdict = desk.act("note.write", "a", text="x")
    desk.later(30 * SECOND, tick=False)
    assert desk.beat(verdict.attempt) == "lease_lapsed"
    desk.governor.tick()
    assert desk.attempt(verdict.attempt).state == "unknown"


def test_a_heartbeat_during_a_kill_tells_of_it_and_keeps_the_start_known(desk: Desk):
    verdict = desk.act("note.write", "a", text="x")
    desk.done(calls.Kill(scope="all", as_user="ana"))
    desk.later(20 * SECOND)
    assert desk.beat(verdict.attempt) == "killed"
    desk.later(20 * SECOND)
    assert desk.attempt(verdict.attempt).state == "started"


def test_recovery_touches_expired_leases_only(desk: Desk):
    short = desk.act("note.write", "a", text="x")
    long = desk.act("note.read", "b", id=7)  # one minute
    waiting = desk.decide("bank.pay", "c", amount=1)
    held = desk.decide("bank.pay", "d", amount=60)
    desk.later(30 * SECOND, tick=False)
    assert desk.governor.tick() == 2
    assert desk.attempt(short.attempt).state == "unknown"
    assert desk.attempt(long.attempt).state == "started"
    assert desk.action(waiting).state == "ended"
    assert desk.action(held).state == "held"
    assert desk.governor.tick() == 0
    why = [leaf.body["why"] for leaf in desk.leaves("outcome")]
    assert why == ["lease_lapsed", "never_started"]


def test_recovery_leaves_a_lease_with_a_millisecond_left(desk: Desk):
    running = desk.act("note.write", "a", text="x")
    waiting = desk.decide("bank.pay", "b", amount=20)
    desk.later(5 * SECOND - 1)
    assert desk.action(waiting).state == "decided"
    assert desk.begin(waiting.action).attempt
    desk.later(25 * SECOND)
    assert desk.attempt(running.attempt).state == "started"
    assert desk.observe(running.attempt).effect == "allow"
    assert not desk.attempt(running.attempt).late


def test_without_leases_a_start_counts_as_running_for_ever():
    desk = Desk(leases=False)
    verdict = desk.act("note.write", "a", text="x")
    desk.later(300 * MINUTE)
    assert codes(desk.act("note.write", "a", text="x")) == ["already_started"]
    assert desk.beat(verdict.attempt) == ""
    assert desk.observe(verdict.attempt).effect == "allow"


RELAXED = changed(("bridle.toml", 'version = "1"', 'version = "1"\ndurability = "relaxed"'))


def test_relaxed_durability_is_for_reading_tools_and_says_so(desk: Desk):
    relaxed = Desk(RELAXED)
    read = relaxed.decide("note.read", "a", id=7)
    write = relaxed.decide("note.write", "b", text="x")
    assert read.receipt is not None
    assert write.receipt is not None
    assert (read.receipt.durability, write.receipt.durability) == ("relaxed", "strict")
    assert [d.body["durability"] for d in relaxed.leaves("decision")] == ["relaxed", "strict"]
    assert relaxed.decide("note.read", "a", id=7).receipt == read.receipt
    assert relaxed.begin(read.action).receipt == read.receipt
    relaxed.verified()


def test_a_bundle_that_became_strict_is_never_recorded_the_relaxed_way():
    desk = Desk(RELAXED)
    desk.decide("note.read", "a", id=7)
    desk.activate(FILES)
    again = desk.decide("note.read", "b", id=7)
    assert again.receipt is not None
    assert again.receipt.durability == "strict"
    call = calls.Decide(session=desk.session(), tool="note.read", args='{"id":7}', key="c")
    with pytest.raises(standing.NotRelaxedError):
        desk.core.write(lambda turn: path.decide(turn, call), relaxed=True)
    begun = desk.begin(again.action)
    observed = calls.Observe(
        session=desk.session(), attempt=begun.attempt, outcome=Outcome(OutcomeKind.OK)
    )
    with pytest.raises(standing.NotRelaxedError):
        desk.core.write(lambda turn: outcomes.observe(turn, observed), relaxed=True)


def test_the_outcome_of_a_relaxed_start_is_relaxed_and_that_of_a_write_is_strict():
    desk = Desk(RELAXED)
    read = desk.observe(desk.act("note.read", "a", id=7).attempt)
    write = desk.observe(desk.act("note.write", "b", text="x").attempt)
    assert read.receipt is not None
    assert write.receipt is not None
    assert (read.receipt.durability, write.receipt.durability) == ("relaxed", "strict")
    assert [o.body["durability"] for o in desk.leaves("outcome")] == ["relaxed", "strict"]
    desk.verified()
