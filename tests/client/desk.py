"""The desk bundle with its own state, and a real governor process that serves it."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bridle as package

DESK = Path(__file__).resolve().parent.parent / "bundles" / "desk"
SOURCE = str(Path(package.__file__).resolve().parents[1])
TESTS = str(Path(__file__).resolve().parents[1])

TICKET = {
    "id": 7,
    "status": "open",
    "body": "please refund me",
    "iban": "DE89370400440532013000",
    "customer": {"id": "C-000123", "name": "Dora"},
}


def copied(folder: Path, changes: dict[str, str] | None = None) -> Path:
    """Copy the bundle, replacing texts in its systems.toml."""
    bundle = shutil.copytree(DESK, folder / "bundle")
    systems = bundle / "systems.toml"
    text = systems.read_text("utf-8")
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new)
    systems.write_text(text, "utf-8")
    return bundle


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join((SOURCE, TESTS))}


class Served:
    """One `bridle serve` process."""

    def __init__(self, bundle: Path, *options: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "bridle", "serve", str(bundle), "--json", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment(),
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.ready = json.loads(line) if line else {}

    @property
    def runtime(self) -> Path:
        return Path(self.ready["agents"]).parent

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code (0: just wait for it)."""
        if number and self.process.poll() is None:
            self.process.send_signal(number)
        _, self.errors = self.process.communicate(timeout=30)
        return self.process.returncode


@contextmanager
def serving(bundle: Path, *options: str) -> Iterator[Served]:
    served = Served(bundle, *options)
    try:
        assert served.ready.get("ready"), served.ready
        yield served
    finally:
        served.end(signal.SIGKILL)


def end_governor(socket_path: Path) -> None:
    """End the governor that listens at a socket, by the process id that the kernel names."""
    import socket

    from bridle.client.transport.peer import peer_of

    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(socket_path))
        except OSError:
            return
        pid = peer_of(connection).pid
    wait_for_exit(pid, number=signal.SIGTERM)


def wait_for_exit(pid: int, *, number: int = 0) -> None:
    """Wait until a process is gone that is no child of ours."""
    import select

    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, number)
        ready, _, _ = select.select([descriptor], [], [], 30)
        assert ready, f"process {pid} did not end"
    finally:
        os.close(descriptor)
