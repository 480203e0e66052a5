"""Compiled policies against Cedar at length, and the proof that the comparison finds faults."""

from collections import Counter
from random import Random

import pytest

from engine.cedar_differ import first_difference
from engine.cedar_round_mutants import MUTANTS

QUESTIONS = 45
KINDS = {
    "left to Cedar", "integer overflow", "type error", "reads an attribute that is not there",
    "names an entity that does not exist", "reads a tag that is not there",
    "an extension function failed", (True, True), (False, True), (False, False),
}  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.mark.timeout(1800)
def test_fifty_thousand_random_questions_find_no_difference(count):
    rounds = -(-count(10_000, 50_000) // QUESTIONS)
    tally = Counter()
    for seed in range(rounds):
        assert not (found := first_difference(Random(seed), tally)), f"{seed}: {found}"
    assert tally.total() == rounds * QUESTIONS
    assert tally.keys() >= KINDS, "every kind of answer was met"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MUTANTS)
def test_the_comparison_finds_the_fault(name, monkeypatch):
    MUTANTS[name](monkeypatch)
    assert any(first_difference(Random(seed)) for seed in range(2000)), f"{name} was not noticed"


def test_there_are_enough_faults():
    assert len(MUTANTS) >= 20
