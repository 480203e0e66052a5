"""A hold: how it stands, and how it goes on with what was approved."""

import asyncio
import pickle
import threading

import pytest

from bridle.client.agent import Agent
from bridle.client.errors import Denied, Held
from bridle.model import calls
from bridle.model.errors import UsageError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect, Release
from client.scripted import MISSION, Scripted, Sink, act, refusal


@pytest.fixture
def held(governor: Scripted, agent: Agent, sink: Sink) -> Held:
    governor.decided = lambda call: governor.allow(
        call, **refusal(Effect.HOLD, ReasonCode.HELD, "needs a lead", approval="apr_1")
    )
    with pytest.raises(Held) as caught:
        agent.call("t", {"amount": 300}, effect=sink, key="k")
    assert caught.value.reason == "needs a lead"
    return caught.value


def approve(governor: Scripted, **changes: object) -> None:
    action = act(governor.of(calls.Decide)[0])
    governor.redeemed = lambda _: governor.start(action, **({"args": '{"amount":300}'} | changes))


def test_an_approved_action_runs_with_what_was_approved(
    governor: Scripted, held: Held, sink: Sink
) -> None:
    approve(governor, effect=Effect.MODIFY, args='{"amount":250}')
    assert held.resume() == "done"
    assert sink.got == [{"amount": 250}]
    (redeem,) = governor.of(calls.Redeem)
    assert (redeem.approval, redeem.start) == ("apr_1", True)
    assert governor.outcomes() == ["ok"]


def test_resuming_too_early_holds_again_and_runs_nothing(
    governor: Scripted, held: Held, sink: Sink
) -> None:
    approve(governor, **refusal(Effect.HOLD, ReasonCode.HELD, approval="apr_1"))
    with pytest.raises(Held) as again:
        held.resume()
    approve(governor)
    assert again.value.resume() == "done"
    assert sink.ran == 1


@pytest.mark.parametrize(
    "changes",
    [
        refusal(Effect.DENY, ReasonCode.APPROVAL_DENIED),
        refusal(Effect.DENY, ReasonCode.APPROVAL_VOID),
        {"action": "act_other"},
        {"attempt": ""},
    ],
    ids=["denied", "void", "another action", "nothing started"],
)
def test_a_refused_resumption_runs_nothing(
    governor: Scripted, held: Held, sink: Sink, changes: dict[str, object]
) -> None:
    approve(governor, **changes)
    with pytest.raises(Denied):
        held.resume()
    assert sink.ran == 0


def test_wait_answers_once_the_hold_is_settled(governor: Scripted, held: Held) -> None:
    got: list[str] = []
    waiter = threading.Thread(target=lambda: got.append(held.wait()))
    waiter.start()
    governor.wait_for(calls.ApprovalOf)
    governor.status = "approved"
    waiter.join(30)
    assert got == ["approved"]


def test_wait_gives_up_after_its_timeout(governor: Scripted, held: Held) -> None:
    assert held.wait(timeout=0) == "pending"
    assert asyncio.run(held.await_(timeout=0)) == "pending"
    assert all(call.wait_ms <= 20_000 for call in governor.of(calls.ApprovalOf))


def test_the_async_twins(governor: Scripted, agent: Agent, sink: Sink) -> None:
    governor.decided = lambda call: governor.allow(
        call, **refusal(Effect.HOLD, ReasonCode.HELD, approval="apr_1")
    )

    async def effect(amount: int) -> str:
        return sink(amount=amount)

    async def main() -> str:
        with pytest.raises(Held) as caught:
            await agent.acall("t", {"amount": 300}, effect=effect)
        held = caught.value
        with pytest.raises(UsageError, match="async"):
            held.resume()
        waiting = asyncio.create_task(held.await_())
        await asyncio.to_thread(governor.wait_for, calls.ApprovalOf)
        governor.status = "approved"
        assert await waiting == "approved"
        approve(governor)
        return await held.aresume()

    assert asyncio.run(main()) == "done"
    assert sink.got == [{"amount": 300}]


def test_a_held_result_is_kept_by_the_governor_and_returned_once_approved(
    governor: Scripted, agent: Agent
) -> None:
    governor.released = lambda call: governor.release(call, **refusal_of_release(ReasonCode.HELD))
    with pytest.raises(Held) as caught:
        agent.call("t", effect=lambda: {"secret": "orchid"})
    held = caught.value
    assert "orchid" not in repr(vars(held))
    action = act(governor.of(calls.Decide)[0])
    governor.redeemed = lambda _: calls.Released(
        release=Release(action=action, effect=Effect.ALLOW, output='{"secret":"orchid"}')
    )
    assert held.resume() == {"secret": "orchid"}


def refusal_of_release(code: ReasonCode) -> dict[str, object]:
    changes = refusal(Effect.HOLD, code, approval="apr_2")
    return {k: v for k, v in changes.items() if k in ("effect", "reasons", "approval")}


@pytest.mark.parametrize(
    "release",
    [
        Release(action="act_other", effect=Effect.ALLOW, output='"x"'),
        Release(action="", effect=Effect.DENY),
    ],
)
def test_a_release_of_something_else_is_denied(
    governor: Scripted, held: Held, sink: Sink, release: Release
) -> None:
    governor.redeemed = lambda _: calls.Released(release=release)
    with pytest.raises(Denied):
        held.resume()
    assert sink.ran == 0


def test_an_action_that_ran_meanwhile_returns_its_stored_result(
    governor: Scripted, held: Held, sink: Sink
) -> None:
    approve(governor, outcome=Outcome(OutcomeKind.OK, output='"earlier"'), attempt="", args="")
    assert held.resume() == "earlier"
    assert sink.ran == 0


def test_a_pickled_hold_carries_no_handle_and_no_effect(
    governor: Scripted, held: Held, sink: Sink
) -> None:
    data = pickle.dumps(held)
    assert b"ses_" not in data
    loaded = pickle.loads(data)
    assert (loaded.approval_id, loaded.action, loaded.reason, loaded.code) == (
        held.approval_id,
        held.action,
        held.reason,
        held.code,
    )
    governor.status = "approved"
    assert loaded.wait() == "approved"
    with pytest.raises(UsageError, match="effect"):
        loaded.resume()
    assert governor.of(calls.Redeem) == []
    approve(governor, effect=Effect.MODIFY, args='{"amount":250}')
    assert loaded.resume(effect=sink) == "done"
    assert sink.got == [{"amount": 250}]
    # Whoever loads it opens a session of their own.
    (opened,) = governor.of(calls.OpenSession)
    assert (opened.mission, opened.agent) == (MISSION, "triage")


def test_the_async_twins_of_a_pickled_hold(governor: Scripted, held: Held, sink: Sink) -> None:
    data = pickle.dumps(held)
    governor.status = "approved"
    approve(governor)

    async def main() -> str:
        loaded = pickle.loads(data)
        assert await loaded.await_() == "approved"
        with pytest.raises(UsageError, match="effect"):
            await loaded.aresume()
        return await loaded.aresume(effect=sink)

    assert asyncio.run(main()) == "done"
    assert sink.got == [{"amount": 300}]


def test_a_hold_that_knows_nobody_says_so() -> None:
    with pytest.raises(UsageError, match="whose"):
        Held("held", approval_id="apr_1").wait()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_an_agent_resumes_by_the_id_alone(
    governor: Scripted, agent: Agent, held: Held, sink: Sink, asynchronous: bool
) -> None:
    governor.held = held.action
    approve(governor)
    with pytest.raises(UsageError, match="effect"):
        agent.resume("apr_1")
    assert agent.held("apr_1").action == held.action
    if asynchronous:
        assert asyncio.run(agent.aresume("apr_1", effect=sink)) == "done"
    else:
        assert agent.resume("apr_1", effect=sink) == "done"
    assert sink.got == [{"amount": 300}]


def test_a_held_result_needs_no_effect_to_be_fetched(governor: Scripted, agent: Agent) -> None:
    governor.subject, governor.held = "result", "act_1"
    governor.redeemed = lambda _: calls.Released(
        release=Release(action="act_1", effect=Effect.ALLOW, output='"orchid"')
    )
    assert agent.resume("apr_2") == "orchid"


def test_a_pickled_denial_says_what_it_said(governor: Scripted, agent: Agent) -> None:
    governor.decided = lambda call: governor.allow(
        call, **refusal(Effect.DENY, ReasonCode.FORBIDDEN, "no")
    )
    denied = agent.call("t", effect=Sink(), on_denied="return")
    loaded = pickle.loads(pickle.dumps(denied))
    assert vars(loaded) == vars(denied)
    assert str(loaded) == str(denied)
