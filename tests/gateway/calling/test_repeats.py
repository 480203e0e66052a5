"""Which repeated calls are the same, and that only one of them goes on with what was approved."""

import json
import threading

from hypothesis import given
from hypothesis import strategies as st

from bridle.engine import strict_json
from bridle.gateway.calling.repeats import Repeats, Waiting, new_key, sameness

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.sampled_from([0.5, 1.25, "0.5", "a", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner),
    max_leaves=6,
)


def read(text: str) -> object:
    return strict_json.parse_result(text, size=10_000, depth=64)


@given(VALUES, VALUES)
def test_two_calls_are_the_same_exactly_if_their_arguments_are_the_same_json(a: object, b: object):
    texts = [json.dumps(v, sort_keys=True) for v in (a, b)]
    same = sameness("t", read(json.dumps(a))) == sameness("t", read(json.dumps(b, indent=2)))
    assert same == (texts[0] == texts[1])
    assert sameness("t", a) != sameness("u", a)


def test_a_number_that_json_writes_in_two_ways_is_not_the_text_of_it():
    assert sameness("t", read("1.5")) != sameness("t", read('"1.5"'))


def test_what_waits_is_claimed_once_however_many_ask():
    repeats, won = Repeats(), list[Waiting]()
    for round_ in range(50):
        waiting = Waiting(new_key(), f"act_{round_}", "hold")
        repeats.keep("s", waiting)
        start = threading.Barrier(8)

        def claim(start: threading.Barrier = start) -> None:
            start.wait(30)
            found = repeats.claim("s")
            if found is not None:
                won.append(found)

        threads = [threading.Thread(target=claim) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert won[round_:] == [waiting]


def test_what_is_remembered_is_bounded_and_the_oldest_goes_first():
    repeats = Repeats()
    for number in range(1_001):
        repeats.keep(str(number), Waiting(str(number), "", ""))
    assert repeats.claim("0") is None
    assert repeats.claim("1") == Waiting("1", "", "")


def test_keys_of_new_actions_are_never_the_same():
    assert len({new_key() for _ in range(1000)}) == 1000
