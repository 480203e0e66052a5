"""Whatever comes over the wire is one request, a refusal, or nothing; never two requests."""

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from bridle.gateway.http.listening import HttpServer
from bridle.gateway.http.messages import Answer, Request
from gateway.http.asking import TOKEN, Gateway


class Seen:
    """A handler that remembers what reached it."""

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def __call__(self, request: Request) -> Answer:
        self.requests.append(request)
        return Answer(200, b"{}")


@pytest.fixture
def seen() -> Seen:
    return Seen()


def raw(address: tuple[str, int], data: bytes, *, end: bool = True) -> bytes:
    """Send bytes and return all that comes back until the other side hangs up."""
    with socket.create_connection(address, timeout=20) as connection:
        connection.sendall(data)
        if end:
            connection.shutdown(socket.SHUT_WR)
        found = b""
        # Whoever hangs up with our bytes unread resets the connection.
        with suppress(ConnectionResetError):
            while part := connection.recv(65_536):
                found += part
        return found


HEAD = b"POST /v1/decide HTTP/1.1\r\nHost: a\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.mark.parametrize(
    "data",
    [
        HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
        HEAD + b"Content-Length: 5, 6\r\n\r\nabcdef",
        HEAD + b"Content-Length: +5\r\n\r\nabcde",
        HEAD + b"Content-Length: -1\r\n\r\n",
        HEAD + b"Content-Length: 0x5\r\n\r\nabcde",
        HEAD + b"Content-Length: " + b"9" * 30 + b"\r\n\r\nabcde",
        HEAD + b"Content-Length: " + b"9" * 5_000 + b"\r\n\r\nabcde",
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n0\r\n\r\n" + SMUGGLED,
        HEAD + b"Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n",
        HEAD + b"Authorization: a\r\nAuthorization: b\r\n\r\n",
        HEAD + b"X-Original-URI: /a\r\nX-Original-URI: /b\r\n\r\n",
        HEAD + b"Host: b\r\n\r\n",
        HEAD + b"Bad Header: x\r\n\r\n",
        HEAD + b"X: a\x00b\r\n\r\n",
        HEAD + b"X: a\rb\r\n\r\n",
        HEAD + b": x\r\n\r\n",
        b"POST /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /v1/decide HTTP/2.0\r\nHost: a\r\n\r\n",
        b"POST /v1/decide\r\n\r\n",
        b"POST /v1/decide HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
        HEAD + b"X: " + b"a" * 20_000 + b"\r\n\r\n",
        HEAD + b"".join(b"X-%d: a\r\n" % each for each in range(500)) + b"\r\n",
        HEAD + b"Content-Length: 2000000\r\n\r\n",
        b"\r\n" * 40_000,
        bytes(range(256)) * 300,
    ],
)
def test_what_two_readers_could_read_in_two_ways_reaches_nobody(
    data: bytes, seen: Seen, serve: Callable[..., HttpServer]
) -> None:
    answer = raw(serve(seen).address, data)
    assert seen.requests == []
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.1 50"))
    assert answer.count(b"HTTP/1.1") <= 1


def test_requests_one_after_the_other_are_read_apart(
    seen: Seen, serve: Callable[..., HttpServer]
) -> None:
    one = HEAD + b"Content-Length: 3\r\n\r\nabc"
    answer = raw(serve(seen).address, one + SMUGGLED + one)
    assert [(each.path, each.body) for each in seen.requests] == [
        ("/v1/decide", b"abc"),
        ("/smuggled", b""),
        ("/v1/decide", b"abc"),
    ]
    assert answer.count(b"HTTP/1.1 200") == 3


@pytest.mark.parametrize("begun", [b"", b"P", HEAD, HEAD + b"Content-Length: 5\r\n\r\nabc"])
def test_a_request_that_does_not_come_to_its_end_is_not_waited_for(
    begun: bytes, seen: Seen, serve: Callable[..., HttpServer]
) -> None:
    server = serve(seen, patience=0.3, idle=0.3)
    began = time.monotonic()
    assert raw(server.address, begun, end=False) == b""
    assert time.monotonic() - began < 10
    assert seen.requests == []


def test_one_that_drips_has_no_more_time_than_others(
    seen: Seen, serve: Callable[..., HttpServer]
) -> None:
    server = serve(seen, patience=0.5, idle=0.5)
    began = time.monotonic()
    with socket.create_connection(server.address, timeout=20) as connection:
        connection.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
        with pytest.raises(OSError):  # noqa: PT012 - whichever of them meets the end
            while time.monotonic() - began < 15:
                connection.sendall(b"a")
                time.sleep(0.05)
    assert time.monotonic() - began < 10
    assert seen.requests == []


def test_more_connections_than_there_may_be_find_nobody_and_keep_nobody_out(
    seen: Seen, serve: Callable[..., HttpServer]
) -> None:
    server = serve(seen, most=4)
    held = [socket.create_connection(server.address, timeout=20) for _ in range(12)]
    turned_away = 0
    for each in held[4:]:
        turned_away += each.recv(1) == b""
    assert turned_away == 8
    for each in held:
        each.close()
    for _ in range(200):
        if raw(server.address, SMUGGLED).startswith(b"HTTP/1.1 200"):
            break
        time.sleep(0.05)
    assert [each.path for each in seen.requests] == ["/smuggled"]


def test_a_handler_that_fails_is_a_refusal(serve: Callable[..., HttpServer]) -> None:
    def failing(request: Request) -> Answer:
        raise RuntimeError("with a secret in it")

    answer = raw(serve(failing).address, SMUGGLED)
    assert answer.startswith(b"HTTP/1.1 500")
    assert b"secret" not in answer


def test_what_is_under_way_is_answered_at_the_end(serve: Callable[..., HttpServer]) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(request: Request) -> Answer:
        begun.set()
        go_on.wait(20)
        return Answer(200, b"{}")

    server = serve(slow)
    answers: list[bytes] = []
    asking = threading.Thread(target=lambda: answers.append(raw(server.address, SMUGGLED)))
    asking.start()
    assert begun.wait(20)
    server.stop()
    go_on.set()
    asking.join(20)
    assert answers[0].startswith(b"HTTP/1.1 200")


# --- at the gate ------------------------------------------------------------------------------


def test_another_name_is_not_answered(gateway: Gateway) -> None:
    """A page whose own name resolves to this machine sends that name (DNS rebinding)."""
    for name in ("evil.example", "127.0.0.1.evil.example:80", "localhost.", ""):
        assert gateway.code("/v1/decide", {}, headers={"Host": name}) == (421, "wrong_host")


def test_a_browser_is_not_answered(gateway: Gateway, reference: str) -> None:
    body = {"reference": reference, "tool": "page.get", "args": {"id": 7}, "key": "1"}
    said = gateway.code("/v1/decide", body, headers={"Origin": "http://127.0.0.1"})
    assert said == (403, "origin_refused")
    plain = gateway.code("/v1/decide", body, headers={"Content-Type": "text/plain"})
    assert plain == (415, "bad_content_type")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS", "HEAD", "TRACE"])
def test_effects_have_one_method(method: str, gateway: Gateway) -> None:
    assert gateway.ask("/v1/decide", method=method).status == 405
    assert gateway.code("/v1/decides", {}) == (404, "not_found")
    assert gateway.code("/v1/decide?tool=x", {}) == (400, "bad_request")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{",
        b"\xff\xfe",
        b'{"reference": "\\ud800"}',
        b'{"tool": "page.get", "tool": "note.read"}',
        b'{"args": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
        b'{"args": {"id": 1, "id": 2}}',
        b'{"unknown": 1}',
        b'{"reference": 7}',
        b'{"reference": "x", "run": {}}',
        b'{"reference": NaN}',
        b'{"a": ' + b"9" * 100_000 + b"}",
    ],
)
def test_a_body_that_is_not_what_it_should_be_is_refused(body: bytes, gateway: Gateway) -> None:
    for path in ("/v1/decide", "/v1/begin", "/v1/beat", "/v1/observe", "/v1/token"):
        assert gateway.ask(path, body).status == 400


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("args", []),
        ("args", "{}"),
        ("args", None),
        ("args", {"id": "7"}),
        ("args", {"id": 7, "__entity": {}}),
        ("args", {}),
        ("tool", ""),
        ("tool", "x" * 10_000),
        ("key", ""),
        ("key", "x" * 2_000),
        ("key", None),
        ("plan", "x"),
        ("step", "s"),
        ("provenance", {"id": 7}),
        ("start", "yes"),
    ],
)
def test_odd_parts_are_refused(part: str, value: Any, gateway: Gateway, reference: str) -> None:
    body = {"reference": reference, "tool": "page.get", "args": {"id": 7}, "key": "1", part: value}
    assert gateway.ask("/v1/decide", body).status in (400, 403)


def test_no_answer_repeats_a_token(gateway: Gateway) -> None:
    said = gateway.ask("/v1/decide", {"token": TOKEN})
    assert TOKEN not in json.dumps(said)
    assert said.headers["Cache-Control"] == "no-store"
