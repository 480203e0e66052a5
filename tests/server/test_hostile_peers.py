"""Hostile bytes at both sockets: the server stays up, and well-behaved clients do not notice."""

import os
import resource
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bridle.client.transport import wire
from bridle.client.transport.unix import UnixChannel
from bridle.model import calls
from bridle.model.errors import UnreachableError
from client.raw import connected, frame, hello, read_frame
from client.scripted import Scripted, Sink, attached, served

SOCKETS = ["agents.sock", "operator.sock"]
ROLE = {"agents.sock": "agent", "operator.sock": "operator"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("hostile")
    with served(Scripted(), folder, patience=20.0):
        yield folder


def still_serves(folder: Path) -> None:
    bridle, agent = attached(folder)
    with bridle:
        assert agent.call("t", effect=Sink()) == "done"
    channel = UnixChannel(folder / "operator.sock", role="operator")
    assert isinstance(channel.send(calls.Status()), calls.Listing)
    channel.close()


def send_all(folder: Path, name: str, noise: bytes) -> bytes:
    """Send `noise`, then hang up; return what came back until the server closed."""
    answer = b""
    with connected(folder, name) as connection:
        try:
            connection.sendall(noise)
            connection.shutdown(socket.SHUT_WR)
            while part := connection.recv(65_536):
                answer += part
        except ConnectionError:
            pass
    return answer


def last_code(answer: bytes) -> str:
    """The code of the last frame that the server sent."""
    code = ""
    while answer:
        (length,) = struct.unpack(">I", answer[:4])
        body, answer = answer[4 : 4 + length], answer[4 + length :]
        code = msgspec.json.decode(body).get("code", "")
    return code


@given(noise=st.binary(max_size=2_000), name=st.sampled_from(SOCKETS))
def test_any_bytes_instead_of_a_greeting(folder: Path, noise: bytes, name: str) -> None:
    send_all(folder, name, noise)
    still_serves(folder)


@given(noise=st.binary(max_size=2_000), name=st.sampled_from(SOCKETS))
def test_any_bytes_after_the_greeting(folder: Path, noise: bytes, name: str) -> None:
    send_all(folder, name, hello(ROLE[name]) + noise)
    still_serves(folder)


@given(
    body=st.one_of(
        st.binary(min_size=1, max_size=500),
        st.recursive(
            st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ).map(msgspec.json.encode),
        st.fixed_dictionaries(
            {"op": st.sampled_from(["decide", "observe", "begin", "kill", "x"])},
            optional={"session": st.text(), "tool": st.text(), "args": st.text(), "key": st.none()},
        ).map(msgspec.json.encode),
    ),
    name=st.sampled_from(SOCKETS),
)
def test_any_message_in_a_whole_frame_is_refused_and_ends_the_connection(
    folder: Path, body: bytes, name: str
) -> None:
    answer = send_all(folder, name, hello(ROLE[name]) + frame(body))
    assert last_code(answer) == "protocol_error"
    still_serves(folder)


@given(cut=st.integers(0, 60), name=st.sampled_from(SOCKETS))
def test_a_truncated_frame(folder: Path, cut: int, name: str) -> None:
    call = frame(msgspec.json.encode({"op": "tools_of", "session": "s" * 40}))
    answer = send_all(folder, name, hello(ROLE[name]) + call[: min(cut, len(call) - 1)])
    assert last_code(answer) in ("", "truncated")
    still_serves(folder)


@pytest.mark.parametrize("name", SOCKETS)
@pytest.mark.parametrize("length", [0, wire.MAX_FRAME + 1, 2**31, 2**32 - 1])
def test_an_announced_length_that_no_frame_may_have_is_refused_unread(
    folder: Path, name: str, length: int
) -> None:
    with connected(folder, name) as connection:
        connection.sendall(hello(ROLE[name]) + struct.pack(">I", length))
        assert last_code(frame(read_frame(connection)) + frame(read_frame(connection))) == (
            "protocol_error"
        )
        assert connection.recv(1) == b""
    still_serves(folder)


def test_an_announced_length_costs_no_memory_until_it_arrives(folder: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    held = [connected(folder) for _ in range(100)]
    for connection in held:
        connection.sendall(hello() + struct.pack(">I", wire.MAX_FRAME) + b"{")
    still_serves(folder)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for connection in held:
        connection.close()
    # 100 times 4 MiB were announced; kilobytes of it came.
    assert (after - before) * 1024 < 100 * 1024 * 1024


@pytest.mark.parametrize("version", [0, 1, 2, 3, 5, 99])
def test_another_protocol_version_is_named_and_refused(folder: Path, version: int) -> None:
    answer = send_all(folder, "agents.sock", hello(version=version))
    assert last_code(answer) == "protocol_version"


@pytest.mark.parametrize(
    ("name", "role"),
    [("agents.sock", "operator"), ("operator.sock", "agent"), ("agents.sock", "root")],
)
def test_a_role_at_the_wrong_socket_is_refused(folder: Path, name: str, role: str) -> None:
    assert last_code(send_all(folder, name, hello(role))) == "protocol_error"


OPERATOR_CALLS = [
    calls.StartMission(template="t", user="ana"),
    calls.MissionVerb(mission="m", verb="close"),
    calls.AddPrompt(mission="m", user="ana", prompt="p"),
    calls.OpenSession(mission="m", agent="a"),
    calls.CloseSession(session="s"),
    calls.Missions(),
    calls.Agents(),
    calls.IdentityVerb(kind="agent", id="a", verb="resume"),
    calls.Approvals(),
    calls.Answer(approval="apr", approve=True),
    calls.Exceptions(),
    calls.EndException(exception="exc"),
    calls.Kill(scope="all"),
    calls.Unkill(scope="all"),
    calls.Settle(attempt="att", outcome=calls.Outcome(kind="ok")),
    calls.Attempts(),
    calls.Explain(action="act"),
    calls.Activate(digest="d"),
    calls.Redact(record=1, basis="b"),
    calls.RotateLogKey(),
    calls.Status(),
    calls.Revoke(kind="agent", subject="a"),
    calls.Delegations(),
    calls.Keys(),
    calls.KeyVerb(verb="rotate", kind="governor"),
    calls.PipelineVerb(verb="register", pipeline="p", digest="a" * 64),
    calls.Pipelines(),
    calls.StatusSnapshot(),
    calls.SecretVerb(verb="list"),
    calls.Leases(),
]


def test_the_list_of_operators_calls_is_complete() -> None:
    assert {type(call) for call in OPERATOR_CALLS} == set(calls.OPERATOR_CALLS.__args__)


@pytest.mark.parametrize("call", OPERATOR_CALLS, ids=lambda call: type(call).__name__)
def test_an_operators_call_on_the_agents_socket_never_reaches_the_governor(
    governor: Scripted, tmp_path: Path, call: calls.Call
) -> None:
    with served(governor, tmp_path):
        answer = send_all(tmp_path, "agents.sock", hello() + frame(msgspec.json.encode(call)))
    assert last_code(answer) == "protocol_error"
    assert governor.calls == []


def test_the_caller_is_what_the_kernel_says_and_nothing_a_client_says(
    governor: Scripted, tmp_path: Path
) -> None:
    with served(governor, tmp_path):
        still_serves(tmp_path)
    by_socket = {caller.operator: caller for caller in governor.callers}
    for operator, caller in by_socket.items():
        assert structs.replace(caller, acted=False) == calls.Caller(
            operator=operator, method=f"peer:{os.getuid()}", uid=os.getuid()
        )
    assert set(by_socket) == {True, False}


def test_a_frame_that_drips_is_cut_off_and_holds_nobody_up(tmp_path: Path) -> None:
    with served(Scripted(), tmp_path, patience=1.5):
        with connected(tmp_path) as slow, connected(tmp_path) as mute:
            slow.sendall(hello())
            read_frame(slow)
            slow.sendall(struct.pack(">I", 100))
            still_serves(tmp_path)
            dripped = 0
            while dripped < 100 and drip(slow):
                dripped += 1
            # It sent fewer than it had announced when the server hung up, and so did the mute one.
            assert dripped < 100
            assert mute.recv(1) == b""
        still_serves(tmp_path)


def drip(connection: socket.socket) -> bool:
    """Send one byte, then give the server a while to hang up; False once it has."""
    try:
        connection.send(b" ")
        connection.settimeout(0.02)
        return connection.recv(1) != b""
    except TimeoutError:
        return True
    except ConnectionError:
        return False


def test_an_idle_connection_after_the_greeting_is_let_be(tmp_path: Path) -> None:
    patience = 1.0
    with served(Scripted(), tmp_path, patience=patience), connected(tmp_path) as idle:
        idle.sendall(hello())
        read_frame(idle)
        greeted = time.monotonic()
        while time.monotonic() < greeted + 1.5 * patience:
            assert not threading.Event().wait(0.1)
        idle.sendall(frame(wire.encode(calls.ToolsOf(session="s"))))
        assert b"listing" in read_frame(idle)


def test_ten_thousand_connections_are_bounded_and_the_operator_still_gets_in(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    governor = Scripted()
    with served(governor, tmp_path, limits={"limit": 40}):
        held: list[socket.socket] = []
        turned_away = 0
        most = 0
        for number in range(count(10_000, 100_000)):
            connection = connected(tmp_path)
            if number < 40:
                connection.sendall(hello())
                read_frame(connection)
                held.append(connection)
                continue
            with connection:
                answer = read_frame(connection)
            turned_away += b"too_many_connections" in answer
            most = max(most, sum(t.name == "bridle-agents" for t in threading.enumerate()))
        assert turned_away == count(10_000, 100_000) - 40
        assert most == 40
        for _ in range(50):
            with pytest.raises(UnreachableError) as full:
                attached(tmp_path)
            assert full.value.code == "too_many_connections"
        operator = UnixChannel(tmp_path / "operator.sock", role="operator")
        assert isinstance(operator.send(calls.Kill(scope="all")), calls.Done)
        operator.close()
        for connection in held:
            connection.close()
        end = time.monotonic() + 30
        while time.monotonic() < end:
            try:
                still_serves(tmp_path)
                break
            except Exception:  # the threads of those that hung up are still ending
                continue
        still_serves(tmp_path)


def test_a_peer_that_never_reads_its_answers_only_blocks_itself(tmp_path: Path) -> None:
    governor = Scripted()
    governor.streams = {f"tool-{number}" * 50 for number in range(500)}
    ask = frame(wire.encode(calls.ToolsOf(session="s")))
    with served(governor, tmp_path, patience=1.5), connected(tmp_path) as greedy:
        greedy.sendall(hello())
        with pytest.raises(ConnectionError):
            for_ever(lambda: greedy.sendall(ask))
        still_serves(tmp_path)


def for_ever(act: Callable[[], object]) -> None:
    while True:
        act()


def test_an_answer_too_large_for_a_frame_is_a_failure_with_a_way_out(tmp_path: Path) -> None:
    governor = Scripted()
    governor.streams = {f"{number}-{'x' * 4000}" for number in range(1100)}
    with served(governor, tmp_path):
        channel = UnixChannel(tmp_path / "agents.sock", role="agent")
        reply = channel.send(calls.ToolsOf(session="s"))
        channel.close()
    assert isinstance(reply, calls.Failed)
    assert reply.code == "limit_exceeded"
    assert reply.hint
