"""Frames over a real pair of sockets: whole, together or in drops, and in time."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridle.client.transport import wire
from bridle.client.transport.frames import Frames
from bridle.client.transport.unix import UnixChannel
from bridle.model import calls
from bridle.model.errors import ProtocolError
from client.raw import Peer, frame, listening

Pair = tuple[Frames, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    ours, theirs = socket.socketpair()
    frames = Frames(ours)
    with theirs:
        yield frames, theirs
        frames.close()


def soon() -> float:
    return time.monotonic() + 30


def test_frames_that_arrive_together_are_received_one_by_one(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(frame(b"one") + frame(b"two") + frame(b"three")[:5])
    assert [ours.receive(soon()), ours.receive(soon())] == [b"one", b"two"]
    assert ours.ahead
    theirs.sendall(frame(b"three")[5:])
    assert ours.receive(soon()) == b"three"
    assert not ours.ahead


def test_a_frame_that_arrives_byte_by_byte_is_whole(pair: Pair) -> None:
    ours, theirs = pair
    body = bytes(range(200))

    def drip() -> None:
        for byte in frame(body):
            theirs.sendall(bytes([byte]))

    dripping = threading.Thread(target=drip)
    dripping.start()
    assert ours.receive(soon()) == body
    dripping.join()


def test_the_largest_frame_goes_through(pair: Pair) -> None:
    ours, theirs = pair
    body = b"x" * wire.MAX_FRAME
    other = Frames(theirs)
    sending = threading.Thread(target=other.send, args=(body, soon()))
    sending.start()
    assert ours.receive(soon()) == body
    sending.join()


def test_nothing_at_all_times_out(pair: Pair) -> None:
    with pytest.raises(TimeoutError):
        pair[0].receive(time.monotonic() + 0.01)


def test_a_frame_begun_and_not_finished_times_out(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(frame(b"whole")[:6])
    with pytest.raises(TimeoutError):
        ours.receive(soon(), within=0.01)


def test_a_reader_that_takes_a_little_at_a_time_does_not_stretch_the_deadline(pair: Pair) -> None:
    ours, theirs = pair
    over = threading.Event()

    def sip() -> None:
        while not over.is_set():
            theirs.recv(1)

    sipping = threading.Thread(target=sip)
    sipping.start()
    try:
        with pytest.raises(TimeoutError):
            ours.send(b"x" * wire.MAX_FRAME, time.monotonic() + 0.1)
    finally:
        over.set()
        ours.close()
        sipping.join()


def test_a_hang_up_within_a_frame_is_an_error(pair: Pair) -> None:
    ours, theirs = pair
    theirs.sendall(frame(b"whole") + b"\0")
    theirs.shutdown(socket.SHUT_WR)
    assert ours.receive(soon()) == b"whole"
    with pytest.raises(ProtocolError) as refused:
        ours.receive(soon())
    assert refused.value.code == wire.TRUNCATED


def test_a_hang_up_instead_of_a_frame_is_no_frame(pair: Pair) -> None:
    ours, theirs = pair
    theirs.close()
    assert ours.receive(soon()) is None


def test_a_second_answer_is_never_taken_for_that_to_the_next_call(tmp_path: Path) -> None:
    allowed = frame(wire.encode(calls.Done(note="for the next one")))

    def twice(peer: Peer, connection: socket.socket) -> None:
        peer.greet(connection)
        peer.asked(connection)
        connection.sendall(allowed + allowed)
        assert not connection.recv(1)  # hung up on, so nothing else can be asked here

    with listening(tmp_path, twice) as peer:
        channel = UnixChannel(tmp_path / "agents.sock", role="agent")
        with pytest.raises(ProtocolError):
            channel.send(calls.ToolsOf(session="s"))
        channel.close()
    assert len(peer.requests) == 1
