"""The three standard descriptors of a jail. One job: that none of them is a way to a file.

Whoever holds a descriptor of a file may open that file anew through /proc/self/fd, for writing
too, and one of a folder leads everywhere. So only terminals, pipes and /dev/null are handed in;
anything else is copied to or from a pipe by a thread here.
"""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import threading
from pathlib import Path
from typing import IO

Stream = int | IO[bytes] | None
"""A descriptor or file, `subprocess.PIPE` or `DEVNULL`; None is our own of that number."""

_PART = 65_536


class Streams:
    """What a jail is given as its three descriptors, and the copying that this takes.

    `given` are the three, as `subprocess.Popen` takes them.
    """

    def __init__(self, stdin: Stream, stdout: Stream, stderr: Stream) -> None:
        self._theirs: list[int] = []
        self._writers: list[threading.Thread] = []
        self.given = [self._safe(0, stdin), self._safe(1, stdout), self._safe(2, stderr)]

    def _safe(self, number: int, stream: Stream) -> int:
        if isinstance(stream, int) and stream < 0:
            return stream
        descriptor = number if stream is None else _number(stream)
        try:
            if _harmless(descriptor):
                return descriptor
        except OSError:
            return subprocess.DEVNULL
        # INVARIANT: I9 — no descriptor in the jail leads to a file outside.
        reading, writing = os.pipe()
        ours = os.dup(descriptor)
        theirs, source, target = (
            (reading, ours, writing) if number == 0 else (writing, reading, ours)
        )
        self._theirs.append(theirs)
        thread = threading.Thread(target=_copy, args=(source, target), daemon=True)
        thread.start()
        if number:
            self._writers.append(thread)
        return theirs

    def started(self) -> None:
        """Close what the jail has of its own now."""
        while self._theirs:
            os.close(self._theirs.pop())

    def finish(self) -> None:
        """Wait until everything that the jail has written is where it belongs."""
        for thread in self._writers:
            thread.join()


def _number(stream: int | IO[bytes]) -> int:
    return stream if isinstance(stream, int) else stream.fileno()


def _harmless(descriptor: int) -> bool:
    status = os.fstat(descriptor)
    if stat.S_ISCHR(status.st_mode):
        return os.isatty(descriptor) or os.path.samestat(status, Path(os.devnull).stat())
    # One that has a name could be a file's by another: only nameless pipes.
    return stat.S_ISFIFO(status.st_mode) and status.st_nlink == 1 and _nameless(descriptor)


def _nameless(descriptor: int) -> bool:
    return str(Path(f"/proc/self/fd/{descriptor}").readlink()).startswith("pipe:")


def _copy(source: int, target: int) -> None:
    with contextlib.suppress(OSError):
        while part := os.read(source, _PART):
            while part:
                part = part[os.write(target, part) :]
    os.close(source)
    os.close(target)
