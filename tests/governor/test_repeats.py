"""The same step asked for again: one action, one set of arguments, at most one live start."""

import pytest

from bridle.model import calls
from bridle.model.outcome import Outcome, OutcomeKind
from governor.desk import HOUR, SECOND, Desk, changed, codes, judged, said


def test_an_action_keeps_its_id_over_repeats_and_no_other_step_has_it(desk: Desk):
    first = desk.decide("note.read", "a", id=7)
    assert desk.decide("note.read", "a", id=7).action == first.action
    assert desk.decide("note.read", "b", id=7).action != first.action
    scout = desk.session("scout")
    assert desk.decide("note.read", "a", session=scout, id=7).action != first.action
    elsewhere = desk.session(mission=desk.start_mission())
    assert desk.decide("note.read", "a", session=elsewhere, id=7).action != first.action
    call = calls.Decide(
        session=desk.session(), tool="note.read", args='{"id":7}', key="a", adapter="mcp"
    )
    assert judged(desk.ask(call)).action != first.action


def test_a_repeat_before_the_start_gets_the_same_verdict_and_counts_once(desk: Desk):
    first = desk.decide("bank.pay", "a", amount=20)
    again = desk.decide("bank.pay", "a", amount=20)
    assert (again.effect, again.args, again.receipt) == (first.effect, first.args, first.receipt)
    assert desk.used("money") == 20
    assert len(desk.leaves("decision")) == 1


def test_a_repeat_may_carry_the_requested_arguments_or_the_verdicts(desk: Desk):
    first = desk.decide("note.write", "a", text="a long note indeed")
    assert first.effect == "modify"
    for text in ("a long note indeed", "a long not"):
        again = desk.decide("note.write", "a", text=text)
        assert (again.action, again.effect) == (first.action, "modify")
        assert again.args == first.args


def test_arguments_in_another_spelling_are_the_same(desk: Desk):
    first = desk.decide("bank.pay", "a", '{"amount":20,"order":1}')
    assert desk.decide("bank.pay", "a", '{ "order": 1, "amount": 20.0 }').action == first.action
    assert desk.used("money") == 20


@pytest.mark.parametrize("state", ["decided", "started", "ok", "denied", "held", "ended"])
def test_other_arguments_under_the_same_id_are_refused_whatever_the_state(desk: Desk, state):
    args = {"held": {"amount": 60}}.get(state, {"amount": 20})
    tool = "note.write" if state == "denied" else "bank.pay"
    args = {"text": "gossip"} if state == "denied" else args
    verdict = desk.decide(tool, "a", start=state in {"started", "ok", "ended"}, **args)
    if state == "ok":
        desk.observe(verdict.attempt)
    if state == "ended":
        desk.observe(verdict.attempt, "not_started")
    before = desk.action(verdict)
    other = {"text": "fine"} if state == "denied" else {"amount": 21}
    assert said(desk.act(tool, "a", **other)) == ("deny", ["args_changed"])
    assert said(desk.act("note.read", "a", id=1)) == ("deny", ["args_changed"])
    assert desk.action(verdict) == before
    assert desk.leaves("decision")[-1].body["codes"] == ["args_changed"]


def test_arguments_that_could_not_be_read_are_the_same_in_the_same_words_only(desk: Desk):
    first = desk.decide("note.read", "a", '{"id":')
    again = desk.decide("note.read", "a", '{"id":')
    assert (again.action, codes(again)) == (first.action, ["malformed"])
    assert codes(desk.decide("note.read", "a", id=7)) == ["args_changed"]
    assert codes(desk.decide("note.read", "a", '{"id": ')) == ["args_changed"]


def test_a_tool_that_comes_to_be_known_serves_the_step_that_asked_for_it():
    from governor.desk import FILES

    files = changed(("systems.toml", '[tools."bell.ring"]', '[tools."bell.rung"]'),
                    ("missions.toml", '"bell.ring"]', '"bell.*"]'),
                    ("missions.toml", 'measure = { "bell.ring" = 1 }',
                     'measure = { "bell.rung" = 1 }'))  # fmt: skip
    desk = Desk(files)
    assert codes(desk.decide("bell.ring", "a", times=1)) == ["unknown_tool"]
    desk.activate(FILES)
    assert desk.decide("bell.ring", "a", times=1).effect == "allow"
    assert desk.decide("bell.ring", "a", '{"times":  1}').effect == "allow"
    assert codes(desk.decide("bell.ring", "a", times=2)) == ["args_changed"]


def test_what_ended_ok_never_runs_again_and_answers_its_stored_result(desk: Desk):
    first = desk.act("note.read", "a", id=7)
    desk.observe(first.attempt, '{"body":"hello"}')
    for start in (True, False):
        again = desk.decide("note.read", "a", start=start, id=7)
        assert (again.effect, again.attempt, again.args) == ("allow", "", "")
        assert again.outcome == Outcome(OutcomeKind.OK, output='{"body":"hello"}')
    assert codes(desk.begin(first.action)) == ["not_decided"]
    assert len(desk.leaves("started")) == 1


def test_the_stored_result_is_the_released_one(desk: Desk):
    first = desk.act("note.read", "a", id=7)
    release = desk.observe(first.attempt, '{"body":"hello","pin":"1234"}')
    assert (release.effect, release.output) == ("modify", '{"body":"hello"}')
    again = desk.act("note.read", "a", id=7)
    assert again.outcome is not None
    assert again.outcome.output == '{"body":"hello"}'


def test_a_result_that_was_withheld_stays_withheld_on_repeat(desk: Desk):
    first = desk.act("note.read", "a", id=7)
    assert said(desk.observe(first.attempt, '{"body":"burnt"}')) == ("deny", ["forbidden"])
    again = desk.act("note.read", "a", id=7)
    assert said(again) == ("deny", ["forbidden"])
    assert again.outcome is None


def test_ok_survives_a_bundle_that_forbids_it_now(desk: Desk):
    first = desk.act("note.read", "a", id=7)
    desk.observe(first.attempt, '{"body":"hello"}')
    text = '@id("closed") forbid (principal, action == Action::"note.read", resource);'
    desk.activate(changed(("policies/permits.dw", "", text)))
    assert desk.act("note.read", "a", id=7).outcome is not None
    assert codes(desk.act("note.read", "b", id=7)) == ["forbidden"]


@pytest.mark.parametrize("end", ["error", "unknown"])
def test_after_a_doubtful_end_a_human_is_asked_before_the_next_start(desk: Desk, end):
    first = desk.act("note.write", "a", text="x")
    desk.observe(first.attempt, Outcome(OutcomeKind(end), error="timeout"))
    again = desk.act("note.write", "a", text="x")
    assert said(again) == ("hold", ["needs_human"])
    hold = desk.hold(again.approval)
    assert [(c["kind"], c["id"]) for c in hold.causes] == [("attempt", first.attempt)]
    assert hold.groups == {"operators": 1}
    desk.answer(again.approval, "ana")
    second = desk.redeem(again.approval)
    assert second.attempt
    assert second.attempt != first.attempt


@pytest.mark.parametrize("end", ["error", "unknown"])
def test_an_idempotent_tool_is_simply_started_again(desk: Desk, end):
    first = desk.act("note.index", "a")
    desk.observe(first.attempt, end)
    again = desk.act("note.index", "a")
    assert (again.effect, bool(again.attempt)) == ("allow", True)
    assert again.attempt != first.attempt


def test_an_error_that_proves_no_effect_is_started_again_and_charged_once(desk: Desk):
    first = desk.act("bank.pay", "a", amount=20)
    desk.observe(first.attempt, Outcome(OutcomeKind.ERROR, error="no_such_order"))
    assert desk.used("money") == 0
    again = desk.act("bank.pay", "a", amount=20)
    assert again.attempt
    assert desk.used("money") == 20


def test_an_unknown_end_with_a_harmless_code_is_doubt_all_the_same(desk: Desk):
    first = desk.act("bank.pay", "a", amount=20)
    desk.observe(first.attempt, Outcome(OutcomeKind.UNKNOWN, error="no_such_order"))
    assert codes(desk.act("bank.pay", "a", amount=20)) == ["needs_human"]
    assert desk.used("money") == 20


def test_an_attempt_that_never_began_is_started_again(desk: Desk):
    first = desk.act("bank.pay", "a", amount=20)
    desk.observe(first.attempt, "not_started")
    assert desk.used("money") == 0
    assert desk.act("bank.pay", "a", amount=20).attempt


def test_doubt_about_an_earlier_attempt_outlives_one_that_never_began(desk: Desk):
    first = desk.act("note.write", "a", text="x")
    desk.observe(first.attempt, "unknown")
    held = desk.act("note.write", "a", text="x")
    desk.answer(held.approval, "ana")
    second = desk.redeem(held.approval)
    desk.observe(second.attempt, "not_started")
    third = desk.act("note.write", "a", text="x")
    assert said(third) == ("hold", ["needs_human"])
    assert third.approval != held.approval


def test_a_late_ok_of_a_replaced_attempt_is_doubt_for_the_next(desk: Desk):
    first = desk.act("note.write", "a", text="x")
    desk.later(31 * SECOND)
    held = desk.act("note.write", "a", text="x")
    desk.answer(held.approval, "ana")
    second = desk.redeem(held.approval)
    assert codes(desk.observe(first.attempt)) == ["already_started"]
    desk.observe(second.attempt, "not_started")
    third = desk.act("note.write", "a", text="x")
    assert said(third) == ("hold", ["needs_human"])
    assert [c["id"] for c in desk.hold(third.approval).causes] == [first.attempt]


def test_a_lease_that_lapsed_leaves_doubt(desk: Desk):
    first = desk.act("note.write", "a", text="x")
    desk.later(30 * SECOND)
    assert desk.attempt(first.attempt).state == "unknown"
    assert codes(desk.act("note.write", "a", text="x")) == ["needs_human"]


def test_a_repeat_meets_a_lapsed_lease_before_recovery_does(desk: Desk):
    first = desk.act("note.write", "a", text="x")
    desk.later(30 * SECOND, tick=False)
    assert codes(desk.act("note.write", "a", text="x")) == ["needs_human"]
    assert desk.attempt(first.attempt).state == "unknown"


def test_a_running_action_is_not_started_twice(desk: Desk):
    first = desk.act("note.index", "a")
    assert said(desk.act("note.index", "a")) == ("deny", ["already_started"])
    assert codes(desk.begin(first.action)) == ["already_started"]
    assert desk.attempt(first.attempt).state == "started"


def test_a_late_outcome_settles_an_unknown(desk: Desk):
    first = desk.act("note.read", "a", id=7)
    desk.later(61 * SECOND)
    assert desk.attempt(first.attempt).state == "unknown"
    release = desk.observe(first.attempt, '{"body":"hello","pin":"1"}')
    assert (release.effect, release.output) == ("modify", '{"body":"hello"}')
    assert desk.attempt(first.attempt).late
    assert desk.leaves("outcome")[-1].body["late"] is True
    assert desk.act("note.read", "a", id=7).outcome is not None


def test_a_late_outcome_settles_the_hold_that_its_doubt_had_opened(desk: Desk):
    first = desk.act("note.write", "a", text="x")
    desk.later(31 * SECOND)
    held = desk.act("note.write", "a", text="x")
    desk.observe(first.attempt, '"done"')
    assert desk.hold(held.approval).status == "void"
    assert desk.act("note.write", "a", text="x").outcome is not None
    assert desk.redeem(held.approval).outcome is not None
    assert len(desk.leaves("started")) == 1


def test_a_late_not_started_frees_the_action_without_a_human(desk: Desk):
    first = desk.act("bank.pay", "a", amount=20)
    desk.later(31 * SECOND)
    held = desk.act("bank.pay", "a", amount=20)
    desk.observe(first.attempt, "not_started")
    assert desk.hold(held.approval).status == "void"
    assert desk.used("money") == 0
    assert desk.act("bank.pay", "a", amount=20).attempt
    assert desk.used("money") == 20


def test_after_a_newer_attempt_an_outcome_is_only_recorded(desk: Desk):
    first = desk.act("note.index", "a")
    desk.later(31 * SECOND)
    second = desk.act("note.index", "a")
    before = desk.action(second)
    release = desk.observe(first.attempt, '"late"')
    assert said(release) == ("deny", ["already_started"])
    assert desk.action(second) == before
    assert desk.leaves("outcome")[-1].ids["attempt"] == first.attempt
    desk.observe(second.attempt, '"right"')
    assert desk.act("note.index", "a").outcome.output == '"right"'


def test_the_same_outcome_twice_gets_the_same_answer_and_one_record(desk: Desk):
    first = desk.act("note.read", "a", id=7)
    answers = [desk.observe(first.attempt, '{"body":"b","pin":"1"}') for _ in range(2)]
    assert answers[0].output == answers[1].output == '{"body":"b"}'
    assert len(desk.leaves("outcome")) == 1


def test_another_result_for_the_same_attempt_is_not_released_unjudged(desk: Desk):
    first = desk.act("note.read", "a", id=7)
    assert desk.observe(first.attempt, '{"body":"b"}').effect == "allow"
    release = desk.observe(first.attempt, '{"body":"b","pin":"1234"}')
    assert said(release) == ("deny", ["needs_human"])
    assert release.output == ""


@pytest.mark.parametrize("first", ["not_started", "error"])
def test_a_result_after_a_contrary_report_is_withheld_and_leaves_doubt(desk: Desk, first):
    verdict = desk.act("bank.pay", "a", amount=20)
    kind = OutcomeKind(first)
    code = "no_such_order" if first == "error" else ""
    desk.observe(verdict.attempt, Outcome(kind, error=code))
    assert said(desk.observe(verdict.attempt, '"paid"')) == ("deny", ["needs_human"])
    assert desk.leaves("outcome")[-1].body["contradicts"] == first
    assert said(desk.act("bank.pay", "a", amount=20)) == ("hold", ["needs_human"])


def test_a_contrary_report_beats_a_verdict_that_waits_for_its_start(desk: Desk):
    verdict = desk.act("note.write", "a", text="x")
    desk.observe(verdict.attempt, "not_started")
    again = desk.decide("note.write", "a", text="x")
    assert again.effect == "allow"
    desk.observe(verdict.attempt, '"written"')
    assert codes(desk.begin(again.action)) == ["not_decided"]
    assert codes(desk.act("note.write", "a", text="x")) == ["needs_human"]


def test_a_result_that_was_ok_cannot_be_unsaid(desk: Desk):
    verdict = desk.act("note.write", "a", text="x")
    desk.observe(verdict.attempt, '"written"')
    assert said(desk.observe(verdict.attempt, "not_started")) == ("deny", ["needs_human"])
    assert desk.action(verdict).state == "ok"
    assert desk.act("note.write", "a", text="x").outcome is not None


def test_a_denial_stands_until_something_has_changed(desk: Desk):
    first = desk.decide("note.write", "a", text="gossip")
    again = desk.decide("note.write", "a", text="gossip")
    assert again.receipt == first.receipt
    desk.activate(changed(("policies/limits.dw", '"gossip"', '"slander"')))
    assert desk.decide("note.write", "a", text="gossip").effect == "allow"


def test_a_denial_that_was_about_the_moment_is_judged_again(desk: Desk):
    desk.done(calls.Kill(scope="tool", subject="note.write", as_user="ana"))
    assert codes(desk.decide("note.write", "a", text="x")) == ["killed"]
    desk.done(calls.Unkill(scope="tool", subject="note.write", as_user="ben"))
    assert desk.act("note.write", "a", text="x").attempt


@pytest.mark.parametrize("change", ["bundle", "kill", "suspension", "denial"])
def test_no_detour_starts_what_is_in_doubt_without_a_human(desk: Desk, change):
    first = desk.act("bank.pay", "a", amount=20)
    desk.observe(first.attempt, "unknown")
    if change == "bundle":
        desk.activate(changed(("bridle.toml", 'version = "1"', 'version = "2"')))
    if change == "kill":
        desk.done(calls.Kill(scope="all", as_user="ana"))
        assert codes(desk.act("bank.pay", "a", amount=20)) == ["killed"]
        desk.done(calls.Unkill(scope="all", as_user="ben"))
    if change == "suspension":
        desk.done(calls.MissionVerb(mission=desk.mission, verb="suspend"))
        assert codes(desk.act("bank.pay", "a", amount=20)) == ["mission_not_active"]
        desk.done(calls.MissionVerb(mission=desk.mission, verb="resume"))
    if change == "denial":
        shut = '@id("shut") forbid (principal, action == Action::"bank.pay", resource);'
        desk.activate(changed(("policies/permits.dw", "", shut)))
        assert codes(desk.act("bank.pay", "a", amount=20)) == ["forbidden"]
        desk.activate(changed())
    assert said(desk.act("bank.pay", "a", amount=20)) == ("hold", ["needs_human"])


def test_an_approval_that_does_not_name_the_attempt_does_not_lift_its_doubt(desk: Desk):
    held = desk.act("bank.pay", "a", amount=60)
    desk.answer(held.approval, "cleo")
    started = desk.redeem(held.approval)
    desk.observe(started.attempt, "unknown")
    again = desk.act("bank.pay", "a", amount=60)
    assert again.effect == "hold"
    assert codes(again) == ["held", "needs_human"]
    assert desk.hold(again.approval).groups == {"leads": 1, "operators": 1}
    desk.answer(again.approval, "cleo")
    assert desk.redeem(again.approval).effect == "hold"
    desk.answer(again.approval, "ana")
    assert desk.redeem(again.approval).attempt


def test_an_approval_from_before_the_doubt_does_not_lift_it(desk: Desk):
    desk.activate(changed(("policies/limits.dw", 'decimal("50.0")', 'decimal("500.0")')))
    first = desk.act("bank.pay", "a", amount=60)
    desk.observe(first.attempt, "not_started")
    desk.activate(changed())
    held = desk.act("bank.pay", "a", amount=60)
    assert codes(held) == ["held"]
    desk.answer(held.approval, "cleo")
    desk.observe(first.attempt, '"paid after all"')
    again = desk.redeem(held.approval)
    assert again.attempt == ""
    assert codes(again) == ["needs_human"]
    assert desk.hold(again.approval).groups == {"leads": 1, "operators": 1}


def test_a_tool_that_stops_being_idempotent_brings_its_doubts_along(desk: Desk):
    first = desk.act("note.index", "a")
    desk.observe(first.attempt, "error")
    old = '[tools."note.index"]\nsystem = "notes"\neffect = "write"\nidempotent = true'
    desk.activate(changed(("systems.toml", old, old.replace("true", "false"))))
    assert codes(desk.act("note.index", "a")) == ["needs_human"]


@pytest.mark.parametrize("outcome", ["ok", "error", "not_started"])
def test_a_human_can_say_how_an_unknown_attempt_ended(desk: Desk, outcome):
    first = desk.act("bank.pay", "a", amount=20)
    desk.later(31 * SECOND)
    held = desk.act("bank.pay", "a", amount=20)
    settle = calls.Settle(
        attempt=first.attempt, outcome=Outcome(OutcomeKind(outcome)), as_user="ben"
    )
    desk.done(settle)
    assert desk.refused(settle) == "attempt_state"
    again = desk.act("bank.pay", "a", amount=20)
    if outcome == "ok":
        assert said(again) == ("deny", ["result_opaque"])
        assert desk.hold(held.approval).status == "void"
        assert said(desk.observe(first.attempt, "ok")) == ("deny", ["result_opaque"])
    if outcome == "error":
        assert said(again) == ("hold", ["needs_human"])
        assert desk.used("money") == 20
    if outcome == "not_started":
        assert again.attempt
        assert desk.used("money") == 20
    leaf = next(each for each in desk.leaves("outcome") if each.body.get("by_human"))
    assert (leaf.ids["by"], leaf.body["kind"]) == ("ben", outcome)


def test_nobody_settles_an_attempt_as_unknown_or_one_that_runs(desk: Desk):
    first = desk.act("note.write", "a", text="x")
    running = calls.Settle(attempt=first.attempt, outcome=Outcome(OutcomeKind.OK), as_user="ana")
    assert desk.refused(running) == "attempt_state"
    desk.later(HOUR)
    unsure = calls.Settle(
        attempt=first.attempt, outcome=Outcome(OutcomeKind.UNKNOWN), as_user="ana"
    )
    assert desk.refused(unsure) == "usage"
    nothing = calls.Settle(attempt="att_0", outcome=Outcome(OutcomeKind.OK), as_user="ana")
    assert desk.refused(nothing) == "not_found"
