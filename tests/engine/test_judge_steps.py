"""The algorithm of remedies, step by step."""

import json

import msgspec
import pytest

from bridle.engine import judge as judge_module
from bridle.engine.case import Cause, Refusal, ShadowHit
from bridle.engine.engine import Engine
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect
from engine import judging
from engine.judging import codes, ids, judge

PERMIT = '@id("ok") permit (principal, action, resource);\n'
TOO_MANY = "when { context.input has count && context.input.count > 10 }"


def forbid(name, condition="true", *annotations):
    return (
        f'@id("{name}") {" ".join(annotations)} forbid (principal, action in Action::"call", '
        f"resource) when {{ {condition} }};\n"
    )


COUNT_OVER_10 = "context.input has count && context.input.count > 10"


def mail(**change):
    return {**judging.MAIL, **change}


# --- step 1 --------------------------------------------------------------------------------------


def test_what_a_permit_allows_and_nobody_forbids_is_allowed_as_it_came():
    verdict = judge(PERMIT, args='{"body": "hello",  "to": []}')
    assert verdict.effect is Effect.ALLOW
    assert verdict.typed.text == '{"body": "hello",  "to": []}'
    assert (verdict.reasons, verdict.causes, verdict.groups) == ((), (), {})


def test_without_a_permit_everything_is_denied():
    verdict = judge("")
    assert verdict.effect is Effect.DENY
    assert codes(verdict) == {"no_permit"}
    assert verdict.typed is None


@pytest.mark.parametrize(
    "condition",
    [
        'context.input.tone == "kind"',
        "context.input.count + 9223372036854775807 > 0",
        'User::"nobody-knows".level > 1',
        'context.input.count < "9"',
        'principal.getTag("missing") == "x"',
    ],
)
@pytest.mark.parametrize("effect", ["forbid", "permit"])
def test_an_erroring_policy_beside_a_matching_permit_denies(effect, condition):
    text = PERMIT + (
        f'@id("bad") {effect} (principal, action in Action::"call", resource) '
        f"when {{ {condition} }};"
    )
    verdict = judge(text, args=mail(count=1))
    assert verdict.effect is Effect.DENY
    assert codes(verdict) == {"policy_error"}
    assert ids(verdict) == ["bad"]


def test_a_validated_policy_that_overflows_at_run_time_denies():
    text = PERMIT + forbid("sum", "context.input has count && context.input.count + 1 > 100")
    assert judge(text, args=mail(count=1)).effect is Effect.ALLOW
    verdict = judge(text, args=mail(count=2**63 - 1))
    assert codes(verdict) == {"policy_error"}
    assert str(2**63 - 1) not in str(verdict.reasons + verdict.record)


def test_an_error_outweighs_every_remedy():
    text = (
        PERMIT
        + forbid("cut", "true", '@modify("set input.body \\"\\"")')
        + forbid("ask", "true", '@hold("leads")')
        + forbid("bad", 'context.input.tone == "kind"', '@hold("leads")')
    )
    assert codes(judge(text)) == {"policy_error"}


def test_a_forbid_on_a_group_of_actions_counts():
    text = PERMIT + '@id("no") forbid (principal, action in [Action::"write"], resource);'
    assert ids(judge(text)) == ["no"]
    assert judge(text, "desk.read").effect is Effect.ALLOW


# --- step 2 --------------------------------------------------------------------------------------


def test_a_remedy_gives_nothing_that_no_permit_gives():
    for annotation in ('@hold("leads")', '@modify("set input.body \\"\\"")'):
        verdict = judge(forbid("ask", "true", annotation))
        assert codes(verdict) == {"no_permit"}
        assert "ask" in {r.policy for r in verdict.record}


def test_a_change_that_loses_the_permit_denies():
    text = (
        '@id("ok") permit (principal, action, resource) when { context.input.body like "h*" };\n'
        + forbid("cut", 'context.input.body == "hello"', '@modify("set input.body \\"x\\"")')
    )
    assert codes(judge(text)) == {"no_permit"}


# --- step 3 --------------------------------------------------------------------------------------


def test_one_objection_without_remedy_denies_and_only_it_is_named():
    text = (
        PERMIT
        + forbid("a-ask", "true", '@hold("leads")')
        + forbid("b-cut", "true", '@modify("set input.body \\"\\"")')
        + forbid("c-no", "true", '@reason("never")')
        + forbid("d-no")
        + forbid("e-unmatched", "false")
    )
    verdict = judge(text)
    assert verdict.effect is Effect.DENY
    assert [(r.code.value, r.policy) for r in verdict.reasons] == [
        ("forbidden", "c-no"),
        ("forbidden", "d-no"),
    ]
    assert verdict.reasons[0].text == "never"
    assert verdict.reasons[1].text
    assert {r.policy for r in verdict.record} == {"a-ask", "b-cut", "c-no", "d-no"}
    assert (verdict.typed, verdict.causes, verdict.groups) == (None, (), {})


# --- step 4: changes -----------------------------------------------------------------------------


def test_a_change_that_satisfies_its_policy_is_a_modify():
    text = PERMIT + forbid(
        "cap", COUNT_OVER_10, '@reason("at most ten")', '@modify("clamp input.count 0..10")'
    )
    verdict = judge(text, args=mail(count=12))
    assert verdict.effect is Effect.MODIFY
    assert json.loads(verdict.typed.text) == mail(count=10)
    assert [(r.code.value, r.text, r.policy) for r in verdict.reasons] == [
        ("modified", "at most ten", "cap")
    ]
    assert verdict.objected == ("cap",)


def test_changes_apply_in_the_order_of_policy_ids_whatever_the_file_says():
    first = forbid("a", 'context.input.body == "hello"', '@modify("set input.body \\"first\\"")')
    second = forbid("b", 'context.input.body == "hello"', '@modify("set input.body \\"second\\"")')
    for text in (first + second, second + first):
        verdict = judge(PERMIT + text)
        assert json.loads(verdict.typed.text)["body"] == "second"
        assert verdict.objected == ("a", "b")


def test_the_changed_action_is_judged_again_by_every_policy():
    text = (
        PERMIT
        + forbid("cut", 'context.input.body == "hello"', '@modify("set input.body \\"bye\\"")')
        + forbid("no", 'context.input.body == "bye"')
    )
    verdict = judge(text)
    assert (codes(verdict), ids(verdict)) == ({"forbidden"}, ["no"])
    assert {r.policy for r in verdict.record} == {"no", "cut"}


def step(name, given, then):
    """A policy that turns one body into the next."""
    return forbid(
        name, f'context.input.body == "{given}"', f'@modify("set input.body \\"{then}\\"")'
    )


def test_three_rounds_of_changes_are_enough():
    text = PERMIT + step("a", "hello", "1") + step("b", "1", "2") + step("c", "2", "3")
    verdict = judge(text)
    assert verdict.effect is Effect.MODIFY
    assert json.loads(verdict.typed.text)["body"] == "3"
    assert verdict.objected == ("a", "b", "c")


def test_a_fourth_round_is_not_granted():
    text = PERMIT + step("a", "hello", "1") + step("b", "1", "2") + step("c", "2", "3")
    verdict = judge(text + step("d", "3", "4"))
    assert verdict.effect is Effect.DENY
    assert codes(verdict) == {"modify_diverged"}


def test_two_changes_that_undo_each_other_deny():
    verdict = judge(PERMIT + step("a", "hello", "bye") + step("b", "bye", "hello"))
    assert codes(verdict) == {"modify_diverged"}


def test_a_change_that_does_not_satisfy_its_own_policy_denies():
    text = PERMIT + forbid("cut", "true", '@modify("truncate input.body 3")')
    assert codes(judge(text)) == {"modify_diverged"}


def test_a_change_the_tool_refuses_denies_and_the_record_says_why():
    text = PERMIT + forbid(
        "odd", 'context.input.body == "hello"', '@modify("set input.tone \\"rude\\"")'
    )
    verdict = judge(text)
    assert codes(verdict) == {"modify_diverged"}
    assert "schema_mismatch" in {r.code.value for r in verdict.record}


def test_a_change_of_the_output_cannot_meet_an_objection_to_the_input():
    text = PERMIT + forbid("odd", "true", '@modify("set output.text \\"x\\"")')
    assert codes(judge(text, "desk.read")) == {"modify_diverged"}


# --- step 4: holds -------------------------------------------------------------------------------


def test_only_holds_left_is_a_hold_with_causes():
    text = PERMIT + forbid("big", "true", '@reason("a lead decides")', '@hold("leads")')
    verdict = judge(text)
    policy = judging.policies(text)[1]
    assert verdict.effect is Effect.HOLD
    assert verdict.causes == (Cause("forbid", "big", policy.digest),)
    assert verdict.groups == {"leads": 1}
    assert [(r.code.value, r.text) for r in verdict.reasons] == [("held", "a lead decides")]
    assert verdict.typed.text == judging.encode(judging.MAIL)


def test_all_groups_of_all_holds_are_asked_and_the_larger_need_wins():
    text = (
        PERMIT
        + forbid("a", "true", '@hold("leads:3")')
        + forbid("b", "true", '@hold("leads, board")')
        + forbid("c", "true", '@hold("leads:2, board:1")')
    )
    verdict = judge(text)
    assert verdict.groups == {"leads": 3, "board": 2}
    assert [c.id for c in verdict.causes] == ["a", "b", "c"]


def test_a_group_named_without_a_count_needs_what_it_declares():
    assert judge(PERMIT + forbid("a", "true", '@hold("board")')).groups == {"board": 2}


def test_a_smaller_count_on_a_policy_lowers_the_groups_own():
    assert judge(PERMIT + forbid("a", "true", '@hold("board:1")')).groups == {"board": 1}


def test_changes_come_before_holds_and_the_hold_shows_the_changed_arguments():
    text = (
        PERMIT
        + forbid("ask", "true", '@hold("leads")')
        + forbid("cap", COUNT_OVER_10, '@modify("clamp input.count 0..10")')
    )
    verdict = judge(text, args=mail(count=12))
    assert verdict.effect is Effect.HOLD
    assert json.loads(verdict.typed.text)["count"] == 10
    assert {r.policy for r in verdict.reasons} == {"ask", "cap"}
    assert verdict.objected == ("ask", "cap")


def test_a_hold_that_a_change_has_settled_is_not_asked_for():
    text = (
        PERMIT
        + forbid("ask", COUNT_OVER_10, '@hold("leads")')
        + forbid("cap", COUNT_OVER_10, '@modify("clamp input.count 0..10")')
    )
    assert judge(text, args=mail(count=12)).effect is Effect.MODIFY


# --- waived --------------------------------------------------------------------------------------


def pair(text, name):
    (policy,) = (p for p in judging.policies(text) if p.id == name)
    return (policy.id, policy.digest)


def test_a_waived_objection_does_not_object():
    text = PERMIT + forbid("ask", "true", '@hold("leads")')
    verdict = judge(text, waived=frozenset({pair(text, "ask")}))
    assert verdict.effect is Effect.ALLOW


def test_one_waived_objection_waives_no_other():
    text = PERMIT + forbid("a", "true", '@hold("leads")') + forbid("b", "true", '@hold("board")')
    verdict = judge(text, waived=frozenset({pair(text, "a")}))
    assert verdict.effect is Effect.HOLD
    assert [c.id for c in verdict.causes] == ["b"]
    assert verdict.groups == {"board": 2}


def test_a_waiver_of_another_text_of_the_policy_is_void():
    old = PERMIT + forbid("ask", "true", '@hold("leads")')
    new = PERMIT + forbid("ask", "true && true", '@hold("leads")')
    assert judge(new, waived=frozenset({pair(old, "ask")})).effect is Effect.HOLD


def test_a_waived_objection_leaves_the_permits_in_force():
    text = forbid("ask", "true", '@hold("leads")')
    assert codes(judge(text, waived=frozenset({pair(text, "ask")}))) == {"no_permit"}


def test_a_waived_policy_that_fails_is_still_an_error():
    text = PERMIT + forbid("ask", 'context.input.tone == "kind"', '@hold("leads")')
    assert codes(judge(text, waived=frozenset({pair(text, "ask")}))) == {"policy_error"}


# --- the chain -----------------------------------------------------------------------------------


def on(agent, *annotations):
    return (
        f'@id("no-{agent}") {" ".join(annotations)} forbid (principal == Agent::"{agent}", '
        f'action in Action::"call", resource);\n'
    )


def test_a_forbid_on_an_ancestor_binds_whoever_it_delegates_to():
    text = PERMIT + on("boss")
    assert judge(text).effect is Effect.ALLOW
    assert ids(judge(text, chain=("boss",))) == ["no-boss"]
    assert ids(judge(text, chain=("loner", "boss", "clerk"))) == ["no-boss"]


def test_a_forbid_on_the_requester_of_a_deputy_counts():
    assert ids(judge(PERMIT + on("loner"), requesters=("loner",))) == ["no-loner"]


def test_a_forbid_on_an_ancestors_team_or_attribute_counts():
    team = PERMIT + '@id("t") forbid (principal in Team::"leads", action, resource);'
    rank = PERMIT + '@id("t") forbid (principal, action, resource) when { principal has rank };'
    for text in (team, rank):
        assert judge(text, chain=("clerk",)).effect is Effect.ALLOW
        assert ids(judge(text, chain=("boss",))) == ["t"]


def test_an_ancestors_objection_can_be_met_by_its_remedy():
    verdict = judge(PERMIT + on("boss", '@hold("leads")'), chain=("boss",))
    assert verdict.effect is Effect.HOLD
    assert verdict.groups == {"leads": 1}


def test_an_error_that_only_an_ancestor_raises_denies():
    text = PERMIT + forbid("rank", 'principal.getTag("tier") == "iron"')
    assert judge(text).effect is Effect.ALLOW
    assert codes(judge(text, chain=("loner",))) == {"policy_error"}


def test_permits_judge_the_actor_and_lend_it_nothing():
    text = '@id("ok") permit (principal == Agent::"boss", action, resource);'
    assert codes(judge(text, chain=("boss",))) == {"no_permit"}
    assert judge(text, agent="boss", chain=("triage",)).effect is Effect.ALLOW


def test_a_permit_that_fails_for_an_ancestor_is_nobodys_business():
    text = PERMIT.replace(";", 'when { principal.getTag("tier") == "gold" };')
    assert judge(text, chain=("loner",)).effect is Effect.ALLOW


def test_an_actor_in_its_own_chain_is_judged_as_itself():
    text = PERMIT + on("triage")
    assert ids(judge(text, chain=("triage",))) == ["no-triage"]


def test_the_chain_is_in_the_context_with_the_actor():
    text = (
        '@id("ok") permit (principal, action, resource) when { context.chain.depth == 2 && '
        'context.chain.agents.containsAll([Agent::"boss", Agent::"clerk", Agent::"triage"]) };'
    )
    assert judge(text, chain=("boss", "clerk")).effect is Effect.ALLOW


# --- shadow --------------------------------------------------------------------------------------


def shadow(name, condition="true"):
    return forbid(name, condition, '@enforce("shadow")')


def test_a_shadow_policy_is_recorded_and_changes_nothing():
    verdict = judge(PERMIT + shadow("try") + shadow("not", "false"))
    assert verdict.effect is Effect.ALLOW
    assert verdict.shadow == (ShadowHit("try"),)
    assert (verdict.reasons, verdict.record, verdict.objected) == ((), (), ())


def test_a_shadow_policy_that_fails_is_recorded_and_changes_nothing():
    verdict = judge(PERMIT + shadow("try", 'context.input.tone == "kind"'))
    assert verdict.effect is Effect.ALLOW
    assert verdict.shadow == (ShadowHit("try", error=True),)


def test_a_shadow_policy_is_tried_for_the_chain_too():
    text = (
        PERMIT
        + '@id("try") @enforce("shadow") forbid (principal == Agent::"boss", action, resource);'
    )
    assert judge(text).shadow == ()
    assert judge(text, chain=("boss",)).shadow == (ShadowHit("try"),)


def test_a_shadow_policy_is_recorded_beside_any_verdict():
    for text in (PERMIT + forbid("no"), "", PERMIT + forbid("ask", "true", '@hold("leads")')):
        assert judge(text + shadow("try")).shadow == (ShadowHit("try"),)


def test_a_shadow_policy_sees_what_was_asked_and_what_became_of_it():
    text = PERMIT + step("a", "hello", "bye")
    text += shadow("before", 'context.input.body == "hello"')
    text += shadow("after", 'context.input.body == "bye"')
    assert judge(text).shadow == (ShadowHit("after"), ShadowHit("before"))


# --- what the engine itself refuses --------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"agent": "stranger"},
        {"user": "stranger"},
        {"executor": "stranger"},
        {"chain": ("boss", "stranger")},
        {"requesters": ("stranger",)},
        {"agent": ""},
        {"user": ""},
    ],
)
def test_an_undeclared_identity_is_denied_and_not_judged_as_a_stranger(change):
    verdict = judge(PERMIT, **change)
    assert codes(verdict) == {"policy_error"}


def test_an_executor_may_be_absent():
    assert judge(PERMIT, executor="").effect is Effect.ALLOW


def test_an_unknown_tool_is_denied():
    engine = Engine(judging.bundle(PERMIT))
    case = judging.case(engine)
    for name in ("mail.Send", "mail.send:result", "", "write"):
        verdict = engine.judge(msgspec.structs.replace(case, tool=name))
        assert codes(verdict) == {"unknown_tool"}


@pytest.mark.parametrize(
    "text",
    [
        '{"to": [], "body": "a", "body": "b"}',
        '{"to": [], "body": {"__entity": {"type": "User", "id": "ana"}}}',
        '{"to": [], "body": {"__extn": {"fn": "ip", "arg": "10.0.0.1"}}}',
        '{"to": [], "body": "a", "count": 1.5}',
        '{"to": [], "body": "a", "count": 9223372036854775808}',
        '{"to": [], "body": "a", "rate": 1e400}',
        '{"to": [], "body": "a", "rate": NaN}',
        '{"to": [], "body": null}',
        "{",
        "",
        "null",
    ],
)
def test_what_cedar_would_misread_never_reaches_it(text):
    engine = Engine(judging.bundle(PERMIT))
    assert isinstance(engine.normalise("mail.send", text), Refusal)


def test_a_value_that_slipped_past_normalise_is_denied_by_cedar():
    engine = Engine(judging.bundle(PERMIT))
    case = judging.case(engine)
    for body in ({"__entity": {"type": "User", "id": "ana"}}, 1.5, None, 7, [], {"a": 1}):
        typed = msgspec.structs.replace(case.typed, value=mail(body=body))
        verdict = engine.judge(msgspec.structs.replace(case, typed=typed))
        assert verdict.effect is Effect.DENY


def test_a_failure_of_our_own_denies(monkeypatch):
    engine = Engine(judging.bundle(PERMIT))
    case = judging.case(engine)
    monkeypatch.setattr(judge_module.verdicts, "passed", None)
    verdict = engine.judge(case)
    assert (verdict.effect, codes(verdict)) == (Effect.DENY, {"internal"})


def test_a_policy_with_both_remedies_is_met_by_neither():
    text = PERMIT + forbid("x", "true", '@modify("set input.body \\"\\"")')
    ok, both = judging.policies(text)
    both = msgspec.structs.replace(both, hold=(("leads", 0),))
    engine = Engine(judging.bundle((ok, both)))
    assert codes(engine.judge(judging.case(engine))) == {"forbidden"}


def test_every_verdict_says_something_the_agent_may_read():
    texts = ["", PERMIT + forbid("a"), PERMIT + forbid("a", "true", '@hold("leads")')]
    for text in texts:
        for reason in judge(text).reasons:
            assert reason.text
            assert reason.code in ReasonCode
