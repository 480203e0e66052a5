"""A result that says less in JSON than it holds: what was judged is what comes back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

import bridle
from client.desk import TICKET, copied

CARD = "4111 1111 1111 1111"


class Quiet(msgspec.Struct, omit_defaults=True):
    """Leaves its default out of its JSON."""

    id: int
    status: str = "open"
    body: str = "nothing"
    card: str = CARD


class Sly(dict[str, Any]):
    """A dictionary with an attribute that JSON does not see."""

    card = CARD


@pytest.fixture(scope="module")
def triage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[bridle.Agent]:
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        with bridle.open(copied(folder), embedded=True) as governor:
            yield governor.start_mission("ticket-desk", user="ana").agent("triage")


def test_an_object_cannot_carry_more_than_was_judged(triage: bridle.Agent) -> None:
    plain = {k: v for k, v in TICKET.items() if k != "iban"}
    result = triage.call("desk.read_ticket", {"id": 7}, effect=lambda **_: Sly(plain))
    assert result == plain
    assert type(result) is dict
    assert not hasattr(result, "card")


def test_a_stored_result_comes_back_as_it_was_judged(triage: bridle.Agent) -> None:
    plain = {k: v for k, v in TICKET.items() if k != "iban"}
    for _ in range(2):
        again = triage.call("desk.read_ticket", {"id": 7}, effect=lambda **_: Sly(plain), key="k")
        assert type(again) is dict


def test_defaults_left_out_of_the_json_stay_out(triage: bridle.Agent) -> None:
    with pytest.raises(bridle.Denied):  # the JSON lacks what the tool's schema requires
        triage.call("desk.read_ticket", {"id": 7}, effect=lambda **_: Quiet(7))
