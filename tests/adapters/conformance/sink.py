"""The sink: a system outside, in a process of its own. What reached it has really happened.

`page` is the effect of all the suite's tools. Run as a program this is the sink itself.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

AT = "BRIDLE_TEST_SINK"
"""Where effects find the sink: in the environment, for those that run in other processes."""

FAILS_ONCE = 50
"""The page whose first request is carried out, and answered with an error all the same."""

PIN = "4711-of-the-system-only"


def page(tool: str, number: int) -> dict[str, Any]:
    """Have a page done by a tool. Raises `OSError` where the sink says that it failed."""
    try:
        with urllib.request.urlopen(f"{os.environ[AT]}/{tool}/{number}", timeout=20) as answer:
            found: dict[str, Any] = json.load(answer)
    except urllib.error.HTTPError as problem:
        problem.close()
        raise OSError(f"the sink said {problem.code}") from None
    return found


class Sink:
    """The process, and what it has seen. Stopped at the end of the block."""

    def __enter__(self) -> Self:
        command = [sys.executable, "-P", __file__]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        os.environ[AT] = self._url
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del os.environ[AT]
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def seen(self) -> list[tuple[str, int]]:
        """What was really done, in order: tool and page."""
        with urllib.request.urlopen(f"{self._url}/seen", timeout=20) as answer:
            return [(tool, number) for tool, number in json.load(answer)]


class _Outside(BaseHTTPRequestHandler):
    seen: ClassVar[list[tuple[str, int]]] = []

    def do_GET(self) -> None:
        if self.path == "/seen":
            self._answer(200, self.seen)
            return
        _, tool, number = self.path.split("/")
        deed = (tool, int(number))
        failing = deed[1] == FAILS_ONCE and deed not in self.seen
        self.seen.append(deed)
        self._answer(500 if failing else 200, {"page": deed[1], "pin": PIN})

    def _answer(self, status: int, body: object) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        pass


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Outside)
    print(server.server_port, flush=True)
    server.serve_forever()
