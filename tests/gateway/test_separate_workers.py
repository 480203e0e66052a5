"""A worker that is a workload with a key: it alone gets the credential, for what it has started."""

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.client.attempt import running
from bridle.client.bridle import Bridle
from bridle.client.errors import Denied
from bridle.client.opening import connect
from bridle.client.transport import runs
from bridle.model.calls import Failed, Leases, Vend
from gateway.keyed import OTHERS, SECRET, prepared, seal
from gateway.office import Office

WORKER = """
[systems.sink.credential]
broker = "sealed"
use = "worker"
secret = "sink-key"
"""


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    office = prepared(tmp_path_factory.mktemp("workers"), declared=WORKER)
    with office.serving():
        seal(office)
        yield office


@pytest.fixture
def worker(office: Office) -> Iterator[Bridle]:
    with connect(_sockets(office), role="agent", credential=office.key) as proved:
        yield proved


def _sockets(office: Office) -> str:
    return str(Path(office.governor.operator.path).parent)


def session(office: Office) -> tuple[str, str]:
    """Mission and handle of a session of the clerk that the worker carries out."""
    mission = office.governor.start_mission("desk", user="ana")
    return mission.id, mission.session("clerk", executor="proxy")


def result(*texts: str) -> dict[str, Any]:
    """What the sink's tools return: a CallToolResult."""
    return {"content": [{"type": "text", "text": text} for text in texts]}


def acting(office: Office, worker: Bridle) -> bridle.Agent:
    mission, handle = session(office)
    return worker.attach(handle, mission=mission, agent="clerk")


def test_the_worker_opens_the_system_with_it_and_only_for_one_attempt(
    office: Office, worker: Bridle
) -> None:
    seen: list[str] = []

    def effect(text: str) -> dict[str, Any]:
        with bridle.credential() as key:
            seen.append(key.reveal())
        with pytest.raises(bridle.BridleError):
            bridle.credential()
        return result(text)

    shown = acting(office, worker).call("sink.echo", {"text": "hello"}, effect=effect)
    assert shown == result("hello")
    assert seen == [SECRET]


def test_what_the_effect_returns_or_raises_is_recorded_and_released_without_it(
    office: Office, worker: Bridle
) -> None:
    agent = acting(office, worker)

    def effect(text: str) -> dict[str, Any]:
        key = bridle.credential().reveal()
        return result(key, base64.b64encode(key.encode()).decode())

    shown = agent.call("sink.echo", {"text": "x"}, effect=effect)
    assert shown == result("[credential]", "[credential]")

    def failing(text: str) -> None:
        raise ValueError(f"refused {bridle.credential().reveal()}")

    with pytest.raises(ValueError, match="refused"):
        agent.call("sink.echo", {"text": "x"}, effect=failing)
    for path in (office.folder / "state").rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert SECRET.encode() not in data, path
            assert base64.b64encode(SECRET.encode()) not in data, path


def test_without_the_key_nothing_starts(office: Office) -> None:
    ran: list[str] = []
    with connect(_sockets(office), role="agent") as nobody:
        agent = acting(office, nobody)
        with pytest.raises(Denied):
            agent.call("sink.echo", {"text": "x"}, effect=ran.append)
    assert ran == []


def test_another_session_and_an_unproven_connection_get_none_of_a_started_attempt(
    office: Office, worker: Bridle
) -> None:
    mission, handle = session(office)
    run = runs.read(handle)
    _, other = session(office)
    stolen: list[Any] = []

    def effect(text: str) -> dict[str, Any]:
        attempt = running.current().attempt
        with connect(_sockets(office), role="agent") as nobody:
            stolen.append(nobody.agents.send(Vend(session=run.handle, attempt=attempt)))
        foreign = runs.read(other)
        stolen.append(worker.agents.send(Vend(session=foreign.handle, attempt=attempt)))
        stolen.append(worker.agents.send(Vend(session=run.handle, attempt="att_none")))
        return result()

    worker.attach(handle, mission=mission, agent="clerk").call(
        "sink.echo", {"text": "x"}, effect=effect
    )
    assert len(stolen) == 3
    assert all(isinstance(reply, Failed) for reply in stolen)


def test_when_the_action_has_ended_so_has_its_lease(office: Office, worker: Bridle) -> None:
    mission, handle = session(office)

    def effect(text: str) -> dict[str, Any]:
        bridle.credential()
        return result(*(row["state"] for row in office.governor.rows(Leases(mission=mission))))

    agent = worker.attach(handle, mission=mission, agent="clerk")
    assert agent.call("sink.echo", {"text": "x"}, effect=effect) == result("live")
    (row,) = office.governor.rows(Leases(mission=mission, all=True))
    assert row["state"] in ("ending", "ended")


def test_an_embedded_governor_vends_nothing(tmp_path: Path) -> None:
    office = prepared(tmp_path, declared=WORKER, governance=OTHERS)
    script = f"""
import bridle, pathlib
with bridle.open({str(office.bundle)!r}, embedded=True) as gov:
    agent = gov.start_mission("desk", user="ana").agent("clerk", executor="proxy")
    try:
        agent.call("sink.echo", {{"text": "x"}}, effect=lambda text: print("ran"))
    except bridle.Denied as denied:
        print(denied.code)
"""
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=office.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.split() == ["not_separated"]
