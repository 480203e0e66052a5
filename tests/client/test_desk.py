"""The client on the real governor, embedded and over its socket: the four verdicts, end to end."""

import asyncio
from collections.abc import Iterator

import pytest

import bridle
from bridle.model.errors import NotFoundError, RefusedError, UsageError
from bridle.model.outcome import OutcomeKind
from client.desk import TICKET, copied, serving
from client.scripted import Sink

MAIL = {"to": ["dora@shop.example"], "subject": "Your card", "body": "It was 4111 1111 1111 1111."}
REFUND = {"order": 7, "amount": 300, "currency": "EUR"}


@pytest.fixture(scope="module", params=["embedded", "socket"])
def governor(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[bridle.Bridle]:
    folder = tmp_path_factory.mktemp("desk")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        # Where agent and governor share a uid, nobody can approve what cannot be undone.
        bundle = copied(
            folder, {'"payments"\neffect = "irreversible"': '"payments"\neffect = "write"'}
        )
        if request.param == "embedded":
            with bridle.open(bundle, embedded=True) as governor:
                yield governor
            return
        with serving(bundle), bridle.connect(bundle) as governor:
            yield governor


@pytest.fixture
def mission(governor: bridle.Bridle) -> bridle.Mission:
    return governor.start_mission("ticket-desk", user="ana", prompt="answer the tickets")


@pytest.fixture
def triage(mission: bridle.Mission) -> bridle.Agent:
    return mission.agent("triage", executor="worker-1")


def test_allow_and_a_redacted_result(triage: bridle.Agent) -> None:
    sink = Sink(lambda id: TICKET)  # noqa: A006 - an argument's name
    result = triage.call("desk.read_ticket", {"id": 7}, effect=sink)
    assert sink.got == [{"id": 7}]
    assert result == {k: v for k, v in TICKET.items() if k != "iban"}


def test_modify(triage: bridle.Agent) -> None:
    sink = Sink("sent")
    assert triage.call("mail.send", MAIL, effect=sink) == "sent"
    assert sink.got == [{**MAIL, "body": "It was [redacted:payment_card]."}]


@pytest.mark.parametrize(
    ("tool", "args", "code"),
    [
        ("desk.drop_everything", {}, "unknown_tool"),
        ("desk.comment", {"id": "7", "body": "x"}, "schema_mismatch"),
        ("desk.comment", {"id": 7, "body": "x", "extra": 1}, "schema_mismatch"),
        ("desk.comment", '{"id":7,"id":8,"body":"x"}', "malformed"),
        ("desk.comment", {"id": 7, "body": float("nan")}, "malformed"),
        ("desk.comment", {"id": 7, "body": "x\ud800"}, None),
        ("desk.comment", {"id": 7, "body": "x" * 70_000}, "limit_exceeded"),
        ("desk.comment", {7: 7}, "malformed"),
    ],
    ids=range(8),
)
def test_deny(triage: bridle.Agent, tool: str, args: object, code: str | None) -> None:
    sink = Sink()
    with pytest.raises(bridle.Denied) as caught:
        triage.call(tool, args, effect=sink)
    assert sink.ran == 0
    assert code in (None, caught.value.code)


def test_hold_approve_and_resume(governor: bridle.Bridle, triage: bridle.Agent) -> None:
    sink = Sink("paid")
    with pytest.raises(bridle.Held) as caught:
        triage.call("payments.refund", REFUND, effect=sink, key="refund-7")
    held = caught.value
    assert held.reason == "refunds above 200 need a lead"
    assert held.wait(timeout=0) == "pending"
    assert held.approval_id in {row["id"] for row in governor.approvals()}
    with pytest.raises(bridle.Held):
        held.resume()
    with pytest.raises(RefusedError):
        governor.approve(held.approval_id, as_user="cleo")
    assert governor.approve(held.approval_id, as_user="ben", reason="fine") == "approved"
    assert held.wait() == "approved"
    assert held.resume() == "paid"
    assert sink.got == [REFUND]
    # The same step again: its stored result, no second payment.
    assert triage.call("payments.refund", REFUND, effect=sink, key="refund-7") == "paid"
    assert sink.ran == 1


def test_calls_that_share_a_hold_share_one_approval_and_one_run(
    governor: bridle.Bridle, triage: bridle.Agent
) -> None:
    sink = Sink("paid")
    waiting = []
    for _ in range(2):
        with pytest.raises(bridle.Held) as held:
            triage.call("payments.refund", REFUND, effect=sink)
        waiting.append(held.value)
    first, second = waiting
    assert first.approval_id == second.approval_id
    governor.approve(first.approval_id, as_user="ben")
    assert second.resume() == "paid"
    with pytest.raises(bridle.Denied) as denied:
        first.resume()
    assert denied.value.code == "approval_void"
    assert sink.ran == 1


def test_a_denied_hold(governor: bridle.Bridle, triage: bridle.Agent) -> None:
    sink = Sink()
    with pytest.raises(bridle.Held) as caught:
        triage.call("payments.refund", {**REFUND, "order": 8}, effect=sink)
    assert governor.deny(caught.value.approval_id, as_user="ben", reason="no") == "denied"
    assert caught.value.wait() == "denied"
    with pytest.raises(bridle.Denied) as denied:
        caught.value.resume()
    assert denied.value.code == "approval_denied"
    assert sink.ran == 0


def test_a_step_runs_once_and_other_arguments_are_another_step(triage: bridle.Agent) -> None:
    sink = Sink("done")
    args = {"id": 7, "body": "hello"}
    for _ in range(3):
        assert triage.call("desk.comment", args, effect=sink, key="comment-7") == "done"
    assert sink.ran == 1
    with pytest.raises(bridle.Denied) as caught:
        triage.call("desk.comment", {"id": 8, "body": "hello"}, effect=sink, key="comment-7")
    assert caught.value.code == "args_changed"
    assert sink.ran == 1


def test_an_effect_that_failed_waits_for_a_human_unless_it_is_safe_to_repeat(
    triage: bridle.Agent,
) -> None:
    def fail(**arguments: object) -> None:
        raise ConnectionError

    def refuse(**arguments: object) -> None:
        problem = ConnectionError()
        problem.code = "smtp_refused"  # type: ignore[attr-defined]
        raise problem

    sink = Sink("done")
    for effect, key, code in ((fail, "a", "needs_human"), (refuse, "b", None)):
        with pytest.raises(ConnectionError):
            triage.call("mail.send", MAIL, effect=effect, key=key)
        again = triage.call("mail.send", MAIL, effect=sink, key=key, on_denied="return")
        assert getattr(again, "code", None) == code
    assert sink.ran == 1


def test_decide_begin_observe(triage: bridle.Agent) -> None:
    verdict = triage.decide("desk.comment", {"id": 7, "body": "hello"}, key="platform-1")
    assert verdict.effect is bridle.Effect.ALLOW
    started = triage.begin(verdict)
    with pytest.raises(bridle.Denied):
        triage.begin(verdict)
    release = triage.observe(started, bridle.Outcome(OutcomeKind.OK, output='"x"'))
    assert release.effect is bridle.Effect.ALLOW


def test_a_stream_is_refused_for_a_tool_with_release_rules_and_runs_for_one_without(
    triage: bridle.Agent,
) -> None:
    with pytest.raises(UsageError):
        triage.call("desk.read_ticket", {"id": 7}, effect=Sink(), stream=True)
    numbers = triage.call(
        "desk.comment", {"id": 7, "body": "x"}, effect=lambda **_: iter("ab"), stream=True
    )
    assert list(numbers) == ["a", "b"]


def test_async(triage: bridle.Agent) -> None:
    async def effect(id: int) -> dict[str, object]:  # noqa: A002 - an argument's name
        await asyncio.sleep(0)
        return TICKET

    async def main() -> list[object]:
        return await asyncio.gather(
            *(triage.acall("desk.read_ticket", {"id": n}, effect=effect) for n in range(1, 9))
        )

    assert all("iban" not in row for row in asyncio.run(main()))


def test_tools_lists_what_the_mission_can_use(triage: bridle.Agent) -> None:
    rows = {row["name"]: row for row in triage.tools()}
    assert rows["desk.read_ticket"]["release_rules"] is True
    assert rows["desk.comment"]["release_rules"] is False
    assert rows["mail.send"]["input"]["type"] == "object"


def test_missions_suspend_resume_prompt_and_close(
    governor: bridle.Bridle, mission: bridle.Mission, triage: bridle.Agent
) -> None:
    def comment() -> object:
        return triage.call(
            "desk.comment", {"id": 1, "body": "x"}, effect=Sink(), on_denied="return"
        )

    mission.suspend()
    assert getattr(comment(), "code", "") == "mission_not_active"
    mission.resume()
    assert comment() == "done"
    mission.add_prompt("and hurry", user="ana")
    assert governor.mission(mission.id).id == mission.id
    mission.close()
    assert getattr(comment(), "code", "") == "mission_not_active"
    with pytest.raises(NotFoundError):
        governor.mission("mis_unknown")
    with pytest.raises(NotFoundError):
        governor.start_mission("no-such-template", user="ana")


def test_kill_stops_everything_and_resume_lifts_it(
    governor: bridle.Bridle, triage: bridle.Agent
) -> None:
    sink = Sink()
    governor.kill("tool", "desk.comment", reason="drill", as_user="ana")
    try:
        with pytest.raises(bridle.Denied) as caught:
            triage.call("desk.comment", {"id": 1, "body": "x"}, effect=sink)
        assert caught.value.code == "killed"
    finally:
        governor.resume("tool", "desk.comment", as_user="ana")
    triage.call("desk.comment", {"id": 1, "body": "x"}, effect=sink)
    assert sink.ran == 1


def test_a_closed_agent_is_worth_nothing(triage: bridle.Agent) -> None:
    verdict = triage.decide("desk.read_ticket", {"id": 1})
    assert verdict.effect.runs
    handle = triage._session.handle
    triage.close()
    late = triage.mission.bridle.attach(handle, mission=triage.mission.id, agent="triage")
    refused = late.call("desk.read_ticket", {"id": 1}, effect=Sink(), on_denied="return")
    assert refused.code == "no_session"


def test_an_agent_that_the_mission_does_not_have(mission: bridle.Mission) -> None:
    with pytest.raises(bridle.BridleError):
        mission.agent("nobody")
    with pytest.raises(bridle.BridleError):
        mission.agent("triage", executor="nobody")


def test_status_names_the_active_bundle(governor: bridle.Bridle) -> None:
    status = governor.status()
    assert status["active"] == status["on_disk"]
    assert status["changed"] is False
