"""The gateway as whoever speaks HTTP to it sees it."""

import http.client
import json
from pathlib import Path
from typing import Any, NamedTuple

from bridle.gateway.http.listening import HttpServer
from bridle.gateway.http.points import digest_of, new_token

TOKEN, OTHER = new_token(), new_token()
CONFIG = f"""
format = 1
[points.flows]
token = "sha256:{digest_of(TOKEN)}"
may = ["act", "token"]
[points.edge]
token = "sha256:{digest_of(OTHER)}"
may = ["token"]
[[routes]]
method = "GET"
path = "/pages/{{id:integer}}"
tool = "page.get"
"""


class Said(NamedTuple):
    """What was answered."""

    status: int
    body: Any
    headers: dict[str, str]


class Gateway:
    """The gateway as whoever speaks HTTP to it sees it."""

    def __init__(self, server: HttpServer, config: Path) -> None:
        self.address = server.address
        self.config = config

    def ask(
        self,
        path: str,
        body: Any = None,
        *,
        token: str = TOKEN,
        method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> Said:
        """Ask on a connection of its own."""
        said = {"Content-Type": "application/json"} if method == "POST" else {}
        said |= {"Authorization": f"Bearer {token}"} if token else {}
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        connection = http.client.HTTPConnection(*self.address, timeout=20)
        try:
            connection.request(method, path, body=data, headers={**said, **(headers or {})})
            answer = connection.getresponse()
            text = answer.read()
            return Said(answer.status, json.loads(text or "null"), dict(answer.headers))
        finally:
            connection.close()

    def code(self, path: str, body: Any = None, **how: Any) -> tuple[int, str]:
        """Ask, and return the status and the code of the refusal."""
        said = self.ask(path, body, **how)
        if "error" in said.body:
            return said.status, said.body["error"]["code"]
        (found,) = said.body.values()
        return said.status, found["reasons"][0]["code"]
