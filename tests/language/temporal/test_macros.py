"""Macros of conditions over history: what a call stands for, and what is refused where."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.language.definitions import RESERVED, define
from bridle.language.errors import LanguageError
from bridle.language.lexer import Source
from bridle.language.source import contents
from bridle.language.temporal.ast import AggregateCall, Call, Exists, Sigil
from bridle.language.temporal.macros import MAX_SIZE, Macro, expand
from bridle.language.temporal.parse import condition
from bridle.language.temporal.printing import text as printed
from bridle.language.temporal.tree import names, walk
from tests.language.temporal.trees import conditions

A, C = 'D::Action::"A"::request', 'D::Action::"C"::request'

LIBRARY = f"""
def temporal once(?w, ?s) {{ formerly within ?w ?s }};
def temporal other(?p) {{
    exists ($u: String). (formerly within 10s {C}{{ input.user: $u }} && ?p)
}};
def temporal approved(?w, ?s) {{ formerly within ?w (?s{{ output.ok: true }}{{ requestId: _ }}) }};
def temporal times(?w, ?s) {{ count for ($t: Timepoint). where formerly within ?w (?s && tp($t)) }};
def temporal total(?a, ?w, ?s) {{
    sum ?a for (?a: Long), ($t: Timepoint). where formerly within ?w (?s && tp($t))
}};
def temporal bind(?n, ?value, ?then) {{ exists (?n: Long). (?value == ?n && ?then) }};
def temporal twice(?p) {{ ?p && ?p }};
def temporal captures(?p) {{ exists (u: String). ({A}{{ input.user: u }} && ?p) }};
def temporal listed(?x) {{ {A}{{ input.user: ?x }} && [?x, 1] == ?x }};
def cedar small(?n) {{ ?n < 100 }};
"""


def defined(text: str) -> tuple[dict[str, Macro], list[tuple[str, int, int]]]:
    source = Source("m.dw", text)
    found = contents(source)
    macros, findings = define(source, found.definitions)
    everything = (*found.findings, *findings)
    return macros, [(f.code, f.location.line, f.location.column) for f in everything]


def expanded(text: str, library: str = LIBRARY) -> str:
    macros, findings = defined(library)
    assert findings == []
    source = Source("p.dw", text)
    return printed(expand(condition(source, 0, len(text)), macros, source))


def plain(text: str) -> str:
    return printed(condition(Source("p.dw", text), 0, len(text)))


def refused(text: str, library: str = LIBRARY) -> tuple[str, str]:
    with pytest.raises(LanguageError) as error:
        expanded(text, library)
    location = error.value.finding.location
    assert location.file == "p.dw"
    return error.value.code, text.split("\n")[location.line - 1][location.column - 1 :]


@pytest.mark.parametrize(
    ("call", "meaning"),
    [
        (f"once(1h, {A}{{}})", f"formerly within 1h {A}{{}}"),
        (f"once(1h, ({A}{{}} && {C}{{}}))", f"formerly within 1h ({A}{{}} && {C}{{}})"),
        (
            f"approved(5m, {A}{{ input.user: _ }})",
            f"formerly within 5m {A}{{ input.user: _, output.ok: true, requestId: _ }}",
        ),
        (
            f"times(1h, {A}{{}}) > 3",
            f"(count for (t_1: Timepoint). where formerly within 1h ({A}{{}} && tp(t_1))) > 3",
        ),
        (
            f"total(a, 1h, {A}{{ input.amount: a }}) > 3",
            (
                "(sum a for (a: Long), (t_1: Timepoint). where "
                f"formerly within 1h ({A}{{ input.amount: a }} && tp(t_1))) > 3"
            ),
        ),
        (
            f"bind(n, times(1h, {A}{{}}), n > 2)",
            (
                "exists (n: Long). ((count for (t_1: Timepoint). where "
                f"formerly within 1h ({A}{{}} && tp(t_1))) == n && n > 2)"
            ),
        ),
        ('listed("x")', f'{A}{{ input.user: "x" }} && ["x", 1] == "x"'),
        (f"{A}{{ a: 1 }}{{ b: 2 }}", f"{A}{{ a: 1, b: 2 }}"),
        (f"!once(1h, {A}{{}})", f"!(formerly within 1h {A}{{}})"),
    ],
)
def test_a_call_stands_for_its_body_with_the_arguments_in_place(call: str, meaning: str) -> None:
    assert expanded(call) == plain(meaning)


def test_a_fresh_variable_is_none_of_the_callers() -> None:
    # The argument speaks of the caller's t_1, and of u: neither is what the macro binds.
    call = 'exists (u_1: String). other(other(formerly within 10s C::"c"::request{ x: u_1 }))'
    tree = condition(Source("p.dw", expanded(call)), 0, len(expanded(call)))
    bound = [node.binder.name for node in walk(tree) if isinstance(node, Exists)]
    assert bound == ["u_1", "u_3", "u_2"]


def test_two_calls_have_two_fresh_variables_and_one_call_has_one() -> None:
    text = expanded(f"times(1h, {A}{{}}) > times(2h, {C}{{}})")
    assert names(condition(Source("x", text), 0, len(text))) == {"t_1", "t_2"}


def test_a_variable_that_a_body_names_itself_catches_the_arguments_own() -> None:
    # As the reference has it: only `$u` is fresh.
    assert expanded('captures(u == "x")') == plain(
        f'exists (u: String). ({A}{{ input.user: u }} && u == "x")'
    )


@given(st.lists(st.sampled_from(["once", "twice", "other", "captures"]), max_size=5))
def test_an_expansion_has_no_calls_left_and_the_same_text_twice(nested: list[str]) -> None:
    text = f"{A}{{}}"
    for name in nested:
        text = f"{name}(1h, {text})" if name == "once" else f"{name}({text})"
    found = expanded(text)
    assert found == expanded(text)
    left = walk(condition(Source("x", found), 0, len(found)))
    assert not any(isinstance(node, Call | AggregateCall | Sigil) for node in left)


@given(conditions())
def test_what_calls_nothing_stands_for_itself(tree: object) -> None:
    text = printed(tree)  # type: ignore[arg-type]
    assert expanded(text) == text


@given(conditions(macros=True))
def test_whatever_is_called_is_expanded_or_refused_with_a_place(tree: object) -> None:
    text = printed(tree)  # type: ignore[arg-type]
    try:
        found = expanded(text, LIBRARY.replace("once", "f").replace("twice", "at_most"))
    except LanguageError as error:
        if not 1 <= error.finding.location.column <= len(text) + 1:
            pytest.fail(str(error.finding))
        return
    assert "?" not in found.replace('"', " ").split("::")[0]


@pytest.mark.parametrize(
    ("text", "code", "at"),
    [
        ("nobody(1h)", "unknown_macro", "nobody"),
        (f"once({A}{{}})", "macro_arity", "once"),
        (f"once(1h, 2h, {A}{{}})", "macro_arity", "once"),
        ("once()", "macro_arity", "once"),
        ("once(1h, 5)", "macro_argument", "once"),
        (f"once(5, {A}{{}})", "macro_argument", "once"),
        (f"once(x == 1, {A}{{}})", "macro_argument", "once"),
        (f"approved(1h, ({A}{{}} && {C}{{}}))", "macro_argument", "approved"),
        (f"approved(1h, once(1h, {A}{{}}))", "macro_argument", "approved"),
        ("listed(1h)", "macro_argument", "listed"),
        (f"listed({A}{{}})", "macro_argument", "listed"),
        (f"total(5, 1h, {A}{{}}) > 1", "macro_argument", "total"),
        (f"total(_, 1h, {A}{{}}) > 1", "macro_argument", "total"),
        (f"total(principal, 1h, {A}{{}}) > 1", "macro_argument", "total"),
        (f"times(1h, {A}{{}})", "macro_kind", "times"),
        (f"{C}{{}} && times(1h, {A}{{}})", "macro_kind", "times"),
        (f"once(1h, {A}{{}}) == 1", "macro_kind", "once"),
        (f"bind(n, once(1h, {A}{{}}), n > 1)", "macro_argument", "bind"),
        ("small(1)", "macro_kind", "small"),
        ("small(1) == 2", "macro_kind", "small"),
        ("?p && tp(t)", "stray_parameter", "?p"),
        ("tp($t)", "stray_parameter", "tp($t)"),
        ("?p == 1", "stray_parameter", "?p"),
        ("1 == $p", "stray_parameter", "$p"),
        ("exists ($t: Long). tp(t)", "stray_parameter", "($t"),
        ("exists (?t: Long). tp(t)", "stray_parameter", "(?t"),
        (f"formerly within ?w {A}{{}}", "stray_parameter", "formerly"),
        ("(sum $a for (a: Long). where tp(a)) == 1", "stray_parameter", "sum"),
        (f"{A}{{ input.user: ?p }}", "stray_parameter", "?p"),
        (f"{A}{{ input.user: [$p] }}", "stray_parameter", "$p"),
        (f"{A}{{}}{{ input.user: ?p }}", "stray_parameter", "?p"),
        ("once(1h, tp(?t))", "stray_parameter", "tp(?t)"),
        ("?p{ a: 1 }", "stray_parameter", "?p"),
    ],
)
def test_a_call_that_does_not_fit_is_refused_where_it_stands(text: str, code: str, at: str) -> None:
    found, place = refused(text)
    assert (found, place[: len(at)]) == (code, at)


@pytest.mark.parametrize("depth", [15, 18])
def test_macros_that_double_their_argument_do_not_grow_without_end(depth: int) -> None:
    text = "twice(" * depth + f"{A}{{}}" + ")" * depth
    assert 2**depth > MAX_SIZE
    assert refused(text)[0] == "policy_too_large"


def test_expansion_cannot_make_a_condition_deeper_than_parsing_could() -> None:
    # 40 calls, each of a body two levels deep.
    text = "once(1h, !" * 34 + f"{A}{{}}" + ")" * 34
    assert refused(text)[0] == "policy_too_large"


@pytest.mark.parametrize(
    ("definition", "code", "at"),
    [
        ("def temporal f(?x, ?x) { ?x };", "macro_parameter", "?x) {"),
        ("def cedar f(?principal) { ?principal == 1 };", "macro_parameter", "?principal)"),
        ("def temporal f(?x) { ?y };", "macro_parameter", "?y"),
        ("def temporal f() { formerly within ?w ?s };", "macro_parameter", "formerly"),
        ("def temporal f(?w) { formerly within ?w tp(?t) };", "macro_parameter", "tp(?t)"),
        ("def temporal f() { exists (?n: Long). (x == 1) };", "macro_parameter", "(?n"),
        ("def temporal f() { sum ?a for (a: Long). where x == 1 };", "macro_parameter", "sum"),
        ("def temporal f() { 1 == [?a] };", "macro_parameter", "?a"),
        ('def temporal f() { C::"c"::request{ x: ?a } };', "macro_parameter", "?a"),
        ("def cedar f(?x) { ?y < 1 };", "macro_parameter", "?y"),
        ("def cedar f(?x) { $x < 1 };", "macro_parameter", "$x"),
        ("def temporal f(?p) { formerly within 1h g(?p) };", "macro_in_macro", "g(?p)"),
        ("def temporal f(?p) { (g(?p)) > 1 };", "macro_in_macro", "g(?p)"),
        ("def temporal f(?p) { g(?p) };", "macro_in_macro", "g(?p)"),
        ("def cedar f(?p) { g(?p) };", "macro_in_macro", "g(?p)"),
        ("def cedar f(?p) { Ns::Fn(?p) };", "macro_in_macro", "Fn("),
        ("def cedar f(?p) { temporal { tp(t) } };", "macro_in_macro", "temporal"),
        ("def cedar f(?p) { };", "macro_syntax", "}"),
        ("def cedar f(?p) { ?p < };", "policy_syntax", "}"),
        ("def cedar f(?p) { 1 == 2 ; };", "policy_syntax", "; }"),
        ("def cedar f(?p) { context[?p] };", "policy_syntax", "context"),
        ("def cedar f(?p) { context has ?p };", "policy_syntax", "has"),
        ("def cedar f(?p) { context.x like ?p };", "policy_syntax", "like"),
        ("def cedar f(?p) { ?p(1) };", "policy_syntax", "?p"),
        ("def cedar f(?p) { {?p: 1} == 2 };", "policy_syntax", "{?p"),
        ("def cedar f(?p) { context is ?p };", "policy_syntax", "is"),
        ("def temporal f(?p) { };", "history_syntax", "}"),
        ("def temporal f(?p) { tp(?p) };", "history_syntax", "tp("),
        ("def logic f(?p) { ?p };", "macro_syntax", "logic"),
        ("def temporal (?p) { ?p };", "macro_syntax", "(?p)"),
        ("def temporal f(p) { ?p };", "macro_syntax", "p)"),
        ("def temporal f($p) { ?p };", "macro_syntax", "$p"),
        ("def temporal f(?p,) { ?p };", "macro_syntax", ") {"),
        ("def temporal f(?p ?q) { ?p };", "macro_syntax", "?q"),
        ("def temporal f { ?p };", "macro_syntax", "{"),
        ("def temporal f(?p) { ?p }", "policy_syntax", "}"),
        ("def temporal f(?p) ?p;", "macro_syntax", "?p;"),
        ("def temporal f(?p) { ?p", "policy_syntax", "{"),
        ("def cedar f(?p) { 1" + "+1" * 9_000 + " == 2 };", "policy_too_large", "+1"),
        ("def cedar f(?p) { " + "(" * 9_000 + ")" * 9_000 + " };", "policy_too_large", "("),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_definition_is_found_though_nobody_calls_it(
    definition: str, code: str, at: str
) -> None:
    macros, ((found, line, column),) = defined(definition)
    assert macros == {}
    assert (found, line, definition[column - 1 :][: len(at)]) == (code, 1, at)


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_no_macro_is_called_like_a_word_of_the_language(name: str) -> None:
    assert defined(f"def cedar {name}(?p) {{ ?p == 1 }};")[1] == [("reserved_macro", 1, 11)]


def test_a_name_is_defined_once() -> None:
    text = "def cedar f(?p) { ?p == 1 };\ndef temporal f(?p) { ?p };"
    macros, findings = defined(text)
    assert list(macros) == ["f"]
    assert findings == [("duplicate_macro", 2, 14)]
