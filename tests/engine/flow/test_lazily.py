"""A value is read only as far as somebody may have said it, and that never shows."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.flow.index import Bounds, Index
from bridle.engine.flow.origin import NOTHING
from bridle.engine.flow.reading import Reader, known
from engine.flow.read import HERE, READER, flow_of, prompt, result
from engine.flow.test_properties import DOMAINS, SINKS, WORDS, Mission, read_lists

KEY = b"a key that nobody knows"
PIECES = ("exact", "whole", "parts")

long_texts = st.lists(st.sampled_from([*WORDS, "", "\n", "\t"]), max_size=60).map(" ".join)


def told(reading):
    return {piece: getattr(reading, piece) for piece in PIECES}


@given(read_lists, long_texts, st.sampled_from(SINKS), st.sampled_from(DOMAINS), st.booleans())
def test_a_value_that_is_read_as_far_as_asked_has_the_origin_of_one_that_is_read_at_once(
    read, text, sink, domain, inherits
):
    index = Mission(read).index
    eager = Reader(KEY).read(text)
    told(eager)
    found = [
        index.trace(reading, sink, domain, Bounds(), inherits=inherits)
        for reading in (Reader(KEY).read(text), eager)
    ]
    assert found[0] == found[1]


@given(st.lists(st.sampled_from(WORDS), min_size=30, max_size=40), st.data())
def test_a_long_value_that_a_prompt_says_is_prompted_wherever_it_stands(words, data):
    start = data.draw(st.integers(0, 8))
    index = Mission([(prompt(), " ".join(words), [])]).index
    value = " ".join(words[start:])
    assert index.trace(Reader(KEY).read(value), "recipient", HERE, Bounds()).prompted
    other = index.trace(Reader(KEY).read(value + " elsewhere"), "recipient", HERE, Bounds())
    assert not other.trusted


@given(read_lists, long_texts, st.booleans(), st.booleans())
def test_where_nothing_says_anything_all_is_as_if_it_had_been_looked_for(
    read, text, inherits, whole
):
    index = Mission(read).index
    missed = Index(whole=whole)
    for source, _, _ in read:
        missed.miss(source)
    for each in (index, missed):
        silent = each.silent(inherits=inherits)
        assert (silent is None) is (each is index and bool(read))
        found = each.trace(READER.read(text), "recipient", HERE, Bounds(), inherits=inherits)
        assert found == NOTHING or silent in (None, found)


def test_a_label_alone_is_no_silence():
    imprint = READER.imprint([], [("pci", "4111111111111111")])
    assert Mission().index.silent() is not None
    index = Index()
    index.add(1, result(), imprint)
    index.let_go(2)
    assert index.silent() is None


@pytest.mark.parametrize("value", ["", " ", "\n \t", None, True, []])
def test_what_says_nothing_is_trusted_also_where_nothing_was_read(value):
    assert all(
        origin.trusted for origin in flow_of().origins("send", {"note": value}).arguments.values()
    )


@pytest.mark.parametrize("order", list(permutations(PIECES)))
def test_the_order_in_which_a_reading_is_asked_changes_nothing(order):
    text = "Pay bob%40x.com, DE89 3704 0044 0532 0130 00, https://x.com/a by 2024-05-15 " * 3
    wanted = told(Reader(KEY).read(text))
    reading = Reader(KEY).read(text)
    assert {piece: getattr(reading, piece) for piece in order} == wanted
    reader = Reader(KEY)
    assert len(reader.read(text).exact) > 0
    assert reader.imprint([text]) == Reader(KEY).imprint([text])


def test_what_was_read_halfway_is_read_to_its_end_also_after_the_memory_turned_over(monkeypatch):
    monkeypatch.setattr(known, "_MOST", 600)
    reader, texts = Reader(KEY), [f"id-{n}@x.com INV-{n} and {n}.5 EUR" for n in range(64)]
    readings = [reader.read(text) for text in texts]
    for reading in readings:
        assert len(reading.exact) > 4
    for text, reading in zip(texts, readings, strict=True):
        assert told(reading) == told(Reader(KEY).read(text))
