"""Revocation partition: whoever is cut off from news of revocations does not go on as before."""

from __future__ import annotations

import pytest

from bridle.model.errors import StoreError
from bridle.trust import status
from bridle.trust.grants.codes import GrantError
from bridle.trust.status import StatusList
from governor.desk import codes
from trust.forging import ANY, GOVERNOR, HOUR, NOW, Line, judged
from trust.office import NOTES, Office

GOOD_FOR = 300


def listed(line: Line, *, version: int = 1, at: int = NOW) -> str:
    """A signed list in which nothing is revoked."""
    made = StatusList(version, at, at + GOOD_FOR, GOVERNOR, {})
    return status.sign(made, line.grant_key)


def test_offline_a_list_is_good_until_its_time_and_not_a_second_longer() -> None:
    line = Line(ANY, ANY)
    text = listed(line)
    for now, code in ((NOW, ""), (NOW + GOOD_FOR - 1, ""), (NOW + GOOD_FOR, "status_stale")):
        try:
            known = status.read(text, line.roots, now)
            said, _ = judged(line.verifier(), line.texts, status=known, now=now)
        except GrantError as refused:
            said = refused.code
        assert said == code


def test_a_list_that_was_read_in_time_answers_for_no_longer_either() -> None:
    line = Line(ANY)
    known = status.read(listed(line), line.roots, NOW)
    with pytest.raises(GrantError) as refusal:
        known.at(NOW + GOOD_FOR)
    assert refusal.value.code == "status_stale"


FALSE = {
    "by another key": lambda line: status.sign(
        StatusList(9, NOW, NOW + HOUR, GOVERNOR, {}), Line(ANY).grant_key
    ),
    "by a holder": lambda line: status.sign(
        StatusList(9, NOW, NOW + HOUR, GOVERNOR, {}), line.keys[0]
    ),
    "cut off": lambda line: listed(line)[:-30],
    "of tomorrow": lambda line: listed(line, at=NOW + 86_400),
    "a link instead": lambda line: line.texts[0],
    "nothing": lambda _: "",
}


@pytest.mark.parametrize("name", FALSE)
def test_no_list_but_the_governors_own_is_believed(name: str) -> None:
    line = Line(ANY)
    with pytest.raises(GrantError) as refusal:
        status.read(FALSE[name](line), line.roots, NOW)
    assert refusal.value.code == "status_invalid"


def test_a_list_of_another_governor_says_nothing_of_this_ones_links() -> None:
    line = Line(ANY)
    other = StatusList(1, NOW, NOW + HOUR, "bridle:" + "cd" * 16, {})
    assert judged(line.verifier(), line.texts, status=other)[0] == "status_invalid"


def test_a_governor_that_cannot_read_its_store_starts_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    office = Office()
    run = office.run().hand("scout", NOTES)
    decided = run.decide("note.write", text="x")

    def gone(*_: object, **__: object) -> None:
        raise StoreError("the disk is gone", code="store_unavailable")

    monkeypatch.setattr(office.desk.core.store, "write", gone)
    assert codes(run.begin(decided.action)) == ["store_unavailable"]
    assert run.act("note.write", text="y") == "store_unavailable"
    assert office.ran == []
