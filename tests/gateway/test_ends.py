"""Ends: of a call, the server, the client, the governor. Nothing is lost and nobody stays."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from bridle.model.calls import Attempts, Missions
from gateway.office import PATIENCE, Front, Office, said


def states(front: Front) -> list[str]:
    """The states of the attempts of a proxy's mission."""
    rows = [
        row
        for state in ("started", "ok", "error", "not_started", "unknown")
        for row in front.office.governor.rows(Attempts(state=state, limit=1000))
    ]
    return [row["state"] for row in rows if row["mission"] == front.mission]


def errors(front: Front, state: str) -> list[str]:
    rows = front.office.governor.rows(Attempts(state=state, limit=1000))
    return [row["error"] for row in rows if row["mission"] == front.mission]


def started(front: Front, name: str, **arguments: object) -> int:
    """Send a call and wait until the server has it."""
    before = len(front.office.calls(name))
    number = front.request("tools/call", {"name": name, "arguments": arguments})
    end = time.monotonic() + PATIENCE
    while len(front.office.calls(name)) == before:
        assert time.monotonic() < end
    return number


def gone(pid: int) -> bool:
    """Whether a process ends before long."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except FileNotFoundError:
            return True
        if stat.rpartition(")")[2].split()[0] == "Z":
            return True
    return False


def server_of(front: Front) -> int:
    """The process id of the server behind a proxy."""
    children = Path(f"/proc/{front.process.pid}/task/{front.process.pid}/children").read_text()
    for pid in map(int, children.split()):
        if b"sink.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
            return pid
    raise AssertionError(children)


# --- of a call -----------------------------------------------------------------------------------


def test_calls_end_as_they_came_out(fresh: Front):
    fresh.call("echo", text="x")
    fresh.call("fail")
    fresh.ask("tools/call", {"name": "break", "arguments": {}})
    assert sorted(states(fresh)) == ["error", "error", "ok"]
    assert sorted(errors(fresh, "error")) == ["-32000", "tool_error"]


def test_a_cancelled_call_is_told_to_the_server_and_unknown_to_the_governor(fresh: Front):
    number = started(fresh, "slow")
    cancel = {"requestId": number, "reason": "enough"}
    fresh.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel})
    assert "result" in fresh.ask("ping")
    assert b"notifications/cancelled" in b"".join(fresh.office.received())
    _until(lambda: states(fresh) == ["unknown"])
    assert errors(fresh, "unknown") == ["cancelled"]


def test_a_late_answer_to_a_cancelled_call_settles_it_and_is_not_shown(fresh: Front):
    number = started(fresh, "slow")
    cancel = {"requestId": number}
    fresh.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel})
    _until(lambda: states(fresh) == ["unknown"])
    flushed = fresh.request("tools/call", {"name": "flush", "arguments": {}})
    assert fresh.receive()["id"] == flushed
    _until(lambda: sorted(states(fresh)) == ["ok", "ok"])


def test_a_cancelled_id_is_not_free_again(fresh: Front):
    number = started(fresh, "slow")
    fresh.send(
        {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}
    )
    call = {"name": "echo", "arguments": {"text": "someone else's answer"}}
    fresh.send({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": call})
    assert fresh.receive()["error"]
    assert fresh.office.calls("echo") == []


def test_cancelling_what_is_not_there_tells_the_server_nothing(fresh: Front):
    for number in (99, "99", None, 1.5, {}):
        fresh.send(
            {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": number}}
        )
    assert "result" in fresh.ask("ping")
    assert b"cancelled" not in b"".join(fresh.office.received())


def test_many_calls_are_in_flight_at_once(fresh: Front):
    numbers = {
        fresh.request("tools/call", {"name": "slow", "arguments": {"text": str(n)}})
        for n in range(40)
    }
    _until(lambda: len(fresh.office.calls("slow")) == 40)
    numbers.add(fresh.request("tools/call", {"name": "flush", "arguments": {}}))
    answered = {fresh.receive()["id"] for _ in range(41)}
    assert answered == numbers
    assert states(fresh) == ["ok"] * 41


# --- of the server -------------------------------------------------------------------------------


def test_a_server_that_dies_leaves_its_calls_unknown_and_says_so(fresh: Front):
    waiting = started(fresh, "slow")
    dying = fresh.request("tools/call", {"name": "die", "arguments": {}})
    answers = {(answer := fresh.receive())["id"]: answer for _ in range(2)}
    for number in (waiting, dying):
        assert "Nobody knows whether the call took effect" in said(answers[number]["result"])
    assert fresh.line() == b""
    assert fresh.end() == 3
    assert states(fresh) == ["unknown", "unknown"]


def test_other_requests_fail_when_the_server_dies(office: Office):
    script = "import sys; sys.stdin.readline(); sys.exit(4)"
    with office.front(greet=False, server=[sys.executable, "-c", script]) as front:
        number = front.request("initialize")
        answer = front.receive()
        assert (answer["id"], answer["error"]["code"]) == (number, -32000)
        assert front.line() == b""


def test_a_server_that_cannot_be_started_is_said(office: Office):
    with office.front(greet=False, server=["/nonexistent/server"]) as front:
        assert front.line().startswith(b'{"error":')
        assert front.end() == 3


# --- of the client -------------------------------------------------------------------------------


def test_when_the_client_leaves_the_server_ends_and_running_calls_are_unknown(fresh: Front):
    started(fresh, "slow")
    server = server_of(fresh)
    assert fresh.end() == 0
    assert gone(server)
    assert states(fresh) == ["unknown"]


def test_calls_that_were_sent_before_the_client_left_are_answered(fresh: Front):
    for number in range(10):
        call = {"name": "echo", "arguments": {"text": "bye"}}
        fresh.send({"jsonrpc": "2.0", "id": f"b{number}", "method": "tools/call", "params": call})
    fresh.process.stdin.close()
    answers = [json.loads(line) for line in iter(fresh.line, b"")]
    assert {answer["id"] for answer in answers} == {f"b{number}" for number in range(10)}
    assert states(fresh) == ["ok"] * 10


def test_a_line_that_was_cut_off_is_not_run(fresh: Front):
    call = b'{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"echo"}}'
    fresh.process.stdin.write(call)
    assert fresh.end() == 0
    assert fresh.office.calls() == []


def test_a_client_that_reads_no_more_has_left(fresh: Front):
    server = server_of(fresh)
    fresh.process.stdout.close()
    fresh.send({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert fresh.process.wait(PATIENCE) == 0
    assert gone(server)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_everything_and_leaves_nothing_started(fresh: Front, number: int):
    started(fresh, "slow")
    server = server_of(fresh)
    fresh.kill(number)
    assert fresh.end() == 0
    assert gone(server)
    assert states(fresh) == ["unknown"]


def test_a_server_does_not_outlive_a_proxy_that_was_killed(fresh: Front):
    started(fresh, "hang")
    server = server_of(fresh)
    fresh.kill(signal.SIGKILL)
    assert gone(server)


def test_a_server_that_ignores_everything_and_its_children_are_ended_all_the_same(office: Office):
    script = (
        "import os,signal,sys,time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "open(sys.argv[1] + ('/child' if not child else '/parent'), 'w').write(str(os.getpid()))\n"
        "time.sleep(600)\n"
    )
    server = [sys.executable, "-c", script, str(office.sink)]
    with office.front(greet=False, server=server) as front:
        names = [office.sink / "child", office.sink / "parent"]
        _until(lambda: all(n.exists() and n.read_text() for n in names))
        pids = [int(name.read_text()) for name in names]
        assert front.end() == 0
    assert all(gone(pid) for pid in pids)


# --- of the governor -----------------------------------------------------------------------------


@pytest.mark.slow
def test_nothing_is_shown_of_a_result_that_no_governor_has_judged(alone: Office):
    with alone.serving() as governor:
        front = Front(alone)
        front.greet()
        number = started(front, "slow")
        governor.send_signal(signal.SIGKILL)
        governor.wait()
        front.send(
            {"jsonrpc": "2.0", "id": 900, "method": "tools/call", "params": {"name": "flush"}}
        )
        denied = front.receive()
        assert (denied["id"], "Nothing has run" in said(denied["result"])) == (900, True)
        # Have the server answer the call from before, past the proxy's back.
        os.kill(server_of(front), signal.SIGKILL)
        lost = front.receive()
        assert lost["id"] == number
        assert "Nobody knows" in said(lost["result"])
        front.end()


@pytest.mark.slow
def test_a_result_that_comes_while_the_governor_is_away_is_withheld(alone: Office):
    with alone.serving() as governor, alone.front("--pass", "other") as front:
        number = started(front, "slow")
        governor.send_signal(signal.SIGKILL)
        governor.wait()
        # A notification of the client has the server go on.
        front.send({"jsonrpc": "2.0", "method": "notifications/flush"})
        answer = front.receive()
        assert answer["id"] == number
        assert "withholds its result (governor_unreachable)" in said(answer["result"])
        assert "late" not in json.dumps(answer)


def test_a_call_to_a_kill_switched_tool_is_denied_until_it_is_lifted(fresh: Front):
    governor = fresh.office.governor
    governor.kill("tool", "sink.echo", as_user="ben")
    try:
        assert "(killed)" in said(fresh.call("echo", text="x"))
    finally:
        governor.resume("tool", "sink.echo", as_user="ben")
    assert "isError" not in fresh.call("echo", text="x")


def test_a_closed_mission_ends_what_its_proxy_may_do(fresh: Front):
    fresh.office.governor.mission(fresh.mission).close()
    assert "(mission_not_active)" in said(fresh.call("echo", text="x"))
    assert fresh.office.calls("echo") == []


def test_the_session_ends_with_its_proxy_and_the_mission_does_not(fresh: Front):
    fresh.end()
    (row,) = fresh.office.governor.rows(Missions(mission=fresh.mission))
    assert row["status"] == "active"
    assert [bool(session["closed"]) for session in row["sessions"]] == [True]


def _until(true) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end


# --- of those that do not read -------------------------------------------------------------------

BULK = "x" * 4000


def stuck(front: Front) -> int:
    """Fill the pipe to a server that reads no more; return the server."""
    started(front, "hang")
    server = server_of(front)
    for number in range(40):
        call = {"name": "echo", "arguments": {"text": BULK}}
        front.send({"jsonrpc": "2.0", "id": f"s{number}", "method": "tools/call", "params": call})
    _until(lambda: len(states(front)) > 10)
    return server


@pytest.mark.parametrize("number", [signal.SIGTERM, 0], ids=["a signal", "the client leaves"])
def test_a_server_that_reads_no_more_cannot_keep_its_proxy_from_ending(fresh: Front, number: int):
    server = stuck(fresh)
    if number:
        fresh.kill(number)
    assert fresh.end() == 0
    assert gone(server)
    assert {"started"} & set(states(fresh)) == set()


@pytest.mark.slow
def test_a_client_that_does_not_read_cannot_keep_its_proxy_from_ending(fresh: Front):
    server = server_of(fresh)
    for number in range(60):
        call = {"name": "echo", "arguments": {"text": BULK}}
        fresh.send({"jsonrpc": "2.0", "id": f"c{number}", "method": "tools/call", "params": call})
    _until(lambda: len(states(fresh)) > 10)
    fresh.kill(signal.SIGTERM)
    assert fresh.process.wait(PATIENCE) == 0
    assert gone(server)


@pytest.mark.slow
def test_a_client_that_does_not_read_holds_up_no_report_of_how_calls_ended(fresh: Front):
    for _ in range(20):
        started(fresh, "slow")
    for number in range(30):
        call = {"name": "echo", "arguments": {"text": BULK}}
        fresh.send({"jsonrpc": "2.0", "id": f"f{number}", "method": "tools/call", "params": call})
    _until(lambda: states(fresh).count("ok") == 30)
    fresh.kill(signal.SIGTERM)
    _until(lambda: states(fresh).count("unknown") == 20)
    # The proxy still waits for its client, and tells it all once it reads.
    answers = list(iter(fresh.line, b""))
    assert sum(b"Nobody knows" in answer for answer in answers) == 20
    assert len(answers) == 50
