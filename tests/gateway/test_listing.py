"""Asking a server what its tools are: every revision, every page, and servers that misbehave."""

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bridle.bundle.definition import definition_digest
from bridle.gateway.listing import Listed, ServerError, list_tools

SECRETS = ("BRIDLE_PASSPHRASE", "BRIDLE_SESSION")
LISTER = Path(__file__).parent / "lister.py"
TOOLS: list[dict[str, Any]] = [
    {"name": f"tool{n}", "inputSchema": {"type": "object"}, "x": [n, 1.5, 1e300, None]}
    for n in range(3)
]

Ask = Callable[..., Listed]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    def run(*modes: str, tools: Any = TOOLS, timeout: float = 30) -> Listed:
        file = tmp_path / "tools.json"
        file.write_text(tools if isinstance(tools, str) else json.dumps(tools))
        return list_tools([sys.executable, str(LISTER), str(file), *modes], timeout=timeout)

    return run


def test_tools_come_as_the_server_gave_them(ask: Ask) -> None:
    listed = ask()
    assert listed.tools == tuple(TOOLS)
    assert (listed.name, listed.version) == ("acme/mcp-server-lister", "1.2")
    assert listed.revision == "2025-11-25"
    digests = [definition_digest(tool) for tool in listed.tools]
    assert digests == [definition_digest(tool) for tool in TOOLS]


def test_all_pages_are_followed(ask: Ask) -> None:
    assert ask("pages").tools == tuple(TOOLS)


def test_a_server_without_a_handshake_is_asked_in_the_newer_way(ask: Ask) -> None:
    listed = ask("stateless", "pages")
    assert (listed.tools, listed.revision) == (tuple(TOOLS), "2026-07-28")
    assert listed.name == "lister"


def test_talk_in_between_is_answered_or_passed_over(ask: Ask) -> None:
    assert ask("chatty").tools == tuple(TOOLS)


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("refuses", "not today"),
        ("endless", "no end"),
        ("odd", "no list of tools"),
        ("dies", "has ended"),
    ],
)
def test_a_server_that_does_not_list_is_named_with_the_reason(
    ask: Ask, mode: str, why: str
) -> None:
    with pytest.raises(ServerError, match=why) as caught:
        ask(mode)
    assert caught.value.code == "server_failed"


def test_a_dead_servers_last_words_are_the_hint(ask: Ask) -> None:
    with pytest.raises(ServerError) as caught:
        ask("dies")
    assert "lister: out of cheese" in caught.value.hint


def test_a_silent_server_is_given_up_and_ended(ask: Ask) -> None:
    began = time.monotonic()
    with pytest.raises(ServerError, match=r"no answer within 0\.5 s"):
        ask("silent", timeout=0.5)
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    "tools",
    [
        [TOOLS[0], TOOLS[0]],
        [{"inputSchema": {}}],
        [{"name": 1}],
        ["tool"],
        [{"name": "a", "description": "\ud800"}],
        [{"name": "a", "description": "x" * 1_100_000}],
    ],
    ids=["twice", "nameless", "odd name", "no object", "surrogate", "huge"],
)
def test_a_list_that_cannot_be_pinned_is_refused(ask: Ask, tools: Any) -> None:
    with pytest.raises(ServerError):
        ask(tools=tools)


@pytest.mark.parametrize("command", [["/nowhere/to/be/found"], ["a\0b"], [str(LISTER.parent)]])
def test_what_cannot_be_started_is_named(command: list[str]) -> None:
    with pytest.raises(ServerError, match="cannot be started"):
        list_tools(command)


@pytest.mark.parametrize("mode", ["lingers", "child"])
def test_nothing_of_a_server_is_left_behind(ask: Ask, mode: str, tmp_path: Path) -> None:
    mark = str(tmp_path / "tools.json")
    assert ask(mode).tools
    assert all(map(_ends, [p for p in Path("/proc").glob("[0-9]*") if mark in _command(p)]))


def _ends(process: Path) -> bool:
    """Whether a process that may have been killed just now is gone at once."""
    try:
        handle = os.pidfd_open(int(process.name))
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 5)[0])
    finally:
        os.close(handle)


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text("utf-8", "replace").replace("\0", " ")
    except OSError:
        return ""


def test_a_server_that_is_only_asked_for_its_tools_learns_no_passphrase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in SECRETS:
        monkeypatch.setenv(name, "hush")
    seen = tmp_path / "seen"
    spy = f"import os; open({str(seen)!r}, 'w').write(repr(dict(os.environ)))"
    with pytest.raises(ServerError):
        list_tools([sys.executable, "-c", spy])
    assert "PATH" in seen.read_text()
    assert "hush" not in seen.read_text()


ASKS = """
import sys
from bridle.gateway.listing import list_tools
try:
    list_tools(sys.argv[1:])
except Exception:
    pass
"""
PEEK = """
import os, sys
try:
    seen = open(f"/proc/{os.getppid()}/environ").read()
except PermissionError:
    seen = "nothing"
open(sys.argv[1], "w").write(seen)
"""


def test_a_server_cannot_read_a_passphrase_out_of_the_process_that_asks_it(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    # What makes root see everything is a capability: both sides are left without.
    bare = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    server = [sys.executable, "-c", PEEK, str(seen)]
    environment = {**os.environ, "BRIDLE_PASSPHRASE": "hush"}
    command = [*bare, sys.executable, "-c", ASKS, *server]
    subprocess.run(command, env=environment, check=True, timeout=60)
    assert seen.read_text() == "nothing"
