"""Conditions over history in plain words."""

# ruff: noqa: E501
# The tables read best with one condition on one line.

import pytest

from bridle.bundle.sentences import LIBRARY, sentence
from bridle.language.lexer import Source
from bridle.language.library import library
from bridle.language.policy import Leaf
from bridle.language.temporal.parse import condition
from bridle.model.finding import Location

A, B = 'Action::"a.b"::', 'Action::"c.d"::'
RAN = "counting those that ran or may still run"
SAID = {
    f"formerly within 1h {A}response{{ output.ok: true }}": "there was a success of `a.b` with `ok` true within 1 hour",
    f"!(formerly within 10m {A}request{{ input.x: context.input.x }})": "there was no request for `a.b` with the same `x` within 10 minutes",
    f"!{A}request{{}} since within 2d {B}response{{}}": "there was a success of `c.d` within 2 days and no request for `a.b` since then",
    f"previous within 1s {A}held{{}}": "the event just before, within 1 second, was a hold of `a.b`",
    f"(count for (t: Timepoint). where formerly within 1h ({A}error{{}} && tp(t))) < 3": "there are fewer than 3 failures of `a.b` within 1 hour",
    f"3 < (count for (u: String). where formerly within 1h {A}request{{ input.u: u }})": "there are more than 3 different `u` such that there was a request for `a.b` with some `u` `u` within 1 hour",
    f"(sum a for (a: Long), (t: Timepoint). where formerly within 1h ({A}request{{ input.n: a }} && tp(t))) <= 9": "the sum of `a` is at most 9 over requests for `a.b` with some `n` `a` within 1 hour",
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
