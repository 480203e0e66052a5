"""Random programs over random histories: Bridle and the reference say the same of a fixed few."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random

import msgspec
import pytest

from bridle.language.lexer import Source
from bridle.language.temporal import ast, parse, printing
from differential import cases, comparing, policies, shrinking, traces, trees, worlds, writing
from differential.cases import Case
from differential.mutants import MUTANTS
from differential.mutated import changed

ROUNDS = 22
SOURCE = Path(__file__).resolve().parents[2] / "src"


def conditions(seed: int) -> list[ast.Condition]:
    rnd = Random(seed)
    world = worlds.world(rnd)
    return [c for _ in range(4) for c in policies.markers(policies.policy(rnd, world))]


def bare(node):
    """Forget where everything stands."""
    if isinstance(node, ast.Span):
        return ast.Span()
    if isinstance(node, tuple):
        return tuple(map(bare, node))
    if isinstance(node, msgspec.Struct):
        return msgspec.structs.replace(node, **{f: bare(v) for f, v in trees.children(node)})
    return node


def parsed(text: str) -> ast.Condition:
    return bare(parse.condition(Source("c", text), 0, len(text)))


@pytest.mark.timeout(300)
def test_more_than_four_hundred_cases_find_no_difference():
    tally = Counter[str]()
    for seed in range(ROUNDS):
        played = comparing.play(seed)
        assert not played.differences, played.differences[0]
        tally.update(played.tally)
    assert tally["cases"] >= 420
    assert tally["by incremental engine"] >= 350
    assert tally["by interrupted engine"] >= 100
    assert tally["both verdicts"] >= 100, "cases tell something"
    assert tally["spoiled, refused"] >= 10


@pytest.mark.parametrize("seed", range(25))
def test_what_is_printed_is_read_as_it_was_meant(seed):
    for condition in conditions(seed):
        assert parsed(writing.condition(condition)) == bare(condition)


@pytest.mark.parametrize("seed", range(25))
def test_the_canonical_text_is_read_as_the_same_condition(seed):
    for condition in conditions(seed):
        assert parsed(printing.text(condition)) == bare(condition)


def test_the_same_seed_makes_the_same_round():
    one, other = comparing.play(7), comparing.play(7)
    assert one == other


def test_a_case_is_made_as_small_as_it_goes():
    rnd = Random(3)
    world = worlds.world(rnd)
    policy = policies.policy(rnd, world)
    case = Case(world, policy, traces.trace(rnd, world, 30))

    def differs(smaller: Case) -> bool:
        """Stand in for a fault that needs two events, a `formerly`, and no more."""
        counted = any(trees.of_kind(smaller.policy, ast.Formerly))
        return counted and len(smaller.trace) >= 2

    assert differs(case)
    small = shrinking.smallest(case, differs, seconds=30)
    assert len(small.trace) == 2
    (condition,) = policies.markers(small.policy)
    assert isinstance(condition, ast.Formerly)
    assert sum(1 for _ in trees.places(small.policy)) < 12
    assert "formerly" in cases.texts(small)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.module}: {m.name}")
def test_a_fault_fits_the_text_it_is_put_into(mutant):
    text = (SOURCE / mutant.module.replace(".", "/")).with_suffix(".py").read_text("utf-8")
    assert changed(mutant, text) != text
