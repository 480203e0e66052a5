"""What the governor's side carries out, seen at the server that it reaches and at the agent."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.client.opening import connect
from bridle.model import calls
from bridle.model.errors import UsageError
from bridle.server.performing import Performances
from brokers import searching
from brokers.performing.servers import OK, Sink, answer, hang
from client.desk import environment
from client.scripted import Scripted
from server.carrying import SECRET, governing
from server.watched import watched

TITLE = {"repo": "main", "title": "fine"}


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink(OK)
    yield made
    made.close()


@pytest.fixture
def ana(tmp_path: Path, sink: Sink) -> Iterator[bridle.Bridle]:
    with governing(tmp_path, sink.url) as operator:
        yield operator


@pytest.fixture
def clerk(ana: bridle.Bridle) -> bridle.Agent:
    return ana.start_mission("office", user="ana").agent("clerk", executor="worker")


# --- without a credential ------------------------------------------------------------------------


def test_a_tool_without_an_effect_is_carried_out_and_answered(
    sink: Sink, clerk: bridle.Agent
) -> None:
    result = clerk.call("page.get", {"id": 7})
    assert result["status"] == 200
    assert result["body"] == {"ok": True}
    assert sink.requests[0].startswith(b"GET /pages/7 HTTP/1.1\r\n")
    assert b"Authorization" not in sink.requests[0]


def test_one_key_is_carried_out_once_and_answered_twice(sink: Sink, clerk: bridle.Agent) -> None:
    first = clerk.call("page.get", {"id": 7}, key="k")
    assert clerk.call("page.get", {"id": 7}, key="k") == first
    assert len(sink.requests) == 1


def test_a_function_only_says_what_the_arguments_are(sink: Sink, clerk: bridle.Agent) -> None:
    @clerk.tool("page.get", performed=True)
    def page(id: int) -> None:  # noqa: A002 - the argument's name
        raise AssertionError("the body of a function that is carried out elsewhere")

    assert page(8)["status"] == 200
    assert sink.requests[0].startswith(b"GET /pages/8 ")


async def _acalled(clerk: bridle.Agent) -> Any:
    return await clerk.acall("page.get", {"id": 9})


def test_the_async_twin_does_the_same(sink: Sink, clerk: bridle.Agent) -> None:
    import asyncio

    assert asyncio.run(_acalled(clerk))["status"] == 200
    assert len(sink.requests) == 1


def test_a_tool_that_nobody_carries_out_needs_an_effect(clerk: bridle.Agent) -> None:
    with pytest.raises(UsageError):
        clerk.call("note.read", {"id": 1})


def test_a_tool_that_nobody_knows_is_denied_on_record(clerk: bridle.Agent) -> None:
    with pytest.raises(bridle.Denied) as denied:
        clerk.call("no.such", {})
    assert denied.value.code == "unknown_tool"
    assert denied.value.receipt is not None


def test_a_status_is_data_and_a_broken_answer_an_error(sink: Sink, clerk: bridle.Agent) -> None:
    sink.script = answer(b"no", status="500 Oh")
    assert clerk.call("page.get", {"id": 1})["status"] == 500
    sink.script = b"nonsense"
    with pytest.raises(bridle.PerformedError) as failed:
        clerk.call("page.get", {"id": 1})
    assert failed.value.code == "answer_invalid"
    assert failed.value.reached


def test_what_was_never_reached_is_recorded_so_and_may_be_tried_again(
    sink: Sink, clerk: bridle.Agent, ana: bridle.Bridle
) -> None:
    sink.close()
    with pytest.raises(bridle.PerformedError) as failed:
        clerk.call("page.get", {"id": 1}, key="again")
    assert failed.value.code == "connection_refused"
    assert not failed.value.reached
    assert ana.rows(calls.Attempts(state="not_started"))
    assert not ana.rows(calls.Attempts(state="unknown"))


def test_egress_goes_to_declared_hosts_only(sink: Sink, clerk: bridle.Agent) -> None:
    assert clerk.call("web.request", {"method": "GET", "url": f"{sink.url}/x"})["status"] == 200
    with pytest.raises(bridle.PerformedError) as refused:
        clerk.call("web.request", {"method": "GET", "url": "http://127.0.0.2/x"})
    assert refused.value.code == "host_refused"
    assert len(sink.requests) == 1


@pytest.mark.parametrize(("tool", "args"), [("page.get", {"id": 1}), ("issue.create", TITLE)])
def test_a_revocation_ends_the_request_at_the_server(
    sink: Sink, clerk: bridle.Agent, ana: bridle.Bridle, tool: str, args: dict[str, Any]
) -> None:
    sink.script = hang

    def revoke() -> None:
        assert sink.arrived.wait(20)
        ana.revoke(clerk.grant, as_user="ana")

    thread = threading.Thread(target=revoke)
    thread.start()
    with pytest.raises((bridle.PerformedError, bridle.Denied)):
        clerk.call(tool, args)
    thread.join()
    assert sink.ended.wait(20)
    with pytest.raises(bridle.Denied) as denied:
        clerk.call(tool, args)
    assert denied.value.code == "revoked"
    assert len(sink.requests) == 1


def test_an_agent_that_hangs_up_stops_nothing_and_the_outcome_is_known(
    sink: Sink, clerk: bridle.Agent, ana: bridle.Bridle, tmp_path: Path
) -> None:
    go = threading.Event()

    def late(peer: socket.socket, request: bytes) -> None:
        assert go.wait(20)
        peer.sendall(OK)

    sink.script = late
    handed = clerk.mission.session("clerk", executor="worker")
    code = (
        "import bridle, sys\n"
        "with bridle.connect(sys.argv[1], role='agent') as g:\n"
        "    a = g.attach(sys.stdin.readline().strip(), mission=sys.argv[2], agent='clerk')\n"
        "    a.call('page.get', {'id': 1}, key='left')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path), clerk.mission.id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment(), text=True) as gone:
        assert gone.stdin is not None
        gone.stdin.write(handed + "\n")
        gone.stdin.flush()
        assert sink.arrived.wait(20)
        gone.kill()
    go.set()
    while ana.rows(calls.Attempts(state="started")):
        pass
    assert len(ana.rows(calls.Attempts(state="ok"))) == 1
    sink.script = OK
    assert clerk.call("page.get", {"id": 1}, key="left")["status"] == 200
    assert len(sink.requests) == 1


# --- with a credential ---------------------------------------------------------------------------


def test_the_server_sees_the_credential_and_the_agent_what_came_of_it(
    sink: Sink, clerk: bridle.Agent
) -> None:
    result = clerk.call("issue.create", TITLE)
    assert result["body"] == {"ok": True}
    assert f"Authorization: Bearer {SECRET}\r\n".encode() in sink.requests[0]
    assert sink.requests[0].endswith(b'{"title":"fine"}')


def test_what_is_denied_reaches_nobody(sink: Sink, clerk: bridle.Agent) -> None:
    with pytest.raises(bridle.Denied) as denied:
        clerk.call("issue.create", TITLE | {"title": "gossip"})
    assert denied.value.code == "forbidden"
    assert not sink.requests


def test_what_is_rewritten_is_carried_out_as_it_was_judged(sink: Sink, clerk: bridle.Agent) -> None:
    clerk.call("issue.create", TITLE | {"title": "much too long"})
    assert sink.requests[0].endswith(b'{"title":"much"}')


def test_what_is_held_is_carried_out_once_it_was_approved(
    sink: Sink, clerk: bridle.Agent, ana: bridle.Bridle
) -> None:
    with pytest.raises(bridle.Held) as held:
        clerk.call("issue.create", TITLE | {"title": "delicate"})
    assert not sink.requests
    ana.approve(held.value.approval_id, as_user="ben")
    assert held.value.resume()["status"] == 200
    assert len(sink.requests) == 1


def test_an_approval_is_resumed_by_another_process_without_an_effect(
    sink: Sink, clerk: bridle.Agent, ana: bridle.Bridle
) -> None:
    with pytest.raises(bridle.Held) as held:
        clerk.call("issue.create", TITLE | {"title": "delicate"})
    ana.approve(held.value.approval_id, as_user="ben")
    assert clerk.resume(held.value.approval_id)["status"] == 200
    assert len(sink.requests) == 1


def test_an_agent_with_an_effect_of_its_own_gets_no_start(clerk: bridle.Agent) -> None:
    ran: list[object] = []
    with pytest.raises(bridle.Denied) as denied:
        clerk.call("issue.create", TITLE, effect=lambda **given: ran.append(given))
    assert denied.value.code == "not_separated"
    assert not ran


def test_a_secret_that_nobody_sealed_lets_nothing_happen(tmp_path: Path, sink: Sink) -> None:
    with governing(tmp_path, sink.url, sealed={}) as ana:
        clerk = ana.start_mission("office", user="ana").agent("clerk", executor="worker")
        with pytest.raises(bridle.PerformedError) as failed:
            clerk.call("issue.create", TITLE)
        assert failed.value.code == "credential_unavailable"
        assert not failed.value.reached
        assert not sink.requests


AGENT = """
import json, sys
import bridle

CANARY = "".join(chr(ord(c) + 1) for c in sys.argv[3])
with bridle.connect(sys.argv[1], role="agent") as governor:
    agent = governor.attach(sys.stdin.readline().strip(), mission=sys.argv[2], agent="clerk")
    told = [agent.call("issue.create", {"repo": "main", "title": "fine"})]
    for args in ({"repo": "..", "title": "x"}, {"repo": "main", "title": "gossip"}):
        try:
            agent.call("issue.create", args)
        except bridle.BridleError as refused:
            told.append([repr(refused), str(refused), repr(refused.__cause__)])
    print(json.dumps(told), flush=True)
    sys.stdin.readline()
"""


def test_the_agents_process_and_traffic_never_hold_the_credential(
    tmp_path: Path,
    sink: Sink,
    ana: bridle.Bridle,
    clerk: bridle.Agent,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def echo(peer: socket.socket, request: bytes) -> None:
        body = json.dumps({"ok": True, "pin": request.decode()}).encode()
        peer.sendall(answer(body, "Content-Type: application/json", f"X-Token: {SECRET}"))

    sink.script = echo
    canary = "canary-of-this-very-test"
    before = "".join(chr(ord(c) - 1) for c in canary)
    with watched(tmp_path, clerk.mission, AGENT, before) as agent:
        # The search finds what is there, and does not find what is not.
        assert searching.places_in(agent.pid, canary)
        assert not searching.places_in(agent.pid, SECRET)
    assert json.loads(agent.told)[0]["status"] == 200
    assert "[credential]" in agent.told
    assert SECRET.encode() in sink.requests[0]
    assert b"issue.create" in agent.tap.bytes
    assert not searching.found_in(bytes(agent.tap.bytes), SECRET)
    assert not searching.files_with(tmp_path, SECRET)
    assert not searching.found_in(caplog.text.encode(), SECRET)


def test_an_agent_on_its_own_connection_is_not_given_what_another_started(
    tmp_path: Path, sink: Sink, clerk: bridle.Agent, ana: bridle.Bridle
) -> None:
    def stolen(peer: socket.socket, request: bytes) -> None:
        (running,) = ana.rows(calls.Attempts(state="started"))
        with connect(tmp_path, role="agent") as other:
            vend = calls.Vend(session=sibling.session_handle, attempt=running["id"])
            answers.append(other.agents.send(vend))
            own = calls.Vend(session=mine, attempt=running["id"])
            answers.append(other.agents.send(own))
        peer.sendall(OK)

    class Sibling:
        session_handle = clerk.mission.session("scout", executor="worker").split(".")[0]

    sibling, mine = Sibling(), clerk._session.handle
    answers: list[calls.Reply] = []
    sink.script = stolen
    clerk.call("issue.create", TITLE)
    assert len(answers) == 2
    for reply in answers:
        assert isinstance(reply, calls.Failed), reply
        assert SECRET not in repr(reply)


def test_as_much_as_there_is_room_for_is_carried_out_at_a_time(
    sink: Sink, clerk: bridle.Agent, ana: bridle.Bridle
) -> None:
    room = Performances(Scripted(), most=1, wait=0)
    call = calls.Decide(session="s", tool="t", args="{}", key="k", start=True, perform=True)
    caller = calls.Caller(operator=False, method="peer:1")
    answers: list[calls.Reply] = []
    room._governor.decided = lambda _: (
        answers.append(room.answer(caller, call)) or calls.Failed(code="x", message="")
    )
    room.answer(caller, call)
    (second,) = answers
    assert isinstance(second, calls.Judged)
    assert second.verdict.effect is bridle.Effect.DENY
    assert second.verdict.reasons[0].code == "limit_exceeded"


def test_what_is_not_to_be_started_is_not_carried_out(clerk: bridle.Agent, sink: Sink) -> None:
    call = calls.Decide(
        session=clerk._session.handle, tool="page.get", args='{"id":1}', key="k", perform=True
    )
    reply = clerk._session.channel.send(call)
    assert isinstance(reply, calls.Judged)
    assert reply.verdict.effect is bridle.Effect.DENY
    assert not sink.requests
