"""What leaves the process are references, never a handle: whoever loads them opens a session."""

import copy
import pickle
import traceback
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from bridle.client.agent import Agent
from bridle.client.opening import connect
from bridle.model import calls
from bridle.model.errors import BridleError, RefusedError, UsageError
from client.scripted import MISSION, Scripted, Sink, served


def act_as(agent: Agent) -> str:
    """Run in another process."""
    return agent.call("t", {"a": 1}, effect=Sink("from the worker"), key="k")


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    governor = Scripted()
    with served(governor, tmp_path), connect(tmp_path) as bridle:
        yield bridle.start_mission("desk", user="ana").agent("triage", executor="worker-1")


def test_pickles_and_copies_carry_no_handle(agent: Agent) -> None:
    agent.call("t", effect=Sink())
    handle = agent._session.handle.encode()
    assert handle
    for thing in (agent, agent.mission, [agent, {"a": agent}]):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            assert handle not in pickle.dumps(thing, protocol)
    assert handle.decode() not in repr(agent) + repr(agent.mission) + repr(agent.mission.bridle)
    assert not copy.copy(agent)._session.is_open


def test_what_is_pickled_is_the_bundle_the_mission_and_the_name(
    agent: Agent, tmp_path: Path
) -> None:
    loaded = pickle.loads(pickle.dumps(agent))
    assert (loaded.mission.id, loaded.name, loaded.executor) == (MISSION, "triage", "worker-1")
    assert loaded.mission.bridle.reference == str(tmp_path)


def test_loading_alone_asks_the_governor_nothing(tmp_path: Path) -> None:
    governor = Scripted()
    with served(governor, tmp_path), connect(tmp_path) as bridle:
        data = pickle.dumps(bridle.start_mission("desk", user="ana").agent("triage"))
        before = len(governor.calls)
        loaded = pickle.loads(data)
        assert len(governor.calls) == before
        assert loaded.call("t", effect=Sink()) == "done"
        assert len(governor.of(calls.OpenSession)) == 2
    with pytest.raises(BridleError):
        pickle.loads(data).call("t", effect=Sink())


def test_loaded_references_to_one_governor_share_its_connections(agent: Agent) -> None:
    first, second = (pickle.loads(pickle.dumps(agent)) for _ in range(2))
    assert first.mission.bridle is second.mission.bridle


def test_an_agent_acts_from_a_pool_of_fresh_processes(agent: Agent) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        assert list(pool.map(act_as, [agent, agent])) == ["from the worker"] * 2


def test_a_denial_comes_back_from_another_process(tmp_path: Path) -> None:
    governor = Scripted()
    governor.decided = governor.nothing
    with served(governor, tmp_path), connect(tmp_path) as bridle:
        agent = bridle.start_mission("desk", user="ana").agent("triage")
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            problem = pool.submit(act_as, agent).exception()
    assert type(problem).__name__ == "Denied"
    assert problem.code == "not_found"
    assert "ses_" not in "".join(traceback.format_exception(problem))


def test_a_closed_session_is_not_opened_again(agent: Agent) -> None:
    agent.close()
    with pytest.raises(UsageError):
        agent.call("t", effect=Sink())


def test_the_agents_role_can_attach_and_nothing_more(tmp_path: Path) -> None:
    governor = Scripted()
    with served(governor, tmp_path):
        with connect(tmp_path) as operator:
            handle = operator.start_mission("desk", user="ana").session("triage")
        with connect(tmp_path / "agents.sock", role="agent") as bridle:
            agent = bridle.attach(handle, mission=MISSION, agent="triage")
            assert agent.call("t", effect=Sink()) == "done"
            for refused in (
                lambda: bridle.start_mission("desk", user="ana"),
                lambda: bridle.kill("all"),
                agent.mission.close,
                lambda: agent.mission.agent("triage"),
                agent.close,
            ):
                with pytest.raises(RefusedError):
                    refused()
