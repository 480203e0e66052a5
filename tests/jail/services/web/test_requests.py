"""The proxy's reader: whatever bytes come, requests or a typed refusal, in bounded time."""

import contextlib
import socket
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridle.jail.services.web.requests import (
    LONGEST_BODY,
    LONGEST_HEAD,
    Reader,
    Request,
    RequestError,
)

PIECES = st.sampled_from(
    [b"GET ", b"http://a.example/ ", b"HTTP/1.1", b"\r\n", b"\n", b"\r", b"Host: x", b" ", b":",
     b"Content-Length: 3", b"Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n", b"\0", b"\xff",
     b"Expect: 100-continue", b"Connection: close", b"abc", b"\r\n\r\n", b"-1", b"0x3", b"\t"]
)  # fmt: skip


def read(data: bytes) -> list[Request]:
    """All requests in some bytes, after which the peer hangs up."""
    near, far = socket.socketpair()
    with near, far:

        def send() -> None:
            with contextlib.suppress(BrokenPipeError):
                far.sendall(data)
                far.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        reader = Reader(near, seconds=20)
        found = []
        try:
            while (request := reader.next()) is not None:
                found.append(request)
        finally:
            near.shutdown(socket.SHUT_RD)
            sender.join()
        return found


@given(st.lists(PIECES | st.binary(max_size=20), max_size=25).map(b"".join))
@example(b"GET http://a.example/ HTTP/1.1\r\n\r\nGET")
def test_whatever_arrives_is_requests_or_a_typed_refusal(data: bytes):
    try:
        found = read(data)
    except RequestError as problem:
        assert 400 <= problem.status <= 505  # noqa: PT017 - it may raise, and need not
        return
    for request in found:
        assert "\n" not in request.target
        assert "\r" not in request.target
        for name, value in request.headers:
            assert "\n" not in name + value
            assert "\r" not in name + value


@given(st.binary(max_size=200), st.integers(min_value=1, max_value=50))
def test_a_body_arrives_as_it_was_sent_in_either_form(body: bytes, size: int):
    plain = b"POST http://a.example/ HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    chunks = b"".join(
        b"%x\r\n%s\r\n" % (len(part), part)
        for part in (body[at : at + size] for at in range(0, len(body), size))
    )
    coded = b"POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    first, second = read(plain + coded + b"0\r\nTrailer: x\r\n\r\n")
    assert first.body == second.body == body


@pytest.mark.parametrize(
    "data",
    [
        b"GET http://a.example/ HTTP/1.1\r\nX: " + b"x" * (LONGEST_HEAD * 2),
        b"GET http://a.example/ HTTP/1.1\r\n" + b"a: b\r\n" * 101 + b"\r\n",
        b"POST http://a.example/ HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % (LONGEST_BODY + 1),
        b"POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    ],
)
def test_nothing_grows_without_bound(data: bytes):
    with pytest.raises(RequestError) as caught:
        read(data)
    assert caught.value.code == "limit_exceeded"
