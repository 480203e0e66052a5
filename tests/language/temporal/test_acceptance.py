"""What a condition must be so that it can be monitored: binding, order, change over time."""

import re

import pytest
from hypothesis import given

from bridle.language.lexer import Source
from bridle.language.temporal.acceptance import MAX_DEPTH, accept
from bridle.language.temporal.ast import (
    And,
    Condition,
    Not,
    Predicate,
)
from bridle.language.temporal.parse import condition
from bridle.language.temporal.printing import text as printed
from tests.language.temporal.trees import conditions


def full(text: str) -> str:
    """Write out the events `P{ … }` and `Q{ … }`, how many there are (`Ps`), and `once`."""
    counted = r"(count for (t: Timepoint). where once (\1{ f: u } && tp(t)))"
    text = re.sub(r"\b([PQ])s\b", counted, text).replace("once ", "formerly within 1m ")
    return re.sub(r"\b([PQ])\{", r'D::Action::"\1"::request{', text)


def codes(text: str) -> list[str]:
    source, text = Source("p.dw", full(text)), full(text)
    return [f.code for f in accept(condition(source, 0, len(text)), source)]


ACCEPTED = [
    "P{}",
    "!P{}",
    "exists (x: String). P{ f: x }",
    "exists (t: Timepoint). tp(t)",
    "exists (x: Long). (x == 5)",
    "exists (x: Long). (5 == x)",
    "!exists (x: String). P{ f: x }",
    "exists (x: String). exists (y: String). P{ f: x, g: y }",
    "exists (x: String). (P{ f: x } && x != context.user)",
    "exists (x: String). (P{ f: x } && !Q{ f: x })",
    "exists (x: String). (P{ f: x } && !(once (Q{ f: x } && P{})))",
    "exists (x: String). (!Q{ f: x } since within 1m P{ f: x })",
    "exists (x: String). (P{ f: x } && (Q{ f: x } since within 1m P{}))",
    "exists (n: Long). ((count for (t: Timepoint). where (P{} && tp(t))) == n && n > 1)",
    "exists (u: Long). (once P{ f: u } && exists (n: Long). (Qs == n && n > 1))",
    "exists (u: String). (once P{ f: u } && Qs > 1)",
    "(sum a for (a: Long), (t: Timepoint). where (P{ f: a } && tp(t))) <= 5",
    "exists (u: String). (P{ f: u } && (count for (u: String). where Q{ f: u }) > 1)",
    'exists (u: String). (P{ f: u } && exists (u: String). (Q{ f: u } && u != "x"))',
]


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_binds_before_it_uses_is_accepted(text: str) -> None:
    assert codes(text) == []


REFUSED = [
    ("P{ f: x }", "history_unbound"),
    ("tp(t)", "history_unbound"),
    ("exists (x: Long). P{ f: x } && exists (y: Long). (y == 1 && x > z)", "history_unbound"),
    ("(count for (t: Timepoint). where (P{ f: u } && tp(t))) > 1", "history_unbound"),
    ("exists (x: Long). (0 < x && x < 2)", "history_unrestricted"),
    ("exists (x: String). !P{ f: x }", "history_unrestricted"),
    ("exists (x: String). !!P{ f: x }", "history_unrestricted"),
    ("exists (x: String). exists (y: String). P{ f: y }", "history_unrestricted"),
    ("exists (x: String). (x == * && P{})", "history_unrestricted"),
    ("exists (x: String). (P{ f: x } since within 1m Q{})", "history_unrestricted"),
    ("(count for (u: String). where !P{ f: u }) > 1", "history_unrestricted"),
    (
        "(count for (u: String). where (P{ f: u } since within 1m Q{})) > 1",
        "history_unrestricted",
    ),
    ("exists (x: Long). (x > 1 && P{ f: x })", "history_order"),
    ("exists (x: Long). (!Q{ f: x } && P{ f: x })", "history_order"),
    (
        "exists (x: Long). exists (y: Long). (x == y && P{ f: x, g: y })",
        "history_order",
    ),
    (
        "exists (x: Long). (P{ f: x } && once (exists (x: Long). (x > 1 && Q{ f: x })))",
        "history_order",
    ),
    (
        "exists (u: Long). exists (n: Long). (Ps == n && n > 1 && P{ f: u })",
        "history_order",
    ),
    (
        "exists (x: Long). (P{ f: x } && (count for (x: Long). where (x > 1 && Q{ f: x })) > 1)",
        "history_order",
    ),
    (
        "exists (x: String). ((Q{ f: x } since within 1m P{}) && P{ f: x })",
        "history_since_left",
    ),
    ("(sum a for (t: Timepoint). where tp(t)) > 1", "history_sum_variable"),
    ("(count for (u: String). where P{}) > 1", "history_unused_variable"),
    ("P{ f: (count for (t: Timepoint). where tp(t)) }", "history_aggregate_place"),
    ("P{ f: [1, 2] }", "history_array"),
    ("exists (action: String). P{ f: action }", "history_reserved_name"),
    (
        "exists (n: Long). ((count for (action: Long). where P{ f: action }) == n)",
        "history_reserved_name",
    ),
    ("P{ f: ?x }", "history_parameter"),
    ("?x", "history_parameter"),
    ("once (P{ f: $x })", "history_parameter"),
    ("context.a > 3", "history_constant"),
    ("context.a > 3 && P{}", "history_constant"),
    ("once (context.a == 1)", "history_constant"),
    ("(1 == 1) since within 1m P{}", "history_constant"),
    ("P{} since within 1m (1 == 1)", "history_constant"),
    ("exists (n: Long). (n == 1 && (count for (u: Long). where u == 5) > n)", "history_constant"),
    ("!(principal == resource) && P{}", "history_constant"),
]


@pytest.mark.parametrize(("text", "code"), REFUSED)
def test_what_would_silently_never_match_is_refused(text: str, code: str) -> None:
    assert set(codes(text)) == {code}


def test_a_variable_of_a_sibling_makes_a_part_change_over_time() -> None:
    assert codes('exists (u: String). (P{ f: u } && once (u == "x"))') == []
    text = "exists (n: Long). ((count for (u: Long). where P{ f: u }) == n) && once (1 == 2)"
    assert codes(text) == ["history_constant"]


def test_a_finding_stands_where_the_fault_is() -> None:
    text = full("exists (x: Long). (\n  x > 1 &&\n  P{ f: x })")
    source = Source("p.dw", text)
    (found,) = accept(condition(source, 0, len(text)), source)
    assert (found.location.line, found.location.column) == (2, 3)
    assert found.hint


def test_grouping_never_changes_acceptance() -> None:
    parts = ["P{ f: x }", "x > 1", "!Q{ f: x }"]
    for text in (
        "exists (x: Long). (({} && {}) && {})",
        "exists (x: Long). ({} && ({} && {}))",
        "exists (x: Long). ({} && {} && {})",
    ):
        assert codes(text.format(*parts)) == []
        assert codes(text.format(*reversed(parts))) == ["history_order"] * 2


def predicate() -> Condition:
    return Predicate(("D", "Action"), "P", "request")


def test_nesting_has_a_limit_and_a_long_chain_is_not_nesting() -> None:
    deep = chain = predicate()
    for _ in range(20_000):
        deep = Not(deep)
        chain = And(chain, predicate())
    source = Source("p.dw", "")
    assert [f.code for f in accept(deep, source)] == ["history_too_deep"]
    assert accept(chain, source) == []
    leaning_right = predicate()
    for _ in range(20_000):
        leaning_right = And(predicate(), leaning_right)
    assert accept(leaning_right, source) == []
    allowed = predicate()
    for _ in range(MAX_DEPTH - 1):
        allowed = Not(allowed)
    assert accept(allowed, source) == []


@given(conditions())
def test_any_condition_is_accepted_or_refused_with_its_way_out(tree: Condition) -> None:
    text = printed(tree)
    source = Source("p.dw", text)
    for found in accept(tree, source):
        assert found.code.startswith("history_")
        assert found.hint


@given(conditions())
def test_a_negation_around_a_closed_condition_changes_nothing(tree: Condition) -> None:
    source = Source("p.dw", printed(tree))
    assert {f.code for f in accept(Not(tree), source)} == {f.code for f in accept(tree, source)}
