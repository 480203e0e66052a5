"""The specification evaluator, rule by rule, on histories small enough to read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.temporal.atoms import LONG_MAX, LONG_MIN, Atomiser
from bridle.engine.temporal.event import Atom, Event
from bridle.engine.temporal.specification import MAX_DEPTH, depth, holds, witnesses
from bridle.language.lexer import Source
from bridle.language.temporal.ast import (
    And,
    Call,
    Comparison,
    Condition,
    ContextField,
    Exists,
    Formerly,
    IntegerLiteral,
    Not,
    Predicate,
    Window,
)
from bridle.language.temporal.parse import condition

ATOMS = Atomiser()


def parsed(text: str) -> Condition:
    """Read a condition in which `A{…}` is short for `D::Action::"A"::request{…}`."""
    for name in "ABC":
        text = text.replace(f"{name}{{", f'D::Action::"{name}"::request{{')
        text = text.replace(f"{name}::error{{", f'D::Action::"{name}"::error{{')
    return condition(Source("p", text), 0, len(text))


def event(seconds: float, name: str, **fields: Atom) -> Event:
    """An event; `A.error` is of that kind, and a field `user` is logged as `input.user`."""
    action, _, kind = name.partition(".")
    named = {f"input.{field}": atom for field, atom in fields.items()}
    return Event(int(seconds * 1000), ("D::Action", action), kind or "request", named)


def history(*events: tuple[float, str] | Event) -> list[Event]:
    return [each if isinstance(each, Event) else event(*each) for each in events]


def verdicts(text: str, events: list[Event], **context: Atom) -> list[bool]:
    """Judge a condition at every position in turn."""
    read = reading(**context)
    found = parsed(text)
    return [holds(found, events, at, read, ATOMS) for at in range(len(events))]


def last(text: str, events: list[Event], **context: Atom) -> bool:
    return holds(parsed(text), events, len(events) - 1, reading(**context), ATOMS)


def reading(**context: Atom):
    return lambda path: context.get(path[-1])


COUNT_A = "(count for (t: Timepoint). where formerly within 10s (A{} && tp(t)))"


def test_a_window_includes_both_of_its_ends_to_the_millisecond():
    events = history((0, "A"), (10, "B"), (10.001, "B"))
    assert verdicts("formerly within 10s A{}", events) == [True, True, False]


def test_the_deciding_event_is_part_of_its_history():
    assert last("formerly within 1s B{}", history((0, "B")))
    assert last("B{} since within 1s B{}", history((0, "B")))


def test_later_positions_are_not_looked_at():
    events = history((0, "B"), (0, "A"))
    assert verdicts("formerly within 10s A{}", events) == [False, True]


def test_an_event_stamped_later_is_out_of_every_window_until_the_clock_has_caught_up():
    events = history((20, "A"), (5, "B"), (25, "B"))
    assert verdicts("formerly within 10s A{}", events) == [True, False, True]
    assert verdicts("previous within 10s A{}", events) == [False, False, False]


def test_previous_is_one_position_back_whatever_kind_stands_there():
    events = history((0, "A"), (1, "B"), (2, "A"), (3, "A.error"), (4, "B"))
    assert verdicts("previous within 10s A{}", events) == [False, True, False, True, False]
    assert verdicts("previous within 10s A::error{}", events)[4]


def test_a_nested_window_starts_at_the_matched_event():
    events = history((0, "C"), (5, "A"), (15, "B"), (16, "B"))
    text = "formerly within 10s (A{} && formerly within 5s C{})"
    assert verdicts(text, events) == [False, True, True, False]


def test_since_asks_its_left_at_every_position_after_the_anchor_and_at_the_decision():
    events = history((0, "A"), (1, "B"), (2, "C"), (3, "B"), (4, "A"))
    assert verdicts("!C{} since within 10s A{}", events) == [True, True, False, False, True]
    assert verdicts("!B{} since within 10s A{}", events) == [True, False, False, False, True]


def test_since_is_vacuous_when_the_anchor_is_the_decision():
    assert last("C{} since within 10s B{}", history((0, "B")))


def test_since_binds_by_its_anchor_only():
    text = "exists (u: String). (!C{ input.user: u } since within 10s A{ input.user: u })"
    calm = history(event(0, "A", user="s:x"), event(1, "C", user="s:y"), (2, "B"))
    assert last(text, calm)
    assert not last(text, [*calm, event(3, "C", user="s:x"), event(4, "B")])


def test_a_negated_condition_holds_where_nothing_resolves():
    events = history(event(0, "A", note="s:n"), (1, "B"))
    positive = "formerly within 10s A{ input.note: context.input.note }"
    assert not last(positive, events)
    assert last(f"!({positive})", events)
    assert last(positive, events, note="s:n")
    assert last(f"!!({positive})", events, note="s:n")
    assert not last(f"!!!({positive})", events, note="s:n")


@pytest.mark.parametrize("term", ["_", "*", "u", "true"])
def test_a_field_that_is_mentioned_must_be_there(term):
    text = f"formerly within 10s A{{ input.ok: {term} }}"
    if term == "u":
        text = f"exists (u: Bool). {text}"
    assert not last(text, history((0, "A"), (1, "B")))
    assert last(text, history(event(0, "A", ok="b1"), (1, "B")))


def test_a_null_is_there_and_counts_but_adds_nothing_to_a_sum():
    events = history(event(0, "A", amount="n"), event(1, "A", amount=3), (2, "B"))
    rows = (
        "for (a: Long), (t: Timepoint). where formerly within 10s (A{ input.amount: a } && tp(t))"
    )
    assert last(f"(count {rows}) == 2", events)
    assert last(f"(sum a {rows}) == 3", events)


def test_rows_are_a_set_unless_the_position_is_among_them():
    events = history(
        event(0, "A", amount=2), event(0, "A", amount=2), event(1, "A", amount=3), (2, "B")
    )
    values = "for (a: Long). where formerly within 1h A{ input.amount: a }"
    assert last(f"(count {values}) == 2", events)
    assert last(f"(sum a {values}) == 5", events)
    assert last(f"{COUNT_A} == 3", events)


def test_tp_is_the_position_and_not_the_stamp():
    both = "formerly within 9s (A{} && tp(t)) && formerly within 9s (C{} && tp(t))"
    text = f"exists (t: Timepoint). ({both})"
    assert not last(text, history((0, "A"), (0, "C"), (0, "B")))


def test_a_count_without_an_operator_sees_the_decision_alone():
    text = "(count for (t: Timepoint). where (B{} && tp(t))) == 1"
    assert verdicts(text, history((0, "B"), (0, "B"), (0, "A"))) == [True, True, False]


def test_a_correlated_count_is_taken_for_each_binding():
    per_user = "(count for (t: Timepoint). where formerly within 10s (A{ input.user: u } && tp(t)))"
    text = f"exists (u: String). (formerly within 10s A{{ input.user: u }} && {per_user} >= 2)"
    once = history(event(0, "A", user="s:x"), event(1, "A", user="s:y"), (2, "B"))
    assert not last(text, once)
    assert last(text, [*once, event(3, "A", user="s:y"), event(4, "B")])


def test_an_inner_binder_hides_an_outer_one_of_the_same_name():
    text = (
        "exists (u: String). (formerly within 10s A{ input.user: u }"
        " && exists (u: String). formerly within 10s C{ input.user: u })"
    )
    assert last(text, history(event(0, "A", user="s:x"), event(1, "C", user="s:y"), (2, "B")))
    inner = "(count for (u: String). where formerly within 10s A{ input.user: u }) == 2"
    text = f"exists (u: String). (formerly within 10s C{{ input.user: u }} && {inner})"
    events = history(event(0, "A", user="s:x"), event(1, "A", user="s:y"))
    assert last(text, [*events, event(2, "C", user="s:x"), event(3, "B")])


def test_a_variable_twice_in_one_predicate_joins_its_fields():
    text = "exists (u: String). formerly within 10s A{ input.a: u, input.b: u }"
    assert not last(text, history(event(0, "A", a="s:x", b="s:y"), (1, "B")))
    assert last(text, history(event(0, "A", a="s:x", b="s:x"), (1, "B")))


def test_an_equality_binds_what_is_not_bound_yet():
    text = f"exists (n: Long). ({COUNT_A} == n && n > 1 && n < 3)"
    assert verdicts(text, history((0, "A"), (1, "A"), (2, "A"))) == [False, True, False]


@pytest.mark.parametrize(
    ("amounts", "total"),
    [
        ([LONG_MAX, 1, -5], LONG_MAX - 4),
        ([LONG_MAX, 1], LONG_MAX),
        ([LONG_MIN, -1], LONG_MIN),
        (["s:7", 1], 1),
    ],
)
def test_a_sum_is_exact_and_only_its_total_is_brought_into_range(amounts, total):
    events = [event(i, "A", amount=amount) for i, amount in enumerate(amounts)]
    text = f"(sum a for (a: Long). where formerly within 1h A{{ input.amount: a }}) == {total}"
    assert last(text, events)


@pytest.mark.parametrize(("op", "holding"), [("<", 0), ("<=", 0), (">", 0), (">=", 0), ("!=", 1)])
def test_only_integers_have_an_order(op, holding):
    text = f"formerly within 1s B{{}} && context.x {op} context.y"
    assert last(text, history((0, "B")), x="s:a", y="s:b") is bool(holding)
    assert last(text, history((0, "B")), x=1, y="b1") is bool(holding)
    assert not last(text, history((0, "B")), x=1)


def test_a_truth_is_no_number():
    events = history(event(0, "A", ok="b1"), event(1, "A", ok=1), (2, "B"))
    assert last("(count for (b: Bool). where formerly within 9s A{ input.ok: b }) == 2", events)
    assert not last("formerly within 9s A{ input.ok: true }", events[1:])


def test_an_array_of_variables_has_the_values_they_are_bound_to():
    events = history(event(0, "A", pair=ATOMS.array(["s:x", 5]), user="s:x"), (1, "B"))
    pair = "formerly within 9s A{ input.pair: [u, 5] }"
    text = f"exists (u: String). (formerly within 9s A{{ input.user: u }} && {pair})"
    assert last(text, events)
    assert not last(text.replace("[u, 5]", "[u, 6]"), events)


def test_witnesses_are_the_events_that_made_it_so():
    events = history(
        event(0, "A", user="s:x"), (1, "C"), event(2, "A", user="s:y"), event(3, "A", user="s:x"),
        (4, "B"),
    )  # fmt: skip

    def told(text: str) -> list[int]:
        return witnesses(parsed(text), events, 4, reading(user="s:x"), ATOMS)

    assert told("formerly within 9s A{ input.user: context.user }") == [0, 3]
    assert told("formerly within 9s A{ input.user: context.user } && formerly within 9s C{}") == [
        0,
        1,
        3,
    ]
    assert told(f"{COUNT_A} > 2") == [0, 2, 3]
    assert told(f"{COUNT_A} > 3") == []
    assert told("!(formerly within 1s C{})") == []
    assert told("!C{} since within 9s C{}") == [1]
    assert told("previous within 9s A{}") == [3]


@given(st.sets(st.integers(0, 4)), st.integers(1, 6))
def test_what_a_condition_without_negation_holds_by_is_enough(missing, window):
    """Taking away events that are no witnesses never makes such a condition false."""
    names = ["A", "C", "A", "B", "B"]
    events = [event(i, name, user=f"s:{i % 2}") for i, name in enumerate(names) if i not in missing]
    if not events:
        return
    user = f"formerly within {window}s A{{ input.user: u }}"
    text = f"exists (u: String). ({user} && formerly within 9s C{{}})"
    at = len(events) - 1
    kept = witnesses(parsed(text), events, at, reading(), ATOMS)
    assert bool(kept) is holds(parsed(text), events, at, reading(), ATOMS)
    enough = [each for i, each in enumerate(events) if i in kept or i == at]
    assert not kept or holds(parsed(text), enough, len(enough) - 1, reading(), ATOMS)


def _nested(levels: int) -> Condition:
    found: Condition = Predicate(("D", "Action"), "A", "request")
    for _ in range(levels):
        found = Formerly(Window(9), found)
    return found


def test_chains_of_any_length_are_judged():
    one: Condition = Predicate(("D", "Action"), "A", "request")
    left = right = one
    negated: Condition = one
    bound: Condition = one
    for number in range(5_000):
        left, right, negated = And(left, one), And(one, right), Not(negated)
        bound = Exists(parsed(f"exists (x{number}: Long). A{{}}").binder, bound)
    for chain in (left, right, negated, bound):
        assert depth(chain) <= 3
        assert holds(chain, history((0, "A")), 0, reading(), ATOMS)


def test_nesting_is_judged_up_to_its_limit_and_refused_beyond():
    assert holds(_nested(MAX_DEPTH - 1), history((0, "A")), 0, reading(), ATOMS)
    with pytest.raises(Exception, match="nested more than"):
        holds(_nested(MAX_DEPTH), history((0, "A")), 0, reading(), ATOMS)


def test_a_macro_that_is_left_over_is_refused_and_never_false():
    with pytest.raises(Exception, match="macro"):
        holds(Call("f", ()), history((0, "A")), 0, reading(), ATOMS)


def test_a_comparison_of_nothing_with_nothing_is_false():
    both = Comparison("==", ContextField(("x",)), ContextField(("y",)))
    assert not holds(both, history((0, "A")), 0, reading(), ATOMS)
    assert holds(Comparison("==", IntegerLiteral(1), IntegerLiteral(1)), history((0, "A")), 0,
                 reading(), ATOMS)  # fmt: skip
