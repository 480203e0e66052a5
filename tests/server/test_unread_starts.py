"""A start whose answer nobody read never ran: the server sees it and records `not_started`."""

import socket
import struct
import threading
from pathlib import Path

import pytest

from bridle.client.errors import Denied
from bridle.client.transport import wire
from bridle.model import calls
from client.raw import connected, frame, hello, read_frame
from client.scripted import Scripted, Sink, attached, served, until

DECIDE = frame(
    wire.encode(calls.Decide(session="ses_triage", tool="t", args="{}", key="k", start=True))
)


@pytest.mark.parametrize("read", [0, 1, 4, 20])
def test_a_client_that_hangs_up_before_it_read_all_of_the_answer(
    governor: Scripted, tmp_path: Path, read: int
) -> None:
    with served(governor, tmp_path), connected(tmp_path) as client:
        client.sendall(hello())
        read_frame(client)
        client.sendall(DECIDE)
        assert client.recv(200, socket.MSG_PEEK)
        if read:
            client.recv(read, socket.MSG_WAITALL)
        client.close()
        governor.wait_for(calls.Observe)
    assert governor.outcomes() == ["not_started"]
    assert governor.of(calls.Observe)[0].attempt == "att_0"


def test_a_client_that_read_its_answer_and_died_may_have_run_it(
    governor: Scripted, tmp_path: Path
) -> None:
    with served(governor, tmp_path) as server:
        with connected(tmp_path) as client:
            client.sendall(hello())
            read_frame(client)
            client.sendall(DECIDE)
            assert b"att_0" in read_frame(client)
        until(lambda: not server._running)
    assert governor.of(calls.Observe) == []


def test_a_client_that_gave_up_waiting_is_recorded_before_it_could_run(
    governor: Scripted, tmp_path: Path
) -> None:
    answer = threading.Event()

    def slow(call: calls.Decide) -> calls.Reply:
        assert answer.wait(30)
        return governor.allow(call)

    governor.decided = slow
    sink = Sink()
    with served(governor, tmp_path):
        bridle, agent = attached(tmp_path, timeout=0.2)
        with bridle, pytest.raises(Denied):
            agent.call("t", effect=sink)
        answer.set()
        governor.wait_for(calls.Observe)
    assert governor.outcomes() == ["not_started"]
    assert sink.ran == 0


def test_a_denial_that_nobody_read_settles_nothing(governor: Scripted, tmp_path: Path) -> None:
    governor.decided = governor.nothing
    with served(governor, tmp_path) as server:
        with connected(tmp_path) as client:
            client.sendall(hello())
            read_frame(client)
            client.sendall(DECIDE)
            assert client.recv(1, socket.MSG_PEEK)
        until(lambda: not server._running)
    assert governor.of(calls.Observe) == []


def test_a_client_that_stalls_in_its_next_frame_had_read_its_answer(
    governor: Scripted, tmp_path: Path
) -> None:
    with served(governor, tmp_path, patience=1.0), connected(tmp_path) as client:
        client.sendall(hello())
        read_frame(client)
        client.sendall(DECIDE)
        read_frame(client)
        client.sendall(b"\0")
        assert client.recv(1) == b""
    assert governor.of(calls.Observe) == []


def test_a_broken_frame_after_an_answer_that_was_read_settles_nothing(
    governor: Scripted, tmp_path: Path
) -> None:
    with served(governor, tmp_path) as server:
        with connected(tmp_path) as client:
            client.sendall(hello())
            read_frame(client)
            client.sendall(DECIDE)
            read_frame(client)
            client.sendall(struct.pack(">I", 2**31))
            assert b"protocol_error" in read_frame(client)
        until(lambda: not server._running)
    assert governor.of(calls.Observe) == []
