"""Whatever is wrong with the governor or the way to it, the effect does not run."""

import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.client.agent import Agent
from bridle.client.bridle import Bridle
from bridle.client.errors import Denied
from bridle.client.mission import Mission, Session
from bridle.client.opening import connect
from bridle.client.transport import wire
from bridle.client.transport.runs import Run
from bridle.client.transport.unix import UnixChannel
from bridle.model import calls
from bridle.model.errors import ProtocolError, UnreachableError
from bridle.model.verdict import Effect, Release, Verdict
from client.raw import WELCOME, Peer, frame, listening
from client.scripted import AGENT, MISSION, Scripted, Sink, act, served, until

Behaviour = Callable[[Peer, socket.socket], None]


def an_agent(folder: Path, timeout: float = 5.0) -> Agent:
    """An agent whose channel has not connected yet."""
    channel = UnixChannel(folder / "agents.sock", role="agent", timeout=timeout)
    bridle = Bridle(channel)
    session = Session(bridle, MISSION, AGENT, run=Run("ses_triage"))
    return Agent(Mission(bridle, MISSION), AGENT, "", session)


def refused(agent: Agent, sink: Sink) -> Denied:
    with pytest.raises(Denied) as caught:
        agent.call("t", {"a": 1}, effect=sink, key="k")
    assert sink.ran == 0
    return caught.value


def allowing(request: bytes) -> bytes:
    """The answer that would let the effect run."""
    call = wire.decode_call(request, operator=False)
    assert isinstance(call, calls.Decide)
    verdict = Verdict(act(call), Effect.ALLOW, args=call.args, attempt="att_1", lease_ms=60_000)
    return wire.encode(calls.Judged(verdict=verdict))


def test_the_answer_these_tests_withhold_would_run_the_effect(tmp_path: Path, sink: Sink) -> None:
    def behave(peer: Peer, connection: socket.socket) -> None:
        peer.greet(connection)
        request = peer.asked(connection)
        connection.sendall(frame(allowing(request)))
        release = Release(
            action=act(wire.decode_call(request, operator=False)), effect=Effect.ALLOW
        )
        peer.asked(connection)
        connection.sendall(frame(wire.encode(calls.Released(release=release))))

    with listening(tmp_path, behave):
        assert an_agent(tmp_path).call("t", {"a": 1}, effect=sink, key="k") == "done"


def test_no_governor(tmp_path: Path, sink: Sink) -> None:
    denied = refused(an_agent(tmp_path), sink)
    assert denied.code == "governor_unreachable"
    assert "bridle serve" in denied.hint


def test_a_socket_that_nobody_listens_on(tmp_path: Path, sink: Sink) -> None:
    dead = socket.socket(socket.AF_UNIX)
    dead.bind(str(tmp_path / "agents.sock"))
    dead.close()
    assert refused(an_agent(tmp_path), sink).code == "governor_unreachable"


def test_a_file_in_place_of_the_socket(tmp_path: Path, sink: Sink) -> None:
    (tmp_path / "agents.sock").write_text("{}")
    assert refused(an_agent(tmp_path), sink).code == "governor_unreachable"


def silent(peer: Peer, connection: socket.socket) -> None:
    peer.over.wait(30)


def silent_after_the_greeting(peer: Peer, connection: socket.socket) -> None:
    peer.greet(connection)
    peer.asked(connection)
    peer.over.wait(30)


def dripping(peer: Peer, connection: socket.socket) -> None:
    peer.greet(connection)
    for byte in frame(allowing(peer.asked(connection))):
        connection.sendall(bytes([byte]))
        if peer.over.wait(0.05):
            return


@pytest.mark.parametrize("behave", [silent, silent_after_the_greeting, dripping])
def test_a_slow_governor(tmp_path: Path, sink: Sink, behave: Behaviour) -> None:
    with listening(tmp_path, behave):
        denied = refused(an_agent(tmp_path, timeout=0.3), sink)
    assert denied.code == "governor_unreachable"


def test_a_late_answer_is_not_taken_for_the_answer_to_the_next_call(
    tmp_path: Path, sink: Sink
) -> None:
    asked = threading.Event()

    def behave(peer: Peer, connection: socket.socket) -> None:
        peer.greet(connection)
        request = peer.asked(connection)
        if peer.connections == 1:
            asked.wait(30)
            connection.sendall(frame(allowing(request)))
            peer.over.wait(30)
        deny = Verdict(action="", effect=Effect.DENY)
        connection.sendall(frame(wire.encode(calls.Judged(verdict=deny))))

    with listening(tmp_path, behave) as peer:
        agent = an_agent(tmp_path, timeout=0.3)
        refused(agent, sink)
        asked.set()
        refused(agent, sink)
        assert peer.connections == 2


@pytest.mark.parametrize("cut", [1, 4, 5, 20, -1])
def test_a_governor_killed_within_a_frame(tmp_path: Path, sink: Sink, cut: int) -> None:
    def behave(peer: Peer, connection: socket.socket) -> None:
        peer.greet(connection)
        connection.sendall(frame(allowing(peer.asked(connection)))[:cut])

    with listening(tmp_path, behave):
        assert refused(an_agent(tmp_path), sink).code in ("truncated", "governor_unreachable")


@pytest.mark.parametrize("greeting", [frame(WELCOME), frame(WELCOME)[:9]], ids=["met", "cut"])
@pytest.mark.parametrize("cut", [1, 4, 5, 20, -1])
def test_an_outcome_is_told_again_to_the_governor_after_the_one_killed_within_its_answer(
    tmp_path: Path, sink: Sink, cut: int, greeting: bytes
) -> None:
    def behave(peer: Peer, connection: socket.socket) -> None:
        if peer.connections == 2 and greeting != frame(WELCOME):
            connection.sendall(greeting)
            return
        peer.greet(connection)
        if peer.connections == 1:
            connection.sendall(frame(allowing(peer.asked(connection))))
        peer.asked(connection)
        action = act(wire.decode_call(peer.requests[0], operator=False))
        release = Release(action=action, effect=Effect.ALLOW)
        answer = frame(wire.encode(calls.Released(release=release)))
        connection.sendall(answer[:cut] if peer.connections == 1 else answer)

    with listening(tmp_path, behave) as peer:
        assert an_agent(tmp_path).call("t", {"a": 1}, effect=sink, key="k") == "done"
    assert sink.ran == 1
    assert peer.requests[1] == peer.requests[2]


def test_a_governor_killed_before_it_answers_is_asked_once_more_and_no_oftener(
    tmp_path: Path, sink: Sink
) -> None:
    def behave(peer: Peer, connection: socket.socket) -> None:
        peer.greet(connection)
        peer.asked(connection)

    with listening(tmp_path, behave) as peer:
        assert refused(an_agent(tmp_path), sink).code == "governor_unreachable"
    assert len(peer.requests) == 2
    assert peer.requests[0] == peer.requests[1]


RUBBISH = [
    b"{}",
    b"null",
    b"[]",
    b"\xff\xfe",
    b'{"re":"verdict"}',
    b'{"re":"verdict","verdict":{}}',
    b'{"re":"verdict","verdict":{"action":"a","effect":"permit"}}',
    b'{"re":"allow"}',
    b'{"re":"verdict","verdict":{"action":"a","effect":"allow","surprise":1}}',
    b"[" * 100_000,
    b'{"re":"verdict"' * 1000,
]


@pytest.mark.parametrize("body", RUBBISH, ids=range(len(RUBBISH)))
def test_a_governor_that_answers_rubbish(tmp_path: Path, sink: Sink, body: bytes) -> None:
    def behave(peer: Peer, connection: socket.socket) -> None:
        peer.greet(connection)
        peer.asked(connection)
        connection.sendall(frame(body))

    with listening(tmp_path, behave):
        assert refused(an_agent(tmp_path), sink).code == "protocol_error"


@given(st.binary(max_size=300))
def test_a_governor_that_answers_any_bytes(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes
) -> None:
    folder = tmp_path_factory.mktemp("noise")

    def behave(peer: Peer, connection: socket.socket) -> None:
        connection.sendall(frame(WELCOME) + noise)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65536):
            pass

    with listening(folder, behave):
        refused(an_agent(folder, timeout=2.0), Sink())


@pytest.mark.parametrize("length", [0, wire.MAX_FRAME + 1, 2**32 - 1])
def test_a_frame_of_a_forbidden_size(tmp_path: Path, sink: Sink, length: int) -> None:
    def behave(peer: Peer, connection: socket.socket) -> None:
        peer.greet(connection)
        peer.asked(connection)
        connection.sendall(struct.pack(">I", length) + b"{}")
        peer.over.wait(30)

    with listening(tmp_path, behave):
        assert refused(an_agent(tmp_path), sink).code == "protocol_error"


@pytest.mark.parametrize(
    ("greeting", "code"),
    [
        ({"re": "welcome", "bridle": 9, "store": "s", "governor": "9"}, "protocol_version"),
        ({"re": "failed", "code": "protocol_version", "message": "too old"}, "protocol_version"),
        (
            {"re": "failed", "code": "too_many_connections", "message": "full"},
            "too_many_connections",
        ),
        ({"bridle": 1}, "protocol_error"),
        ({"re": "verdict", "verdict": {"action": "a", "effect": "allow"}}, "protocol_error"),
    ],
)
def test_another_version_or_another_greeting(
    tmp_path: Path, sink: Sink, greeting: dict[str, object], code: str
) -> None:
    def behave(peer: Peer, connection: socket.socket) -> None:
        connection.sendall(frame(msgspec.json.encode(greeting)))
        peer.over.wait(30)

    with listening(tmp_path, behave) as peer:
        assert refused(an_agent(tmp_path), sink).code == code
        assert peer.requests == []
        with pytest.raises((ProtocolError, UnreachableError)):
            connect(tmp_path, role="agent")


def test_arguments_too_large_for_a_frame_are_denied_before_they_are_sent(
    tmp_path: Path, sink: Sink
) -> None:
    with served(Scripted(), tmp_path):
        with pytest.raises(Denied) as caught:
            an_agent(tmp_path).call("t", {"body": "x" * wire.MAX_FRAME}, effect=sink)
        assert caught.value.code == "limit_exceeded"
        assert sink.ran == 0


@pytest.mark.parametrize("key", ["a\ud800", "\udfff"])
def test_text_that_is_no_unicode_is_denied(tmp_path: Path, sink: Sink, key: str) -> None:
    with served(Scripted(), tmp_path):
        agent = an_agent(tmp_path)
        for call in (
            lambda: agent.call("t", effect=sink, key=key),
            lambda: agent.call(key, effect=sink),
            lambda: agent.call("t", key, effect=sink),
        ):
            with pytest.raises(Denied) as caught:
                call()
            assert caught.value.code == "malformed"
        assert sink.ran == 0


# --- between decide and the end ------------------------------------------------------------------


def test_a_governor_that_dies_between_decide_and_start_starts_nothing(
    governor: Scripted, tmp_path: Path
) -> None:
    agent = an_agent(tmp_path, timeout=1.0)
    with served(governor, tmp_path):
        verdict = agent.decide("t", {"a": 1}, key="k")
        assert verdict.effect.runs
    with pytest.raises(Denied) as caught:
        agent.begin(verdict)
    assert caught.value.code == "governor_unreachable"


def test_a_governor_that_dies_while_the_effect_runs_withholds_the_result(
    governor: Scripted, tmp_path: Path
) -> None:
    agent = an_agent(tmp_path, timeout=0.5)
    with served(governor, tmp_path) as server:

        def effect(a: int) -> str:
            server.stop()
            until(lambda: not server._running and not (tmp_path / "agents.sock").exists())
            return "the secret"

        with pytest.raises(UnreachableError) as caught:
            agent.call("t", {"a": 1}, effect=effect)
    assert "the effect ran" in caught.value.hint
    assert "the secret" not in str(caught.value)


def test_the_outcome_reaches_a_governor_that_is_restarted_while_the_effect_runs(
    governor: Scripted, tmp_path: Path
) -> None:
    agent = an_agent(tmp_path, timeout=30.0)
    gone, ran = threading.Event(), threading.Event()

    def effect(a: int) -> str:
        gone.wait(30)
        ran.set()
        return "result"

    got: list[object] = []
    caller = threading.Thread(
        target=lambda: got.append(agent.call("t", {"a": a_number}, effect=effect))
    )
    a_number = 1
    with served(governor, tmp_path):
        caller.start()
        governor.wait_for(calls.Decide)
    gone.set()
    ran.wait(30)
    with served(governor, tmp_path):
        caller.join(30)
    assert got == ["result"]
    assert governor.outcomes() == ["ok"]


def test_a_restarted_governor_is_found_again_by_idle_connections(
    governor: Scripted, tmp_path: Path, sink: Sink
) -> None:
    agent = an_agent(tmp_path)
    for _ in range(3):
        with served(governor, tmp_path):
            agent.call("t", effect=sink)
            agent.call("t", effect=sink)
    assert sink.ran == 6


def test_what_is_not_safe_to_repeat_is_sent_once(tmp_path: Path) -> None:
    def behave(peer: Peer, connection: socket.socket) -> None:
        peer.greet(connection)
        peer.asked(connection)

    with listening(tmp_path, behave) as peer:
        channel = UnixChannel(tmp_path / "agents.sock", role="operator", timeout=5)
        with pytest.raises(UnreachableError):
            channel.send(calls.StartMission(template="t", user="ana"))
    assert len(peer.requests) == 1
