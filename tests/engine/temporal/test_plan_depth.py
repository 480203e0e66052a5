"""As deep and as long as conditions may be written, they are compiled and asked at once."""

import msgspec
import pytest

from bridle.engine.temporal.caps import Caps, HistoryCapError
from bridle.engine.temporal.event import Event
from bridle.engine.temporal.partition import Partition
from bridle.engine.temporal.program import Program
from bridle.language.temporal.ast import (
    And,
    Binder,
    Comparison,
    Count,
    Exists,
    Formerly,
    IntegerLiteral,
    Not,
    Predicate,
    Previous,
    Since,
    Tp,
    Window,
)
from engine.temporal.random_conditions import leaf

# The parser allows 64 operators within one another.
DEPTH = 64
HOUR = Window(1, "h")
P = Predicate(("D", "Action"), "A", "request")


def some(name, inner):
    return Exists(Binder(name, ("Timepoint",)), inner)


def here(name):
    return Formerly(HOUR, And(P, Tp(name)))


def counted(name, inner):
    return Comparison(">", Count((Binder(name, ("Timepoint",)),), inner), IntegerLiteral(0))


LAYERS = {
    "formerly": lambda inner, _: Formerly(HOUR, And(P, inner)),
    "previous": lambda inner, _: Previous(HOUR, inner),
    "not": lambda inner, _: Not(And(P, inner)),
    "since, right": lambda inner, _: Since(Not(P), HOUR, inner),
    "since, left": lambda inner, _: Since(inner, HOUR, P),
    "exists": lambda inner, name: some(name, And(here(name), inner)),
    "exists of since": lambda inner, name: some(
        name, Since(Not(P), HOUR, And(And(P, Tp(name)), inner))
    ),
    "count": lambda inner, name: counted(name, And(here(name), inner)),
    "count at each match": lambda inner, name: counted(
        name, Formerly(HOUR, And(And(P, Tp(name)), inner))
    ),
}


def ask(condition, events=12, **caps):
    made = msgspec.structs.replace(leaf(P), condition=condition)
    partition = Partition(Program([made], Caps(**caps)))
    for second in range(events):
        event = Event(second * 1000, ("D::Action", "A"), "request", {}, "m")
        truth = partition.ask(["h"], event, lambda _: None)
        partition.add(event)
    return partition, truth


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_operators_within_operators_cost_no_more_than_the_steps_allowed(layer):
    condition = P
    for level in range(DEPTH):
        condition = layer(condition, f"t{level}")
    try:
        partition, _ = ask(condition, steps=5_000)
    except HistoryCapError:
        return
    assert partition.count == 12


def test_a_chain_of_thousands_is_no_depth():
    whole = here("t")
    for _ in range(3_000):
        whole = And(whole, Tp("t"))
    for _ in range(3_000):
        whole = And(whole, Formerly(HOUR, P))
    assert ask(some("t", whole), events=2)[1] == {"h": True}


def test_chains_of_binders_are_no_depth_either():
    whole = P
    for number in range(200):
        whole = And(some(f"t{number}", here(f"t{number}")), whole)
    assert ask(whole, events=2)[1] == {"h": True}
