"""Every probe through a real `bridle serve`, as raw bytes on its sockets.

The frames are written here byte by byte, and proofs made as the reference on trust says, with none
of Bridle's own client: what the client would have refused to send still arrives.
"""

import base64
import hashlib
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bypass.probes import BUNDLE, PROBES, Probe


class Peer:
    """One connection: a greeting, then a request and its answer in turn."""

    def __init__(self, path: str, role: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(20)
        self.socket.connect(path)
        self.welcome = self.ask({"bridle": 4, "role": role})
        assert self.welcome["bridle"] == 4

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

    def __init__(self, peer: Peer, private: Ed25519PrivateKey, opened: dict) -> None:
        self.peer, self.private = peer, private
        self.session, self.grant = opened["id"], opened["grant"]
        self.ran: list[str] = []

    def ask(self, op: str, **message: object) -> dict:
        return self.peer.ask({"op": op, "session": self.session, **message})

    def proven(self, op: str, **message: str) -> dict:
        made, nonce = time.time_ns() // 1_000_000, os.urandom(16).hex()
        args = hashlib.sha256(message["args"].encode()).hexdigest() if op == "decide" else ""
        parts = (
            self.peer.welcome["instance"],
            self.grant,
            op,
            hashlib.sha256(self.session.encode()).hexdigest(),
            message.get("action", ""),
            message.get("tool", ""),
            args,
            message.get("key", ""),
            "python" if op == "decide" else "",
            *("",) * 8,
            str(made),
            nonce,
        )
        framed = b"".join(struct.pack(">I", len(p.encode())) + p.encode() for p in parts)
        signature = base64.b64encode(self.private.sign(b"bridle proof 1\n" + framed)).decode()
        proof = {"time": made, "nonce": nonce, "signature": signature}
        return self.ask(op, proof=proof, **message)

    def attempt(self, probe: Probe) -> dict:
        """Decide, then knock at the gate whatever the verdict was."""
        decide = self.proven("decide", tool=probe.tool, args=probe.text, key=probe.id)["verdict"]
        start = self.proven("begin", action=decide["action"])["verdict"]
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
        private = Ed25519PrivateKey.generate()
        public = base64.b64encode(private.public_key().public_bytes_raw()).decode()
        who = {"mission": mission, "agent": "prober", "executor": "worker-1"}
        opened = operator.ask({"op": "open_session", **who, "holder": f"ed25519:{public}"})
        yield Executor(agents, private, opened)


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
    verdict = executor.proven("decide", tool=allowed.tool, args=allowed.text, key="afterwards")
    assert verdict["verdict"]["effect"] == "allow"
