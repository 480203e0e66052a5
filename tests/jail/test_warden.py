"""The one socket of a jail, asked by a hostile peer: nothing but this session's calls pass."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from bridle.client.transport import wire
from bridle.client.transport.channel import Channel
from bridle.client.transport.frames import Frames
from bridle.client.transport.unix import UnixChannel
from bridle.jail.services.governor import GovernorService
from bridle.jail.tally import Tally
from bridle.jail.warden import LONGEST_NAME, MOST_CONNECTIONS, Warden
from bridle.model.calls import (
    Accept,
    ApprovalOf,
    Call,
    Decide,
    Done,
    Failed,
    Judged,
    Kill,
    Listing,
    Observe,
    Offer,
    Proof,
    Reply,
    ToolsOf,
    Vend,
)
from bridle.model.errors import ProtocolError, UnreachableError
from bridle.model.verdict import Effect, Verdict

PROOF = Proof(time=1, nonce="0" * 32, signature="x")
SESSION = "ses_of_this_run"


class Outside:
    """A governor's channel that keeps what was asked."""

    store = "store"

    def __init__(self, answer: Callable[[Call], Reply] = lambda _: Done()) -> None:
        self.asked: list[Call] = []
        self._answer = answer

    def send(self, call: Call, *, timeout: float | None = None) -> Reply:
        self.asked.append(call)
        return self._answer(call)

    def close(self) -> None:
        pass


@contextmanager
def kept(channel: Channel, tally: Tally | None = None, **more: float) -> Iterator[Warden]:
    service = GovernorService(channel, SESSION, tally or Tally())
    with Warden({"governor": service}, uid=os.getuid(), **more) as warden:
        yield warden


def inside(warden: Warden) -> UnixChannel:
    return UnixChannel(warden.path, role="agent", service="governor", timeout=10)


def connected(warden: Warden, first: bytes) -> socket.socket:
    peer = socket.socket(socket.AF_UNIX)
    peer.connect(str(warden.path))
    peer.settimeout(20)
    if first:
        peer.sendall(first)
    return peer


def raw(warden: Warden, body: bytes) -> bytes | None:
    """Greet, send a frame, return what comes back; None for nothing."""
    frames = Frames(connected(warden, b"governor\n"))
    end = time.monotonic() + 20
    frames.send(wire.encode(wire.Hello(bridle=wire.VERSION, role="agent")), end)
    frames.receive(end)
    frames.send(body, end)
    found = frames.receive(end)
    frames.close()
    return found


def test_the_session_is_filled_in_and_a_proof_from_inside_is_dropped():
    outside = Outside(lambda _: Listing(rows=[]))
    with kept(outside) as warden:
        assert inside(warden).send(ToolsOf(session="", proof=PROOF)) == Listing(rows=[])
    assert outside.asked == [ToolsOf(session=SESSION)]


@pytest.mark.parametrize("session", [SESSION, "ses_of_another_run", " "])
def test_a_call_that_names_a_session_is_not_passed_on(session: str):
    outside = Outside()
    with kept(outside) as warden:
        answer = inside(warden).send(ToolsOf(session=session))
        assert isinstance(answer, Failed)
        assert answer.code.startswith("protocol")
    assert outside.asked == []


@pytest.mark.parametrize(
    "call",
    [
        Kill(scope="all"),
        Accept(grant="x", proof=PROOF),
        Vend(session="", attempt="att_1"),
        Offer(session="", link="x.y.z"),
    ],
)
def test_what_no_jail_may_ask_is_not_passed_on(call: Call):
    outside = Outside()
    with kept(outside) as warden:
        answer = inside(warden).send(call)
        assert isinstance(answer, Failed)
    assert outside.asked == []


def test_nobody_in_a_jail_logs_in_or_is_an_operator():
    outside = Outside()
    login = b'{"op":"login","kind":"user","name":"ana","key":"x","signature":"y"}'
    with kept(outside) as warden:
        answer = raw(warden, login)
        assert answer is not None
        assert msgspec.json.decode(answer)["re"] == "failed"
        channel = UnixChannel(warden.path, role="operator", service="governor")
        with pytest.raises(ProtocolError):
            channel.connect()
    assert outside.asked == []


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff", b'{"op":"decide"}', b"null"])
def test_what_is_no_call_ends_the_connection(body: bytes):
    outside = Outside()
    with kept(outside) as warden:
        answer = raw(warden, body)
        assert answer is not None
        assert msgspec.json.decode(answer)["re"] == "failed"
    assert outside.asked == []


def test_a_long_poll_is_cut_to_what_a_governor_waits():
    outside = Outside(lambda _: Listing(rows=[]))
    with kept(outside) as warden:
        for wait in (10**15, -5):
            call = ApprovalOf(session="", approval="a", wait_ms=wait)
            body = raw(warden, wire.encode(call))
            assert body is not None
    assert [call.wait_ms for call in outside.asked] == [20_000, 0]


def test_a_governor_that_does_not_answer_is_no_verdict():
    def silent(_: Call) -> Reply:
        raise UnreachableError("no governor answers at /a/path/outside")

    with kept(Outside(silent)) as warden:
        with pytest.raises(UnreachableError) as caught:
            inside(warden).send(Decide(session="", tool="t", args="{}", key="k", start=True))
        assert "/a/path/outside" not in str(caught.value)


def test_whatever_fails_outside_is_a_refusal_without_its_words():
    def broken(_: Call) -> Reply:
        raise ZeroDivisionError("secret words")

    with kept(Outside(broken)) as warden:
        answer = inside(warden).send(ToolsOf(session=""))
    assert isinstance(answer, Failed)
    assert answer.code == "internal"
    assert "secret words" not in repr(answer)


def test_verdicts_are_counted():
    tally = Tally()
    verdict = Verdict(action="act", effect=Effect.DENY)
    with kept(Outside(lambda _: Judged(verdict=verdict)), tally) as warden:
        inside(warden).send(Decide(session="", tool="t", args="{}", key="k"))
    assert tally.totals() == {"allow": 0, "modify": 0, "hold": 0, "deny": 1}


def test_a_start_that_nobody_has_read_is_reported_as_not_started():
    started = Judged(verdict=Verdict(action="act", effect=Effect.ALLOW, attempt="att_1"))
    observed = threading.Event()
    leaving = threading.Event()

    def answer(call: Call) -> Reply:
        if isinstance(call, Observe):
            observed.set()
            return Done()
        # The peer hangs up before it is answered.
        leaving.wait(20)
        return started

    with kept(Outside(answer)) as warden:
        frames = Frames(connected(warden, b"governor\n"))
        end = time.monotonic() + 20
        frames.send(wire.encode(wire.Hello(bridle=wire.VERSION, role="agent")), end)
        frames.receive(end)
        call = Decide(session="", tool="t", args="{}", key="k", start=True)
        frames.send(wire.encode(call), end)
        frames.close()
        leaving.set()
        assert observed.wait(20)


@pytest.mark.parametrize("line", [b"\n", b"mcp nothing\n", b"Governor\n", b"\xff\n",
                                  b"x" * (LONGEST_NAME + 10), b"governor \n"])  # fmt: skip
def test_what_names_no_service_is_hung_up_on(line: bytes):
    with kept(Outside()) as warden, connected(warden, line) as peer:
        assert hung_up(peer)


def hung_up(peer: socket.socket) -> bool:
    try:
        return peer.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_peer_that_says_nothing_is_hung_up_on():
    with kept(Outside(), patience=0.1) as warden, connected(warden, b"gov") as peer:
        assert hung_up(peer)


def test_a_crowd_from_inside_is_turned_away_and_the_rest_go_on():
    outside = Outside(lambda _: Listing(rows=[]))
    with kept(outside, patience=60) as warden:
        channel = inside(warden)
        channel.connect()
        crowd = [connected(warden, b"") for _ in range(MOST_CONNECTIONS + 5)]
        turned = 0
        for peer in crowd[-6:]:
            peer.settimeout(20)
            turned += hung_up(peer)
        assert turned == 6
        assert channel.send(ToolsOf(session="")) == Listing(rows=[])
        for peer in crowd:
            peer.close()


def test_another_user_of_the_machine_is_not_served():
    service = GovernorService(Outside(), SESSION, Tally())
    with (
        Warden({"governor": service}, uid=os.getuid() + 1) as warden,
        connected(warden, b"") as peer,
    ):
        assert hung_up(peer)


def test_the_socket_lies_where_no_other_can_list_it_and_goes_with_the_warden():
    with kept(Outside()) as warden:
        path = Path(warden.path)
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.parent.exists()


def test_closing_ends_connections_that_are_there():
    with kept(Outside()) as warden:
        peer = connected(warden, b"governor\n")
    assert hung_up(peer)
    peer.close()
