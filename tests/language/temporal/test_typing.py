"""Names, types, paths and windows of conditions, held against schemas and what a policy reaches."""

import cedarpy
import pytest

from bridle.language.events import cedar_schema
from bridle.language.events.default import default
from bridle.language.events.derive import derive
from bridle.language.events.parse import parse
from bridle.language.lexer import Source
from bridle.language.reach import reach
from bridle.language.temporal.parse import condition
from bridle.language.temporal.typing import check, duration
from bridle.model.finding import Finding

SCHEMA = """
namespace D {
  type Rec = { a: Long, b?: { c: String } };
  type In = { user: String, amount: Long, flag: Bool, score: decimal, owner: User,
              tags: Set<String>, nums: Set<Long>, rec: Rec, ip: ipaddr, e: E };
  type Out = { ok?: Bool };
  entity Gateway = { g: Long };
  entity User in [Team] = { dept: String, level: Long };
  entity Robot = { level: String };
  entity Team;
  entity E enum ["x", "y"];
  action Group;
  action Below in [Group];
  action A in [Group]
    appliesTo { principal: User, resource: Gateway, context: { input: In, output?: Out } };
  action B in [Below]
    appliesTo { principal: User, resource: Gateway, context: { input: In, sys?: { now: Long } } };
  action C appliesTo
    { principal: [User, Robot], resource: Gateway, context: { input: { user: Long } } };
}
"""
ACTIONS = cedar_schema.read(Source("s", SCHEMA))
EVENTS = derive(default(), ACTIONS)
ON_B = 'principal, action == D::Action::"B", resource'


def findings(text: str, scope: str = ON_B, events: str = "") -> list[Finding]:
    source = Source("p.dw", text)
    node = next(iter(cedarpy.policies_to_pst(f"permit({scope});").static_policies.values()))
    known = derive(parse(Source("e", events)), ACTIONS) if events else EVENTS
    tree = condition(source, 0, len(text))
    return check(tree, known, reach(node, ACTIONS), ACTIONS, source)


def codes(text: str, scope: str = ON_B, events: str = "") -> set[str]:
    return {f.code for f in findings(text, scope, events)}


def field(said: str, scope: str = ON_B) -> set[str]:
    return codes(f'formerly within 1m D::Action::"A"::request{{ {said} }}', scope)


@pytest.mark.parametrize(
    "said",
    [
        "",
        "input.user: context.input.user",
        "input.amount: context.sys.now",
        "input.user: principal.dept",
        "input.user: principal.id, input.user: resource.type",
        "input.amount: principal.level",
        "input.owner: principal",
        'input.owner: D::User::"u"',
        "input.tags: context.input.tags",
        "input.rec.a: 1, input.rec.b.c: *",
        'input.ip: "1.2.3.4"',
        'input.e: D::E::"x"',
        'input.score: decimal("1.5")',
        "callerPrincipal: principal, requestId: _",
    ],
)
def test_what_fits_its_field_is_accepted(said: str) -> None:
    assert field(said) == set()


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("input.usr: 1", "history_unknown_field"),
        ("user: 1", "history_unknown_field"),
        ("output.ok: true", "history_unknown_field"),
        ("input.user.x: 1", "history_unknown_field"),
        ("input: *", "history_field_group"),
        ("input.rec.b: *", "history_field_group"),
        ("input.user: 1", "history_field_type"),
        ("input.amount: true", "history_field_type"),
        ("input.score: 1", "history_field_type"),
        ('input.rec.a: "x"', "history_field_type"),
        ('input.tags: "x"', "history_field_type"),
        ("input.tags: context.input.nums", "history_field_type"),
        ("input.user: context.input", "history_field_type"),
        ("input.user: context.input.amount", "history_field_type"),
        ("input.user: principal.level", "history_field_type"),
        ("input.owner: resource", "history_field_type"),
        ('input.owner: D::Team::"t"', "history_field_type"),
        ('input.owner: D::Action::"A"', "history_field_type"),
        ("requestId: 5", "history_field_type"),
        ('callerPrincipal: D::Gateway::"g"', "history_field_type"),
        ("input.user: context.input.nope", "history_context_path"),
        ("input.user: context.nope", "history_context_path"),
        ("input.user: context.input.user.x", "history_context_path"),
        ("input.user: principal.nope", "history_scope_path"),
        ("input.user: principal.id.x", "history_scope_path"),
        ('input.owner: User::"u"', "history_unknown_entity"),
        ('input.owner: D::Usr::"u"', "history_unknown_entity"),
        ('input.e: D::E::"z"', "history_entity_id"),
    ],
)
def test_what_no_event_can_be_is_refused(said: str, code: str) -> None:
    assert code in field(said)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('D::Action::"Z"::request{}', "history_unknown_event"),
        ('D::Action::"A"::reqest{}', "history_unknown_event"),
        ('Action::"A"::request{}', "history_unknown_event"),
        ('formerly within 0s D::Action::"A"::request{}', "history_window"),
        ('formerly within 25h D::Action::"A"::request{}', "history_window"),
        ('previous within 86401s D::Action::"A"::request{}', "history_window"),
        (
            'D::Action::"A"::request{} since within 2d D::Action::"A"::request{}',
            "history_window",
        ),
        (
            "(count for (t: Timepoint). where formerly within 2d tp(t)) > 1",
            "history_window",
        ),
        ("exists (t: Long). tp(t)", "history_tp_type"),
        (
            "exists (s: Timepoint). exists (t: Timepoint). (tp(s) && tp(t) && s < t)",
            "history_comparison",
        ),
        ("exists (t: Timepoint). (tp(t) && t == 5)", "history_comparison"),
        (
            'exists (d: decimal). (D::Action::"A"::request{ input.score: d } && d > decimal("1"))',
            "history_comparison",
        ),
        (
            'exists (x: String). (D::Action::"A"::request{ input.user: x } && x == 1)',
            "history_comparison",
        ),
        (
            '(sum a for (a: decimal). where D::Action::"A"::request{ input.score: a }) > 1',
            "history_sum_type",
        ),
        ("(sum t for (t: Timepoint). where tp(t)) > 1", "history_sum_type"),
        ('exists (u: Long). D::Action::"A"::request{ input.user: u }', "history_field_type"),
        ('exists (u: Robot). D::Action::"A"::request{ input.owner: u }', "history_field_type"),
    ],
)
def test_what_could_never_be_true_is_refused(text: str, code: str) -> None:
    assert codes(text) == {code}


def test_the_longest_window_is_the_one_that_is_kept() -> None:
    kept = "max_window = 2h decision event <A>::request { ...inputs(A) }"
    text = 'formerly within {} D::Action::"A"::request{{}}'
    assert codes(text.format("7200s"), events=kept) == set()
    (found,) = findings(text.format("7201s"), events=kept)
    assert (found.code, found.hint) == (
        "history_window",
        "shorten it to at most 2h, or raise `max_window`",
    )


def test_a_window_longer_than_any_number_is_refused_even_where_all_is_kept() -> None:
    kept = "max_window = 9223372036854775807d decision event <A>::request {}"
    text = 'formerly within {}d D::Action::"A"::request{{}}'
    assert codes(text.format(2**63 - 1), events=kept) == {"history_window"}
    assert codes(text.format(106_751_991_167_300), events=kept) == set()


def test_the_type_of_a_binder_holds_within_it_alone() -> None:
    a = 'D::Action::"A"::request'
    text = (
        f"exists (u: {{}}). ({a}{{{{ input.user: u }}}} && "
        f"exists (u: {{}}). formerly within 1m {a}{{{{ input.amount: u }}}})"
    )
    assert codes(text.format("String", "Long")) == set()
    assert codes(text.format("Long", "String")) == {"history_field_type"}
    assert len(findings(text.format("Long", "String"))) == 2


SCOPES = [
    ("principal, action, resource", False),
    ('principal, action in D::Action::"Group", resource', True),
    ('principal, action in [D::Action::"Below"], resource', True),
    ('principal, action in [D::Action::"A", D::Action::"C"], resource', False),
    ('principal, action == D::Action::"C", resource', False),
    ('principal is D::Robot, action in [D::Action::"A", D::Action::"B"], resource', True),
]


@pytest.mark.parametrize(("scope", "fits"), SCOPES)
def test_a_path_must_fit_every_action_that_the_policy_reaches(scope: str, *, fits: bool) -> None:
    assert (field("input.user: context.input.user", scope) == set()) is fits


def test_what_the_scope_leaves_out_is_not_held_against_a_policy() -> None:
    on_c = ', action == D::Action::"C", resource'
    assert "history_scope_path" in field("input.user: principal.dept", "principal" + on_c)
    assert field("input.user: principal.dept", "principal is D::User" + on_c) == set()
    assert field("input.user: principal.dept", 'principal == D::User::"u"' + on_c) == set()
    assert field("input.user: principal.dept", 'principal in D::Team::"t"' + on_c) == set()
    assert field("input.user: principal.level", "principal is D::Robot" + on_c) == set()
    # A string for one kind of principal and a number for the other.
    assert field("input.amount: principal.level", "principal" + on_c) == {"history_scope_path"}


def test_an_entity_of_several_types_fits_any_entity_and_nothing_else() -> None:
    on_c = 'principal, action == D::Action::"C", resource'
    assert field("input.owner: principal", on_c) == set()
    assert field("input.user: principal", on_c) == {"history_field_type"}


def test_a_pin_that_reads_what_a_request_lacks_is_refused() -> None:
    schema = "decision event <A>::request { pin s: String = context.session }"
    assert codes('D::Action::"A"::request{}', events=schema) == {"history_context_path"}


def test_a_finding_names_its_place_and_what_was_meant() -> None:
    (found,) = findings('formerly within 1m\n  D::Action::"A"::request{ input.amont: 1 }')
    assert str(found.location) == "p.dw:2:28"
    assert found.hint == "did you mean `input.amount`?"


def test_one_wrong_path_is_told_once_for_all_actions() -> None:
    (found,) = findings(
        'D::Action::"A"::request{ input.user: context.nope, requestId: context.nope }',
        "principal, action, resource",
    )
    assert found.message.endswith(": there is no `nope`")
    assert 'D::Action::"A", D::Action::"B", D::Action::"C"' in found.message


@pytest.mark.parametrize(
    ("seconds", "written"), [(1, "1s"), (60, "1m"), (90, "90s"), (7200, "2h"), (172_800, "2d")]
)
def test_lengths_of_time_are_written_in_the_largest_unit(seconds: int, written: str) -> None:
    assert duration(seconds) == written


def test_a_policy_over_two_thousand_actions_is_checked_against_each() -> None:
    tools = "".join(
        f'action "t{i}" appliesTo {{ principal: User, resource: User, '
        f"context: {{ input: {{ user: String, own{i}: Long }} }} }};"
        for i in range(2_000)
    )
    actions = cedar_schema.read(Source("s", f"entity User; {tools}"))
    text = " && ".join(
        f'formerly within 1m Action::"t{i}"::request{{ input.user: context.input.{name} }}'
        for i, name in enumerate(["user", "own7"] * 25)
    )
    policies = cedarpy.policies_to_pst("permit(principal, action, resource);").static_policies
    everywhere = reach(next(iter(policies.values())), actions)
    tree, source = condition(Source("p.dw", text), 0, len(text)), Source("p.dw", text)
    found = check(tree, derive(default(), actions), everywhere, actions, source)
    assert "and 1996 more" in found[0].message
    assert {f.code for f in found} == {"history_context_path", "history_field_type"}
