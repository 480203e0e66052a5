"""Engine against oracle at length, and the proof that the comparison finds faults."""

from random import Random

import pytest

from engine.differ import REQUESTS, first_difference, survey
from engine.mutants import MUTANTS

PARTS = 5
KINDS = {
    "allow", "modify", "hold", "no_permit", "forbidden", "policy_error", "modify_diverged",
}  # fmt: skip

pytestmark = pytest.mark.slow


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_fifty_thousand_requests_find_no_difference(part, count):
    offices = count(10_000, 50_000) // PARTS // REQUESTS
    differences, tally, evaluated = survey(range(part * 1_000_000, part * 1_000_000 + offices))
    assert not differences, differences[0]
    assert tally.total() == offices * REQUESTS
    assert not evaluated["left to Cedar"], "every question was asked of both"
    assert tally.keys() >= KINDS, "every kind of verdict was met"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", MUTANTS)
def test_the_comparison_finds_the_fault(name, monkeypatch):
    MUTANTS[name](monkeypatch)
    assert any(first_difference(Random(seed)) for seed in range(400)), f"{name} was not noticed"


def test_there_are_enough_faults():
    assert len(MUTANTS) >= 12
