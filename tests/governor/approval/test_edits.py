"""Approving with edits: humans write other arguments, and exactly those run."""

import json

import pytest

from bridle.model import calls
from bridle.model.record import Leaf
from governor.desk import HOUR, Desk, changed, codes, said


@pytest.fixture
def held(desk: Desk) -> str:
    return desk.decide("bank.pay", "a", amount=60, order=7).approval


def digest(desk: Desk, approval: str) -> str:
    return desk.rows(calls.Approvals(approval=approval))[0]["digest"]


def refusal(desk: Desk, approval: str, user: str = "ben", **more: object) -> str:
    return desk.refused(calls.Answer(approval=approval, approve=True, as_user=user, **more))


def test_what_a_human_wrote_is_what_runs(desk: Desk, held: str):
    assert desk.answer(held, "ben", args='{"amount":55,"order":7}') == "approved"
    started = desk.redeem(held)
    assert started.attempt
    assert (started.effect, started.args) == ("modify", '{"amount":55,"order":7}')
    assert codes(started) == ["modified"]
    assert desk.used("money") == 55
    leaf = desk.leaves("decision")[-1]
    opened = desk.opened_leaf(started.receipt.index)
    assert (leaf.body["effect"], leaf.ids["approval"]) == ("modify", held)
    assert opened["args"] == '{"amount":60,"order":7}'
    assert opened["modified"] == '{"amount":55,"order":7}'


def leaf_of(desk: Desk, kind: str) -> tuple[Leaf, dict[str, str]]:
    leaves = desk.leaves()
    index = max(i for i, leaf in enumerate(leaves) if leaf.kind == kind)
    return leaves[index], desk.opened_leaf(index)


def test_the_record_of_an_edit_says_who_and_commits_to_both(desk: Desk, held: str):
    desk.answer(held, "cleo", args='{"amount":55,"order":7}')
    leaf, opened = leaf_of(desk, "approval")
    assert (leaf.ids["user"], leaf.body["edited"]) == ("cleo", True)
    assert {"before", "args"} <= set(leaf.commit)
    assert opened["before"] == '{"amount":60,"order":7}'
    assert opened["args"] == '{"amount":55,"order":7}'
    assert "55" not in json.dumps(leaf.body)


@pytest.mark.parametrize("amount", [60, 55])
def test_the_call_repeated_as_asked_or_as_edited_is_the_same_action(desk: Desk, held: str, amount):
    desk.answer(held, args='{"amount":55,"order":7}')
    started = desk.act("bank.pay", "a", amount=amount, order=7)
    assert started.attempt
    assert started.args == '{"amount":55,"order":7}'
    desk.observe(started.attempt, '"paid"')
    for again in (60, 55):
        assert desk.act("bank.pay", "a", amount=again, order=7).outcome is not None
    assert codes(desk.act("bank.pay", "a", amount=56, order=7)) == ["args_changed"]
    assert len(desk.leaves("started")) == 1


def test_while_it_waits_the_edited_arguments_are_known_too(desk: Desk):
    held = desk.decide("safe.open", "a", id=1)
    desk.answer(held.approval, "ben", args='{"id":2}')
    assert desk.decide("safe.open", "a", id=2).approval == held.approval
    assert desk.decide("safe.open", "a", id=1).approval == held.approval
    assert codes(desk.decide("safe.open", "a", id=3)) == ["args_changed"]


@pytest.mark.parametrize(
    ("args", "code"),
    [
        ('{"amount":"x"}', "edit_refused"),
        ('{"amount":55,"amount":1}', "edit_refused"),
        ('{"amount":NaN}', "edit_refused"),
        ("[]", "edit_refused"),
        ("{", "edit_refused"),
        ("\ud800", "edit_refused"),
        ('{"amount":55,"extra":1}', "edit_refused"),
        ('{"amount":101}', "edit_refused"),  # the budget
        ('{"amount":' + "9" * 100_000 + "}", "edit_refused"),
        ('{"amount":' + "[" * 500 + "]" * 500 + "}", "edit_refused"),
    ],
)
def test_an_edit_that_would_be_denied_is_refused_to_its_author(desk: Desk, held: str, args, code):
    before = desk.hold(held)
    assert refusal(desk, held, args=args) == code
    assert desk.hold(held) == before
    assert desk.leaves("approval") == []


def test_an_edit_that_another_policy_forbids_is_refused(desk: Desk):
    more = """@id("no-sevens") forbid (principal, action == Action::"bank.pay", resource)
    when { context.input has order && context.input.order == 7 };
    @id("eights") @hold("board") forbid (principal, action == Action::"bank.pay", resource)
    when { context.input has order && context.input.order == 8 };
    @id("nines") @modify("clamp input.order 0..5")
    forbid (principal, action == Action::"bank.pay", resource)
    when { context.input has order && context.input.order == 9 };"""
    desk.activate(changed(("policies/limits.dw", "", more)))
    held = desk.decide("bank.pay", "a", amount=60, order=1).approval
    assert refusal(desk, held, args='{"amount":60,"order":7}') == "edit_refused"
    assert refusal(desk, held, args='{"amount":60,"order":8}') == "edit_refused"
    reply = desk.ask(
        calls.Answer(approval=held, approve=True, as_user="ben", args='{"amount":60,"order":9}')
    )
    assert (reply.code, '{"amount":60,"order":5}' in reply.hint) == ("edit_changed", True)
    assert desk.answer(held, args='{"amount":60,"order":5}') == "approved"


def test_who_may_not_answer_may_not_edit(desk: Desk, held: str):
    assert refusal(desk, held, "dora", args='{"amount":1}') == "not_an_approver"
    assert not desk.hold(held).edited


def test_a_vote_for_other_arguments_is_no_vote_for_these(desk: Desk):
    held = desk.decide("safe.open", "a", id=1).approval
    assert desk.answer(held, "ben") == "pending"
    assert desk.answer(held, "dora", args='{"id":2}') == "pending"
    shown = desk.rows(calls.Approvals(approval=held))[0]
    assert shown["args"] == '{"id":2}'
    assert shown["edited"]
    assert {v["user"]: v["counts"] for v in shown["votes"]} == {"ben": False, "dora": True}
    assert desk.redeem(held).effect == "hold"
    assert desk.answer(held, "cleo", digest=shown["digest"]) == "approved"
    assert desk.redeem(held).args == '{"id":2}'


def test_nobody_approves_an_edit_unseen(desk: Desk):
    held = desk.decide("safe.open", "a", id=1).approval
    first = digest(desk, held)
    desk.answer(held, "ben", args='{"id":2}')
    assert refusal(desk, held, "dora") == "digest_missing"
    assert refusal(desk, held, "dora", digest=first) == "digest_differs"
    assert refusal(desk, held, "dora", digest=first, args='{"id":2}') == "digest_differs"
    assert desk.hold(held).status == "pending"
    assert desk.answer(held, "dora", digest=digest(desk, held)) == "approved"


def test_two_humans_may_come_back_to_the_same_arguments(desk: Desk):
    held = desk.decide("safe.open", "a", id=1).approval
    desk.answer(held, "ben", args='{"id":2}')
    assert desk.answer(held, "cleo", args='{"id":3}') == "pending"
    # Ben's vote was for 2; with Dora's proposal of 2 there are two again.
    assert desk.answer(held, "dora", args='{"id":2}') == "approved"
    assert desk.redeem(held).args == '{"id":2}'


def test_one_human_who_edits_twice_is_one_human(desk: Desk):
    held = desk.decide("safe.open", "a", id=1).approval
    assert desk.answer(held, "ben", args='{"id":2}') == "pending"
    assert desk.answer(held, "ben", args='{"id":3}') == "pending"
    assert len(desk.hold(held).votes) == 1


def test_a_result_is_not_edited(desk: Desk):
    attempt = desk.act("note.read", "a", id=1).attempt
    release = desk.observe(attempt, '{"body":"sealed"}')
    assert refusal(desk, release.approval, args='{"id":1}') == "not_editable"
    terms = calls.Terms(count=1)
    assert refusal(desk, release.approval, terms=terms) == "not_editable"
    assert desk.hold(release.approval).votes == []


def test_edited_arguments_are_judged_again_on_release(desk: Desk, held: str):
    desk.answer(held, args='{"amount":55,"order":7}')
    more = """@id("no-fifty-fives") @reason("not that")
    forbid (principal, action == Action::"bank.pay", resource)
    when { context.input.amount == decimal("55.0") };"""
    desk.activate(changed(("policies/limits.dw", "", more)))
    assert said(desk.redeem(held)) == ("deny", ["forbidden"])
    assert desk.leaves("started") == []


def test_edited_arguments_that_would_be_rewritten_by_now_do_not_run(desk: Desk, held: str):
    desk.answer(held, args='{"amount":55,"order":7}')
    clamp = """@id("less") @modify("clamp input.amount 0..54")
    forbid (principal, action == Action::"bank.pay", resource)
    when { context.input.amount.greaterThan(decimal("54.0")) };"""
    desk.activate(changed(("policies/permits.dw", "", clamp)))
    assert said(desk.redeem(held)) == ("deny", ["approval_void"])
    assert desk.leaves("started") == []


def test_edited_arguments_that_no_longer_fit_the_schema_do_not_run(desk: Desk, held: str):
    desk.answer(held, args='{"amount":55,"order":7}')
    desk.activate(changed(("systems.toml", 'order = { type = "integer" }',
                           'order = { type = "integer", maximum = 6 }')))  # fmt: skip
    assert desk.redeem(held).effect == "deny"
    assert desk.leaves("started") == []


def test_a_second_hold_keeps_what_humans_wrote(desk: Desk, held: str):
    desk.answer(held, args='{"amount":55,"order":7}')
    desk.later(HOUR)
    second = desk.redeem(held)
    assert (second.effect, second.approval != held) == ("hold", True)
    shown = desk.rows(calls.Approvals(approval=second.approval))[0]
    assert (shown["args"], shown["requested"]) == (
        '{"amount":55,"order":7}',
        '{"amount":60,"order":7}',
    )
    for user in ("ben", "cleo", "dora"):
        desk.answer(second.approval, user, digest=shown["digest"])
    assert desk.redeem(second.approval).args == '{"amount":55,"order":7}'


def test_the_calls_that_share_a_hold_share_its_edit(desk: Desk, held: str):
    other = desk.decide("bank.pay", "b", amount=60, order=7)
    assert other.approval == held
    desk.answer(held, args='{"amount":55,"order":7}')
    started = desk.redeem(held, action=other.action)
    assert (started.action, started.args) == (other.action, '{"amount":55,"order":7}')


def test_an_edit_may_make_less_of_an_overdraft_but_not_more(desk: Desk):
    held = desk.decide("bank.tip", "a", amount=15).approval
    assert refusal(desk, held, args='{"amount":16}') == "edit_refused"
    assert desk.answer(held, args='{"amount":12}') == "approved"
    assert desk.redeem(held).attempt
    assert desk.used("tips") == 12


def test_an_edit_is_proposed_after_the_session_was_closed(desk: Desk, held: str):
    desk.done(calls.CloseSession(session=desk.session()))
    assert desk.answer(held, args='{"amount":55,"order":7}') == "approved"
    assert desk.redeem(held, session=desk.opened()).args == '{"amount":55,"order":7}'


def test_under_another_executor_an_approval_is_not_redeemed(desk: Desk, held: str):
    desk.answer(held)
    other = desk.opened("clerk", "porter")
    assert codes(desk.redeem(held, session=other)) == ["not_decided"]
    assert desk.redeem(held).attempt
