"""What the incremental engine answers is what the specification says, whatever is asked when."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.temporal.partition import Partition
from bridle.engine.temporal.program import Program
from engine.temporal.agreeing import ATOMS, Story
from engine.temporal.library_shapes import Shapes

SEEDS = st.integers(0, 2**32)


@given(SEEDS)
def test_random_conditions_agree_with_the_specification(seed):
    assert not Story.of_any(seed).play(12)


@given(SEEDS)
def test_limits_pairs_and_order_agree_with_the_specification(seed):
    assert not Story.of_shapes(seed).play(25)


@given(SEEDS)
def test_limits_within_joins_and_operators_agree_whatever_interrupts_them(seed):
    def interrupted(story):
        pick, program = story.rng.random(), story.partition.program
        if pick < 0.1:
            story.partition = Partition.load(program, story.partition.save(), ATOMS)
        elif pick < 0.15:
            some = Program([each for each in story.leaves if story.rng.random() < 0.5])
            adopted = story.partition.adopt(some, lambda: iter(story.history))
            adopted = adopted.adopt(program, lambda: iter(story.history))
            assert adopted.save() == story.partition.save()
            story.partition = adopted

    assert not Story.of_shapes_within(seed).play(20, interrupted)


@pytest.mark.parametrize("kind", Shapes.every)
def test_each_shape_is_now_true_and_now_false(kind):
    truths = asked = 0
    for seed in range(15):
        story = Story.of_shapes(f"{kind} {seed}", kind)
        assert not story.play(25)
        truths += story.truths
        asked += story.asked
    assert 0 < truths < asked


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_random_conditions_agree_with_the_specification(count):
    """A seed of its own each run; it is shown on failure."""
    first = secrets.randbits(64)
    for seed in range(first, first + count(3_000, 100_000)):
        made = (Story.of_any, Story.of_shapes, Story.of_shapes_within)[seed % 3]
        story = made(seed)
        assert not (found := story.play(20)), f"seed {seed}: {found}"
