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
import json, os, socket, sys
host, port = os.environ["HTTP_PROXY"].removeprefix("http://").split(":")
answers = []
for request in json.loads(sys.argv[1]):
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(request.encode("latin-1"))
        connection.shutdown(socket.SHUT_WR)
        answers.append("")
        while data := connection.recv(65536):
            answers[-1] += data.decode("latin-1")
print(json.dumps(answers))
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


def raws(booth: Booth, *requests: str, **more: Any) -> list[str]:
    """Send each to the proxy inside, as it stands; return what came back."""
    ran = booth.code(RAW, json.dumps(requests), **more)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def raw(booth: Booth, request: str, **more: Any) -> tuple[list[str], dict[str, str], str]:
    """Send one to the proxy inside; return words of the status line, headers and body."""
    (answer,) = raws(booth, request, **more)
    return parsed(answer)


def parsed(answer: str) -> tuple[list[str], dict[str, str], str]:
    head, _, body = answer.partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    return first.split(" ", 2), dict(line.split(": ", 1) for line in lines), body


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


def test_a_host_that_no_system_declares_is_not_reached(booth: Booth):
    urls = ("http://example.com/", "http://169.254.169.254/latest/meta-data", "http://[::1]/",
            "http://127.0.0.1/", "http://2130706433/", "http://0x7f.1/", "http://localhost/",
            f"http://127.0.0.1:{booth.web.port}/",
            f"http://[::ffff:127.0.0.3]:{booth.web.port}/")  # fmt: skip
    for url, answer in zip(urls, raws(booth, *map(get, urls)), strict=True):
        status, headers, _ = parsed(answer)
        assert status[1] in ("400", "403"), url
        assert headers["bridle-verdict"] == "deny"
    assert booth.web.seen == []


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
    (answer,) = raws(booth, get(f"127.0.0.2:{booth.pipes.port}", method="CONNECT") + inner)
    assert answer.startswith("HTTP/1.1 200 Connected")
    assert answer.endswith("hello from /in/it")
    assert [path for _, path, _, _ in booth.pipes.seen] == ["/in/it"]


def test_curl_asks_for_a_whole_url_as_the_guide_says(booth: Booth):
    plain = f"curl -sS --request-target {booth.web.url}/whole {booth.web.url}/other"
    ran = booth.run("/bin/sh", "-c", plain)
    if ran.returncode == 127:
        pytest.skip("not run: there is no curl here")
    assert ran.stdout == "hello from /whole", ran.stderr
    assert [path for _, path, _, _ in booth.web.seen] == ["/whole"]


AMBIGUOUS = (
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
)  # fmt: skip


def test_what_could_be_read_in_two_ways_is_no_request(booth: Booth):
    answers = raws(booth, *(request for request, _ in AMBIGUOUS))
    for (request, status), answer in zip(AMBIGUOUS, answers, strict=True):
        first, headers, _ = parsed(answer)
        assert first[1] == status, request
        assert headers["bridle-verdict"] == "deny"
    assert booth.web.seen == []


def test_a_connection_is_used_again_and_its_second_request_is_judged_as_well(booth: Booth):
    first, second = get(f"{booth.web.url}/one"), get(f"{booth.web.url}/secret/two")
    (both,) = raws(booth, first + second)
    assert both.index("hello from /one") < both.index("this page is not for agents")
    assert [path for _, path, _, _ in booth.web.seen] == ["/one"]
