"""Calls without an effect: what a client makes of what the governor's side says it did."""

import threading
from pathlib import Path

import pytest

from bridle.client import guard
from bridle.client.agent import Agent
from bridle.client.attempt.gate import Intent
from bridle.client.errors import Denied, PerformedError
from bridle.model import calls
from bridle.model.errors import BridleError, NotReachedError, UnreachableError, UsageError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect, Release, Verdict
from client.scripted import Scripted, act, attached, refusal, served


def said(
    call: calls.Decide, *, action: str = "", error: str = "", **release: object
) -> calls.Reply:
    name = action or act(call)
    fields = {"action": name, "effect": Effect.ALLOW, "output": '{"x": 1}', **release}
    return calls.Performed(
        verdict=Verdict(action=name, effect=Effect.ALLOW, args=call.args),
        release=Release(**fields),
        error=error,
        message="why",
        reached=False,
    )


def test_what_was_carried_out_is_the_result(governor: Scripted, agent: Agent) -> None:
    governor.decided = said
    assert agent.call("judged", {"a": 1}) == {"x": 1}
    (asked,) = governor.of(calls.Decide)
    assert asked.perform
    assert asked.start
    assert not governor.outcomes()


@pytest.mark.parametrize("action", ["act_other", "\0"])
def test_an_answer_about_another_action_is_a_denial(
    governor: Scripted, agent: Agent, action: str
) -> None:
    governor.decided = lambda call: said(call, action=action)
    with pytest.raises(Denied) as denied:
        agent.call("judged")
    assert denied.value.code == "protocol_error"


def test_a_result_that_may_not_pass_is_a_denial_also_where_it_failed(
    governor: Scripted, agent: Agent
) -> None:
    stopped = {
        k: v
        for k, v in refusal(Effect.DENY, ReasonCode.FORBIDDEN).items()
        if k in ("effect", "reasons")
    }
    governor.decided = lambda call: said(call, error="x", **stopped, output="")
    with pytest.raises(Denied) as denied:
        agent.call("judged")
    assert denied.value.code == "forbidden"


def test_a_failure_is_an_error_with_its_code(governor: Scripted, agent: Agent) -> None:
    governor.decided = lambda call: said(call, error="host_refused", output="")
    with pytest.raises(PerformedError) as failed:
        agent.call("judged")
    assert (failed.value.code, failed.value.message) == ("host_refused", "why")
    assert not failed.value.reached
    assert failed.value.action.startswith("act_")


def test_nobody_asks_again_by_itself_for_what_may_be_under_way(
    governor: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()

    def late(call: calls.Decide) -> calls.Reply:
        assert over.wait(30)
        return said(call)

    monkeypatch.setattr(guard, "_MARGIN_SECONDS", 0.2)
    governor.decided = late
    with served(governor, tmp_path):
        connection, agent = attached(tmp_path)
        with connection, pytest.raises(UnreachableError) as silent:
            agent.call("judged", key="k")
        over.set()
    assert silent.value.code == "governor_silent"
    assert len(governor.of(calls.Decide)) == 1


def test_a_governor_that_is_not_there_has_carried_nothing_out(tmp_path: Path) -> None:
    governor = Scripted()
    with served(governor, tmp_path):
        connection, agent = attached(tmp_path)
        agent.call("judged", effect=lambda: 1)
    with connection, pytest.raises(BridleError) as refused:
        agent.call("judged")
    assert isinstance(refused.value, Denied)
    assert refused.value.code == "governor_unreachable"


class Saying:
    """A channel that answers one thing, and keeps what it was asked."""

    store = "s"

    def __init__(self, reply: calls.Reply) -> None:
        self.reply = reply
        self.asked: list[calls.Call] = []

    def send(self, call: calls.Call, *, timeout: float | None = None) -> calls.Reply:
        self.asked.append(call)
        if isinstance(call, calls.Observe):
            return calls.Released(release=Release(action="a", effect=Effect.ALLOW))
        return self.reply

    def close(self) -> None:
        pass


def test_a_start_that_is_left_to_the_client_runs_nothing_and_is_given_back() -> None:
    verdict = Verdict(action="a", effect=Effect.ALLOW, args="{}", attempt="att", lease_ms=1_000)
    channel = Saying(calls.Judged(verdict=verdict))
    call = calls.Decide(session="s", tool="t", args="{}", key="k", start=True, perform=True)
    with pytest.raises(Denied) as denied:
        guard.guard(channel, Intent(call, "a", wait=1.0), None)
    assert denied.value.code == "protocol_error"
    observed = channel.asked[-1]
    assert isinstance(observed, calls.Observe)
    assert observed.outcome == Outcome(OutcomeKind.NOT_STARTED)


def test_an_effect_that_was_never_reached_is_reported_as_not_started(
    governor: Scripted, agent: Agent
) -> None:
    def unreached() -> None:
        raise NotReachedError("nothing happened")

    with pytest.raises(BridleError):
        agent.call("judged", effect=unreached)
    assert governor.outcomes() == ["not_started"]


def test_a_stream_of_what_is_carried_out_is_refused(agent: Agent) -> None:
    with pytest.raises(UsageError):
        agent.call("judged", stream=True)
