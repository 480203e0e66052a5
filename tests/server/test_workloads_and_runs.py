"""Over real sockets: runs that their agent's key certifies, workloads that are there themselves."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import bridle
from bridle.client.bridle import Bridle
from bridle.client.opening import connect
from bridle.governor.governor import Governor
from bridle.model import calls
from bridle.model.errors import BridleError
from bridle.server.acceptor import Server
from bridle.server.listening import agents_door, operator_door
from bridle.trust import credential
from bridle.trust.credential import Credential
from client.scripted import Sink
from governor.proving import ANA, keyed

CLERK = credential.generate("agent", "clerk")
WORKER, WORKER_2 = (credential.generate("workload", "worker") for _ in range(2))
OWN_KEYS = (
    ("agents.toml", "[agents.clerk]\n", f'[agents.clerk]\nkey = "{CLERK.public}"\n'),
    ("agents.toml", "[workloads.worker]\n", f'[workloads.worker]\nkey = "{WORKER.public}"\n'),
)


@contextmanager
def serving(folder: Path) -> Iterator[Path]:
    """A governor with a store of its own behind two sockets; yields where they are."""
    for name, text in keyed(*OWN_KEYS).items():
        path = folder / "bundle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    governor = Governor.open(folder / "bundle", state=folder / "state")
    doors = (agents_door(folder / "agents.sock"), operator_door(folder / "operator.sock"))
    server = Server(governor, doors, store=governor.core.store_id, version="0")
    server.listen()
    thread = threading.Thread(target=server.run, name="test-server")
    thread.start()
    try:
        yield folder
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "state").mkdir(mode=0o700)
    with serving(tmp_path) as folder:
        yield folder


@pytest.fixture
def ana(place: Path) -> Iterator[Bridle]:
    with connect(place, credential=ANA) as gov:
        yield gov


def working(place: Path, who: Credential | None) -> Bridle:
    """A worker's own connection."""
    return connect(place, role="agent", credential=who)


def test_a_run_of_a_keyed_agent_opens_with_its_credential_and_works_where_its_worker_is(
    place: Path, ana: Bridle
) -> None:
    mission = ana.start_mission("office", user="ana")
    with pytest.raises(BridleError) as refused:
        mission.agent("clerk", executor="worker")
    assert refused.value.code == "not_certified"
    handed = mission.session("clerk", executor="worker", credential=CLERK)
    sink = Sink({"body": "x"})
    # Whoever has handle and key of the run still is not the worker.
    with working(place, None) as thief:
        run = thief.attach(handed, mission=mission.id, agent="clerk")
        with pytest.raises(bridle.Denied) as denied:
            run.call("note.read", {"id": 1}, effect=sink)
        assert denied.value.code == "executor_not_proven"
    with pytest.raises(BridleError) as refused:
        working(place, credential.generate("workload", "worker"))
    assert refused.value.code == "not_proven"
    assert not sink.ran
    with working(place, WORKER) as worker:
        run = worker.attach(handed, mission=mission.id, agent="clerk")
        assert run.call("note.read", {"id": 1}, effect=sink) == {"body": "x"}
    assert sink.ran == 1


def test_a_worker_rotates_its_key_while_it_works_and_no_call_is_refused_in_the_overlap(
    place: Path, ana: Bridle
) -> None:
    mission = ana.start_mission("office", user="ana")
    handed = mission.session("clerk", executor="worker", credential=CLERK)
    sink = Sink({"body": "x"})
    with working(place, WORKER) as old:
        before = old.attach(handed, mission=mission.id, agent="clerk")
        before.call("note.read", {"id": 1}, effect=sink)
        rotate = calls.KeyVerb(
            verb="rotate", kind="workload", name="worker", key=WORKER_2.public, overlap_ms=60_000
        )
        ana.rows(rotate)
        with working(place, WORKER_2) as new:
            after = new.attach(handed, mission=mission.id, agent="clerk")
            for number in range(5):
                before.call("note.read", {"id": number}, effect=sink)
                after.call("note.read", {"id": number}, effect=sink)
            ana.rows(
                calls.KeyVerb(verb="retire", kind="workload", name="worker", key=WORKER.public)
            )
            with pytest.raises(bridle.Denied) as denied:
                before.call("note.read", {"id": 1}, effect=sink)
            assert denied.value.code == "executor_not_proven"
            after.call("note.read", {"id": 1}, effect=sink)
    assert sink.ran == 12
