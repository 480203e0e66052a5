"""Effects whose authority is gone are told so while they run, and nothing is killed."""

import asyncio
import threading

import pytest

import bridle
from bridle.client.agent import Agent
from bridle.model import calls
from bridle.model.errors import UsageError
from client.scripted import Scripted

STOPPED = ("revoked", "killed", "suspended", "mission_not_active", "expired", "grant_expired")


def refuse(governor: Scripted, code: str) -> None:
    governor.lease_ms = 90
    governor.beaten = lambda _: calls.Failed(code=code, message="no")


@pytest.mark.parametrize("code", STOPPED)
def test_an_effect_hears_that_it_is_to_stop_and_its_outcome_is_its_own(
    governor: Scripted, agent: Agent, code: str
) -> None:
    refuse(governor, code)

    def effect() -> str:
        told = threading.Event()
        heard: list[str] = []
        bridle.on_stop(lambda why: (heard.append(why), told.set()))
        assert told.wait(30)
        return heard[0]

    assert agent.call("t", effect=effect) == code
    assert governor.outcomes() == ["ok"]


def test_a_hook_that_fails_or_blocks_keeps_no_other_waiting(
    governor: Scripted, agent: Agent
) -> None:
    refuse(governor, "revoked")
    free = threading.Event()

    def effect() -> None:
        told = threading.Event()
        bridle.on_stop(lambda why: {}[why])
        bridle.on_stop(lambda _: told.set())
        assert told.wait(30)
        bridle.on_stop(lambda _: free.wait(30))

    agent.call("t", effect=effect)
    governor.beaten = lambda _: calls.Done()
    before = len(governor.of(calls.Beat))
    # The renewals of others go on, whatever the first one's hooks do.
    agent.call("t", effect=lambda: governor.wait_for(calls.Beat, before + 4) and None)
    free.set()


def test_a_hook_that_comes_after_the_refusal_is_called_all_the_same(
    governor: Scripted, agent: Agent
) -> None:
    refuse(governor, "revoked")

    def effect() -> None:
        governor.wait_for(calls.Beat)
        told = threading.Event()
        bridle.on_stop(lambda _: told.set())
        assert told.wait(30)

    agent.call("t", effect=effect)
    assert governor.outcomes() == ["ok"]


@pytest.mark.parametrize("code", ["internal", "store_unavailable", "bundle_changed"])
def test_what_may_pass_stops_nobody_and_renewals_go_on(
    governor: Scripted, agent: Agent, code: str
) -> None:
    refuse(governor, code)
    heard: list[str] = []

    def effect() -> None:
        bridle.on_stop(heard.append)
        governor.wait_for(calls.Beat, 4)

    agent.call("t", effect=effect)
    assert heard == []


def test_a_coroutine_is_told_on_its_loop_and_may_cancel_itself(
    governor: Scripted, agent: Agent
) -> None:
    refuse(governor, "killed")

    async def effect() -> None:
        task = asyncio.current_task()
        assert task is not None
        loop = threading.get_ident()
        bridle.on_stop(lambda _: threading.get_ident() == loop and task.cancel())
        await asyncio.Event().wait()

    async def main() -> None:
        with pytest.raises(asyncio.CancelledError):
            await agent.acall("t", effect=effect)

    asyncio.run(main())
    assert governor.outcomes() == ["unknown"]


def test_outside_of_an_effect_there_is_nothing_to_stop(governor: Scripted, agent: Agent) -> None:
    with pytest.raises(UsageError):
        bridle.on_stop(print)
    agent.call("t", effect=lambda: None)
    with pytest.raises(UsageError):
        bridle.on_stop(print)
