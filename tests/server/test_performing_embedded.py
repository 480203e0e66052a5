"""A governor within the agent's own process carries nothing out and gives out no credentials."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import bridle
from brokers.performing.servers import Sink
from server.attacking import TITLE, code_of
from server.carrying import written


@pytest.fixture
def clerk(tmp_path: Path, sink: Sink, monkeypatch: pytest.MonkeyPatch) -> Iterator[bridle.Agent]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with bridle.open(written(tmp_path, sink.url), embedded=True) as governor:
        yield governor.start_mission("office", user="ana").agent("clerk")


@pytest.mark.parametrize(
    ("tool", "args"),
    [
        ("issue.create", TITLE),
        ("page.get", {"id": 1}),
        ("web.request", {"method": "GET", "url": "http://localhost/"}),
    ],
)
def test_nothing_is_carried_out_there(
    sink: Sink, clerk: bridle.Agent, tool: str, args: dict[str, object]
) -> None:
    ran: list[object] = []
    assert code_of(lambda: clerk.call(tool, args)) == "not_separated"
    assert code_of(lambda: clerk.call(tool, args, effect=ran.append)) == "not_separated"
    assert not sink.requests
    assert not ran


def test_an_effect_there_is_given_no_credential(clerk: bridle.Agent) -> None:
    def effect(**given: object) -> object:
        return bridle.credential().reveal()

    assert code_of(lambda: clerk.call("note.read", {"id": 1}, effect=effect)) == "not_separated"
