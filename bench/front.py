"""An echo server, alone and behind `bridle mcp`: bundle, governor, command, client of lines."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from bench import echo_server

SERVER = [sys.executable, "-P", echo_server.__file__]
TEXT = "The quick brown fox jumps over the lazy dog, 2026-11-22."
CALL = {"name": "echo", "arguments": {"text": TEXT}}

_ABOUT = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "bench", "version": "1"},
}
_MISSION = """[missions.desk]
purpose = "hear the echo"
agents = ["clerk"]
tools = ["*"]
domains = ["house"]
"""
_SYSTEMS = """[domains.house]
[systems.echo]
domain = "house"
protocol = "mcp"
[tools."echo.echo"]
system = "echo"
effect = "read"
idempotent = true
wire = "echo"
from = "tools/echo.json"
[tools."echo.echo".arguments.text]
sink = "content"
"""


class RawClient:
    """A client that reads and writes lines and knows nothing else of MCP."""

    def __init__(self, command: list[str], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._write = self._process.stdin.write
        self._lines = io.BufferedReader(cast("io.RawIOBase", self._process.stdout))
        self._number = 0
        self.ask("initialize", _ABOUT)
        self._send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def ask(self, method: str, params: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the result of a request. What else the server says meanwhile is skipped."""
        self._number += 1
        self._send({"jsonrpc": "2.0", "id": self._number, "method": method, "params": params or {}})
        while True:
            answer: dict[str, Any] = json.loads(next(self._lines))
            if answer.get("id") == self._number:
                result: dict[str, Any] = answer["result"]
                return result

    def close(self) -> None:
        """End the server by the end of its input."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._lines.close()

    def _send(self, message: dict[str, Any]) -> None:
        self._write(json.dumps(message).encode() + b"\n")


def check(result: dict[str, Any]) -> None:
    """Raise unless this is the echo: a refusal would be fast, and no measurement."""
    if result.get("isError") or result["content"][0]["text"] != TEXT:
        raise RuntimeError(str(result)[:500])


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of every process: stores lie under `folder`."""
    return {**os.environ, "XDG_STATE_HOME": str(folder / "state")}


def write_bundle(folder: Path, durability: str) -> Path:
    """Write a bundle whose only tool is the server's, as the server itself describes it."""
    root = folder / f"bundle-{durability}"
    client = RawClient(SERVER, environment(folder))
    listed = client.ask("tools/list")
    client.close()
    files = {
        "bridle.toml": f'format = 1\nname = "echo"\nversion = "1"\ndurability = "{durability}"\n'
        '[defaults]\nmission = "desk"\nuser = "ana"\nagent = "clerk"\nexecutor = "proxy"\n',
        "agents.toml": '[users.ana]\n[agents.clerk]\nowner = "ana"\n[workloads.proxy]\n',
        "missions.toml": _MISSION,
        "systems.toml": _SYSTEMS,
        "policies/all.cedar": '@id("all")\npermit (principal, action, resource);\n',
        "tools/echo.json": json.dumps(listed),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


def command(bundle: Path) -> list[str]:
    """Return the server's command with Bridle in front of it."""
    return [sys.executable, "-P", "-m", "bridle", "mcp", str(bundle), "--", *SERVER]


@contextmanager
def governor(folder: Path, bundle: Path) -> Iterator[Path]:
    """Serve the bundle from a process of its own while the block lasts; yield where."""
    serve = [sys.executable, "-P", "-m", "bridle", "serve", str(bundle), "--json"]
    with subprocess.Popen(serve, env=environment(folder), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            ready = json.loads(process.stdout.readline())
            if not ready["ready"]:
                raise RuntimeError("the governor did not start")
            yield Path(ready["agents"]).parent
        finally:
            process.terminate()
