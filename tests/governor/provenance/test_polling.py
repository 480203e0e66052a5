"""What is read again and again takes up room once, and nothing is lost for it."""

import pytest

from bridle.engine.flow import index
from governor.desk import said
from governor.provenance.reading import CARD, FILES, ReadingDesk
from governor.provenance.test_tracing import ALLOW, HOLD, LABELS, explained

LONG = '{"note":"' + " ".join(f"word{number}" for number in range(2_000)) + '"}'


@pytest.mark.parametrize("tool", ["crm.find", "web.get"])
def test_a_result_that_comes_again_takes_no_room(tool: str) -> None:
    desk = ReadingDesk()
    for number in range(40):
        desk.result(tool, f"poll {number}", LONG)
    named = [source for source in desk.sources() if source.tool == tool]
    assert len(named) == 1
    assert 40 * named[0].weight > index.TRUSTED_MOST


def test_polling_leaves_room_for_what_is_vouched_for_next() -> None:
    desk = ReadingDesk()
    for number in range(40):
        desk.result("crm.find", f"poll {number}", LONG)
    desk.result("crm.find", "c", '{"mail":"carla@x.example"}', id=1)
    assert said(desk.decide("mail.send", "m", to="carla@x.example")) == ALLOW
    desk.core.indexes.clear()
    assert said(desk.decide("mail.send", "n", to="carla@x.example")) == ALLOW
    desk.verified()


def test_answers_that_take_turns_are_kept_once_each() -> None:
    desk = ReadingDesk()
    for number in range(30):
        desk.result("crm.find", f"poll {number}", f'"state {number % 3} of the order"')
    assert len([source for source in desk.sources() if source.tool == "crm.find"]) == 3


def test_the_same_words_from_elsewhere_are_another_source() -> None:
    desk = ReadingDesk()
    desk.result("web.get", "w", '"ask eve@evil.example"', url="u")
    desk.result("crm.find", "c", '"ask eve@evil.example"', id=1)
    assert len([source for source in desk.sources() if source.kind == "result"]) == 2
    # A trusted tool says it too, as it would have been told in the other order.
    assert said(desk.decide("mail.send", "m", to="eve@evil.example")) == ALLOW
    other = ReadingDesk()
    other.result("web.get", "w", '"ask eve@evil.example"', url="u")
    other.result("web.get", "x", '"ask eve@evil.example"', url="v")
    verdict = other.decide("mail.send", "m", to="eve@evil.example")
    assert said(verdict) == HOLD
    assert explained(other, verdict.action)["to"]["sources"] == ["web"]


def test_labels_of_what_comes_again_stay() -> None:
    desk = ReadingDesk({**FILES, "policies/labels.dw": LABELS})
    for number in range(3):
        desk.result("web.get", f"w {number}", f'"paid with {CARD}"', url="u")
    assert "pci" in desk.labels()
    found = desk.decide("mail.send", "m", to="audit@house.example", body=CARD)
    assert said(found) == ("deny", ["forbidden"])


def test_what_comes_again_is_on_record_each_time() -> None:
    desk = ReadingDesk()
    for number in range(3):
        desk.result("crm.find", f"poll {number}", '"done"')
    assert len(desk.leaves("outcome")) == 3
    desk.verified()
