"""Every probe through a real `bridle serve`, as raw bytes on its sockets.

The frames are written here byte by byte, with none of Bridle's own client: what the client would
have refused to send still arrives.
"""

import json
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bypass.probes import BUNDLE, PROBES, Probe


class Peer:
    """One connection: a greeting, then a request and its answer in turn."""

    def __init__(self, path: str, role: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        assert self.ask({"bridle": 2, "role": role})["bridle"] == 2

    def ask(self, message: dict) -> dict:
        body = json.dumps(message, ensure_ascii=False).encode()
        self.socket.sendall(struct.pack(">I", len(body)) + body)
        (length,) = struct.unpack(">I", self._take(4))
        return json.loads(self._take(length))

    def _take(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += self.socket.recv(count - len(data)) or pytest.fail("the governor hung up")
        return data


class Executor:
    """Carries out what the governor lets start, and keeps the exact text that it was handed."""

    def __init__(self, peer: Peer, session: str) -> None:
        self.peer, self.session = peer, session
        self.ran: list[str] = []

    def ask(self, op: str, **message: object) -> dict:
        return self.peer.ask({"op": op, "session": self.session, **message})

    def attempt(self, probe: Probe) -> dict:
        """Decide, then knock at the gate whatever the verdict was."""
        decide = self.ask("decide", tool=probe.tool, args=probe.text, key=probe.id)["verdict"]
        start = self.ask("begin", action=decide["action"])["verdict"]
        if start.get("attempt"):
            self.ran.append(start["args"])
            outcome = {"kind": "ok", "output": '"done"'}
            self.ask("observe", attempt=start["attempt"], outcome=outcome)
        return decide


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    folder = tmp_path_factory.mktemp("socket")
    bundle = shutil.copytree(BUNDLE, folder / "bundle")
    with (folder / "stderr").open("wb") as stderr:
        governor = subprocess.Popen(
            [sys.executable, "-m", "bridle", "serve", str(bundle), "--json"],
            env={**os.environ, "XDG_STATE_HOME": str(folder / "state")},
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
    with governor:
        try:
            ready, _, _ = select.select([governor.stdout], [], [], 30)
            line = governor.stdout.readline() if ready else b""
            assert line, (folder / "stderr").read_text("utf-8")
            yield json.loads(line)
        finally:
            governor.terminate()
    assert governor.returncode == 0, (folder / "stderr").read_text("utf-8")


@pytest.fixture(scope="module")
def executor(doors: dict[str, str]) -> Iterator[Executor]:
    operator, agents = Peer(doors["operator"], "operator"), Peer(doors["agents"], "agent")
    with operator.socket, agents.socket:
        mission = operator.ask({"op": "start_mission", "template": "probe", "user": "ana"})["id"]
        who = {"mission": mission, "agent": "prober", "executor": "worker-1"}
        yield Executor(agents, operator.ask({"op": "open_session", **who})["id"])


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.id)
def test_the_socket_gives_a_probe_its_effect_and_starts_only_what_it_allows(
    executor: Executor, probe: Probe
) -> None:
    executor.ran.clear()
    verdict = executor.attempt(probe)
    assert verdict["effect"] == probe.ruled, (probe.note, verdict)
    # INVARIANT: I3 — byte for byte what was asked, or nothing.
    assert executor.ran == ([probe.text] if probe.ruled == "allow" else [])


def test_a_refused_probe_answers_with_a_code_and_without_arguments(executor: Executor) -> None:
    refused = [probe for probe in PROBES if probe.ruled != "allow"]
    verdicts = [executor.attempt(probe) for probe in refused]
    assert [v for v in verdicts if v.get("args") or not v["reasons"][0]["code"]] == []


def test_the_governor_still_serves_after_all_of_it(executor: Executor) -> None:
    (allowed,) = [probe for probe in PROBES if probe.id == "tool-name-019"]
    verdict = executor.ask("decide", tool=allowed.tool, args=allowed.text, key="afterwards")
    assert verdict["verdict"]["effect"] == "allow"
