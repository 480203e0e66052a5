"""What a process of the suite writes down the moment it knows it, and the points where it dies."""

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

# What a process says last that dies where it was meant to.
DIED = "died at"


class Journal:
    """Lines that are on the disk when `write` returns. Each has its time, one clock for all."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)

    def write(self, what: str, **more: Any) -> None:
        line = {"what": what, "t": time.monotonic_ns(), "pid": os.getpid(), **more}
        # Begun anew: whoever died in the middle of a write left a line without an end.
        os.write(self._file, b"\n" + json.dumps(line).encode() + b"\n")
        os.fsync(self._file)


def read(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal, none if there is none.

    One that is being written is no line yet, and one in which its writer died never will be.
    """
    if not path.exists():
        return []
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    found = (_line(text) for text in whole.splitlines())
    return [line for line in found if line is not None]


def _line(text: bytes) -> dict[str, Any] | None:
    try:
        line: dict[str, Any] = json.loads(text)
    except ValueError:
        return None
    return line


class Doom:
    """Says where this process dies: at a point, the `times`-th time it gets there."""

    def __init__(self, point: str = "", times: int = 0) -> None:
        self._point, self._left = point, times

    def at(self, point: str) -> None:
        """Die here if this is the point. Nothing of the process runs after it."""
        if self.is_at(point):
            os.write(2, f"{DIED} {point}\n".encode())
            die()

    def is_at(self, point: str) -> bool:
        """Count an arrival; whether it is the last one."""
        if point == self._point:
            self._left -= 1
        return point == self._point and self._left <= 0


def die() -> None:
    """What an operator's `kill -9` does, at exactly this instruction."""
    os.kill(os.getpid(), signal.SIGKILL)
