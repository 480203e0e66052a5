"""Results: released, rewritten, withheld or held, and approved results."""

import pytest

from bridle.model import calls
from bridle.model.outcome import Outcome, OutcomeKind
from governor.desk import HOUR, Desk, changed, codes, said


def read(desk: Desk, key: str = "a") -> str:
    return desk.act("note.read", key, id=7).attempt


def test_a_result_without_objection_passes_as_judged_and_needs_no_record_of_its_own(desk: Desk):
    attempt = read(desk)
    release = desk.observe(attempt, '{"body":"hello"}')
    assert (release.effect, release.output) == ("allow", '{"body":"hello"}')
    assert desk.observe(attempt, '{"body":"hello"}').output == release.output
    assert release.receipt is not None
    leaf = desk.leaves()[release.receipt.index]
    assert (leaf.kind, leaf.body["kind"]) == ("outcome", "ok")
    assert desk.leaves("release") == []


def test_a_rewritten_result_is_recorded_with_the_policy_that_asked_for_it(desk: Desk):
    release = desk.observe(read(desk), '{"body":"hello","pin":"1234"}')
    assert (release.effect, release.output) == ("modify", '{"body":"hello"}')
    leaf = desk.leaves("release")[-1]
    assert (leaf.body["effect"], leaf.body["policies"]) == ("modify", ["no-pins"])
    assert leaf.commit["released"]


@pytest.mark.parametrize(
    ("outcome", "code"),
    [
        ('{"body":"burnt"}', "forbidden"),
        ('{"body":7}', "schema_mismatch"),
        ("not json", "malformed"),
        (Outcome(OutcomeKind.OK, opaque=True), "result_opaque"),
        (Outcome(OutcomeKind.OK, output='{"body":"' + "x" * 2000 + '"}'), "limit_exceeded"),
        (Outcome(OutcomeKind.OK, output='{"body":"\ud800"}'), "result_opaque"),
    ],
)
def test_what_may_not_reach_the_agent_is_withheld_on_record(desk: Desk, outcome, code):
    release = desk.observe(read(desk), outcome)
    assert said(release) == ("deny", [code])
    assert release.output == ""
    leaf = desk.leaves("release")[-1]
    assert (leaf.body["effect"], leaf.body["codes"]) == ("deny", [code])
    assert codes(desk.act("note.read", "a", id=7)) == [code]


def test_a_result_that_json_cannot_carry_passes_where_no_policy_looks_at_results(desk: Desk):
    verdict = desk.act("note.write", "a", text="x")
    release = desk.observe(verdict.attempt, Outcome(OutcomeKind.OK, opaque=True))
    assert (release.effect, release.output) == ("allow", "")
    again = desk.act("note.write", "a", text="x")
    assert again.outcome == Outcome(OutcomeKind.OK, opaque=True)


def test_an_error_has_nothing_to_release_and_its_prose_is_sealed(desk: Desk):
    outcome = Outcome(OutcomeKind.ERROR, error="could not find Dora Smith", message="Dora Smith")
    release = desk.observe(read(desk), outcome)
    assert said(release) == ("allow", [])
    leaf = desk.leaves("outcome")[-1]
    assert leaf.body["error"] == "?"
    assert desk.opened_leaf(release.receipt.index)["error"] == "could not find Dora Smith"
    assert desk.opened_leaf(release.receipt.index)["message"] == "Dora Smith"


def held(desk: Desk, key: str = "a") -> tuple[str, str]:
    """The attempt and the approval of a held result."""
    attempt = read(desk, key)
    release = desk.observe(attempt, '{"body":"sealed","pin":"1"}')
    assert said(release)[0] == "hold"
    assert release.output == ""
    return attempt, release.approval


def test_a_held_result_is_withheld_until_a_human_has_approved(desk: Desk):
    attempt, approval = held(desk)
    again = desk.act("note.read", "a", id=7)
    assert (again.effect, again.approval, again.outcome) == ("hold", approval, None)
    assert desk.redeem_result(approval).effect == "hold"
    [shown] = desk.rows(calls.Approvals(approval=approval))
    assert shown["subject"] == "result"
    assert shown["output"] == '{"body":"sealed","pin":"1"}'
    assert desk.observe(attempt, '{"body":"sealed","pin":"1"}').approval == approval


def test_an_approved_result_is_released_as_policies_want_it_now(desk: Desk):
    _, approval = held(desk)
    desk.answer(approval, "cleo")
    release = desk.redeem_result(approval)
    assert (release.effect, release.output) == ("modify", '{"body":"sealed"}')
    leaf = desk.leaves("release")[-1]
    assert leaf.ids["approval"] == approval
    assert desk.act("note.read", "a", id=7).outcome.output == '{"body":"sealed"}'
    assert codes(desk.redeem_result(approval)) == ["approval_void"]


def test_an_approved_result_that_nothing_rewrites_is_sent_whole(desk: Desk):
    release = desk.observe(read(desk), '{"body":"sealed"}')
    desk.answer(release.approval)
    released = desk.redeem_result(release.approval)
    assert (released.effect, released.output) == ("allow", '{"body":"sealed"}')


@pytest.mark.parametrize("end", ["denied", "expired"])
def test_a_result_that_no_human_released_stays_withheld_for_good(desk: Desk, end):
    attempt, approval = held(desk)
    if end == "denied":
        desk.answer(approval, yes=False)
    else:
        desk.later(2 * HOUR)
    assert codes(desk.redeem_result(approval)) == [f"approval_{end}"]
    assert said(desk.act("note.read", "a", id=7)) == ("deny", [f"approval_{end}"])
    repeated = desk.observe(attempt, '{"body":"sealed","pin":"1"}')
    assert said(repeated) == ("deny", [f"approval_{end}"])
    desk.activate(changed(("policies/results.dw", '"sealed"', '"other"')))
    assert said(desk.act("note.read", "a", id=7)) == ("deny", [f"approval_{end}"])


def test_a_changed_policy_voids_the_approval_of_a_result_and_judges_anew(desk: Desk):
    _, approval = held(desk)
    desk.answer(approval)
    desk.activate(changed(("policies/results.dw", "a lead opens", "only a lead opens")))
    release = desk.redeem_result(approval)
    assert release.effect == "hold"
    assert release.approval != approval
    assert desk.hold(approval).status == "void"
    desk.answer(release.approval)
    assert desk.redeem_result(release.approval).output == '{"body":"sealed"}'


def test_a_void_approval_lifts_none_of_its_causes(desk: Desk):
    more = """@id("sevens") @hold("board")
    forbid (principal, action == Action::"note.read:result", resource)
    when { context.input.id == 7 };"""
    both = ("policies/results.dw", "", more)
    desk.activate(changed(both))
    _, approval = held(desk)
    desk.answer(approval, "ben")
    desk.answer(approval, "cleo")
    assert desk.answer(approval, "dora") == "approved"
    desk.activate(changed(both, ("policies/results.dw", "a lead opens", "only a lead opens")))
    release = desk.redeem_result(approval)
    assert release.effect == "hold"
    asked = [cause["id"] for cause in desk.hold(release.approval).causes]
    assert sorted(asked) == ["sealed-notes", "sevens"]


def test_a_late_result_is_judged_by_the_arguments_it_ran_with(desk: Desk):
    attempt = read(desk)
    desk.later(61_000)
    desk.done(calls.Kill(scope="all", as_user="ana"))
    assert codes(desk.act("note.read", "a", id=7)) == ["killed"]
    release = desk.observe(attempt, '{"body":"b","pin":"1"}')
    assert (release.effect, release.output) == ("modify", '{"body":"b"}')


def test_a_second_objection_to_a_result_asks_for_both(desk: Desk):
    _, approval = held(desk)
    desk.answer(approval)
    more = """@id("sevens") @hold("board")
    forbid (principal, action == Action::"note.read:result", resource)
    when { context.input.id == 7 };"""
    desk.activate(changed(("policies/results.dw", "", more)))
    release = desk.redeem_result(approval)
    assert release.effect == "hold"
    assert {c["id"] for c in desk.hold(release.approval).causes} == {"sealed-notes", "sevens"}
    desk.answer(release.approval, "ben")
    desk.answer(release.approval, "cleo")
    desk.answer(release.approval, "dora")
    assert desk.redeem_result(release.approval).effect == "modify"


def test_no_result_leaves_for_an_agent_that_was_stopped(desk: Desk):
    _, approval = held(desk)
    desk.answer(approval)
    desk.done(calls.Kill(scope="agent", subject="clerk", as_user="ana"))
    assert said(desk.redeem_result(approval)) == ("deny", ["killed"])
    desk.done(calls.Unkill(scope="agent", subject="clerk", as_user="ben"))
    assert desk.redeem_result(approval).effect == "modify"


def test_a_tool_that_is_no_longer_known_releases_nothing(desk: Desk):
    verdict = desk.act("bell.ring", "a", times=1)
    files = changed(("systems.toml", '[tools."bell.ring"]', '[tools."bell.rung"]'),
                    ("missions.toml", '"bell.ring"]', '"bell.*"]'),
                    ("missions.toml", 'measure = { "bell.ring" = 1 }',
                     'measure = { "bell.rung" = 1 }'))  # fmt: skip
    desk.activate(files)
    assert said(desk.observe(verdict.attempt, '"rung"')) == ("deny", ["unknown_tool"])
    assert desk.attempt(verdict.attempt).state == "ok"
    assert desk.beat(verdict.attempt) == "lease_lapsed"


@pytest.mark.parametrize("kind", [OutcomeKind.ERROR, OutcomeKind.NOT_STARTED, OutcomeKind.UNKNOWN])
def test_what_a_failed_effect_says_is_judged_like_a_result_and_not_stored(desk: Desk, kind):
    attempt = read(desk)
    told = Outcome(kind, output='{"body":"hello","pin":"1234"}', error="broken")
    for _ in range(2):
        release = desk.observe(attempt, told)
        assert (release.effect, release.output) == ("modify", '{"body":"hello"}')
    leaf = desk.leaves("release")[-1]
    assert (leaf.body["effect"], leaf.body["policies"]) == ("modify", ["no-pins"])
    assert desk.attempt(attempt).state == kind


@pytest.mark.parametrize(
    ("output", "codes_of"), [('{"body":"burnt"}', "forbidden"), ('{"body":7}', "schema_mismatch")]
)
def test_what_a_failed_effect_may_not_say_is_withheld(desk: Desk, output, codes_of):
    told = Outcome(OutcomeKind.ERROR, output=output, error="broken")
    release = desk.observe(read(desk), told)
    assert said(release) == ("deny", [codes_of])
    assert release.output == ""


def test_a_failure_without_a_word_needs_no_judgement(desk: Desk):
    release = desk.observe(read(desk), Outcome(OutcomeKind.ERROR, error="broken", message="burnt"))
    assert (release.effect, release.output) == ("allow", "")
    assert desk.leaves("release") == []
