"""Results: released unless a forbid says otherwise; remedies work on the output."""

import json

import pytest

from bridle.engine.case import Refusal, ShadowHit
from bridle.engine.engine import Engine
from bridle.model.verdict import Effect
from engine import judging
from engine.judging import codes, ids

PERMIT = '@id("ok") permit (principal, action in Action::"call", resource);\n'
BOSS = 'principal in Team::"leads",'
RESULT = {"text": "call 555", "customer": "C-123456"}


def on_result(name, condition="true", *annotations, tool="desk.read"):
    return (
        f'@id("{name}") {" ".join(annotations)} forbid (principal, '
        f'action == Action::"{tool}:result", resource) when {{ {condition} }};\n'
    )


def release(text, output=None, tool="desk.read", **change):
    engine = Engine(judging.bundle(text))
    given = output if isinstance(output, str) else judging.encode(output or RESULT)
    return engine.release(judging.case(engine, tool, **change), given)


def test_a_result_nobody_objects_to_is_released_as_it_came():
    verdict = release(PERMIT, '{"text":   "x"}')
    assert verdict.effect is Effect.ALLOW
    assert verdict.typed.text == '{"text":   "x"}'


def test_a_forbid_on_calls_does_not_touch_results():
    text = PERMIT + '@id("no") forbid (principal, action in Action::"call", resource);'
    assert release(text).effect is Effect.ALLOW


def test_a_forbid_on_a_result_withholds_it():
    verdict = release(PERMIT + on_result("no", 'context.output.text like "*555*"'))
    assert (verdict.effect, ids(verdict), verdict.typed) == (Effect.DENY, ["no"], None)


def test_a_forbid_on_everything_covers_results_too():
    text = PERMIT + '@id("no") forbid (principal, action, resource);'
    assert release(text).effect is Effect.DENY


def test_a_forbid_on_the_release_group_covers_every_result():
    text = PERMIT + '@id("no") forbid (principal, action in Action::"release", resource);'
    assert release(text).effect is Effect.DENY
    assert release(text, '"any text"', "web.get").effect is Effect.DENY


def test_a_result_is_changed_under_output():
    text = PERMIT + on_result(
        "cut", "context.output has customer", '@modify("drop output.customer")'
    )
    verdict = release(text)
    assert verdict.effect is Effect.MODIFY
    assert json.loads(verdict.typed.text) == {"text": "call 555"}


def test_a_change_of_the_input_cannot_meet_an_objection_to_the_result():
    text = PERMIT + on_result("odd", "true", '@modify("set input.id 1")')
    assert codes(release(text)) == {"modify_diverged"}


def test_a_result_is_held_for_its_groups():
    verdict = release(PERMIT + on_result("ask", "true", '@hold("board")'))
    assert (verdict.effect, verdict.groups) == (Effect.HOLD, {"board": 2})
    assert json.loads(verdict.typed.text) == RESULT


def test_policies_on_results_see_the_arguments_too():
    text = PERMIT + on_result("no", "context.input.id == 7")
    assert release(text).effect is Effect.DENY
    assert release(text, args={"id": 8}).effect is Effect.ALLOW


def test_what_detectors_see_in_the_result_is_in_the_facts():
    text = PERMIT + on_result(
        "no", 'context.facts has customer && context.facts.customer.found.contains("customer_id")'
    )
    assert release(text).effect is Effect.DENY
    assert release(text, {"text": "C-123456"}).effect is Effect.ALLOW


def test_an_error_in_a_release_policy_withholds():
    verdict = release(PERMIT + on_result("bad", 'context.output.customer == "x"'), {"text": "x"})
    assert codes(verdict) == {"policy_error"}


def test_a_result_that_does_not_fit_its_schema_is_refused():
    assert isinstance(release(PERMIT, '{"text": 7}'), Refusal)
    assert isinstance(release(PERMIT, "{"), Refusal)


def test_the_chain_counts_for_results():
    text = PERMIT + '@id("no") forbid (principal == Agent::"boss", action, resource);'
    assert release(text, chain=("boss",)).effect is Effect.DENY
    assert release(text).effect is Effect.ALLOW


def test_an_undeclared_identity_gets_no_result():
    assert release(PERMIT, agent="triage", requesters=("stranger",)).effect is Effect.DENY


def test_a_shadow_policy_on_results_is_recorded():
    verdict = release(PERMIT + on_result("try", "true", '@enforce("shadow")'))
    assert (verdict.effect, verdict.shadow) == (Effect.ALLOW, (ShadowHit("try"),))


@pytest.mark.parametrize(
    ("text", "tools"),
    [
        (PERMIT, set()),
        ('@id("p") permit (principal, action, resource);', set()),
        ('@id("n") forbid (principal, action in Action::"call", resource);', set()),
        (on_result("n"), {"desk.read"}),
        (on_result("n", "true", '@enforce("shadow")'), set()),
        (on_result("n", "true", '@hold("leads")'), {"desk.read"}),
        ('@id("n") forbid (principal, action, resource);', set(judging.ARGUMENTS)),
        ('@id("n") forbid (principal, action, resource is System);', set(judging.ARGUMENTS)),
        (
            '@id("n") forbid (principal, action, resource in Domain::"internet");',
            {"mail.send", "web.get"},
        ),
        ('@id("n") forbid (principal in Team::"leads", action, resource);', set(judging.ARGUMENTS)),
        (on_result("n", tool="web.get").replace("principal,", BOSS), {"web.get"}),
        ('@id("n") forbid (principal in Team::"nobody", action, resource);', set()),
        ('@id("n") forbid (principal is User, action, resource);', set()),
        ('@id("n") forbid (principal == Agent::"stranger", action, resource);', set()),
    ],
)
def test_a_tool_has_release_rules_where_a_forbid_can_match_its_results(text, tools):
    engine = Engine(judging.bundle(text))
    for tool in judging.ARGUMENTS:
        assert engine.has_release_rules(tool) is (tool in tools)
        assert engine.has_release_rules(tool) is (tool in tools), "remembered as it was found"


def test_an_unknown_tool_counts_as_having_release_rules():
    assert Engine(judging.bundle(PERMIT)).has_release_rules("no.such.tool") is True
