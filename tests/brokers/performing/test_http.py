"""Requests to real servers on loopback: what reaches them, and what of their answers is told."""

import base64
import socket
import ssl
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from bridle.brokers.broker import Secret
from bridle.brokers.performing import wire
from bridle.brokers.performing.failures import PerformError, UnreachedError
from bridle.brokers.performing.performers import perform
from bridle.brokers.performing.stopping import Stop
from bridle.model.credential import HeaderCredential, Use
from bridle.model.performing import Egress, HttpCall
from bridle.model.tool import EffectClass, System, Tool
from brokers import certificates
from brokers.performing.servers import OK, Script, answer, hang, serving

SECRET = "s3cr3t-of-the-system"
OPENED = HeaderCredential(use=Use.GOVERNOR, secret="token")


def tool(performed: Any, **more: Any) -> Tool:
    return Tool(name="t", system="s", effect=EffectClass.WRITE, performed=performed, **more)


def system(url: str = "", **more: Any) -> System:
    return System(id="s", domain="d", url=url, **{"private": True, "credential": OPENED} | more)


def call(
    script: Script,
    how: HttpCall | None = None,
    arguments: dict[str, Any] | None = None,
    *,
    path: str = "",
    seconds: float = 10,
) -> tuple[Any, list[bytes]]:
    """Perform one `http` tool against a server. Returns the result and what the server saw."""
    with serving(script) as sink:
        made = perform(
            tool(how or HttpCall(method="GET", path="/x")),
            system(sink.url + path),
            arguments or {},
            Secret(secret=SECRET),
            Stop(seconds),
        )
        return made, sink.requests


def failing(script: Script, how: HttpCall | None = None, *, seconds: float = 10) -> PerformError:
    with pytest.raises(PerformError) as failed:
        call(script, how, seconds=seconds)
    assert SECRET not in repr(failed.value) + str(failed.value)
    return failed.value


def test_a_call_carries_the_credential_and_the_arguments_where_they_belong() -> None:
    how = HttpCall(method="POST", path="/repos/{owner}/{number}/issues", query=("labels",))
    given = {"owner": "a b", "number": 7, "labels": ["x", "y&z"], "title": "T", "deep": {"k": [1]}}
    result, (request,) = call(OK, how, given, path="/v1/")
    head, _, body = request.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    assert lines[0] == "POST /v1/repos/a%20b/7/issues?labels=x&labels=y%26z HTTP/1.1"
    assert f"Authorization: Bearer {SECRET}" in lines
    assert "Accept-Encoding: identity" in lines
    assert "Connection: close" in lines
    assert body == b'{"title":"T","deep":{"k":[1]}}'
    assert result == {
        "status": 200,
        "headers": {"content-type": "application/json", "content-length": "11"},
        "body": {"ok": True},
    }


def test_a_request_without_a_body_has_the_other_arguments_in_its_query() -> None:
    how = HttpCall(method="GET", path="/find")
    _, (request,) = call(OK, how, {"q": "ü/&=", "n": 3, "exact": True, "none": None})
    assert request.startswith(b"GET /find?q=%C3%BC%2F%26%3D&n=3&exact=true HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "value",
    [
        *("..", ".", "", "a/b", "a\\b", "%2e%2e", "%252e%252e", "..;x", "a%2fb", "a\r\nH: x", "\0"),
        *(None, True, 1.5, ["a"], {"a": 1}),
    ],
)
def test_an_argument_stays_one_segment_of_its_path_or_nothing_is_sent(value: Any) -> None:
    with serving(OK) as sink:
        with pytest.raises(UnreachedError) as refused:
            perform(
                tool(HttpCall(method="GET", path="/files/{name}/meta")),
                system(sink.url),
                {"name": value},
                Secret(secret=SECRET),
                Stop(10),
            )
        assert refused.value.code == "argument_refused"
        assert not sink.requests


def test_a_redirect_is_an_answer_and_its_target_never_sees_the_credential() -> None:
    with serving(OK) as elsewhere:
        moved = answer(b"", f"Location: {elsewhere.url}/", status="302 Found")
        result, _ = call(moved)
        assert result["status"] == 302
        assert result["headers"]["location"].startswith(elsewhere.url)
        assert not elsewhere.requests


def test_a_proxy_in_the_environment_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(OK) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        result, _ = call(OK)
        assert result["status"] == 200
        assert not proxy.requests


def test_what_a_server_echoes_of_the_credential_is_not_told() -> None:
    def echo(peer: socket.socket, request: bytes) -> None:
        basic = base64.b64encode(request)
        body = b'{"sent": "%s", "coded": "%s"}' % (SECRET.encode(), basic)
        peer.sendall(
            answer(
                body, "Content-Type: application/json", f"X-Echo: Bearer {SECRET}", f"{SECRET}: 1"
            )
        )

    result, _ = call(echo)
    assert SECRET not in repr(result)
    coded = base64.b64encode(SECRET.encode()).decode()[4:-4]
    assert coded not in repr(result)
    assert result["body"]["sent"] == "[credential]"


def test_a_cookie_that_the_credential_has_opened_is_not_told() -> None:
    result, _ = call(answer(b"", "Set-Cookie: session=admin", "X-Plain: 1"))
    assert result["headers"] == {"content-length": "0", "x-plain": "1"}


def test_bytes_text_and_what_only_says_that_it_is_json_are_told_apart() -> None:
    raw, _ = call(answer(b"\xff\x00", "Content-Type: image/png"))
    assert (raw["body"], raw["encoding"]) == (base64.b64encode(b"\xff\x00").decode(), "base64")
    text, _ = call(answer("grüße".encode(), "Content-Type: text/plain; charset=utf-8"))
    assert text["body"] == "grüße"
    for odd in (b"{", b"NaN", b"[" * 100_000):
        told, _ = call(answer(odd, "Content-Type: application/json"))
        assert told["body"] == odd.decode()


SMALL = HttpCall(method="GET", path="/", answer_bytes=10_000)


def endless(head: bytes, part: bytes) -> Script:
    def send(peer: socket.socket, request: bytes) -> None:
        peer.sendall(head)
        while True:
            peer.sendall(part)

    return send


@pytest.mark.parametrize(
    ("script", "code"),
    [
        (answer(b"x" * 10_001), "answer_too_large"),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 10_001, "answer_too_large"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nx", "answer_truncated"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
            "answer_truncated",
        ),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" + b"x" * 2_000_000,
            "answer_too_large",
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "answer_truncated"),
        (endless(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"), None),
        (endless(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 50), None),
        (endless(b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"), None),
        (endless(b"HTTP/1.1 ", b"9" * 1_000), None),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 20, "answer_invalid"),
        (b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", "answer_invalid"),
        (answer(b"x", "Content-Encoding: gzip"), "answer_encoded"),
        (b"SSH-2.0-x\r\n", "answer_invalid"),
        (b"", "connection_broken"),
    ],
)
def test_a_hostile_answer_ends_in_a_typed_error_and_within_bounds(
    script: Script, code: str | None
) -> None:
    problem = failing(script, SMALL)
    assert type(problem) is PerformError
    assert code in (None, problem.code)
    assert problem.code.startswith(("answer_", "connection_"))


def test_interim_answers_are_passed_over() -> None:
    result, _ = call(b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK)
    assert result["body"] == {"ok": True}


def drip(peer: socket.socket, request: bytes) -> None:
    """A byte at a time: each is soon enough for a timeout of its own, all are not."""
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    gone = threading.Event()
    while not gone.wait(0.02):
        peer.sendall(b"x")


@pytest.mark.parametrize("script", [hang, drip])
def test_one_deadline_bounds_the_whole_however_slowly_a_server_answers(script: Script) -> None:
    began = time.monotonic()
    assert failing(script, SMALL, seconds=0.5).code == "timed_out"
    assert time.monotonic() - began < 5


def test_a_stop_ends_the_request_at_the_server() -> None:
    with serving(hang) as sink:
        stop = Stop(60)
        threading.Thread(target=lambda: (sink.arrived.wait(10), stop.stop("revoked"))).start()
        with pytest.raises(PerformError) as stopped:
            perform(tool(HttpCall(method="GET")), system(sink.url), {}, Secret(secret=SECRET), stop)
        assert stopped.value.code == "stopped"
        assert sink.ended.wait(10)


def test_what_was_stopped_before_sends_nothing() -> None:
    with serving(OK) as sink:
        stop = Stop(60)
        stop.stop("revoked")
        with pytest.raises(UnreachedError):
            perform(tool(HttpCall(method="GET")), system(sink.url), {}, None, stop)
        assert not sink.requests


def test_a_server_that_is_down_was_not_reached() -> None:
    with serving(OK) as sink:
        url = sink.url
    with pytest.raises(UnreachedError) as down:
        perform(tool(HttpCall(method="GET")), system(url), {}, None, Stop(5))
    assert down.value.code == "connection_refused"


@pytest.mark.parametrize("secret", ["two\r\nlines", "ümlaut", "nul\0", ""])
def test_a_secret_that_is_no_header_is_not_sent_and_not_told(secret: str) -> None:
    opened = HeaderCredential(use=Use.GOVERNOR, secret="token", form="{secret}\n")
    with serving(OK) as sink:
        with pytest.raises(UnreachedError) as odd:
            perform(
                tool(HttpCall(method="GET")),
                system(sink.url, credential=opened),
                {},
                Secret(secret=secret),
                Stop(5),
            )
        assert odd.value.code == "credential_unusable"
        assert not secret or secret not in str(odd.value)
        assert not sink.requests


# --- egress --------------------------------------------------------------------------------------


def egress(url: str, *, hosts: tuple[str, ...], home: str = "", **arguments: Any) -> Any:
    return perform(
        tool(Egress(methods=("GET", "POST", "CONNECT"))),
        system(home, hosts=hosts),
        {"method": "GET", "url": url, **arguments},
        Secret(secret=SECRET),
        Stop(10),
    )


def test_egress_sends_what_the_agent_wrote_and_never_the_credential_of_another_origin() -> None:
    with serving(OK) as sink:
        host = sink.url.removeprefix("http://")
        egress(f"{sink.url}/a?b=c", hosts=(host,), headers={"X-A": "1"}, body="hi", method="POST")
        (request,) = sink.requests
        assert request.startswith(b"POST /a?b=c HTTP/1.1\r\n")
        assert b"X-A: 1\r\n" in request
        assert request.endswith(b"\r\n\r\nhi")
        assert SECRET.encode() not in request


def test_egress_to_the_systems_own_origin_carries_its_credential() -> None:
    with serving(OK) as sink:
        egress(f"{sink.url}/a", hosts=(), home=sink.url)
        assert f"Authorization: Bearer {SECRET}".encode() in sink.requests[0]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Bearer mine"},
        {"authorization": "x"},
        {"Transfer-Encoding": "chunked"},
        {"Cookie": "a=b"},
        {"X-HTTP-Method-Override": "DELETE"},
        {"x-method-override": "DELETE"},
        {"X-Original-URL": "/admin"},
        {"X-Rewrite-URL": "/admin"},
        {"X-Forwarded-Host": "other.example"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X": "a\r\nAuthorization: x"},
        {"X\r\nY": "a"},
        {"X ": "a"},
        {"X_Y": "a"},
        {"": "a"},
        {"X": 1},
        {"X": "ü"},
        {"X": " a"},
        {"X": "a", "x": "b"},
        {f"X-{n}": "a" for n in range(65)},
        ["X: a"],
        "X: a",
    ],
)
def test_a_header_that_is_not_an_agents_to_set_is_refused(headers: Any) -> None:
    with serving(OK) as sink:
        with pytest.raises(UnreachedError) as refused:
            egress(f"{sink.url}/", hosts=(sink.url.removeprefix("http://"),), headers=headers)
        assert refused.value.code == "header_refused"
        assert not sink.requests


def test_headers_of_one_connection_are_left_out() -> None:
    ours = {"Host": "evil.example", "Content-Length": "9", "Connection": "keep-alive", "TE": "x"}
    with serving(OK) as sink:
        host = sink.url.removeprefix("http://")
        egress(f"{sink.url}/", hosts=(host,), headers=ours | {"Accept-Encoding": "gzip"})
        head = sink.requests[0].decode()
        assert f"Host: {host}\r\n" in head
        for odd in ("evil.example", "Content-Length", "keep-alive", "TE:", "gzip"):
            assert odd not in head


def test_a_host_that_is_not_declared_is_not_reached() -> None:
    with serving(OK) as sink:
        with pytest.raises(UnreachedError) as refused:
            egress(f"{sink.url}/", hosts=("docs.example.com",))
        assert refused.value.code == "host_refused"
        assert not sink.requests


@pytest.mark.parametrize("method", ["TRACE", "get", "GET / HTTP/1.1\r\n", None, "PUT"])
def test_a_method_that_is_not_declared_is_not_used(method: Any) -> None:
    with serving(OK) as sink:
        with pytest.raises(UnreachedError) as refused:
            egress(f"{sink.url}/", hosts=(sink.url.removeprefix("http://"),), method=method)
        assert refused.value.code == "argument_refused"
        assert not sink.requests


def test_a_tunnel_is_told_where_it_may_lead_and_nothing_is_sent() -> None:
    with serving(OK) as sink:
        told = egress(f"{sink.url}/", hosts=(sink.url.removeprefix("http://"),), method="CONNECT")
        assert "127.0.0.1" in told["body"]["addresses"]
        assert told["body"]["port"] == sink.port
        assert not sink.requests


# --- TLS -----------------------------------------------------------------------------------------


def reached_over_tls(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, host: str) -> Any:
    pem = certificates.self_signed(folder, name)
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    monkeypatch.setenv("SSLKEYLOGFILE", str(folder / "keys"))
    wire._trusting.cache_clear()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    try:
        with serving(OK, context) as sink:
            url = f"https://{host}:{sink.port}"
            secret = Secret(secret=SECRET)
            made = perform(tool(HttpCall(method="GET")), system(url), {}, secret, Stop(10))
            return made, sink.requests
    finally:
        wire._trusting.cache_clear()


def test_tls_is_verified_and_its_keys_are_not_logged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, (request,) = reached_over_tls(tmp_path, monkeypatch, "127.0.0.1", "127.0.0.1")
    assert made["body"] == {"ok": True}
    assert SECRET.encode() in request
    assert not (tmp_path / "keys").exists()


def test_a_certificate_for_another_name_gets_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UnreachedError) as refused:
        reached_over_tls(tmp_path, monkeypatch, "127.0.0.1", "localhost")
    assert refused.value.code == "tls_failed"


def test_a_certificate_of_nobody_known_gets_no_request(tmp_path: Path) -> None:
    pem = certificates.self_signed(tmp_path, "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with serving(OK, context) as sink:
        url = f"https://127.0.0.1:{sink.port}"
        with pytest.raises(UnreachedError) as refused:
            perform(tool(HttpCall(method="GET")), system(url), {}, Secret(secret=SECRET), Stop(10))
        assert refused.value.code == "tls_failed"
        assert not sink.requests
