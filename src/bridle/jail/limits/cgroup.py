"""A control group of a jail's own. One job: exact limits on memory and processes, where allowed.

Only version 2, and only where whoever starts the jail may make a group beside their own: without,
`bridle.jail.limits.watch` is what ends a jail that takes too much.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from bridle.jail.profile import Limits


class Group:
    """A folder of the control groups that holds one jail."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remove(self) -> None:
        """Kill whatever is left in the group, and take it away if that is possible at once."""
        with contextlib.suppress(OSError):
            _write(self.folder, "cgroup.kill", 1)
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def beside_own() -> Path | None:
    """Return the folder in which a group beside our own would be made; None without version 2."""
    try:
        groups = Path("/proc/self/cgroup").read_text("utf-8")
        mounts = Path("/proc/self/mountinfo").read_text("utf-8")
    except OSError:
        return None
    return _beside(groups.splitlines(), mounts.splitlines())


def _beside(groups: Iterable[str], mounts: Iterable[str]) -> Path | None:
    own = next((line[3:] for line in groups if line.startswith("0::/")), None)
    top = next((line.split(" ")[4] for line in mounts if " - cgroup2 " in line), None)
    if own is None or top is None or ".." in Path(own).parts:
        return None
    return Path(top, *Path(own).parent.parts[1:])


def place(pid: int, limits: Limits, folder: Path | None) -> Group | None:
    """Put a process into a new group in a folder; None where any of it is not allowed."""
    group = _made(limits, folder)
    if group is not None:
        try:
            _write(group.folder, "cgroup.procs", pid)
        except OSError:
            group.remove()
            return None
    return group


def possible(limits: Limits, folder: Path | None) -> bool:
    """Whether a group with these limits can be made in a folder."""
    group = _made(limits, folder)
    if group is not None:
        group.remove()
    return group is not None


def _made(limits: Limits, folder: Path | None) -> Group | None:
    if folder is None:
        return None
    group = Group(folder / f"bridle-jail-{os.getpid()}-{secrets.token_hex(4)}")
    try:
        group.folder.mkdir()
    except OSError:
        return None
    try:
        _write(group.folder, "memory.max", limits.memory)
        _write(group.folder, "memory.oom.group", 1)
        _write(group.folder, "pids.max", limits.processes)
        with contextlib.suppress(FileNotFoundError):
            _write(group.folder, "memory.swap.max", 0)
    except OSError:
        group.remove()
        return None
    return group


def _write(folder: Path, name: str, value: int) -> None:
    # Without creating: what is not there is a controller that this group does not have.
    descriptor = os.open(folder / name, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)
