"""Answers that must be looked up look at no event at all, whatever the length of the history.

Costs are counted in events looked at, which no machine changes.
"""

import random

import pytest

from bridle.engine.temporal.caps import Caps
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
