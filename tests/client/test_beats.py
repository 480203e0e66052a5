"""Leases of running effects are renewed; where they cannot be, nothing is killed and it is said."""

import os
import threading

from bridle.client.agent import Agent
from bridle.model import calls
from client.scripted import Scripted, Sink


def test_a_long_effect_keeps_its_lease(governor: Scripted, agent: Agent) -> None:
    governor.lease_ms = 90
    agent.call("t", effect=lambda: governor.wait_for(calls.Beat, 4) and None)
    (observe,) = governor.of(calls.Observe)
    assert {beat.attempt for beat in governor.of(calls.Beat)} == {observe.attempt}
    assert observe.outcome.message == ""


def test_a_refused_renewal_stops_nothing_and_stands_on_the_outcome(
    governor: Scripted, agent: Agent
) -> None:
    governor.lease_ms = 90
    governor.beaten = lambda _: calls.Failed(code="lease_lapsed", message="too late")

    def effect() -> str:
        governor.wait_for(calls.Beat)
        barrier.wait(30)
        return "done"

    barrier = threading.Barrier(2)
    got: list[object] = []
    caller = threading.Thread(target=lambda: got.append(agent.call("t", effect=effect)))
    caller.start()
    governor.wait_for(calls.Beat)
    # Another effect's renewals pass, so the refusal of the first has been read by then.
    governor.beaten = lambda _: calls.Done()
    agent.call("t", effect=lambda: governor.wait_for(calls.Beat, 3) and None)
    barrier.wait(30)
    caller.join(30)
    assert got == ["done"]
    late = governor.of(calls.Observe)[-1].outcome
    assert "lease_lapsed" in late.message


def test_renewals_end_with_the_effect(governor: Scripted, agent: Agent) -> None:
    governor.lease_ms = 90
    agent.call("t", effect=lambda: governor.wait_for(calls.Beat) and None)
    first = governor.of(calls.Beat)[0].attempt
    agent.call("t", effect=lambda: governor.wait_for(calls.Beat, 6) and None)
    beats = [beat.attempt for beat in governor.of(calls.Beat)]
    last_of_first = max(i for i, attempt in enumerate(beats) if attempt == first)
    # At most one was under way when the first effect ended.
    assert set(beats[last_of_first + 1 :]) == {governor.of(calls.Observe)[1].attempt}
    assert last_of_first <= beats.index(governor.of(calls.Observe)[1].attempt) + 1


def test_one_thread_renews_for_many_effects(governor: Scripted, agent: Agent) -> None:
    governor.lease_ms = 90
    inside = threading.Barrier(9)

    def effect() -> None:
        inside.wait(30)
        governor.wait_for(calls.Beat, 30)

    callers = [
        threading.Thread(target=agent.call, args=("t",), kwargs={"effect": effect})
        for _ in range(8)
    ]
    for caller in callers:
        caller.start()
    inside.wait(30)
    beating = [t for t in threading.enumerate() if t.name == "bridle-beats"]
    for caller in callers:
        caller.join(30)
    assert len(beating) == 1
    assert len({beat.attempt for beat in governor.of(calls.Beat)}) == 8


def test_a_forked_child_renews_on_its_own(governor: Scripted, agent: Agent) -> None:
    governor.lease_ms = 90
    agent.call("t", effect=lambda: governor.wait_for(calls.Beat) and None)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            # The governor lives in the parent: four more renewals tell the child to go on.
            agent.call("t", effect=lambda: os.read(read, 1) and None)
            os._exit(0)
        except BaseException:
            os._exit(1)
    governor.wait_for(calls.Decide, 2)
    before = len(governor.of(calls.Beat))
    governor.wait_for(calls.Beat, before + 4)
    os.write(write, b"x")
    _, status = os.waitpid(child, 0)
    os.close(read)
    os.close(write)
    assert os.waitstatus_to_exitcode(status) == 0
    assert governor.outcomes() == ["ok", "ok"]


def test_a_forked_child_does_not_share_the_parents_connections(
    governor: Scripted, agent: Agent
) -> None:
    agent.call("t", effect=Sink())
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            try:
                for _ in range(20):
                    agent.call("t", effect=Sink())
                os._exit(0)
            except BaseException:
                os._exit(1)
        children.append(child)
    for _ in range(20):
        agent.call("t", effect=Sink())
    codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    assert codes == [0, 0, 0, 0]
    assert governor.outcomes() == ["ok"] * 101
