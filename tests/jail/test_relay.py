"""The relay by itself, outside a jail: it needs nothing but the standard library."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridle.jail import relay

PROGRAM = [sys.executable, "-I", "-S", relay.__file__]


class Keeper:
    """A socket that answers `ready`, and echoes to every other service what it is sent."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.asked: list[bytes] = []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer, peer.makefile("rb") as lines:
                self.asked.append(lines.readline())
                peer.sendall(b"ok\n" if self.asked[-1] == b"ready\n" else lines.read())

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    made = Keeper(tmp_path / "socket")
    yield made
    made.close()


def run(path: Path, *words: str, sent: bytes = b"") -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(
        [*PROGRAM, *words], input=sent, capture_output=True, check=False, timeout=50,
        env={"BRIDLE_SOCKET": str(path)},
    )  # fmt: skip


def test_nothing_starts_where_nobody_keeps_the_socket(tmp_path: Path):
    ran = run(tmp_path / "none", "run", "/bin/touch", str(tmp_path / "touched"))
    assert ran.returncode == 125
    assert not (tmp_path / "touched").exists()


def test_the_status_is_the_commands_whatever_else_ends_before(keeper: Keeper):
    script = "for i in 1 2 3; do (exec setsid true) & done; sleep 0; exit 7"
    assert run(keeper.path, "run", "/bin/sh", "-c", script).returncode == 7
    assert run(keeper.path, "run", "/bin/sh", "-c", "kill -9 $$").returncode == 137
    assert run(keeper.path, "run", "/etc/passwd").returncode == 126


def test_a_signal_is_the_commands_to_answer(keeper: Keeper):
    script = "trap 'echo heard; exit 5' TERM; echo here; while :; do sleep 0.05; done"
    with subprocess.Popen(
        [*PROGRAM, "run", "/bin/sh", "-c", script],
        stdout=subprocess.PIPE,
        env={"BRIDLE_SOCKET": str(keeper.path), "PATH": "/usr/bin:/bin"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"here\n"
        process.terminate()
        assert process.stdout.read() == b"heard\n"
    assert process.returncode == 5


def test_a_service_is_standard_input_and_output(keeper: Keeper):
    sent = b"x" * 300_000
    ran = run(keeper.path, "connect", "mcp", "files", sent=sent)
    assert (ran.returncode, ran.stdout) == (0, sent)
    assert keeper.asked == [b"mcp files\n"]


def test_the_command_is_told_of_a_proxy_on_loopback_that_leads_to_the_socket(keeper: Keeper):
    code = (
        "import os, socket; host, port = os.environ['https_proxy'][7:].split(':');"
        "c = socket.create_connection((host, int(port))); c.sendall(b'bytes');"
        "c.shutdown(1); print(host, c.makefile().read())"
    )
    ran = run(keeper.path, "run", sys.executable, "-c", code)
    assert ran.stdout == b"127.0.0.1 bytes\n", ran.stderr
    assert keeper.asked == [b"ready\n", b"http\n"]
