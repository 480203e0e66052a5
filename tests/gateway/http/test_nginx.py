"""A real nginx in front of a service: what the governor refuses does not get there."""

import http.client
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from gateway.http.asking import Gateway
from gateway.http.test_passing import made
from server.carrying import Site

NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
pytestmark = pytest.mark.skipif(NGINX is None, reason="not run: there is no nginx")

DOCS = Path(__file__).parents[3] / "docs" / "http.md"
# Around what docs/http.md shows: what a test needs.
CONFIG = """
daemon off;
worker_processes 1;
error_log {folder}/error.log;
pid {folder}/pid;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port};
{locations}
  }}
}}
"""


class Behind(BaseHTTPRequestHandler):
    """The service: remembers what reached it."""

    seen: ClassVar[list[tuple[str, str, dict[str, str]]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path, dict(self.headers)))
        self.send_response(200)
        self.send_header("Content-Length", "4")
        self.end_headers()
        self.wfile.write(b"page")

    do_DELETE = do_POST = do_GET  # noqa: N815 - the names of http.server

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def behind() -> Iterator[ThreadingHTTPServer]:
    Behind.seen = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Behind)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join(20)
    server.server_close()


@pytest.fixture
def nginx(gateway: Gateway, behind: ThreadingHTTPServer, tmp_path: Path) -> Iterator[int]:
    folder = tmp_path / "nginx"
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (shown,) = re.findall(r"```nginx\n(.*?)```", DOCS.read_text(), re.DOTALL)
    shown = shown.replace("127.0.0.1:8186", "{}:{}".format(*gateway.address))
    shown = shown.replace("127.0.0.1:8080", f"127.0.0.1:{behind.server_address[1]}")
    text = CONFIG.format(folder=folder, port=port, locations=shown)
    (folder / "nginx.conf").write_text(text)
    assert NGINX is not None
    command = [NGINX, "-e", f"{folder}/error.log", "-p", str(folder), "-c", f"{folder}/nginx.conf"]
    with subprocess.Popen(command) as process:
        try:
            for _ in range(400):
                assert process.poll() is None, (folder / "error.log").read_text()
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                    break
                except ConnectionRefusedError:
                    time.sleep(0.05)
            yield port
        finally:
            process.terminate()


def ask(
    port: int, path: str, token: str = "", method: str = "GET", **headers: str
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    said = {name.replace("_", "-"): value for name, value in headers.items()}
    said |= {"Authorization": f"Bearer {token}"} if token else {}
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in said.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_what_is_allowed_gets_there_and_nothing_else(
    nginx: int, gateway: Gateway, reference: str
) -> None:
    token = made(gateway, reference)
    assert ask(nginx, "/pages/7", token) == (200, b"page")
    for path in ("/pages/13", "/pages/66", "/pages/700", "/other", "/pages/7?x=1"):
        assert ask(nginx, path, token)[0] == 403
    assert ask(nginx, "/pages/7", token, "DELETE")[0] == 403
    assert ask(nginx, "/pages/7")[0] == 401
    assert ask(nginx, "/pages/7", token[:-1])[0] == 401
    assert [each[:2] for each in Behind.seen] == [("GET", "/pages/7")]


def test_the_service_sees_who_decided_and_no_token(
    nginx: int, gateway: Gateway, reference: str
) -> None:
    token = made(gateway, reference)
    assert ask(nginx, "/pages/7", token, Bridle_Agent="root", Bridle_Action="x")[0] == 200
    ((_, _, headers),) = Behind.seen
    assert headers["Bridle-Agent"] == "clerk"
    assert headers["Bridle-Action"].startswith("act_")
    assert token not in str(headers)


@pytest.mark.parametrize(
    "path",
    ["/pages/13/../7", "/x/../pages/13", "//pages/7", "/pages//7", "/pages/%37%2f..%2f13"],
)
def test_no_way_of_writing_a_path_gets_past(
    path: str, nginx: int, gateway: Gateway, reference: str
) -> None:
    assert ask(nginx, path, made(gateway, reference))[0] in (400, 403)
    assert Behind.seen == []


def test_what_an_agent_says_of_its_request_is_not_believed(
    nginx: int, gateway: Gateway, reference: str
) -> None:
    token = made(gateway, reference)
    said = ask(nginx, "/pages/13", token, X_Original_URI="/pages/7", X_Original_Method="GET")
    assert said[0] == 403
    assert ask(nginx, "/_bridle", token)[0] == 404
    assert Behind.seen == []


def test_without_a_governor_nothing_gets_there(
    nginx: int, gateway: Gateway, reference: str, site: Site
) -> None:
    token = made(gateway, reference)
    site.stop()
    assert ask(nginx, "/pages/7", token)[0] == 500
    assert Behind.seen == []
