"""A web server on loopback that notes who asked for what, and the functions that work on it.

Every host name of the demo leads to this server, as if it were the whole internet: a request that
should never have left shows up in its log.
"""

from __future__ import annotations

import re
import threading
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

_RETURNS = ("help.shop.example", "/returns")
_TEXT = "Broken goods are refunded in full within 30 days."
_WARRANTY = ("help.shop.example", "/warranty")
_YEARS = "Espresso machines have a warranty of two years."


class Site:
    """The server, on a free port of 127.0.0.1, in a thread of its own."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.pages = {_RETURNS: _TEXT, _WARRANTY: _YEARS}
        self._draft = _TEXT
        handler = type("Handler", (_Handler,), {"log": self.requests, "pages": self.pages})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="demo-site"
        )

    def start(self) -> None:
        """Start; the port accepts connections from now on."""
        self._thread.start()

    def stop(self) -> None:
        """Stop and wait for the thread."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def change_page(self, text: str) -> str:
        """Change the draft of the page about returns."""
        self._draft = text
        return "changed"

    def run_tests(self) -> dict[str, Any]:
        """Test the draft: it has to say within how many days."""
        return {"passed": bool(re.search(r"\b\d+ days\b", self._draft))}

    def deploy(self) -> str:
        """Put the draft on the site."""
        self.pages[_RETURNS] = self._draft
        return "deployed"

    def get(self, url: str) -> dict[str, Any]:
        """Fetch a page: status and text."""
        parts = urlsplit(url)
        connection = HTTPConnection("127.0.0.1", self._server.server_port, timeout=10)
        try:
            path = parts.path or "/"
            target = f"{path}?{parts.query}" if parts.query else path
            connection.request("GET", target, headers={"Host": parts.netloc})
            answer = connection.getresponse()
            return {"status": answer.status, "text": answer.read().decode()}
        finally:
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    log: list[str]
    pages: dict[tuple[str, str], str]

    def do_GET(self) -> None:
        host = self.headers.get("Host", "")
        self.log.append(host + self.path)
        text = self.pages.get((host, self.path), "Thank you.")
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Say nothing on the terminal; `log` has it."""
