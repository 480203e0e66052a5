"""State that is written and read, carried over to other conditions, and never made up."""

import contextlib
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.temporal import codec
from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.codec import StateError
from bridle.engine.temporal.event import Event
from bridle.engine.temporal.partition import Partition
from bridle.engine.temporal.program import Program
from engine.temporal.agreeing import ATOMS, Story
from engine.temporal.library_shapes import Shapes, call, read
from engine.temporal.random_conditions import Conditions, leaf, reader, times

SEEDS = st.integers(0, 2**32)
STORIES = st.builds(
    lambda seed, shapes: Story.of_shapes(seed) if shapes else Story.of_any(seed),
    SEEDS,
    st.booleans(),
)


def program(seed, count=4):
    rng = random.Random(seed)
    made = [Shapes(rng).one() if n % 2 else Conditions(rng).top() for n in range(count)]
    return [leaf(condition, f"h{n}") for n, condition in enumerate(made)]


def filled(leaves, events):
    partition = Partition(Program(leaves), ATOMS)
    for event in events:
        partition.add(event)
    return partition


def calls(seed, length=30):
    rng = random.Random(seed)
    return [call(rng, time) for time in times(rng, length)]


@given(STORIES)
def test_reading_what_was_written_at_any_point_changes_no_answer(story):
    def reload(story):
        if story.rng.random() < 0.3:
            story.partition = Partition.load(story.partition.program, story.partition.save(), ATOMS)

    assert not story.play(20, reload)


@given(STORIES)
def test_what_is_read_is_written_in_the_same_bytes(story):
    assert not story.play(20)
    data = story.partition.save()
    assert Partition.load(story.partition.program, data, ATOMS).save() == data


@given(STORIES)
def test_a_question_leaves_no_trace(story):
    program = story.partition.program
    assert not story.play(20)
    unasked = Partition(program, ATOMS)
    for event in story.history:
        unasked.add(event)
    assert story.partition.save() == unasked.save()


@given(SEEDS)
def test_a_question_that_fails_leaves_no_trace(seed):
    events, leaves = calls(seed), program(seed)
    names = [each.name for each in leaves]
    asked = filled(leaves, events[:20])

    def fails(path):
        raise OSError(path)

    for event in events[20:]:
        before = asked.save()
        with contextlib.suppress(OSError):
            asked.ask(names, event, fails)
        assert asked.save() == before
    fresh = filled(leaves, events[:20])
    for event in events[20:]:
        reads = reader(event)
        assert asked.ask(names, event, reads) == fresh.ask(names, event, reads)


@given(SEEDS, SEEDS, st.integers(0, 30))
def test_adopting_other_conditions_is_as_if_they_had_always_been_there(seed, other, switch):
    events = calls(seed)
    before, after = program(seed), program(other)
    kept = [*before[:2], *(leaf(each.condition, f"n{n}") for n, each in enumerate(after))]
    adopted = filled(before, events[:switch]).adopt(Program(kept), lambda: iter(events[:switch]))
    always = filled(kept, events[:switch])
    assert adopted.save() == always.save()
    for event in events[switch:]:
        names, reads = [each.name for each in kept], reader(event)
        assert adopted.ask(names, event, reads) == always.ask(names, event, reads)
        adopted.add(event)
        always.add(event)


@given(SEEDS, st.integers(0, 30))
def test_conditions_that_stay_keep_their_state_without_the_events(seed, switch):
    events, leaves = calls(seed), program(seed)

    def gone():
        raise AssertionError("nothing new, nothing to read")

    adopted = filled(leaves, events[:switch]).adopt(Program(leaves[:2]), gone)
    assert adopted.save() == filled(leaves[:2], events[:switch]).save()


@given(SEEDS, SEEDS, st.integers(1, 25))
def test_conditions_that_stay_keep_what_is_older_than_the_events_still_to_be_had(seed, other, lost):
    events, before = calls(seed), program(seed)
    kept = [*before, *(leaf(each.condition, f"n{n}") for n, each in enumerate(program(other)))]
    adopted = filled(before, events).adopt(Program(kept), lambda: iter(events[lost:]))
    always = filled(before, events)
    names = [each.name for each in before]
    for event in calls(other, 5):
        later = msgspec.structs.replace(event, time=events[-1].time + 500)
        reads = reader(later)
        assert adopted.ask(names, later, reads) == always.ask(names, later, reads)


@given(SEEDS, st.randoms(use_true_random=False))
def test_damaged_bytes_are_refused(seed, rng):
    partition = filled(program(seed), calls(seed))
    data = bytearray(partition.save())
    for _ in range(rng.randint(1, 3)):
        data[rng.randrange(len(data))] ^= rng.randint(1, 255)
    if bytes(data) != partition.save():
        with pytest.raises(StateError):
            Partition.load(partition.program, bytes(data), ATOMS)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data):
    with pytest.raises(StateError):
        Partition.load(Program(program(1)), data, ATOMS)
    with pytest.raises(StateError):
        Partition.load(Program(program(1)), codec.seal(data), ATOMS)


CONTRADICTIONS = {
    "fewer events than positions": {"count": 1},
    "positions that go back": {"positions": [1, 0]},
    "the same position twice": {"positions": [0, 0]},
    "times that go back": {"times": [2, 1]},
    "an event after the newest": {"times": [1, 9_000]},
    "an event that is too old": {"last_time": 90_000},
    "a type that is not there": {"types": [0, 7]},
    "a type below all": {"types": [0, -3]},
    "an event that nothing keeps": {"types": [0, -1], "fields": [["s:s1"], []]},
    "a mission that is not there": {"missions": [0, 4]},
    "a field too many": {"fields": [["s:s1"], ["s:s1", "s:s1"]]},
    "a field too few": {"fields": [["s:s1"], []]},
    "a time beyond reckoning": {"times": [1, 2**63], "last_time": 2**63},
    "a column that is short": {"times": [1]},
    "a truth for an atom": {"fields": [["s:s1"], [True]]},
    "a number for an atom": {"fields": [["s:s1"], [1.5]]},
    "positions that cannot go on": {"count": 2**63 - 1},
    "an integer beyond a Long": {"fields": [["s:s1"], [2**63]]},
    "other conditions": {"program": "x"},
    "another key": {"key": "x"},
}


@pytest.mark.parametrize("change", CONTRADICTIONS.values(), ids=CONTRADICTIONS)
def test_sealed_state_that_contradicts_itself_is_refused(change):
    leaves = [leaf(read('formerly within 8s D::Action::"A"::response{ input.user: "s1" }'))]
    kind = Program(leaves).plan(ATOMS).layout.types[0]
    events = [Event(t, kind.action, kind.kind, {"input.user": "s:s1"}, "m") for t in (1, 2)]
    partition = filled(leaves, events)
    data = partition.save()
    state = codec.unseal(data)
    assert codec.seal(msgspec.msgpack.encode(state)) == data, "nothing changed, nothing refused"
    fields = {name: change.get(name, getattr(state, name)) for name in state.__struct_fields__}
    changed = codec.seal(msgspec.msgpack.encode(tuple(fields.values())))
    assert changed != data
    with pytest.raises(StateError):
        Partition.load(partition.program, changed, ATOMS)


def test_state_of_another_key_is_refused():
    leaves = program(3)
    data = filled(leaves, calls(3)).save()
    with pytest.raises(StateError):
        Partition.load(Program(leaves), data, Atomiser(lambda text: text[::-1]))


def test_the_same_conditions_under_other_names_share_state():
    leaves = program(5)
    renamed = [msgspec.structs.replace(each, name=f"other{n}") for n, each in enumerate(leaves)]
    data = filled(leaves, calls(5)).save()
    assert filled(list(reversed(renamed)), calls(5)).save() == data
    assert Partition.load(Program(renamed), data, ATOMS).save() == data
