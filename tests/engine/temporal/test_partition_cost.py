"""Answers that must be looked up look at no event at all, whatever the length of the history.

Costs are counted in events looked at, which no machine changes.
"""

import random
import sys

import pytest

from bridle.engine.temporal.caps import Caps
from bridle.engine.temporal.event import Event
from bridle.engine.temporal.partition import Partition
from bridle.engine.temporal.program import Program
from engine.temporal.library_shapes import Shapes, call, read
from engine.temporal.random_conditions import leaf, reader, times

A, B = 'D::Action::"A"', 'D::Action::"B"'
KEY = "input.user: context.input.user"
LOOKED_UP = {
    "formerly": f"formerly within 1h {A}::request{{ {KEY} }}",
    "a negation": f"!(formerly within 1h {A}::request{{ {KEY}, input.to: _ }})",
    "any value": f"exists (a: Long). (formerly within 1h {A}::request{{ {KEY}, input.amount: a }})",
    "a filter": (
        f"exists (a: Long). formerly within 1h ({A}::request{{ input.amount: a }} && a > 7)"
    ),
    "previous": f"previous within 1h {A}::request{{ {KEY} }}",
    "since, negated": f"!{B}::request{{ {KEY} }} since within 1h {A}::request{{ {KEY} }}",
    "since, positive": f"{A}::request{{ {KEY} }} since within 1h {A}::request{{ {KEY} }}",
    "count of events": (
        "(count for (t: Timepoint). where formerly within 1h "
        f"({A}::request{{ {KEY} }} && tp(t))) > 9"
    ),
    "sum of events": (
        "(sum a for (a: Long), (t: Timepoint). where formerly within 1h "
        f"({A}::request{{ {KEY}, input.amount: a }} && tp(t))) > 9"
    ),
    "count of values": (
        "(count for (v: String). where formerly within 1h "
        f"{A}::request{{ {KEY}, input.to: v }}) > 9"
    ),
    "request without response": (
        f"exists (r: String). (formerly within 1h {A}::request{{ {KEY}, requestId: r }} "
        f"&& !(formerly within 1h {A}::response{{ requestId: r }}))"
    ),
    "a named count": (
        "exists (n: Long). ((count for (r: String). where "
        f"(formerly within 1h {A}::request{{ {KEY}, requestId: r }} "
        f"&& !(formerly within 1h {A}::error{{ requestId: r }}))) == n && n <= 3)"
    ),
    "once in a past window": (
        f"previous within 1h (formerly within 1h {A}::request{{ {KEY} }})"
    ),
}  # fmt: skip


def asked(conditions, steps, length=300):
    program = Program([leaf(each, f"h{n}") for n, each in enumerate(conditions)], Caps(steps=steps))
    partition, rng = Partition(program), random.Random(7)
    for time in times(rng, length):
        event = call(rng, time)
        partition.ask(program.leaves, event, reader(event))
        partition.add(event)


@pytest.mark.parametrize("text", LOOKED_UP.values(), ids=LOOKED_UP)
def test_nothing_is_looked_at_for(text):
    asked([read(text)], steps=0)


@pytest.mark.parametrize("kind", sorted({*Shapes.every} - {"ordered"}))
def test_nothing_is_looked_at_for_what_the_library_says(kind):
    asked([Shapes(random.Random(seed)).one(kind) for seed in range(20)], steps=0)


def test_a_join_looks_at_the_matches_of_its_window_only():
    text = (
        f"exists (u: String). (formerly within 2s {A}::request{{ input.to: u }} "
        f"&& formerly within 1h {B}::response{{ input.to: u }})"
    )
    program = Program([leaf(read(text))], Caps(steps=40))
    partition, rng = Partition(program), random.Random(7)
    for n in range(3000):
        event = call(rng, n * 100)
        partition.ask(program.leaves, event, reader(event))
        partition.add(event)
    assert partition.kept > 300, "so many would be looked at without the window"


def lines_of(work):
    """How many lines of Python `work` runs."""
    count = 0

    def traced(frame, event, argument):
        nonlocal count
        count += 1
        return traced

    before = sys.gettrace()
    sys.settrace(traced)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def expired_at_once(rows, asked_for, users):
    """A limit asked for each row of a join, when as many rows as ever were expire together."""
    text = (
        f"exists (u: String). exists (v: String). ("
        f"formerly within 1h {A}::request{{ input.user: u, input.to: v }} && (count for "
        f"(r: String). where (formerly within 2h {B}::request{{ input.to: u, requestId: r }} "
        f"&& !(formerly within 2h {B}::error{{ requestId: r }}))) > 3)"
    )
    program = Program([leaf(read(text))])
    partition = Partition(program)
    for n in range(rows):
        fields = {"input.to": "s:0", "requestId": f"s:{n}"}
        partition.add(Event(n, ("D::Action", "B"), "request", fields))
    late = 7_200_000 + rows
    for n in range(asked_for):
        fields = {"input.user": f"s:{n % users}", "input.to": f"s:{n}"}
        partition.add(Event(late - 1_000_000, ("D::Action", "A"), "request", fields))
    newest = Event(late, ("D::Action", "C"), "request", {})
    return lines_of(lambda: partition.ask(program.leaves, newest, lambda _: None))


@pytest.mark.parametrize("users", [1, 1000])
def test_rows_that_expire_together_are_gone_through_once_however_often_they_are_asked_for(users):
    few, many = expired_at_once(500, 5, users), expired_at_once(500, 50, users)
    assert many < 2 * few
