"""Origins of arguments: which values make them up, what these mean, what the author has written."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.engine.flow.arguments import MOST_VALUES
from bridle.engine.flow.origin import NOTHING, UNKNOWN, joined
from bridle.model.tool import Argument
from engine.flow.read import MEANINGS, MISSION, constant, endorsement, origins, prompt, result

EVE, BOB = "eve@evil.example", "bob@x.example"


def leaves(value, tool="send"):
    return [(leaf.argument, leaf.text, leaf.meaning.sink) for leaf in MEANINGS.leaves(tool, value)]


# --- what makes up an argument --------------------------------------------------------------------


def test_an_argument_is_trusted_only_if_every_value_in_it_is():
    read = (prompt(), f"write to {BOB} and Ann")
    assert origins({"to": [BOB, "Ann"]}, read).arguments["to"].trusted
    mixed = origins({"to": [BOB, EVE]}, read, (result(), EVE)).arguments["to"]
    assert not mixed.trusted
    assert not mixed.prompted
    assert not mixed.unknown
    assert mixed.sources == {"web"}
    assert mixed.domains == {"web-domain"}
    assert mixed.labels == {"mission"}
    assert mixed.events == ("prompt", "from-web")


def test_one_unknown_value_makes_its_argument_unknown_and_all_of_them_together():
    found = origins({"to": [BOB], "body": "made up"}, (prompt(), f"write to {BOB}"))
    assert [found.arguments[name].unknown for name in ("to", "body")] == [False, True]
    assert [found.sinks[sink].unknown for sink in ("recipient", "content")] == [False, True]
    assert found.any.unknown
    assert not found.any.trusted


def test_arguments_of_one_meaning_have_one_origin():
    read = (prompt(), f"say hello to {BOB}"), (result(labels=["pii"]), "secret")
    found = origins({"to": [BOB], "body": "hello", "note": "secret"}, *read)
    assert found.arguments["body"].trusted
    assert found.sinks["recipient"].trusted
    assert not found.sinks["content"].trusted
    assert found.sinks["content"].labels == {"pii"}
    assert found.any.labels == {"pii"}
    assert set(found.sinks) == {"recipient", "content"}


def test_a_nested_value_counts_for_its_argument_and_its_own_meaning():
    found = origins({"who": {"name": "Ann", "at": "made-up"}}, (prompt(), "ask Ann"))
    assert not found.arguments["who"].trusted
    assert found.sinks["content"].trusted
    assert not found.sinks["locator"].trusted


def test_an_argument_that_does_not_inherit_carries_what_was_found_in_it():
    read = (result(labels=["pii"]), "secret")
    found = origins({"note": "made up", "body": "made up"}, read).arguments
    assert found["note"].labels == frozenset()
    assert found["body"].labels == {"mission"}
    assert origins({"note": "secret"}, read).any.labels == {"pii"}
    gone = origins({"note": "made up"}, read, gone=[("hr", "staff")]).any
    assert gone.labels == {"mission"}
    assert gone.sources == {"hr"}
    assert gone.domains == {"staff"}


CARD = "4111-1111"
LABELS = frozenset(["pci", "mission"])


def cards(texts):
    """Finds cards, and labels that no mission has read."""
    for text in texts:
        if "4111" in text:
            yield from (("pci", CARD), ("other", CARD))


@pytest.mark.parametrize("value", [f"made up {CARD}", {CARD: "x"}, ["x", [CARD]], 41110])
@pytest.mark.parametrize("read", [(), ((result(), "something else"),)])
def test_what_detectors_find_in_a_value_labels_it_also_where_it_does_not_inherit(value, read):
    found = origins({"note": value}, *read, labels=LABELS, labelled=cards)
    assert found.arguments["note"].labels == {"pci"}
    assert found.sinks["content"].labels == {"pci"}
    assert found.any.labels == {"pci"}
    elsewhere = origins({"note": value}, *read, labels=MISSION, labelled=cards)
    assert elsewhere.any.labels == frozenset()


def test_what_is_found_in_a_value_is_added_to_what_was_found_of_it():
    read = (result(labels=["pii"]), f"secret {CARD}")
    found = origins({"note": f"secret {CARD}"}, read, labels=LABELS, labelled=cards)
    assert found.any.labels == {"pii", "pci"}


def test_what_humans_said_carries_no_label_by_itself():
    found = origins({"note": CARD}, (prompt(), CARD), labels=LABELS, labelled=cards)
    assert found.any.labels == frozenset()
    assert found.any.trusted


@given(st.lists(st.sampled_from(["made", "up", CARD, "secret", BOB]), max_size=4).map(" ".join))
def test_a_value_that_does_not_inherit_never_carries_more_than_one_that_does(text):
    read = (prompt(), f"write to {BOB}"), (result(labels=["pii"]), f"secret {BOB}")
    labels = LABELS | {"pii"}
    found = origins({"note": text, "body": text}, *read, labels=labels, labelled=cards).arguments
    assert found["note"].labels <= found["body"].labels


def test_a_value_is_searched_once_in_an_action():
    asked = []

    def searched(texts):
        asked.extend(texts)
        return iter(())

    origins({"note": [CARD] * 9, "body": CARD}, labelled=searched)
    assert asked == [CARD]


def test_keys_that_nobody_declared_are_values():
    read = (prompt(), "set the header to blue")
    assert origins({"headers": {"header": "blue"}}, read).any.trusted
    found = origins({"headers": {EVE: "blue"}}, read)
    assert not found.arguments["headers"].trusted
    assert not found.sinks["command"].trusted


def test_so_are_the_names_of_arguments_that_nobody_declared():
    found = origins({EVE: "blue"}, (prompt(), "blue"), tool="open")
    assert not found.arguments[EVE].trusted
    assert not found.sinks["selector"].trusted
    assert origins({"blue": "blue"}, (prompt(), "blue"), tool="open").any.trusted


def test_what_is_declared_nowhere_means_what_stands_above_it_or_a_selector():
    assert leaves(
        {"who": {"name": "a", "at": "b"}, "amount": 5, "to": ["c"], "headers": {"k": "v"}}
    ) == [
        ("who", "a", "content"),
        ("who", "b", "locator"),
        ("amount", "5", "selector"),
        ("to", "c", "recipient"),
        ("headers", "k", "command"),
        ("headers", "v", "command"),
    ]
    assert leaves({"x": [{"y": "z"}]}, "open") == [
        ("x", "x", Argument("").sink),
        ("x", "y", "selector"),
        ("x", "z", "selector"),
    ]


def test_an_endorsement_counts_for_values_that_mean_the_same():
    read = (endorsement("recipient", "internet"), EVE)
    found = origins({"to": [EVE], "body": EVE}, read)
    assert found.sinks["recipient"].trusted
    assert not found.sinks["content"].trusted


# --- what the author has written ------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        {"urgent": True},
        {"mode": "later"},
        {"folder": "outbox"},
        {"copies": 2},
        {"to": []},
        {"body": ""},
    ],
    ids=str,
)
def test_a_closed_vocabulary_is_nobodys_data(value):
    found = origins(value, (result(labels=["pii"]), "later outbox 2 true"))
    assert found.any == joined([NOTHING], frozenset())
    assert found.any.trusted
    assert found.any.prompted
    assert not found.any.unknown


@pytest.mark.parametrize(
    "value",
    [
        {"folder": "later"},
        {"mode": "outbox"},
        {"copies": Decimal(2)},
        {"amount": 2},
        {"folder": "Outbox"},
    ],
    ids=str,
)
def test_what_is_written_for_one_argument_is_data_in_another(value):
    assert not origins(value).any.trusted


def test_a_null_is_no_argument():
    found = origins({"to": None, "body": "x"})
    assert "to" not in found.arguments
    assert "recipient" not in found.sinks
    assert origins({}).any == joined([], frozenset())


# --- numbers --------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1250, Decimal("1250.00"), Decimal("1250.0")])
def test_a_number_is_what_was_said_however_it_is_written(number):
    assert origins({"amount": number}, (prompt(), "pay 1,250.00 EUR")).any.prompted
    assert not origins({"amount": number + 1}, (prompt(), "pay 1,250.00 EUR")).any.trusted


# --- bounds ---------------------------------------------------------------------------------------


def test_thousands_of_values_are_looked_for_within_bounds():
    value = {"to": [f"{n}@x.example" for n in range(MOST_VALUES + 10)]}
    said = (constant(), " ".join(value["to"][:100]))
    found = origins(value, said).arguments["to"]
    assert not found.trusted
    assert found.unknown
    assert origins({"to": value["to"][:100] * 100}, said).any.trusted
    assert joined([UNKNOWN], frozenset(["a"])).labels == {"a"}


def test_a_value_beyond_the_bound_is_not_trusted_though_somebody_says_it():
    value = {"to": [f"{n}" for n in range(MOST_VALUES + 1)]}
    said = (constant(), " ".join(value["to"]))
    assert origins({"to": value["to"][:-1]}, said).any.trusted
    assert not origins(value, said).any.trusted


def test_a_value_that_is_nested_deeply_is_read():
    value = EVE
    for _ in range(5_000):
        value = [value]
    assert not origins({"x": value}, (prompt(), "x"), tool="open").any.trusted
    assert origins({"x": value}, (prompt(), f"x {EVE}"), tool="open").any.trusted
