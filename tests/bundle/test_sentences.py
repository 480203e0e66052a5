"""Conditions over history in plain words, that say neither more nor the opposite."""

# ruff: noqa: E501
# The tables read best with one condition on one line.

import random
import re
from collections.abc import Iterator

import pytest

from bridle.bundle.sentences import LIBRARY, sentence
from bridle.language.lexer import Source
from bridle.language.library import library
from bridle.language.policy import Leaf
from bridle.language.temporal.ast import (
    And,
    Binder,
    Comparison,
    Condition,
    Count,
    Exists,
    Formerly,
    IntegerLiteral,
    Not,
    Previous,
    Since,
    Sum,
    Variable,
    Window,
)
from bridle.language.temporal.parse import condition
from bridle.language.temporal.printing import text as printed
from bridle.language.temporal.tree import walk
from bridle.model.finding import Location

A, B = 'Action::"a.b"::', 'Action::"c.d"::'
RAN = "counting those that ran or may still run"
SAID = {
    f"formerly within 1h {A}response{{ output.ok: true }}": "there was a success of `a.b` with `ok` true within 1 hour",
    f"!(formerly within 10m {A}request{{ input.x: context.input.x }})": "there was no request for `a.b` with the same `x` within 10 minutes",
    f"!{A}request{{}} since within 2d {B}response{{}}": "there was a success of `c.d` within 2 days and no request for `a.b` since then",
    f"previous within 1s {A}held{{}}": "the event just before, within 1 second, was a hold of `a.b`",
    f"(count for (t: Timepoint). where formerly within 1h ({A}error{{}} && tp(t))) < 3": "there are fewer than 3 failures of `a.b` within 1 hour",
    f"3 < (count for (u: String). where formerly within 1h {A}request{{ input.u: u }})": "there are more than 3 different `u` such that there was a request for `a.b` with `u` `u` within 1 hour",
    f"(sum a for (a: Long), (t: Timepoint). where formerly within 1h ({A}request{{ input.n: a }} && tp(t))) <= 9": "the sum of `a` is at most 9 over requests for `a.b` with `n` `a` within 1 hour",
    f"at_most(3, 24h, {A}request{{ input.x: context.input.x }}, {A}error{{}})": f"there are at most 3 requests for `a.b` with the same `x` within 24 hours, {RAN}",
    f"requires_before(1h, {A}response{{}})": "there was a success of `a.b` within 1 hour",
    f"distinct_actors(1h, {A}response{{}})": "there was a success of `a.b` within 1 hour, and none by the agent that asks",
    f"no_repeat_failure(3, 1m, {A}error{{}})": "there are fewer than 3 failures of `a.b` within 1 minute, not counting what was denied or never started",
}  # fmt: skip


def leaf(text: str, scope: str = "mission") -> Leaf:
    tree = condition(Source("p.dw", text), 0, len(text))
    return Leaf("h", tree, "", scope, Location("p.dw"), frozenset(), 0, tree)


@pytest.mark.parametrize("text", SAID)
def test_a_condition_is_one_sentence(text: str) -> None:
    assert sentence(leaf(text)) == f"In this mission, {SAID[text]}."


@pytest.mark.parametrize(
    ("scope", "begin"), [("user", "For this user, "), ("agent", "For this agent, "), ("tenant", "Anywhere, ")]
)  # fmt: skip
def test_it_says_whose_history_it_is(scope: str, begin: str) -> None:
    assert sentence(leaf(f"formerly within 1h {A}request{{}}", scope)).startswith(begin)


def test_every_rule_of_the_library_has_its_own_words() -> None:
    common_to_all_engines = {"count_within", "sum_within", "count_distinct_within", "bind"}
    assert set(library()) - common_to_all_engines == LIBRARY


def test_what_has_no_words_of_its_own_is_told_as_it_is_written_out() -> None:
    text = f"formerly within 1h {A}request{{}}"
    tree = condition(Source("p.dw", text), 0, len(text))
    called = condition(Source("p.dw", "mine(1h)"), 0, 8)
    told = sentence(Leaf("h", tree, "", "user", Location("p.dw"), frozenset(), 0, called))
    assert told == "For this user, there was a request for `a.b` within 1 hour."


def test_what_a_limit_is_written_out_as_is_told_like_the_limit() -> None:
    def taken(code: str) -> str:
        return f'!(formerly within 24h {A}error{{ requestId: r, error.code: "{code}" }})'

    written = (
        f"(count for (r: String). where (formerly within 24h {A}request{{ requestId: r }} && "
        f"{taken('denied')} && {taken('not_started')})) <= 3"
    )
    rule = f"at_most(3, 24h, {A}request{{}}, {A}error{{}})"
    assert sentence(leaf(written)) == sentence(leaf(rule))


def test_a_rule_called_with_something_else_is_shown_as_it_is_written() -> None:
    text = f"requires_before(1h, {A}response{{}} && {B}response{{}})"
    assert "requires_before(1h, " in sentence(leaf(text))


def test_a_sentence_stays_one_that_people_read() -> None:
    many = " && ".join(f"!(formerly within {i}s {A}request{{}})" for i in range(1, 40))
    assert len(sentence(leaf(many))) <= 420


# --- the whole of it, and never the opposite ------------------------------------------------------

LEAVES = [
    f"{A}request{{ input.x: context.input.x }}",
    f"{B}response{{ input.x: x }}",
    f"{B}response{{ output.x: x }}",
    f"{A}error{{ error.code: x }}",
    f"{A}error{{ input.code: x }}",
    f"{A}request{{ requestId: x }}",
    f"{A}request{{ requestId: y }}",
    "x == context.input.x",
    "tp(t)",
    "tp(u)",
]
HOUR, DAY = Window(1, "h"), Window(1, "d")


def tree(text: str) -> Condition:
    return condition(Source("p.dw", text), 0, len(text))


def grown(one: Condition, other: Condition) -> Iterator[Condition]:
    """Yield every way to put two conditions together, or one into something."""
    if not isinstance(other, And):
        yield And(one, other)
        yield Formerly(HOUR, And(one, other))
    yield Not(one)
    yield Not(Not(one))
    yield Formerly(HOUR, one)
    yield Formerly(DAY, one)
    yield Not(Formerly(HOUR, one))
    yield Previous(HOUR, one)
    yield Since(one, HOUR, other)
    yield Since(Not(one), HOUR, other)
    for name, kind in (("x", "String"), ("t", "Timepoint")):
        binder = Binder(name, (kind,))
        yield Exists(binder, one)
        yield Comparison("<=", Count((binder,), one), IntegerLiteral(3))
        yield Comparison(">", Sum("x", (binder,), one), Variable("n"))


def told(node: Condition) -> str:
    return sentence(Leaf("h", node, "", "tenant", Location("p.dw"), frozenset(), 0, node))


def random_trees(count: int) -> Iterator[Condition]:
    rng = random.Random(count)
    known: list[Condition] = [tree(text) for text in LEAVES]
    for _ in range(count):
        made = list(grown(rng.choice(known), rng.choice(known)))
        node = rng.choice(made)
        if not told(node).endswith("…."):
            yield node
            known.append(node)


@pytest.mark.parametrize("depth", [1, 2])
def test_two_conditions_are_never_told_in_the_same_words(depth: int) -> None:
    leaves = [tree(text) for text in LEAVES]
    once = [*leaves, *(g for one in leaves for other in leaves for g in grown(one, other))]
    known = dict[str, str]()
    for node in once if depth == 1 else random_trees(10_000):
        assert known.setdefault(told(node), printed(node)) == printed(node)
    assert len(known) > 500


def test_each_negation_is_heard_once() -> None:
    for node in random_trees(5_000):
        said = re.sub(r"`[^`]*`", "", told(node))
        heard = len(re.findall(r"\bno[t]?\b", said))
        assert heard == sum(isinstance(each, Not) for each in walk(node)), (said, printed(node))


def test_requests_that_ran_are_told_as_such_only_where_they_are_counted() -> None:
    def counted(errors: str, binder: str = "(r: String)") -> str:
        body = f"formerly within 1h {A}request{{ requestId: r }}{errors}"
        return sentence(leaf(f"(count for {binder}. where ({body})) <= 3"))

    def taken_out(code: str, fields: str = "requestId: r, ", window: str = "1h") -> str:
        return f' && !(formerly within {window} {A}error{{ {fields}error.code: "{code}" }})'

    both = taken_out("denied") + taken_out("not_started")
    assert (
        counted(both)
        == f"In this mission, there are at most 3 requests for `a.b` within 1 hour, {RAN}."
    )
    assert "(where `r` is not `x`)" in counted(f"{both} && r != x")
    for other in (
        taken_out("denied"),
        taken_out("denied") + taken_out("not_started", fields=""),
        taken_out("denied") + taken_out("not_started", window="1m"),
        taken_out("denied") + taken_out("not_started").replace("a.b", "c.d"),
        both + taken_out("failed"),
        both.replace("requestId: r", "requestId: q"),
    ):
        assert RAN not in counted(other)
    assert RAN not in counted(both, "(q: String)")


def test_a_rule_called_with_the_end_of_another_tool_is_shown_as_it_is_written() -> None:
    for text in (
        f"at_most(3, 24h, {A}request{{}}, {B}error{{}})",
        f"at_most(3, 24h, {A}response{{}}, {A}error{{}})",
        f'at_most(3, 24h, {A}request{{}}, {A}error{{ error.code: "x" }})',
        f"quiet_period(3m, {A}request{{ input.x: 1 }}, {A}response{{}}, {A}error{{}})",
    ):
        assert sentence(leaf(text)) == f"In this mission, {text}."
