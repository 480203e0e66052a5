"""A jail as bubblewrap is told of it. One job: from a profile to arguments and files.

It starts nothing and looks at nothing but the profile and the system folders.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

from msgspec import Struct

from bridle.jail.places import system
from bridle.jail.places.folders import Seen
from bridle.jail.profile import GID, HOME, HOSTNAME, SOCKET, UID, Identity, Limits, Profile

NAMESPACES = ("user", "ipc", "pid", "net", "uts", "cgroup")

Arguments = tuple[str | bytes | int, ...]
"""Words for bubblewrap. Bytes stand for a descriptor that holds them, a number for a descriptor."""


class Plan(Struct, frozen=True):
    """A jail, ready to be started: what bubblewrap is told, by whom, and under which filter.

    `command` runs as the first process of the jail. `filter` is what seccomp(2) loads.
    """

    arguments: Arguments
    command: tuple[str, ...]
    filter: bytes
    limits: Limits
    user: Identity | None = None


def arguments(profile: Profile, work: Seen, read: tuple[Seen, ...]) -> Arguments:
    """Return what bubblewrap is told; folders go by descriptors that the caller has opened."""
    return (
        *_separate(),
        *_system(),
        *_scratch(profile.limits),
        *_python(profile),
        *(word for each in read for word in ("--ro-bind-fd", each.descriptor, str(each.path))),
        "--bind-fd", work.descriptor, str(work.path),
        *_socket(profile.socket),
        # INVARIANT: nothing can be written but the work folder and what has a size.
        "--remount-ro", "/dev",
        "--remount-ro", "/",
        "--chdir", str(work.path),
        *_environment(environment(profile)),
    )  # fmt: skip


def _separate() -> Arguments:
    return (
        *(f"--unshare-{name}" for name in NAMESPACES),
        "--disable-userns", "--assert-userns-disabled",
        "--uid", str(UID), "--gid", str(GID), "--hostname", HOSTNAME,
        "--cap-drop", "ALL", "--new-session", "--die-with-parent", "--as-pid-1",
    )  # fmt: skip


def _system() -> Arguments:
    words: list[str | bytes | int] = []
    for path in system.folders():
        words += ["--ro-bind", str(path), str(path)]
    for target, link in system.links():
        words += ["--symlink", target, link]
    for name, text in system.WRITTEN.items():
        words += ["--perms", "0444", "--ro-bind-data", text.encode(), f"/etc/{name}"]
    return (*words, "--proc", "/proc", "--dev", "/dev")


def _scratch(limits: Limits) -> Arguments:
    def tmpfs(path: str, mode: str) -> Arguments:
        return ("--perms", mode, "--size", str(limits.scratch), "--tmpfs", path)

    return (*tmpfs("/tmp", "1777"), *tmpfs("/dev/shm", "1777"), *tmpfs(str(HOME), "0700"))  # noqa: S108


def _python(profile: Profile) -> Arguments:
    if not profile.python:
        return ()
    return tuple(word for path in system.python() for word in ("--ro-bind", str(path), str(path)))


def _socket(path: Path | None) -> Arguments:
    return () if path is None else ("--ro-bind", str(path), str(SOCKET))


def _environment(names: dict[str, str]) -> Arguments:
    return ("--clearenv", *(word for pair in names.items() for word in ("--setenv", *pair)))


def environment(profile: Profile) -> dict[str, str]:
    """Return the whole environment of the jail's command: nothing is inherited but a language."""
    paths = ["/usr/local/bin", "/usr/bin", "/bin"]
    if profile.python and sys.executable:
        paths.insert(0, str(Path(sys.executable).parent))
    names = {
        "PATH": os.pathsep.join(paths),
        "HOME": str(HOME),
        "USER": "agent",
        "LOGNAME": "agent",
        "LANG": os.environ.get("LANG", "C.UTF-8"),
        "TERM": os.environ.get("TERM", "dumb"),
    }
    if profile.socket is not None:
        names["BRIDLE_SOCKET"] = str(SOCKET)
    return names | profile.environ
