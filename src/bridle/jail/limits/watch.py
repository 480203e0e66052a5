"""What a jail takes of the machine, counted from outside. One job: to say when it is too much.

Memory is what its processes hold (shared pages once), with what lies in its folders in memory.
Between two looks it may take more; `bridle.jail.limits.cgroup` is exact where it may be had.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from bridle.jail.profile import HOME, Limits

SECONDS = 0.1
"""Between two looks."""

_PAGE = os.sysconf("SC_PAGE_SIZE")
_FOLDERS = ("tmp", "dev/shm", str(HOME)[1:])


def excess(pid: int, limits: Limits, lasted: float) -> str:
    """Return what a jail has had too much of: memory, processes, entries or time; else nothing.

    `pid` is its first process, `lasted` the seconds since its start.
    """
    if limits.time and lasted > limits.time:
        return "time"
    pids = list(processes(pid))
    if len(pids) > limits.processes:
        return "processes"
    used, entries = in_folders(pid)
    if entries > limits.entries:
        return "entries"
    # The first sum counts shared pages once for each process, and is quick.
    if used + sum(map(_resident, pids)) > limits.memory:
        return "memory" if used + sum(map(_share, pids)) > limits.memory else ""
    return ""


def processes(pid: int) -> Iterator[int]:
    """Yield a process and all that descend from it; in a PID namespace, orphans do as well."""
    waiting, seen = [pid], {pid}
    while waiting:
        one = waiting.pop()
        yield one
        with contextlib.suppress(OSError):
            for task in os.listdir(f"/proc/{one}/task"):  # noqa: PTH208
                text = Path(f"/proc/{one}/task/{task}/children").read_text("ascii")
                fresh = [int(child) for child in text.split() if int(child) not in seen]
                seen.update(fresh)
                waiting += fresh


def in_folders(pid: int) -> tuple[int, int]:
    """Return the bytes and entries of a jail's folders in memory; none before they are made.

    Raises `PermissionError` for who may not look into another user's process.
    """
    used = entries = 0
    for folder in _FOLDERS:
        # What is not there is not there yet, or no more; what we may not see has to be known.
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            root = Path(f"/proc/{pid}/root/").stat()
            if os.path.samestat(root, Path("/").stat()):
                continue
            found = os.statvfs(f"/proc/{pid}/root/{folder}")
            used += (found.f_blocks - found.f_bfree) * found.f_frsize
            entries += found.f_files - found.f_ffree
    return used, entries


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _share(pid: int) -> int:
    """Return a process's memory, with its share of what it shares with others."""
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii")
    except OSError:
        return _resident(pid)
    found = [line.split()[1] for line in text.splitlines() if line.startswith("Pss:")]
    return int(found[0]) * 1024 if found else 0
