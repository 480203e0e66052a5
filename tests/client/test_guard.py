"""The guard: an effect runs behind a verdict that lets it, with its arguments, or not at all."""

import os
import signal
import threading
import traceback

import pytest

from bridle.client.agent import Agent
from bridle.client.errors import Denied, Held
from bridle.model import calls
from bridle.model.errors import UnreachableError, UsageError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect, Receipt, Release
from client.scripted import Scripted, Sink, act, refusal


def test_an_allowed_effect_runs_once_with_its_arguments_by_name(
    governor: Scripted, agent: Agent, sink: Sink
) -> None:
    assert agent.call("t", {"id": 7, "tags": ["a"]}, effect=sink) == "done"
    assert sink.got == [{"id": 7, "tags": ["a"]}]
    (decide,) = governor.of(calls.Decide)
    assert (decide.args, decide.start) == ('{"id":7,"tags":["a"]}', True)
    (observe,) = governor.of(calls.Observe)
    assert observe.outcome == Outcome(OutcomeKind.OK, output='"done"')


def test_a_denied_effect_does_not_run_and_says_why(
    governor: Scripted, agent: Agent, sink: Sink
) -> None:
    receipt = Receipt(3, "ab")
    governor.decided = lambda call: governor.allow(
        call, **refusal(Effect.DENY, ReasonCode.FORBIDDEN, "too large", receipt=receipt)
    )
    with pytest.raises(Denied) as caught:
        agent.call("t", effect=sink, key="k")
    denied = caught.value
    assert (denied.code, denied.reason, denied.receipt) == ("forbidden", "too large", receipt)
    assert denied.action == act(governor.of(calls.Decide)[0])
    assert sink.ran == 0
    assert governor.of(calls.Observe) == []


def test_a_held_effect_does_not_run(governor: Scripted, agent: Agent, sink: Sink) -> None:
    governor.decided = lambda call: governor.allow(
        call, **refusal(Effect.HOLD, ReasonCode.HELD, approval="apr_1")
    )
    with pytest.raises(Held) as caught:
        agent.call("t", effect=sink)
    assert caught.value.approval_id == "apr_1"
    assert sink.ran == 0


def test_a_hold_without_an_approval_is_a_denial(
    governor: Scripted, agent: Agent, sink: Sink
) -> None:
    governor.decided = lambda call: governor.allow(call, **refusal(Effect.HOLD, ReasonCode.HELD))
    with pytest.raises(Denied):
        agent.call("t", effect=sink)
    assert sink.ran == 0


def test_modified_arguments_are_what_the_effect_receives(
    governor: Scripted, agent: Agent, sink: Sink
) -> None:
    governor.decided = lambda call: governor.allow(
        call, effect=Effect.MODIFY, args='{"body":"[redacted]","n":0.5}'
    )
    agent.call("t", {"body": "4111 1111 1111 1111", "n": 1}, effect=sink)
    assert sink.got == [{"body": "[redacted]", "n": 0.5}]


def test_arguments_are_frozen_at_decide_whatever_the_caller_does_to_its_objects(
    governor: Scripted, agent: Agent, sink: Sink
) -> None:
    to = ["ok@example.org"]
    args = {"to": to, "body": "hello"}

    def tamper(call: calls.Decide) -> calls.Reply:
        args["body"] = "changed"
        args["bcc"] = "spy@example.org"
        to.append("spy@example.org")
        return governor.allow(call)

    governor.decided = tamper
    agent.call("t", args, effect=sink)
    assert sink.got == [{"to": ["ok@example.org"], "body": "hello"}]


def test_what_the_effect_does_to_its_arguments_stays_with_it(agent: Agent) -> None:
    args = {"tags": ["a"]}
    agent.call("t", args, effect=lambda tags: tags.append("b"))
    assert args == {"tags": ["a"]}


@pytest.mark.parametrize(
    "args", ["", "null", "[1]", '"x"', "{", '{"a":1,"a":2}', '{"a":NaN}', '{"a":1}x', "[" * 9999]
)
def test_a_verdict_whose_arguments_are_no_object_runs_nothing(
    governor: Scripted, agent: Agent, sink: Sink, args: str
) -> None:
    governor.decided = lambda call: governor.allow(call, args=args)
    with pytest.raises(Denied):
        agent.call("t", {"a": 1}, effect=sink)
    assert sink.ran == 0
    assert governor.outcomes() == ["not_started"]


@pytest.mark.parametrize("effect", [Effect.ALLOW, Effect.MODIFY, Effect.HOLD])
def test_the_verdict_of_another_action_runs_nothing(
    governor: Scripted, agent: Agent, sink: Sink, effect: Effect
) -> None:
    governor.decided = lambda call: governor.allow(
        call, action="act_other", effect=effect, approval="apr_1"
    )
    with pytest.raises(Denied) as caught:
        agent.call("t", effect=sink)
    assert caught.value.code == "protocol_error"
    assert sink.ran == 0


def test_an_allow_that_started_nothing_runs_nothing(
    governor: Scripted, agent: Agent, sink: Sink
) -> None:
    governor.decided = lambda call: governor.allow(call, attempt="")
    with pytest.raises(Denied):
        agent.call("t", effect=sink)
    assert sink.ran == 0


@pytest.mark.parametrize(
    "reply",
    [
        calls.Done(),
        calls.Opened(id="x"),
        calls.Listing(rows=[]),
        calls.Released(release=Release(action="a", effect=Effect.ALLOW)),
        calls.Failed(code="store_unavailable", message="disk full"),
    ],
    ids=lambda reply: type(reply).__name__,
)
def test_an_answer_of_the_wrong_type_runs_nothing(
    governor: Scripted, agent: Agent, sink: Sink, reply: calls.Reply
) -> None:
    governor.decided = lambda _: reply
    with pytest.raises(Denied) as caught:
        agent.call("t", effect=sink)
    assert caught.value.code in ("protocol_error", "store_unavailable")
    assert sink.ran == 0


def test_a_governor_that_fails_runs_nothing(governor: Scripted, agent: Agent, sink: Sink) -> None:
    def fail(call: calls.Decide) -> calls.Reply:
        raise RuntimeError(call.tool)

    governor.decided = fail
    with pytest.raises(Denied) as caught:
        agent.call("t", effect=sink)
    assert caught.value.code == "internal"
    assert sink.ran == 0


def test_a_finished_action_returns_its_stored_result_and_does_not_run_again(
    governor: Scripted, agent: Agent, sink: Sink
) -> None:
    stored = Outcome(OutcomeKind.OK, output='{"rows":[1]}')
    governor.decided = lambda call: governor.allow(call, outcome=stored, attempt="", args="")
    assert agent.call("t", effect=sink, key="k") == {"rows": [1]}
    assert sink.ran == 0


def test_a_stored_result_that_was_not_kept_is_denied(
    governor: Scripted, agent: Agent, sink: Sink
) -> None:
    stored = Outcome(OutcomeKind.OK, opaque=True)
    governor.decided = lambda call: governor.allow(call, outcome=stored, attempt="", args="")
    with pytest.raises(Denied) as caught:
        agent.call("t", effect=sink, key="k")
    assert caught.value.code == "result_opaque"
    assert sink.ran == 0


def test_an_exception_of_the_effect_is_reported_and_raised_with_its_traceback(
    governor: Scripted, agent: Agent
) -> None:
    class SmtpError(Exception):
        code = "smtp_refused"

    problem = SmtpError("mailbox unavailable")

    def deep_inside() -> None:
        raise problem

    def effect() -> None:
        deep_inside()

    with pytest.raises(SmtpError) as caught:
        agent.call("t", effect=effect)
    assert caught.value is problem
    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert frames[-2:] == ["effect", "deep_inside"]
    (observe,) = governor.of(calls.Observe)
    assert observe.outcome == Outcome(
        OutcomeKind.ERROR, error="smtp_refused", message="mailbox unavailable"
    )


def test_an_exception_without_a_code_is_reported_by_its_class(
    governor: Scripted, agent: Agent
) -> None:
    with pytest.raises(ZeroDivisionError):
        agent.call("t", effect=lambda: 1 / 0)
    (observe,) = governor.of(calls.Observe)
    assert observe.outcome.error == "ZeroDivisionError"


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_an_interrupted_effect_is_unknown_and_the_interrupt_goes_on(
    governor: Scripted, agent: Agent, interrupt: type[BaseException]
) -> None:
    def effect() -> None:
        raise interrupt

    with pytest.raises(interrupt):
        agent.call("t", effect=effect)
    assert governor.outcomes() == ["unknown"]


def test_a_real_ctrl_c_during_the_effect_is_unknown(governor: Scripted, agent: Agent) -> None:
    def effect() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        threading.Event().wait(30)

    with pytest.raises(KeyboardInterrupt):
        agent.call("t", effect=effect)
    assert governor.outcomes() == ["unknown"]


def test_an_unreported_failure_still_raises_the_effects_own_exception(
    governor: Scripted, agent: Agent
) -> None:
    governor.released = governor.nothing
    with pytest.raises(ValueError, match="mine") as caught:
        agent.call("t", effect=Sink(lambda: (_ for _ in ()).throw(ValueError("mine")).__next__()))
    assert "could not be told" in caught.value.__notes__[0]


# --- results -------------------------------------------------------------------------------------


def test_a_released_result_is_the_effects_own_object(agent: Agent) -> None:
    thing = object()
    assert agent.call("t", effect=lambda: thing) is thing


def test_a_redacted_result_replaces_the_original(governor: Scripted, agent: Agent) -> None:
    governor.released = lambda call: governor.release(
        call, effect=Effect.MODIFY, output='{"card":"****"}'
    )
    assert agent.call("t", effect=lambda: {"card": "4111"}) == {"card": "****"}


def test_a_withheld_result_is_denied_and_does_not_travel_in_the_exception(
    governor: Scripted, agent: Agent
) -> None:
    governor.released = lambda call: governor.release(
        call,
        effect=Effect.DENY,
        reasons=refusal(Effect.DENY, ReasonCode.FORBIDDEN, "customer data")["reasons"],
    )
    with pytest.raises(Denied) as caught:
        agent.call("t", effect=lambda: "the secret")
    assert caught.value.code == "forbidden"
    assert "the secret" not in repr(vars(caught.value)) + str(caught.value)
    assert caught.value.__context__ is None


@pytest.mark.parametrize("output", ["{", "NaN,", '{"a":'])
def test_a_rewritten_result_that_is_no_json_is_denied(
    governor: Scripted, agent: Agent, output: str
) -> None:
    governor.released = lambda call: governor.release(call, effect=Effect.MODIFY, output=output)
    with pytest.raises(Denied):
        agent.call("t", effect=lambda: "the secret")


@pytest.mark.parametrize(
    "reply",
    [
        calls.Done(),
        calls.Failed(code="store_unavailable", message="disk full"),
        calls.Released(release=Release(action="act_other", effect=Effect.ALLOW)),
        calls.Released(release=Release(action="act_other", effect=Effect.MODIFY, output="1")),
    ],
    ids=["wrong type", "failed", "another action", "another action rewritten"],
)
def test_a_result_whose_release_was_not_judged_is_withheld_and_says_that_the_effect_ran(
    governor: Scripted, agent: Agent, sink: Sink, reply: calls.Reply
) -> None:
    governor.released = lambda _: reply
    with pytest.raises(UnreachableError) as caught:
        agent.call("t", effect=sink)
    assert sink.ran == 1
    assert "the effect ran" in str(caught.value)
    assert "unknown" in str(caught.value)


# --- how it is asked -----------------------------------------------------------------------------


def test_without_a_key_each_call_is_a_new_action_and_with_one_it_is_the_same(
    governor: Scripted, agent: Agent, sink: Sink
) -> None:
    for key in (None, None, "step-1", "step-1"):
        agent.call("t", effect=sink, key=key)
    keys = [call.key for call in governor.of(calls.Decide)]
    assert keys[2:] == ["step-1", "step-1"]
    assert len(set(keys)) == 3


def test_on_denied_return_hands_the_refusal_over(
    governor: Scripted, agent: Agent, sink: Sink
) -> None:
    governor.decided = lambda call: governor.allow(
        call, **refusal(Effect.DENY, ReasonCode.FORBIDDEN)
    )
    refused = agent.call("t", effect=sink, on_denied="return")
    assert isinstance(refused, Denied)
    governor.decided = lambda call: governor.allow(
        call, **refusal(Effect.HOLD, ReasonCode.HELD, approval="apr_1")
    )
    assert isinstance(agent.call("t", effect=sink, on_denied="return"), Held)
    broken = agent.call("t", {1: 2}, effect=sink, on_denied="return")
    assert isinstance(broken, Denied)
    assert sink.ran == 0


def test_on_denied_return_does_not_swallow_a_refusal_inside_the_effect(
    governor: Scripted, agent: Agent
) -> None:
    def decided(call: calls.Decide) -> calls.Reply:
        if call.tool == "inner":
            return governor.allow(call, **refusal(Effect.DENY, ReasonCode.FORBIDDEN))
        return governor.allow(call)

    governor.decided = decided
    with pytest.raises(Denied):
        agent.call("outer", effect=lambda: agent.call("inner", effect=Sink()), on_denied="return")
    assert [(o.outcome.kind, o.outcome.error) for o in governor.of(calls.Observe)] == [
        (OutcomeKind.ERROR, "forbidden")
    ]


def test_a_use_that_cannot_work_is_a_usage_error_before_anything_is_asked(
    governor: Scripted, agent: Agent
) -> None:
    async def later() -> None: ...

    for wrong in (
        lambda: agent.call("t", effect=later),
        lambda: agent.call("t", effect="no function"),
        lambda: agent.call("t", effect=Sink(), on_denied="ignore"),
        lambda: agent.call("t", effect=Sink(), on_denied="return", stream=True),
    ):
        with pytest.raises(UsageError):
            wrong()
    assert governor.of(calls.Decide) == []


def test_an_effect_that_returns_a_coroutine_says_to_use_acall(
    governor: Scripted, agent: Agent
) -> None:
    async def later() -> None: ...

    with pytest.raises(UsageError, match="acall"):
        agent.call("t", effect=lambda: later())  # noqa: PLW0108 - hides that it is async
    assert governor.outcomes() == ["error"]


def test_raw_text_travels_unchanged(governor: Scripted, agent: Agent, sink: Sink) -> None:
    raw = '{"a": 1, "a": 2, "n": 1e400, "s": "\\ud800"}'
    governor.decided = lambda call: governor.allow(
        call, **refusal(Effect.DENY, ReasonCode.MALFORMED)
    )
    with pytest.raises(Denied):
        agent.call("t", raw, effect=sink)
    assert governor.of(calls.Decide)[0].args == raw


def test_decide_begin_observe_for_platforms_that_run_the_effect(
    governor: Scripted, agent: Agent
) -> None:
    verdict = agent.decide("t", {"a": 1}, key="k")
    assert (verdict.effect, verdict.attempt) == (Effect.ALLOW, "")
    assert governor.of(calls.Decide)[0].start is False
    with pytest.raises(UsageError):
        agent.observe(verdict, Outcome(OutcomeKind.OK))
    started = agent.begin(verdict)
    assert started.args == '{"a":1}'
    released = agent.observe(started, Outcome(OutcomeKind.OK, output="1"))
    assert released.effect is Effect.ALLOW
    assert governor.of(calls.Observe)[0].attempt == started.attempt


@pytest.mark.parametrize(
    "changes",
    [
        refusal(Effect.DENY, ReasonCode.KILLED),
        {"args": '{"a":2}'},
        {"attempt": ""},
        {"action": "act_other"},
    ],
    ids=["killed meanwhile", "other arguments", "nothing started", "another action"],
)
def test_begin_raises_so_that_no_platform_runs_what_did_not_start(
    governor: Scripted, agent: Agent, changes: dict[str, object]
) -> None:
    verdict = agent.decide("t", {"a": 1}, key="k")
    governor.begun = lambda call: governor.start(call.action, **({"args": '{"a":1}'} | changes))
    with pytest.raises(Denied):
        agent.begin(verdict)


def test_a_decision_that_cannot_be_asked_for_is_a_deny_verdict(agent: Agent) -> None:
    verdict = agent.decide("t", {"when": object()})
    assert verdict.effect is Effect.DENY
    assert not verdict.effect.runs
    assert verdict.reasons[0].code is ReasonCode.MALFORMED
