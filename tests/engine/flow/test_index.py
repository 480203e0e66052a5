"""The index: what makes a value trusted, what it keeps, and what happens where it is full."""

from array import array

import msgspec
import pytest

from bridle.engine.flow.half import MOST_STEPS, weight
from bridle.engine.flow.index import MOST_LABELLED, OTHERS_MOST, TRUSTED_MOST, Bounds, Index
from bridle.engine.flow.source import Imprint
from engine.flow.read import (
    HERE,
    READER,
    constant,
    endorsement,
    index_of,
    prompt,
    result,
    trace,
)

EVE = "eve@evil.example"


# --- trust ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [prompt(), constant(), result(trusted=True), endorsement()])
def test_one_trusted_source_that_says_all_of_a_value_makes_it_trusted(source):
    found = trace(index_of((source, f"Write to {EVE} today")), EVE)
    assert found.trusted
    assert not found.unknown
    assert found.events == (source.id,)


@pytest.mark.parametrize("source", [prompt(trusted=False), result()])
def test_what_nobody_vouches_for_makes_nothing_trusted(source):
    found = trace(index_of((source, f"Write to {EVE} today")), EVE)
    assert not found.trusted
    assert not found.prompted
    assert not found.unknown


def test_what_two_trusted_sources_say_in_parts_is_not_trusted():
    index = index_of(
        (prompt(), "pay the bill of Bob"),
        (result(trusted=True), "Miller is here"),
        (constant(), "x"),
    )
    assert trace(index, "Bob").trusted
    assert trace(index, "Miller").trusted
    found = trace(index, "Bob Miller")
    assert not found.trusted
    assert found.unknown


def test_the_end_of_one_source_and_the_beginning_of_the_next_are_no_run():
    index = index_of((constant(), "one two"), (constant(), "three four"))
    assert trace(index, "one two").trusted
    assert not trace(index, "two three").trusted
    texts = Index()
    texts.add(1, constant(), READER.imprint(["one two", "three four"]))
    assert not trace(texts, "two three").trusted


def test_only_what_humans_said_or_approved_makes_a_value_prompted():
    said = f"Write to {EVE} today"
    for source in (prompt(), endorsement()):
        assert trace(index_of((source, said)), EVE).prompted
    for source in (prompt(trusted=False), constant(), result(trusted=True)):
        assert not trace(index_of((source, said)), EVE).prompted


def test_a_prompt_is_found_below_any_number_of_trusted_results():
    said = "the code is new york"
    read = [(result(trusted=True), said)] * (2 * MOST_STEPS)
    index = index_of((prompt(), said), *read[:300])
    assert trace(index, "york").prompted
    assert trace(index, "new york").prompted


def test_an_endorsement_counts_for_its_sink_and_domain_only():
    index = index_of((endorsement("recipient", HERE), EVE))
    assert trace(index, EVE, "recipient", HERE).trusted
    assert not trace(index, EVE, "locator", HERE).trusted
    assert not trace(index, EVE, "recipient", "intranet").trusted
    assert trace(index, EVE, "locator", HERE).unknown


def test_an_endorsed_value_carries_no_label_where_it_is_endorsed():
    index = index_of((result(labels=["pii"]), EVE), (endorsement(), EVE))
    here, elsewhere = trace(index, EVE), trace(index, EVE, "locator")
    assert (here.labels, here.mission) == (frozenset(), False)
    assert (elsewhere.labels, elsewhere.mission) == ({"pii"}, True)
    assert here.places == {("web", "web-domain")}


def test_a_value_that_says_nothing_is_nobodys():
    index = index_of((result(), "x"))
    for text in ("", " ", "\n"):
        assert trace(index, text).trusted
        assert not trace(index, text).unknown


# --- labels, systems, domains ---------------------------------------------------------------------


def test_a_prompted_value_carries_no_label_and_shows_where_else_it_stands():
    found = trace(index_of((prompt(), EVE), (result("crm", labels=["pii"]), EVE)), EVE)
    assert found.prompted
    assert (found.labels, found.mission) == (frozenset(), False)
    assert found.places == {("crm", "crm-domain")}
    assert found.events == ("prompt", "from-crm")


def test_a_value_of_a_trusted_result_carries_the_labels_of_all_that_say_it():
    index = index_of(
        (result("crm", trusted=True, labels=["pii"]), f"contact: {EVE}"),
        (result("web", labels=["public"]), f"see {EVE}"),
        (result("hr", labels=["salary"]), "see adam@evil.example"),
    )
    found = trace(index, EVE)
    assert found.trusted
    assert (found.labels, found.mission) == ({"pii", "public"}, False)
    assert {system for system, _ in found.places} == {"crm", "web", "hr"}


def test_a_value_that_nobody_vouches_for_carries_the_labels_of_the_mission_besides():
    index = index_of((result("web", labels=["public"]), EVE))
    assert trace(index, EVE).mission
    assert trace(index, "nobody said this").mission
    found = trace(index, EVE, inherits=False)
    assert (found.labels, found.mission) == ({"public"}, False)
    assert trace(index, "nobody said this", inherits=False).labels == frozenset()


def test_a_value_that_inherits_nothing_carries_what_a_detector_found_and_what_its_sources_carry():
    card = "4111 1111 1111 1111"
    index = index_of((result("hr", labels=["salary"]), "the salary of Ann"))
    # What the detector was asked of need not be among what the source says.
    index.add(2, result("web", labels=["public"]), READER.imprint(["x"], [("pci", card)]))
    for text in (card, "4111-1111-1111-1111", "pay 4111111111111111 now"):
        found = trace(index, text, inherits=False)
        assert (found.labels, found.mission) == ({"pci"}, False)
    found = trace(index, "the salary of Ann", inherits=False)
    assert (found.labels, found.mission) == ({"salary"}, False)
    assert trace(index, "x", inherits=False).labels == {"public"}


def test_a_label_that_a_detector_gave_goes_with_the_value_whoever_says_it():
    index = Index()
    index.add(1, constant(), READER.imprint(["card 4111 1111 1111 1111 of Eve"]))
    index.add(2, result(), READER.imprint(["x"], [("pci", "4111-1111-1111-1111")]))
    assert trace(index, "4111 1111 1111 1111").labels == {"pci"}
    assert trace(index, "Eve").labels == frozenset()


def test_where_there_are_too_many_labelled_values_the_label_goes_to_all():
    index, many = Index(), [f"4111-{n:06}" for n in range(MOST_LABELLED)]
    index.add(1, constant(), READER.imprint(["hello Eve"]))
    index.add(2, result(), READER.imprint([], [("pci", value) for value in many[:9]]))
    assert trace(index, "Eve").labels == frozenset()
    index.add(3, result(), READER.imprint([], [("pii", value) for value in many]))
    assert "pii" in trace(index, "Eve").labels
    assert index.octets < 1_000_000


# --- bounds ---------------------------------------------------------------------------------------


def noise(octets, seed=1):
    """An imprint with nothing in it twice: what takes the most room."""
    marks = array(
        "Q", [(seed * 2**40 + n) * 0x9E3779B97F4A7C15 % 2**64 | 1 for n in range(octets // 8)]
    )
    third = len(marks) // 3
    parts = [marks[:third], marks[third : 2 * third], marks[2 * third :]]
    return Imprint(chunks=parts[0].tobytes(), whole=parts[1].tobytes(), parts=parts[2].tobytes())


def fill(index, octets, *, trusted=False, each=60_000):
    for number in range(octets // each):
        seed = 1 + number + 100_000 * trusted
        source = result(f"s{number % 7}", trusted=trusted, action=f"a{number}")
        index.add(number + 1, source, noise(each, seed))


def test_at_its_caps_an_index_takes_less_than_4_mb_as_arrays_and_as_imprints():
    index = Index()
    fill(index, TRUSTED_MOST + 60_000, trusted=True)
    largest = 0
    for _ in range(12):
        fill(index, OTHERS_MOST // 9)
        largest = max(largest, index.octets)
    assert largest <= 4_000_000
    assert TRUSTED_MOST + OTHERS_MOST <= 4_000_000
    assert not index.whole
    assert index.full


def test_an_imprint_weighs_what_it_takes_when_it_is_kept():
    for imprint in (noise(60_000), READER.imprint(["a b"], [("pci", "4111")]), Imprint()):
        assert len(msgspec.msgpack.encode(imprint)) <= weight(imprint)


def test_what_is_vouched_for_is_never_let_go_of_and_what_is_too_much_is_not_vouched_for():
    index = index_of((prompt(), EVE))
    fill(index, OTHERS_MOST + 60_000)
    assert not index.full
    assert trace(index, EVE).prompted
    fill(index, TRUSTED_MOST, trusted=True)
    index.add(99, result("crm", trusted=True), READER.imprint(["adam@x.example " * 9_000]))
    assert index.full
    assert trace(index, EVE).prompted
    found = trace(index, "adam@x.example")
    assert not found.trusted
    assert ("crm", "crm-domain") in found.places
    index.add(100, result("crm", trusted=True), READER.imprint(["short"]))
    assert not trace(index, "short").trusted


def test_whoever_floods_a_mission_takes_no_system_and_no_label_from_a_value():
    read = [(result("hr", labels=["salary"]), "the salary of Ann is 5120 EUR")]
    index = index_of((constant(), "5120 EUR"), *read)
    before = trace(index, "5120 EUR"), trace(index, "the salary of Ann", inherits=False)
    assert [t.mission for t in before] == [False, False]
    fill(index, OTHERS_MOST + 60_000)
    after = trace(index, "5120 EUR"), trace(index, "the salary of Ann", inherits=False)
    for one, other in zip(before, after, strict=True):
        assert one.places <= other.places
        # All labels of the mission, since nobody knows any more which.
        assert other.mission
        assert one.trusted == other.trusted


def test_letting_go_as_asked_equals_never_having_read_it():
    texts = [(result(f"s{n}"), f"word{n} and common@x.example") for n in range(9)]
    one, other = index_of(*texts), Index([(f"s{n}", f"s{n}-domain") for n in range(4)])
    one.let_go(5)
    for number, (source, text) in list(enumerate(texts, 1))[4:]:
        other.add(number, source, READER.imprint([text]))
    for text in ("word1", "word7", "common@x.example", "and", "word7 and", "x.example"):
        assert trace(one, text) == trace(other, text)
    assert one.gone == other.gone
    one.let_go(100)
    assert not trace(one, "word7").trusted
    assert trace(one, "word7").unknown


def test_what_was_not_read_to_its_end_may_say_anything():
    index = Index()
    index.add(1, constant(), READER.imprint(["hello Eve"]))
    index.add(2, result("web"), READER.imprint(["one two three"], most=1))
    assert not index.whole
    found = trace(index, "Eve")
    assert found.trusted
    assert found.mission
    assert ("web", "web-domain") in found.places


def test_a_source_of_one_word_a_million_times_takes_bounded_steps():
    index = index_of((prompt(), "a b"), (result("web"), "a " * 10**6), (result("hr"), "a b c"))
    bounds = Bounds()
    for text in ("a", "a a", "a " * 500, "a b", "b a", "a a b"):
        before = bounds.others
        found = index.trace(READER.read(text), "recipient", HERE, bounds)
        assert before - bounds.others <= 2 * MOST_STEPS
        assert found.trusted == (text in ("a", "a b"))


def test_a_search_that_gives_up_names_everything_and_trusts_nothing():
    decoys = " ".join(["bill of Ann x of Bob"] * 4_000)
    index = index_of(
        (result("hr"), "bill of Bob"), (result("crm"), "unlike"), (result("web"), decoys)
    )
    found = trace(index, "bill of Bob", inherits=False)
    assert {system for system, _ in found.places} == {"hr", "web", "crm"}
    assert found.mission
    trusted = index_of((constant(), "bill of Bob"), (constant(), decoys))
    assert not trace(trusted, "bill of Bob").trusted


def test_all_values_of_an_action_share_one_bound():
    index = index_of((result("web"), "a " * 60_000), (result("hr"), "q"), (prompt(), "a x"))
    bounds = Bounds()
    for n in range(200):
        index.trace(READER.read(f"a {'a ' * n}x"), "recipient", HERE, bounds)
    assert bounds.others <= 0
    found = index.trace(READER.read("q"), "recipient", HERE, bounds)
    assert not found.trusted
    assert {system for system, _ in found.places} == {"hr", "web"}
    # What others said has not spent what is looked at for trust.
    assert index.trace(READER.read("a x"), "recipient", HERE, bounds).prompted


def test_what_was_asked_changes_no_answer():
    read = [(result(f"s{n}"), f"word{n} a b c") for n in range(20)]
    asked, fresh = index_of(), index_of(*read)
    for number, (source, text) in enumerate(read, 1):
        asked.add(number, source, READER.imprint([text]))
        trace(asked, "a b c")
        trace(asked, f"word{number}")
    for text in ("a b c", "word3", "word3 a", "c word3"):
        assert trace(asked, text) == trace(fresh, text)
