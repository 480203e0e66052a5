"""Holds: who may answer, what an approval lifts and for how long, and what voids it."""

import threading

import pytest

from bridle.model import calls
from bridle.model.calls import Caller
from governor.desk import HOUR, Desk, changed, codes, said


def causes(desk: Desk, approval: str) -> list[tuple[str, str, int]]:
    return [(c["kind"], c["id"], c["amount"]) for c in desk.hold(approval).causes]


def test_a_hold_names_its_causes_groups_and_expiry(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    assert said(verdict) == ("hold", ["held"])
    hold = desk.hold(verdict.approval)
    assert causes(desk, hold.id) == [("forbid", "big-pay", 0)]
    assert hold.groups == {"leads": 1}
    assert (hold.agent, hold.tool, hold.mission) == ("clerk", "bank.pay", desk.mission)
    assert hold.expires == desk.clock.now() + 2 * HOUR
    leaf = desk.leaves("decision")[-1]
    assert leaf.ids["approval"] == hold.id


def test_a_hold_reserves_nothing_and_its_release_does(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    assert desk.used("money") == 0
    assert desk.used("calls") == 0
    desk.answer(verdict.approval)
    assert desk.used("money") == 0
    desk.redeem(verdict.approval)
    assert desk.used("money") == 60


def test_humans_are_shown_what_would_run_and_what_was_asked(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60, order=7)
    [row] = desk.rows(calls.Approvals(approval=verdict.approval))
    assert row["args"] == row["requested"] == '{"amount":60,"order":7}'
    assert row["reasons"][0]["text"] == "more than 50 needs a lead"
    assert "sealed" not in row
    assert "bind" not in row
    assert [r["id"] for r in desk.rows(calls.Approvals())] == [verdict.approval]


def test_an_approval_by_a_member_starts_the_action_once(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    assert desk.redeem(verdict.approval).effect == "hold"
    assert desk.answer(verdict.approval, "cleo") == "approved"
    started = desk.redeem(verdict.approval)
    assert (started.action, started.effect) == (verdict.action, "allow")
    assert started.attempt
    assert codes(desk.redeem(verdict.approval)) == ["approval_void"]
    desk.observe(started.attempt)
    leaf = desk.leaves("approval")[-1]
    assert (leaf.ids["user"], leaf.ids["approval"]) == ("cleo", verdict.approval)
    assert leaf.chain == desk.mission
    assert leaf.body["causes"][0]["id"] == "big-pay"


def test_asking_again_after_the_approval_is_a_way_to_redeem_it(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    desk.answer(verdict.approval)
    assert desk.act("bank.pay", "a", amount=60).attempt


def test_an_approval_may_be_redeemed_without_starting(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    desk.answer(verdict.approval)
    allowed = desk.redeem(verdict.approval, start=False)
    assert (allowed.effect, allowed.attempt) == ("allow", "")
    assert desk.begin(verdict.action).attempt


@pytest.mark.parametrize("user", ["ana", "dora", "mallory"])
def test_who_is_no_member_of_a_group_cannot_answer(desk: Desk, user):
    verdict = desk.decide("bank.pay", "a", amount=60)
    for yes in (True, False):
        vote = calls.Answer(approval=verdict.approval, approve=yes, as_user=user)
        assert desk.refused(vote) in {"not_an_approver", "unknown_user"}
    assert desk.hold(verdict.approval).votes == []


def test_an_agent_connection_approves_nothing(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    vote = calls.Answer(approval=verdict.approval, approve=True, as_user="ben")
    agent = Caller(operator=False, method="peer:1001", uid=1001)
    assert desk.refused(vote, agent) == "operator_only"


def test_n_of_m_counts_distinct_humans(desk: Desk):
    verdict = desk.decide("safe.open", "a", id=1)
    assert desk.hold(verdict.approval).groups == {"board": 2}
    assert desk.answer(verdict.approval, "ben") == "pending"
    assert desk.answer(verdict.approval, "ben") == "pending"
    assert desk.redeem(verdict.approval).effect == "hold"
    assert desk.answer(verdict.approval, "dora") == "approved"
    assert desk.redeem(verdict.approval).attempt


def test_a_suspended_human_neither_answers_nor_counts(desk: Desk):
    verdict = desk.decide("safe.open", "a", id=1)
    desk.answer(verdict.approval, "cleo")
    desk.done(calls.IdentityVerb(kind="user", id="cleo", verb="suspend", as_user="ana"))
    vote = calls.Answer(approval=verdict.approval, approve=True, as_user="cleo")
    assert desk.refused(vote) == "suspended"
    assert desk.answer(verdict.approval, "dora") == "pending"
    assert desk.answer(verdict.approval, "ben") == "approved"


def test_one_denial_settles_a_hold_for_good(desk: Desk):
    verdict = desk.decide("safe.open", "a", id=1)
    desk.answer(verdict.approval, "ben")
    assert desk.answer(verdict.approval, "cleo", yes=False) == "denied"
    vote = calls.Answer(approval=verdict.approval, approve=True, as_user="dora")
    assert desk.refused(vote) == "hold_settled"
    assert codes(desk.redeem(verdict.approval)) == ["approval_denied"]
    assert codes(desk.act("safe.open", "a", id=1)) == ["approval_denied"]


def test_an_expired_hold_is_a_denial(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    desk.later(2 * HOUR)
    assert desk.hold(verdict.approval).status == "expired"
    vote = calls.Answer(approval=verdict.approval, approve=True, as_user="ben")
    assert desk.refused(vote) == "hold_settled"
    assert codes(desk.redeem(verdict.approval)) == ["approval_expired"]
    assert codes(desk.act("bank.pay", "a", amount=60)) == ["approval_expired"]
    assert desk.leaves("approval")[-1].body["status"] == "expired"


def test_an_expired_hold_is_a_denial_before_anyone_has_swept_it(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    desk.later(2 * HOUR, tick=False)
    vote = calls.Answer(approval=verdict.approval, approve=True, as_user="ben")
    assert desk.refused(vote) == "hold_settled"
    assert desk.rows(calls.ApprovalOf(session=desk.session(), approval=verdict.approval))[0][
        "status"
    ] == "expired"  # fmt: skip
    assert codes(desk.act("bank.pay", "a", amount=60)) == ["approval_expired"]
    # Nor does an identical call attach to it.
    fresh = desk.decide("bank.pay", "b", amount=60)
    assert fresh.effect == "hold"
    assert fresh.approval != verdict.approval


def test_an_approval_that_nobody_redeems_in_time_lapses(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    desk.answer(verdict.approval)
    desk.later(2 * HOUR)
    assert codes(desk.redeem(verdict.approval)) == ["approval_expired"]
    assert codes(desk.act("bank.pay", "a", amount=60)) == ["approval_expired"]


def test_one_changed_argument_is_another_request(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    desk.answer(verdict.approval)
    other = desk.act("bank.pay", "b", amount=61)
    assert other.effect == "hold"
    assert other.approval != verdict.approval
    assert codes(desk.act("bank.pay", "a", amount=61)) == ["args_changed"]
    assert desk.leaves("started") == []


@pytest.mark.parametrize(
    "edit",
    [
        ("policies/limits.dw", "needs a lead", "wants a lead"),
        ("policies/limits.dw", 'decimal("50.0")', 'decimal("49.0")'),
    ],
)
def test_a_changed_text_of_a_listed_policy_voids_an_approval(desk: Desk, edit):
    verdict = desk.decide("bank.pay", "a", amount=60)
    desk.answer(verdict.approval)
    desk.activate(changed(edit))
    assert said(desk.redeem(verdict.approval)) == ("deny", ["approval_void"])
    assert desk.hold(verdict.approval).status == "void"
    again = desk.act("bank.pay", "a", amount=60)
    assert again.effect == "hold"
    assert again.approval != verdict.approval


def test_an_unrelated_bundle_change_does_not_void_an_approval(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    desk.answer(verdict.approval)
    desk.activate(changed(("policies/limits.dw", "no gossip", "no rumours")))
    assert desk.redeem(verdict.approval).attempt


def test_what_another_bundle_makes_of_the_arguments_is_not_what_was_approved(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    desk.answer(verdict.approval)
    clamp = """@id("less") @modify("clamp input.amount 0..55")
    forbid (principal, action == Action::"bank.pay", resource)
    when { context.input.amount.greaterThan(decimal("55.0")) };"""
    desk.activate(changed(("policies/permits.dw", "", clamp)))
    assert said(desk.redeem(verdict.approval)) == ("deny", ["approval_void"])
    assert desk.leaves("started") == []


def test_an_identical_call_attaches_to_the_pending_hold(desk: Desk):
    first = desk.decide("bank.pay", "a", amount=60)
    second = desk.decide("bank.pay", "b", amount=60)
    assert second.action != first.action
    assert second.approval == first.approval
    scout = desk.decide("bank.pay", "a", session=desk.session("scout"), amount=60)
    assert scout.approval != first.approval


def test_an_approval_starts_one_of_the_calls_that_share_it(desk: Desk):
    desk.activate(changed(("missions.toml", "limit = 100\n", "limit = 500\n")))
    first = desk.decide("bank.pay", "a", amount=60)
    second = desk.decide("bank.pay", "b", amount=60)
    desk.answer(first.approval)
    started = desk.act("bank.pay", "b", amount=60)
    assert (started.action, bool(started.attempt)) == (second.action, True)
    other = desk.act("bank.pay", "a", amount=60)
    assert other.effect == "hold"
    assert other.approval != first.approval


def test_redeeming_names_which_of_the_sharing_calls_is_meant(desk: Desk):
    first = desk.decide("bank.pay", "a", amount=60)
    second = desk.decide("bank.pay", "b", amount=60)
    third = desk.decide("bank.pay", "c", amount=70)
    desk.answer(first.approval)
    assert codes(desk.redeem(first.approval, action=third.action)) == ["not_decided"]
    assert codes(desk.redeem(first.approval, action="act_0")) == ["not_decided"]
    started = desk.redeem(first.approval, action=second.action)
    assert (started.action, bool(started.attempt)) == (second.action, True)
    assert codes(desk.redeem(first.approval)) == ["approval_void"]


@pytest.mark.parametrize("end", ["denied", "expired"])
def test_a_refusal_reaches_every_call_that_shares_the_hold(desk: Desk, end):
    first = desk.decide("bank.pay", "a", amount=60)
    desk.decide("bank.pay", "b", amount=60)
    if end == "denied":
        desk.answer(first.approval, yes=False)
    else:
        desk.later(2 * HOUR)
    for key in ("b", "a"):
        assert codes(desk.act("bank.pay", key, amount=60)) == [f"approval_{end}"]
        assert desk.decide("bank.pay", key, amount=60).effect == "deny"


def test_a_group_that_came_to_need_more_humans_is_asked_anew(desk: Desk):
    first = desk.decide("safe.open", "a", id=1)
    desk.activate(changed(("agents.toml", "need = 2", "need = 3")))
    second = desk.decide("safe.open", "b", id=1)
    assert second.approval != first.approval
    assert desk.hold(second.approval).groups == {"board": 3}


def test_pending_holds_are_capped_per_agent_and_mission(desk: Desk):
    held = [desk.decide("bank.pay", f"k{n}", amount=60 + n) for n in range(3)]
    assert said(desk.decide("bank.pay", "more", amount=70)) == ("deny", ["limit_exceeded"])
    assert desk.decide("bank.pay", "same", amount=60).approval == held[0].approval
    assert desk.decide("bank.pay", "k", session=desk.session("scout"), amount=70).effect == "hold"
    elsewhere = desk.session(mission=desk.start_mission())
    assert desk.decide("bank.pay", "k", session=elsewhere, amount=70).effect == "hold"
    desk.answer(held[0].approval, yes=False)
    assert desk.decide("bank.pay", "more", amount=70).effect == "hold"


def test_a_kill_beats_an_approval_that_was_not_redeemed(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    desk.answer(verdict.approval)
    desk.done(calls.Kill(scope="tool", subject="bank.pay", as_user="ana"))
    assert said(desk.redeem(verdict.approval)) == ("deny", ["killed"])
    assert said(desk.act("bank.pay", "a", amount=60)) == ("deny", ["killed"])
    assert desk.leaves("started") == []
    assert desk.leaves("decision")[-1].body["codes"] == ["killed"]


def test_an_approval_outlives_a_kill_that_was_lifted_and_is_still_single_use(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    desk.answer(verdict.approval)
    desk.done(calls.Kill(scope="all", as_user="ana"))
    desk.redeem(verdict.approval)
    desk.done(calls.Unkill(scope="all", as_user="ben"))
    assert desk.redeem(verdict.approval).attempt
    assert codes(desk.redeem(verdict.approval)) == ["approval_void"]


def test_an_objection_that_came_up_since_denies_although_approved(desk: Desk):
    files = changed(("bridle.toml", 'hold_expiry = "2h"', 'hold_expiry = "6h"'))
    late = Desk(files)
    verdict = late.decide("bank.pay", "a", amount=60)
    late.answer(verdict.approval)
    late.later(3 * HOUR)
    assert said(late.redeem(verdict.approval)) == ("deny", ["forbidden"])
    assert late.leaves("started") == []
    late.verified()


def test_a_second_hold_asks_for_what_was_approved_once_more(desk: Desk):
    first = desk.decide("bank.pay", "a", amount=60)
    desk.answer(first.approval)
    desk.later(HOUR)
    second = desk.redeem(first.approval)
    assert second.effect == "hold"
    assert second.approval != first.approval
    assert {c[1] for c in causes(desk, second.approval)} == {"big-pay", "late-pay"}
    assert desk.hold(second.approval).groups == {"leads": 1, "board": 2}
    shown = {r["policy"] for r in desk.hold(second.approval).reasons}
    assert shown == {"big-pay", "late-pay"}
    assert desk.answer(second.approval, "ben") == "pending"
    # Ben takes a seat of the leads or of the board, not both.
    assert desk.answer(second.approval, "dora") == "pending"
    assert desk.answer(second.approval, "cleo") == "approved"
    assert desk.redeem(second.approval).attempt
    assert codes(desk.redeem(first.approval)) == ["approval_void"]


def test_approval_of_a_budget_overdraws_it_by_exactly_what_was_shown(desk: Desk):
    desk.act("bank.tip", "a", amount=8)
    held = desk.decide("bank.tip", "b", amount=5)
    assert said(held) == ("hold", ["held"])
    assert causes(desk, held.approval) == [("budget", "tips", 30_000)]
    assert desk.hold(held.approval).groups == {"leads": 1}
    desk.answer(held.approval)
    assert desk.redeem(held.approval).attempt
    assert desk.used("tips") == 13
    assert desk.decide("bank.tip", "c", amount=1).effect == "hold"


def test_a_budget_that_shrank_since_the_approval_is_asked_for_anew(desk: Desk):
    held = desk.decide("bank.tip", "b", amount=15)
    desk.answer(held.approval)
    desk.act("bank.tip", "a", amount=8)
    again = desk.redeem(held.approval)
    assert again.effect == "hold"
    assert causes(desk, again.approval) == [("budget", "tips", 130_000)]
    desk.answer(again.approval)
    assert desk.redeem(again.approval).attempt
    assert desk.used("tips") == 23


def test_an_approval_of_more_serves_an_action_that_needs_less_by_now(desk: Desk):
    tip = desk.act("bank.tip", "a", amount=8)
    held = desk.decide("bank.tip", "b", amount=5)
    desk.observe(tip.attempt, "not_started")
    desk.answer(held.approval)
    assert desk.redeem(held.approval).attempt
    assert desk.used("tips") == 5


def test_the_digest_that_was_shown_must_be_that_of_the_hold(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    other = desk.decide("bank.pay", "b", amount=61)
    shown = desk.rows(calls.Approvals(approval=other.approval))[0]["digest"]
    vote = calls.Answer(approval=verdict.approval, approve=True, as_user="ben", digest=shown)
    assert desk.refused(vote) == "digest_differs"
    assert desk.hold(verdict.approval).votes == []
    right = desk.rows(calls.Approvals(approval=verdict.approval))[0]["digest"]
    assert desk.answer(verdict.approval, "ben", digest=right) == "approved"


SHARED = Caller(operator=True, method="peer:1001", uid=1001)
APART = Caller(operator=True, method="peer:1000", uid=1000)


def test_under_one_uid_nothing_irreversible_can_be_approved(desk: Desk):
    pay = desk.decide("bank.pay", "a", amount=60)
    vote = calls.Answer(approval=pay.approval, approve=True, as_user="ben")
    assert desk.refused(vote, SHARED) == "same_uid"
    assert desk.hold(pay.approval).votes == []
    tip = desk.decide("bank.tip", "b", amount=11)
    desk.done(calls.Answer(approval=tip.approval, approve=True, as_user="ben"), SHARED)
    desk.done(calls.Answer(approval=pay.approval, approve=False, as_user="ben"), SHARED)
    assert desk.hold(pay.approval).status == "denied"


def test_under_uids_of_their_own_it_can(desk: Desk):
    pay = desk.decide("bank.pay", "a", amount=60)
    desk.done(calls.Answer(approval=pay.approval, approve=True, as_user="ben"), APART)
    assert desk.redeem(pay.approval).attempt
    assert desk.leaves("approval")[-1].ids["method"] == "peer:1000"


def test_a_late_end_of_the_action_is_not_undone_by_a_human_who_says_no(desk: Desk):
    first = desk.act("note.write", "a", text="x")
    desk.observe(first.attempt, "unknown")
    held = desk.act("note.write", "a", text="x")
    desk.observe(first.attempt, '"done"')
    vote = calls.Answer(approval=held.approval, approve=False, as_user="ana")
    assert desk.refused(vote) == "hold_settled"
    desk.later(3 * HOUR)
    desk.activate(changed(("bridle.toml", 'version = "1"', 'version = "2"')))
    assert desk.act("note.write", "a", text="x").outcome is not None
    assert len(desk.leaves("started")) == 1


def test_a_hold_can_be_waited_for_until_a_human_has_answered(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    asked = calls.ApprovalOf(session=desk.session(), approval=verdict.approval, wait_ms=20_000)
    rows: list[dict[str, object]] = []
    waiting = threading.Thread(target=lambda: rows.extend(desk.rows(asked)))
    waiting.start()
    desk.answer(verdict.approval)
    waiting.join(15)
    assert not waiting.is_alive()
    assert rows[0]["status"] == "approved"
    now = calls.ApprovalOf(session=desk.session(), approval=verdict.approval)
    assert desk.rows(now)[0]["status"] == "approved"


def test_what_is_unknown_is_not_found(desk: Desk):
    assert desk.refused(calls.Approvals(approval="hold_0")) == "not_found"
    assert desk.refused(calls.Answer(approval="hold_0", approve=True, as_user="ben")) == "not_found"
    assert codes(desk.redeem("hold_0")) == ["not_decided"]


def test_the_list_can_show_what_was_settled_too(desk: Desk):
    first = desk.decide("bank.pay", "a", amount=60)
    desk.answer(first.approval, yes=False)
    desk.later(1)
    second = desk.decide("bank.pay", "b", amount=61)
    assert [r["id"] for r in desk.rows(calls.Approvals())] == [second.approval]
    every = [r["id"] for r in desk.rows(calls.Approvals(all=True))]
    assert every == [first.approval, second.approval]
    assert [r["id"] for r in desk.rows(calls.Approvals(all=True, limit=1))] == [second.approval]


def test_a_mission_that_came_to_its_end_has_no_use_for_an_approval(desk: Desk):
    verdict = desk.decide("bank.pay", "a", amount=60)
    desk.answer(verdict.approval)
    desk.done(calls.MissionVerb(mission=desk.mission, verb="close"))
    assert codes(desk.redeem(verdict.approval)) == ["approval_void"]
    assert codes(desk.act("bank.pay", "a", amount=60)) == ["mission_not_active"]
