"""HTTP out of a jail: each request is judged, and what is not let through reaches no site."""

import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from jail.booth import Booth
from jail.yard import Yard

# Asks the proxy in bytes of its own, as a program would that knows no better.
RAW = """
import os, socket, sys
host, port = os.environ["HTTP_PROXY"].removeprefix("http://").split(":")
with socket.create_connection((host, int(port))) as connection:
    connection.sendall(sys.argv[1].encode("latin-1").decode("unicode_escape").encode("latin-1"))
    connection.shutdown(socket.SHUT_WR)
    while data := connection.recv(65536):
        sys.stdout.buffer.write(data)
"""


@pytest.fixture(scope="module")
def shared(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booth]:
    made = Booth(yard, tmp_path_factory.mktemp("booth"))
    yield made
    made.close()


@pytest.fixture
def booth(shared: Booth) -> Booth:
    shared.web.seen.clear()
    shared.pipes.seen.clear()
    return shared


def raw(booth: Booth, request: str, **more: Any) -> tuple[list[str], dict[str, str], str]:
    """Send bytes to the proxy inside; return status line words, headers and body."""
    ran = booth.code(RAW, request.replace("\r", "\\r").replace("\n", "\\n"), **more)
    head, _, body = ran.stdout.partition("\n\n" if "\r\n" not in ran.stdout else "\r\n\r\n")
    first, *lines = head.splitlines()
    headers = dict(line.split(": ", 1) for line in lines)
    return first.split(" ", 2), headers, body


def get(url: str, *lines: str, method: str = "GET", body: str = "") -> str:
    return "\r\n".join([f"{method} {url} HTTP/1.1", "Host: x", *lines, "", body])


def test_a_request_that_is_allowed_comes_back_as_the_site_answered(booth: Booth):
    status, headers, body = raw(booth, get(f"{booth.web.url}/page?q=1", "X-Mine: yes"))
    assert status[1] == "200"
    assert (headers["content-type"], body) == ("text/plain", "hello from /page?q=1")
    ((method, path, seen, _),) = booth.web.seen
    assert (method, path, seen["x-mine"]) == ("GET", "/page?q=1", "yes")
    assert seen["Host"] == f"127.0.0.3:{booth.web.port}", "what the program says is not believed"


def test_a_program_that_only_knows_proxies_gets_out_by_it(booth: Booth):
    ran = booth.run("/bin/sh", "-c", f"curl -sS {booth.web.url}/a {booth.web.url}/secret")
    if ran.returncode == 127:
        pytest.skip("not run: there is no curl here")
    assert ran.stdout.startswith("hello from /a{"), ran.stderr
    assert [path for _, path, _, _ in booth.web.seen] == ["/a"]


def test_a_denied_request_never_leaves(booth: Booth):
    status, headers, body = raw(booth, get(f"{booth.web.url}/secret/1"))
    assert (status[1], headers["bridle-verdict"]) == ("403", "deny")
    assert json.loads(body) == {"code": "forbidden", "reason": "this page is not for agents"}
    assert booth.web.seen == []


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "http://169.254.169.254/latest/meta-data", "http://[::1]/",
     "http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://localhost/"],
)  # fmt: skip
def test_a_host_that_no_system_declares_is_not_reached(booth: Booth, url: str):
    status, headers, _ = raw(booth, get(url))
    assert status[1] in ("400", "403")
    assert headers["bridle-verdict"] == "deny"


def test_a_held_request_names_its_approval_and_goes_on_once_it_is_given(booth: Booth):
    post = get(f"{booth.web.url}/orders", "Content-Length: 4", method="POST", body="beer")
    status, headers, body = raw(booth, post)
    assert (status[1], headers["bridle-verdict"]) == ("403", "hold")
    assert json.loads(body)["approval"] in [row["id"] for row in booth.governor.approvals()]
    assert booth.web.seen == []
    known = {row["id"] for row in booth.governor.approvals()}
    asked: list[Any] = []
    waiting = threading.Thread(target=lambda: asked.append(
        raw(booth, post, options=("--wait", "30"))
    ))  # fmt: skip
    waiting.start()
    while waiting.is_alive():
        for row in booth.governor.approvals():
            if row["id"] not in known:
                booth.governor.approve(row["id"], as_user="ana")
                known.add(row["id"])
    ((status, _, body),) = asked
    assert (status[1], body) == ("200", "hello from /orders")
    assert [(method, sent) for method, _, _, sent in booth.web.seen] == [("POST", "beer")]


def test_a_tunnel_is_refused_where_no_tool_declares_one(booth: Booth):
    status, headers, body = raw(booth, get(f"127.0.0.3:{booth.web.port}", method="CONNECT"))
    assert (status[1], headers["bridle-verdict"]) == ("403", "deny")
    assert json.loads(body)["code"] == "connect_refused"


def test_a_tunnel_that_a_tool_declares_goes_where_the_governor_has_looked(booth: Booth):
    """Judged as a whole, by its host: what is in it is between the program and the site."""
    inner = get("/in/it", "Connection: close")
    request = get(f"127.0.0.2:{booth.pipes.port}", method="CONNECT") + inner
    ran = booth.code(RAW, request.replace("\r", "\\r").replace("\n", "\\n"))
    assert ran.stdout.startswith("HTTP/1.1 200 Connected"), ran.stdout
    assert ran.stdout.endswith("hello from /in/it")
    assert [path for _, path, _, _ in booth.pipes.seen] == ["/in/it"]


def test_curl_asks_for_a_whole_url_as_the_guide_says(booth: Booth):
    plain = f"curl -sS --request-target {booth.web.url}/whole {booth.web.url}/other"
    ran = booth.run("/bin/sh", "-c", plain)
    if ran.returncode == 127:
        pytest.skip("not run: there is no curl here")
    assert ran.stdout == "hello from /whole", ran.stderr
    assert [path for _, path, _, _ in booth.web.seen] == ["/whole"]


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "400"),
        ("GET http://127.0.0.3/ HTTP/1.1\nHost: x\n\n", "400"),
        ("GET http://127.0.0.3/ HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", "400"),
        ("GET http://127.0.0.3/ HTTP/1.1\r\nA : x\r\n\r\n", "400"),
        ("GET http://127.0.0.3/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", "400"),
        ("GET http://127.0.0.3/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n", "400"),
        ("POST http://127.0.0.3/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: x\r\n\r\n",
         "501"),
        ("POST http://127.0.0.3/ HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", "501"),
        ("POST http://127.0.0.3/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400"),
        ("POST http://127.0.0.3/ HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n", "413"),
        ("GET http://user@127.0.0.3/ HTTP/1.1\r\n\r\n", "400"),
        ("GET http://127.0.0.3/../x HTTP/1.1\r\n\r\n", "400"),
        ("GET http://127.0.0.3/ HTTP/9.9\r\n\r\n", "505"),
        ("GET  http://127.0.0.3/ HTTP/1.1\r\n\r\n", "400"),
    ],
)  # fmt: skip
def test_what_could_be_read_in_two_ways_is_no_request(booth: Booth, request_: str, status: str):
    first, headers, _ = raw(booth, request_)
    assert first[1] == status
    assert headers["bridle-verdict"] == "deny"
    assert booth.web.seen == []
