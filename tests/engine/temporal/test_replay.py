"""Replay says what the reference says, verdict for verdict, whichever evaluator judges."""

from __future__ import annotations

import pytest
from dogwood import native

from bridle.engine.temporal.replay import Verdict, choose, incremental, replay, specification
from bridle.language import program, trace, validation
from bridle.language.lexer import Source
from bridle.model.errors import BundleError

SCHEMA = """
namespace D {
  entity Team in [Team];
  entity User in [Team] = { level: Long };
  entity Gate;
  action "write";
  action "A", "B" in ["write"] appliesTo { principal: [User], resource: [Gate], context: {
    input: { user: String, amount: Long, tags?: Set<String> } } };
  action "C" appliesTo { principal: [User], resource: [Gate], context: {
    input: { user: String, amount: Long } } };
}
"""
NO_PINS = """
decision event <A>::request { ...inputs(A), callerPrincipal: principalType(A) }
event <A>::response { ...inputs(A), callerPrincipal: principalType(A) }
"""
EVERY_KIND = """
decision event <A>::request { ...inputs(A), pin callerPrincipal: principalType(A) = principal }
event <A>::response { ...inputs(A), pin callerPrincipal: principalType(A) = principal }
"""
AFTER_A = """
permit (principal, action == D::Action::"B", resource)
when temporal { formerly within 10s D::Action::"A"::request{} };
"""


def line(at: int, action: str, **parts: object) -> str:
    """Write a line. `who`, `kind`, `input`, `entities`, and `logged` for another caller."""
    who = parts.get("who", "ana")
    value = parts.get("input", '{ user: "x", amount: 1 }')
    entities = f"entities({parts['entities']}) " if "entities" in parts else ""
    context = "" if parts.get("bare") else f"request_context(input: {value}) "
    caller = f'D::User::"{parts.get("logged", who)}"'
    return (
        f'@{at} scope(principal: D::User::"{who}", resource: D::Gate::"g") {entities}{context}'
        f'D::Action::"{action}"::{parts.get("kind", "request")}'
        f"(input: {value}, callerPrincipal: {caller})"
    )


def verdicts(policies: str, lines: list[str], events: str | None = None) -> list[Verdict]:
    """Replay with every evaluator that can judge the trace; each has to agree with the oracle."""
    text = "\n".join(lines)
    rules, findings = program.read({"p.dw": policies})
    assert not findings, findings
    kinds = Source("e", events) if events else None
    known = validation.schemas(Source("s", SCHEMA), kinds).events
    read = trace.parse("t.log", text)
    makers = [specification]
    makers += [incremental] if choose(rules, known, read).name == "incremental" else []
    oracle = native.replay(policies, SCHEMA, text, events).strip()
    for make in makers:
        found = replay(rules, SCHEMA, known, read, make(rules, known))
        assert "\n".join(map(str, found)) == oracle
    return found


def allowed(policies: str, lines: list[str], events: str | None = None) -> list[bool]:
    return [verdict.allowed for verdict in verdicts(policies, lines, events)]


def test_a_verdict_says_when_where_which_policies_and_what_the_conditions_were():
    policies = '@id("after-a")' + AFTER_A
    found = verdicts(policies, [line(0, "A"), line(3, "A", kind="response"), line(4, "B")])
    name = "policy_0__temporal_0"
    assert found == [
        Verdict(0, 0, False, (), (), {name: True}),
        Verdict(4, 2, True, ("after-a",), (), {name: True}),
    ]
    assert [str(each) for each in found] == ["@0 (time point 0): false", "@4 (time point 2): true"]


def test_a_policy_without_an_id_is_named_by_its_number():
    policies = f'forbid (principal, action == D::Action::"C", resource);{AFTER_A}'
    last = verdicts(policies, [line(0, "A"), line(1, "B")])[-1]
    assert last.policies == ("policy_1",)


def test_the_asker_sees_only_its_own_history_under_the_built_in_schema():
    lines = [line(0, "A", who="bob"), line(1, "B"), line(2, "A"), line(3, "B")]
    assert allowed(AFTER_A, lines) == [False, False, False, True]
    assert allowed(AFTER_A, lines, NO_PINS) == [False, True, False, True]


def test_the_events_of_others_take_no_positions_in_a_history_that_is_pinned():
    policies = AFTER_A.replace("formerly", "previous")
    lines = [line(0, "A"), line(1, "C", who="bob"), line(2, "B"), line(3, "B")]
    assert allowed(policies, lines, EVERY_KIND) == [False, False, True, False]
    assert allowed(policies, lines, NO_PINS) == [False, False, False, False]


def test_a_request_logged_under_another_is_judged_as_the_one_who_asks():
    lines = [line(0, "A"), line(1, "B", logged="bob"), line(2, "A", logged="bob"), line(20, "B")]
    assert allowed(AFTER_A, lines) == [False, True, False, False]
    rules, _ = program.read({"p.dw": AFTER_A})
    known = validation.schemas(Source("s", SCHEMA)).events
    chosen = choose(rules, known, trace.parse("t", "\n".join(lines)))
    assert (chosen.name, chosen.why) == ("specification", "logged under another")


def test_a_clock_that_goes_back_is_left_to_the_specification():
    lines = [line(20, "A"), line(5, "B"), line(25, "B"), line(31, "B")]
    assert allowed(AFTER_A, lines) == [False, False, True, False]
    rules, _ = program.read({"p.dw": AFTER_A})
    known = validation.schemas(Source("s", SCHEMA)).events
    ordered = trace.parse("t", "\n".join(sorted(lines)))
    far = trace.parse("t", line(2**60, "A"))
    assert choose(rules, known, far).why == "time out of reach"
    assert choose(rules, known, trace.parse("t", "\n".join(lines))).why == "clock goes back"
    assert choose(rules, known, ordered[:0]).name == "incremental"
    assert choose(rules, known, ordered[:0], reference=True).why == "asked"


def test_groups_of_actions_are_known_though_requests_are_not_checked():
    policies = """
    permit (principal, action, resource);
    forbid (principal, action in D::Action::"write", resource)
    when temporal { formerly within 10s D::Action::"C"::request{} };
    """
    lines = [line(0, "B"), line(1, "C"), line(2, "B"), line(2, "C")]
    assert allowed(policies, lines) == [True, True, False, True]


def test_a_line_without_its_context_is_judged_and_a_policy_that_errs_is_skipped():
    policies = """
    permit (principal, action, resource);
    forbid (principal, action, resource) when { context.input.amount > 5 };
    """
    found = verdicts(policies, [line(0, "A", bare=True), line(1, "A")])
    assert [each.allowed for each in found] == [True, True]
    assert [len(each.errors) for each in found] == [1, 0]


def test_entities_of_a_line_are_read_by_cedar_and_by_conditions():
    policies = """
    permit (principal in D::Team::"ops", action, resource) when { principal.level > 2 };
    permit (principal, action == D::Action::"C", resource) when temporal {
      formerly within 10s D::Action::"A"::request{ input.amount: principal.level } };
    """
    person = 'D::User::"ana": {{ level: {} }} in [D::Team::"sub"]'
    team = 'D::Team::"sub": {} in [D::Team::"ops"]'
    lines = [
        line(0, "A", entities=f"{person.format(3)}, {team}"),
        line(1, "A", entities=f"{person.format(2)}, {team}"),
        line(2, "A"),
        line(3, "C", entities=person.format(1)),
        line(4, "C", entities=person.format(2)),
    ]
    assert allowed(policies, lines) == [True, False, False, True, False]


def test_an_entity_has_an_id_and_a_type_for_conditions():
    policies = """
    permit (principal, action == D::Action::"B", resource) when temporal {
      formerly within 10s D::Action::"A"::request{ input.user: principal.id } };
    permit (principal, action == D::Action::"C", resource) when temporal {
      formerly within 10s D::Action::"A"::request{ input.user: resource.type } };
    """
    lines = [line(0, "A", input='{ user: "ana", amount: 1 }'), line(1, "B"), line(2, "C")]
    assert allowed(policies, lines) == [False, True, False]
    lines[0] = line(0, "A", input='{ user: "D::Gate", amount: 1 }')
    assert allowed(policies, lines) == [False, False, True]


@pytest.mark.parametrize(
    "broken",
    [
        '@0 request_context(input: { user: "x", amount: 1 }) D::Action::"A"::request()',
        '@0 scope(principal: D::User::"ana") D::Action::"A"::request()',
        '@0 scope(principal: "ana", resource: D::Gate::"g") D::Action::"A"::request()',
        line(0, "A", entities='D::User::"ana": { level: "high" }'),
        line(0, "A", entities='D::User::"ana": { }'),
        line(0, "A", entities='D::User::"ana": { level: null }'),
        line(0, "A", input='{ user: "x", amount: 1.23456 }'),
        line(0, "A").replace("request_context(", "request_context(policy_1__temporal_0: true, "),
    ],
)
def test_a_question_that_cannot_be_put_is_denied(broken):
    policies = f"permit (principal, action, resource);{AFTER_A}"
    rules, _ = program.read({"p.dw": policies})
    known = validation.schemas(Source("s", SCHEMA)).events
    (found,) = replay(rules, SCHEMA, known, trace.parse("t", broken))
    assert not found.allowed
    assert len(found.errors) == 1
    assert str(found) == native.replay(policies, SCHEMA, broken, None).strip()


def test_a_name_with_a_dot_in_it_is_no_path_through_a_record():
    lines = [line(0, "A"), line(1, "B")]
    policies = AFTER_A.replace("request{}", 'request{ input.user: "x" }')
    assert allowed(policies, lines) == [False, True]
    lines[0] = lines[0].replace('::request(input: { user: "x", amount: 1 }', "::request(")
    spoofed = lines[0].replace("::request(", '::request("input.user": "x"')
    rules, _ = program.read({"p.dw": policies})
    known = validation.schemas(Source("s", SCHEMA)).events
    read = trace.parse("t", f"{spoofed}\n{lines[1]}")
    assert not replay(rules, SCHEMA, known, read)[1].allowed


def test_arrays_of_traces_have_an_order_as_for_the_reference():
    policies = """
    permit (principal, action == D::Action::"B", resource) when temporal {
      formerly within 10s D::Action::"A"::request{ input.tags: context.input.tags } };
    """
    tags = '{{ user: "x", amount: 1, tags: ["{}", "{}"] }}'.format
    first = line(0, "A", input=tags("a", "b"))
    assert allowed(policies, [first, line(1, "B", input=tags("a", "b"))]) == [False, True]
    assert allowed(policies, [first, line(1, "B", input=tags("b", "a"))]) == [False, False]


def test_policies_that_cedar_does_not_take_are_refused():
    rules, _ = program.read({"p.dw": AFTER_A})
    known = validation.schemas(Source("s", SCHEMA)).events
    with pytest.raises(BundleError, match="Cedar does not take"):
        replay(rules, "entity", known, ())
