"""Limits that the kernel keeps for each process. One job: to set them on a jail's first one.

They are set from outside while that process waits, so that all others inherit them. They are hard:
no process of a jail can raise its own. RLIMIT_NPROC counts the jail's processes only, since it is
set inside the jail's user namespace (Linux 5.14 and later), and not for root. RLIMIT_DATA rather
than RLIMIT_AS: the runtimes of several languages reserve far more addresses than they ever use.
"""

from __future__ import annotations

import resource
import subprocess

from bridle.jail.profile import Identity, Limits

_NAMES = {
    "data": resource.RLIMIT_DATA,
    "nproc": resource.RLIMIT_NPROC,
    "nofile": resource.RLIMIT_NOFILE,
    "fsize": resource.RLIMIT_FSIZE,
    "cpu": resource.RLIMIT_CPU,
    "core": resource.RLIMIT_CORE,
}


def of(limits: Limits) -> dict[str, int]:
    """Return the limits by the names that prlimit(1) gives them."""
    return {
        "data": limits.memory,
        "nproc": limits.processes,
        "nofile": limits.files,
        "fsize": limits.file_size,
        "cpu": limits.cpu,
        "core": 0,
    }


def set_on(pid: int, limits: Limits, user: Identity | None = None) -> None:
    """Set the limits of a process that is `user`'s; never above ours. Raises `OSError`."""
    values = {name: _least(name, value) for name, value in of(limits).items()}
    try:
        for name, value in values.items():
            resource.prlimit(pid, _NAMES[name], (value, value))
    except PermissionError:
        if user is None:
            raise
        # Root without CAP_SYS_RESOURCE, as in many containers; a process's own user may.
        _as(user, pid, values)


def _least(name: str, value: int) -> int:
    _, hard = resource.getrlimit(_NAMES[name])
    return value if hard == resource.RLIM_INFINITY else min(value, hard)


def _as(user: Identity, pid: int, values: dict[str, int]) -> None:
    words = [f"--{name}={value}:{value}" for name, value in values.items()]
    ran = subprocess.run(  # noqa: S603 - words of our own
        ["/usr/bin/prlimit", f"--pid={pid}", *words],
        user=user.uid,
        group=user.gid,
        extra_groups=(),
        env={},
        capture_output=True,
        timeout=20,
        check=False,
    )
    if ran.returncode != 0:
        raise OSError(ran.stderr.decode("utf-8", "replace").strip())
