"""Policies with history and macros → Cedar: what Cedar is given, and what is refused where."""

import cedarpy
import pytest
from cedarpy import pst
from dogwood import native
from hypothesis import given
from hypothesis import strategies as st

from bridle.language import library
from bridle.language.compile import compile_file, leaf_digest
from bridle.language.lowering import Room
from bridle.language.policy import Policy, PolicySetName
from bridle.language.program import Rules, read
from bridle.language.temporal.printing import text as printed
from bridle.model.finding import Finding

HEAD = "permit (principal, action, resource)"
LEAF = 'formerly within 1h D::Action::"A"::request{}'
OTHER = 'formerly within 2h D::Action::"B"::response{ input.x: context.input.x }'

SCHEMA = """
namespace D {
  entity User = { "team": String };
  entity Gateway;
  action "A", "B" appliesTo {
    principal: [User], resource: [Gateway],
    context: { "input": { "x": Long, "s": String, "list": Set<String> } }
  };
}
"""


def program(text: str, macros: str = "") -> tuple[Rules, tuple[Finding, ...]]:
    return read({"p.dw": text}, macros)


def lowered(text: str) -> str:
    rules, findings = program(text)
    assert findings == ()
    return rules.text


def refused(text: str, macros: str = "") -> list[tuple[str, str]]:
    _, findings = program(text, macros)
    lines = text.split("\n")
    return [(f.code, lines[f.location.line - 1][f.location.column - 1 :]) for f in findings]


@pytest.mark.parametrize(
    ("conditions", "meaning"),
    [
        (f"when temporal {{ {LEAF} }}", "when { context.policy_0__temporal_0 }"),
        (f"unless temporal {{ {LEAF} }}", "unless { context.policy_0__temporal_0 }"),
        (
            f"when {{ context.input.x > 5 && temporal {{ {LEAF} }} }}",
            "when { context.input.x > 5 && context.policy_0__temporal_0 }",
        ),
        (
            (
                f"when {{ !temporal{{{LEAF}}} || (temporal {{ {OTHER} }}) }} "
                f"unless temporal {{ {LEAF} }}"
            ),
            (
                "when { !context.policy_0__temporal_0 || (context.policy_0__temporal_1) } "
                "unless { context.policy_0__temporal_2 }"
            ),
        ),
        (
            f"when {{ if temporal {{ {LEAF} }} then true else temporal {{ {OTHER} }} }}",
            "when { if context.policy_0__temporal_0 then true else context.policy_0__temporal_1 }",
        ),
        (
            f"when {{ if temporal {{ {LEAF} }}then true else!temporal{{{LEAF}}}&&true }}",
            (
                "when { if context.policy_0__temporal_0 then true "
                "else!context.policy_0__temporal_1&&true }"
            ),
        ),
        ("when guardrails { context.input.x > 5 }", "when { context.input.x > 5 }"),
        ("when { context.temporal == context.guardrails }", None),
        ('when { context has temporal && "temporal {" == "x" }', None),
        ("// when temporal { x }\nwhen { true }", None),
    ],
)
def test_a_condition_over_history_becomes_a_truth_of_the_context(
    conditions: str, meaning: str | None
) -> None:
    text = f'@id("x") {HEAD}\n{conditions};'
    assert lowered(text) == f'@id("x") {HEAD}\n{meaning or conditions};'


def test_the_conditions_of_a_program_are_numbered_by_policy_and_by_place() -> None:
    text = f"{HEAD};\n{HEAD} when temporal {{ {LEAF} }} unless temporal {{ {OTHER} }};"
    rules, findings = read({"a.dw": text, "b.dw": f"{HEAD} when temporal {{ {LEAF} }};"})
    assert findings == ()
    assert [[leaf.name for leaf in rule.lowered.leaves] for rule in rules.rules] == [
        [],
        ["policy_1__temporal_0", "policy_1__temporal_1"],
        ["policy_2__temporal_0"],
    ]
    assert [rule.id for rule in rules.rules] == [rule.node.id for rule in rules.rules]


CEDAR_MACROS = """
def cedar is_small(?n) { ?n < 100 };
def cedar eligible(?x, ?s) { ?x < 100 || ?s == "FOO" };
def cedar negated(?p) { !?p };
def cedar minus(?p) { -?p };
def cedar starts(?s) { ?s like "F*" };
def cedar cap(?s, ?x) { if ?s == "FOO" then ?x <= 10 else ?x <= 1000 };
def cedar semver(?major, ?minor, ?patch) { { major: ?major, minor: ?minor, patch: ?patch } };
def cedar newer(?a, ?b) {
    if ?a.major == ?b.major
    then (if ?a.minor == ?b.minor then ?b.patch < ?a.patch else ?b.minor < ?a.minor)
    else ?b.major < ?a.major
};
def cedar holds(?set, ?x) { ?set.contains(?x) || ?set.containsAny(["a", ?x]) };
def cedar team(?who) { ?who has team && ?who.team == "ops" };
def cedar user(?who) { ?who is D::User && ?who in D::User::"x" };
def cedar always() { true };
"""


def bracketed(text: str) -> str:
    return f"({text})"


CALLS = [
    "is_small(context.input.x)",
    "is_small(1 + 2 * 3)",
    "is_small(if context.input.x == 1 then 2 else 3)",
    "is_small(context.input.x) && !is_small(5)",
    "eligible(context.input.x, context.input.s) && is_small(context.input.x) || always()",
    "negated(context.input.x == 1 || false)",
    "negated(is_small(1) && is_small(2))",
    "minus(context.input.x) < minus(-3)",
    "starts(context.input.s)",
    'starts("Foo")',
    "cap(context.input.s, context.input.x * 2 + 1)",
    "newer(semver(2, 1, 1), semver(2, 1, 0))",
    "newer({major: 1, minor: 2, patch: 3}, semver(context.input.x, 1, 0))",
    'holds(context.input.list, "b")',
    'holds(["a", "b"], context.input.s)',
    "team(principal)",
    "user(principal)",
    "always()",
    'context.input.list.contains("x") && is_small(context.input.x)',
    "[is_small(1), is_small(2)].contains(is_small(3))",
    '{ "a": is_small(1) }.a',
    "is_small(\n// a comment, with ) and ,\ncontext.input.x)",
]  # fmt: skip


@pytest.mark.parametrize("call", CALLS)
def test_a_cedar_macro_means_what_the_reference_says_it_means(call: str) -> None:
    text = f"{CEDAR_MACROS}\npermit (principal, action, resource)\nwhen {{ {call} }};"
    theirs = native.lower_to_cedar(text, SCHEMA, None)
    assert _only(lowered(text)) == _only(theirs)


NUMBERS = st.recursive(
    st.sampled_from(["1", "-3", "context.input.x", "(2)"]),
    lambda n: st.one_of(
        st.tuples(n, st.sampled_from([" + ", "*", " - "]), n).map("".join),
        n.map("minus({})".format),
        n.map("({})".format),
        st.tuples(n, n).map(lambda p: "cap2({}, {})".format(*p)),
        st.tuples(n, n).map(lambda p: "if is_small({}) then {} else 0".format(*p)).map(bracketed),
    ),
    max_leaves=5,
)
TRUTHS = st.recursive(
    st.one_of(
        st.sampled_from(["context.input.x == 7", "starts(context.input.s)", "team(principal)"]),
        NUMBERS.map("is_small({})".format),
        st.tuples(NUMBERS, st.sampled_from([" < ", " <= ", "=="]), NUMBERS).map("".join),
    ),
    lambda t: st.one_of(
        st.tuples(t, st.sampled_from([" && ", "||"]), t).map("".join),
        t.map("negated({})".format),
        t.map("!({})".format),
        t.map("is_small({{a: {}, b: 1}}.b)".format),
        st.tuples(t, t).map(lambda p: "both({}, {})".format(*p)),
    ),
    max_leaves=5,
)
MORE = "def cedar cap2(?a, ?b) { ?a + ?b * ?a }; def cedar both(?a, ?b) { ?a && ?b || !?a };"


@given(TRUTHS)
def test_random_calls_of_cedar_macros_mean_what_the_reference_says(call: str) -> None:
    text = f"{CEDAR_MACROS}\n{MORE}\n{HEAD} when {{ {call} }};"
    assert _only(lowered(text)) == _only(native.lower_to_cedar(text, SCHEMA, None))


def test_a_condition_over_history_may_be_an_argument_and_stands_wherever_that_does() -> None:
    text = (
        "def cedar xor(?a, ?b) { (?a && !?b) || (!?a && ?b) };\n"
        f"{HEAD} when {{ xor(temporal {{ {LEAF} }}, context.input.x == 1) }};"
    )
    rules, findings = program(text)
    assert findings == ()
    assert [leaf.name[-1] for leaf in rules.rules[0].lowered.leaves] == ["0", "1"]
    assert _only(rules.text) == _only(native.lower_to_cedar(text, SCHEMA, None))


def _only(text: str) -> tuple[object, ...]:
    (node,) = cedarpy.policies_to_pst(text).static_policies.values()
    return (node.effect, node.principal, node.action, node.resource, _clauses(node))


def _clauses(node: pst.Template) -> object:
    return node.clauses


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        (f"{HEAD} when temporal {{ }};", "history_syntax", "}"),
        (f"{HEAD} when temporal {{ formerly }};", "history_syntax", "}"),
        (f"{HEAD} when {{ true && temporal {{ x }} }};", "history_syntax", "} }"),
        (f"{HEAD} when temporal {{ {LEAF} ", "policy_syntax", "{ formerly"),
        (f"{HEAD} temporal {{ {LEAF} }};", "policy_syntax", "temporal"),
        (
            f"permit (principal == temporal {{ {LEAF} }}, action, resource);",
            "policy_syntax", "temporal",
        ),
        (
            f'{HEAD} when {{ Strings::Matches(context.input.s, "x").matched }};',
            "provider_unsupported", "Strings",
        ),
        (f"{HEAD} when guardrails {{ A::B::C(1) < 2 }};", "provider_unsupported", "A::B::C"),
        (f"{HEAD} when {{ ?x == 1 }};", "stray_parameter", "?x"),
        (f"{HEAD} when {{ $x == 1 }};", "stray_parameter", "$x"),
        (f"{HEAD} when {{ context.x == ?principal }};", "policy_syntax", "when"),
        (f"{HEAD} when {{ nobody(1) }};", "policy_syntax", "nobody"),
        (f"{HEAD} when {{ small(1, 2) }};", "macro_arity", "small"),
        (f"{HEAD} when {{ small() }};", "macro_arity", "small"),
        (f"{HEAD} when {{ small(,) }};", "macro_arity", "small"),
        (f"{HEAD} when {{ small(1 +) }};", "policy_syntax", "small"),
        (f"{HEAD} when {{ (1 < 2) && (1 +) < 2 }};", "policy_syntax", ") < 2"),
        (f"{HEAD} when {{ small(1) < }};", "policy_syntax", "}"),
        (f"{HEAD} when {{ recent(1) }};", "macro_kind", "recent"),
        (f"{HEAD} when temporal {{ small(1) }};", "macro_kind", "small"),
        ('@id("x") def cedar f() { true };', "not_a_policy", "def"),
        (f"{HEAD} when {{ {'small(' * 30}1{')' * 30} == 1 }};", "policy_too_large", "small"),
    ],
)  # fmt: skip
def test_what_cannot_be_lowered_is_refused_where_it_stands(text: str, code: str, at: str) -> None:
    macros = (
        "def cedar small(?n) { ?n < 100 }; def temporal recent(?w) { formerly within ?w tp(t) };"
    )
    ((found, place),) = refused(text, macros)
    assert (found, place[: len(at)]) == (code, at)


@pytest.mark.parametrize(
    "hostile",
    [
        "double(" * 20 + "1" + ")" * 20,
        "double(" * 12 + "context.input.x" + ")" * 12,
        "many(" * 3 + "1" + ")" * 3,
    ],
)
def test_expansion_never_hands_cedar_what_it_could_not_survive(hostile: str) -> None:
    macros = (
        "def cedar double(?p) { ?p + ?p };\n"
        f"def cedar many(?p) {{ [{', '.join(['?p'] * 300)}] == 1 }};"
    )
    ((code, _),) = refused(f"{HEAD} when {{ {hostile} == 1 }};", macros)
    assert code == "policy_too_large"


GROWS = {
    "def temporal t(?p) { ?p && ?p }; ": f"when temporal {{ {'t(' * 5}{LEAF}{')' * 5} }}",
    "def cedar t(?p) { [?p, ?p] }; ": f"when {{ {'t(' * 8}1{')' * 8} == 1 }}",
}


@pytest.mark.parametrize("macro", GROWS)
def test_no_number_of_short_policies_keeps_the_loader_writing_out_macros(macro: str) -> None:
    one, room = f'@id("x") {HEAD} {GROWS[macro]};\n', Room(3_000)
    _, findings = compile_file("p.dw", macro + one * 1_000, PolicySetName.TOOLS, room=room)
    assert {f.code for f in findings} == {"policy_too_large"}
    assert len(findings) > 900
    _, (finding,) = compile_file("q.dw", f'@id("x") {HEAD};', PolicySetName.TOOLS, room=room)
    assert "in all" in finding.message


def test_the_conditions_of_one_policy_share_its_limit() -> None:
    macro = f"def temporal t(?p) {{ {' && '.join(['?p'] * 25)} }};"
    leaf = f"temporal {{ t(t({LEAF})) }}"
    found = list[int]()
    for count in (1, 50):
        text = f'{macro}@id("x") {HEAD} when {{ {" || ".join([leaf] * count)} }};'
        policies, findings = compile_file("p.dw", text, PolicySetName.TOOLS)
        assert {f.code for f in findings} <= {"policy_too_large"}
        found.append(len(policies))
    assert found == [1, 0]


def test_an_error_within_an_expansion_stands_at_the_call() -> None:
    macros = "def cedar f(?a) { ?a.foo() };"
    text = f"{HEAD}\nwhen {{ true &&\n  f(1) }};"
    assert refused(text, macros)[0][0] == "policy_syntax"


def test_a_programs_own_macros_win_over_those_it_is_given() -> None:
    text = f"def cedar f() {{ 1 == 1 }};\n{HEAD} when {{ f() }};"
    rules, findings = program(text, "def cedar f() { 2 == 2 };")
    assert findings == ()
    assert "1 == 1" in rules.text


def test_two_texts_of_a_program_define_a_name_once() -> None:
    text = "def cedar f() { true };"
    _, findings = read({"a.dw": text, "b.dw": text})
    assert [(f.code, f.location.file) for f in findings] == [("duplicate_macro", "b.dw")]


def test_a_library_holds_macros_only_and_every_file_of_it_is_sound() -> None:
    _, findings = program("", f"def cedar f() {{ true }};\n{HEAD};")
    assert [f.code for f in findings] == ["not_a_macro"]
    assert {
        "count_within",
        "sum_within",
        "count_distinct_within",
        "bind",
    } <= library.library().keys()


# --- policies of a bundle ------------------------------------------------------------------------


def compiled(text: str, scope: str = "mission", macros: str = "") -> Policy:
    known, findings = library.read({"macros/m.dw": macros}, library.library())
    assert findings == ()
    (policy,), findings = compile_file("p.dw", text, PolicySetName.TOOLS, scope, macros=known)
    assert findings == ()
    return policy


def test_a_policy_keeps_its_text_and_its_conditions_beside_it() -> None:
    text = f'@id("x") {HEAD}\nwhen temporal {{ {OTHER} }} unless temporal {{ {LEAF} }};'
    policy = compiled(text)
    other, leaf = policy.leaves
    assert policy.text == text
    assert printed(leaf.condition) == LEAF
    assert leaf.name == f"h{leaf.digest[:16]}"
    assert leaf.digest == leaf_digest("mission", leaf.condition)
    assert (other.reads, leaf.reads) == (frozenset({"context.input.x"}), frozenset())
    assert str(other.location) == "p.dw:2:17"
    assert (leaf.horizon, other.horizon, leaf.scope) == (3_600, 7_200, "mission")


@pytest.mark.parametrize("word", ["has", "is", "like"])
def test_a_condition_never_stands_where_a_name_does(word: str) -> None:
    # Cedar would read `context has context.history.…`: false, and the forbid silent.
    text = f'@id("x") {HEAD} when {{ context {word} temporal {{ {LEAF} }} }};'
    _, (finding,) = compile_file("p.dw", text, PolicySetName.TOOLS)
    assert (finding.code, finding.location.column) == ("policy_syntax", text.index("temporal") + 1)


def test_what_stands_twice_is_one_condition_and_scopes_do_not_share() -> None:
    text = f'@id("x") {HEAD} when temporal {{ {LEAF} }} when temporal {{ ({LEAF}) }};'
    (leaf,) = compiled(text).leaves
    (elsewhere,) = compiled(text, "user").leaves
    assert leaf.name != elsewhere.name


def test_layout_and_comments_do_not_change_what_state_is_kept_under() -> None:
    one = compiled(f'@id("x") {HEAD} when temporal {{ {LEAF} }};')
    two = compiled(f'@id("y") {HEAD} when temporal {{ // a\n  ({LEAF.replace(" ", "  ")}) }};')
    assert one.leaves[0].digest == two.leaves[0].digest
    assert one.digest != two.digest


@pytest.mark.parametrize(
    ("window", "horizon"),
    [
        ("formerly within 10s (formerly within 5s P)", 15),
        ("formerly within 10s P && previous within 2m P", 120),
        ("(formerly within 5s P) since within 1m P", 65),
        ("P since within 1m (P && previous within 7s P)", 67),
        ("(count for (t: Timepoint). where formerly within 1d (P && tp(t))) > 1", 86_400),
        ("P", 0),
    ],
)
def test_the_horizon_is_what_nested_windows_add_up_to(window: str, horizon: int) -> None:
    condition = window.replace("P", 'D::Action::"A"::request{}')
    (leaf,) = compiled(f'@id("x") {HEAD} when temporal {{ {condition} }};').leaves
    assert leaf.horizon == horizon


def test_an_approval_is_void_when_a_macro_changes_what_its_policy_means() -> None:
    text = f'@id("x") {HEAD} when {{ f(context.x) }} when temporal {{ g(1h) }};'
    macros = (
        'def cedar f(?x) { ?x == 1 }; def temporal g(?w) { formerly within ?w A::"a"::request{} };'
    )
    first = compiled(text, macros=macros)
    assert first.text == text
    assert first.digest != compiled(text, macros=macros.replace("== 1", "== 2")).digest
    assert first.digest != compiled(text, macros=macros.replace('"a"', '"b"')).digest
    assert (
        first.digest
        == compiled(text, macros=f"// a comment\n{macros} def cedar h() {{ true }};").digest
    )


def test_a_file_sees_its_own_macros_before_the_bundles_and_those_before_the_library() -> None:
    call = f'@id("x") {HEAD} when temporal {{ bind(n, 1, tp(n)) }};'
    bundle = "def temporal bind(?a, ?b, ?c) { 2 == ?b && ?c };"
    own = "def temporal bind(?a, ?b, ?c) { 3 == ?b && ?c };"
    texts = [compiled(call), compiled(call, macros=bundle), compiled(own + call, macros=bundle)]
    assert [printed(p.leaves[0].condition)[:6] for p in texts] == ["exists", "2 == 1", "3 == 1"]


def test_a_file_of_macros_that_holds_a_policy_is_refused() -> None:
    _, findings = library.read({"macros/m.dw": f'@id("x") {HEAD};'})
    assert [(f.code, str(f.location)) for f in findings] == [("not_a_macro", "macros/m.dw:1:10")]
