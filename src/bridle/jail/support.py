"""What a jail needs of kernel, bubblewrap and user. One job: to refuse where any of it is missing.

There is no weaker jail: each lack is a `JailError` with the way out.
"""

from __future__ import annotations

import os
import platform
import subprocess
from functools import cache
from pathlib import Path

import msgspec

from bridle.jail.bubblewrap import Plan
from bridle.jail.errors import JailError, of_bubblewrap
from bridle.jail.profile import UID, Identity
from bridle.jail.running import program, start
from bridle.jail.seccomp.numbers import MACHINES, Machine

KERNEL = (5, 14)
"""Since this Linux the limit on processes counts those of the jail only."""

_OPTIONS = (
    "--add-seccomp-fd", "--assert-userns-disabled", "--bind-fd", "--block-fd", "--disable-userns",
    "--json-status-fd", "--size", "--perms",
)  # fmt: skip
_PROC = Path("/proc/sys")


def require(user: Identity | None) -> None:
    """Raise `JailError` unless this machine, and this user, can have a jail."""
    _user(user)
    machine()
    _kernel(platform.release())
    _namespaces(_PROC)
    _seccomp(_PROC)
    _children()
    _bubblewrap()


def machine() -> Machine:
    """Return the machine that filters are made for. Raises `JailError`."""
    name = platform.machine()
    if name not in MACHINES or platform.architecture()[0] != "64bit":
        raise JailError(
            f"no filter on system calls is known for {name}",
            hint=f"run it on one of {', '.join(MACHINES)}",
        )
    return MACHINES[name]


def _user(user: Identity | None) -> None:
    if user is not None and user.uid == 0:
        raise JailError("root cannot be jailed", code="jail_refused", hint="name another user")
    if os.geteuid() == 0 and user is None:
        raise JailError(
            "root cannot be jailed: the kernel exempts its processes from limits",
            code="jail_refused",
            hint="name the user that the jail's processes are to be, with `--as USER`",
        )
    if os.geteuid() != 0 and user is not None and user.uid != os.geteuid():
        raise JailError(
            f"only root can start a jail as {user.name!r}",
            code="jail_refused",
            hint="leave out `--as`: the jail is of the user who starts it",
        )


def _kernel(release: str) -> None:
    numbers = release.split("-", maxsplit=1)[0].split(".")[:2]
    have = tuple(int(number) for number in numbers if number.isdigit())
    if have < KERNEL:
        raise JailError(
            f"Linux {release} counts a user's processes, not a jail's",
            hint=f"a jail needs Linux {KERNEL[0]}.{KERNEL[1]} or later",
        )


def _namespaces(proc: Path) -> None:
    """Refuse where a sysctl says that this user may make no user namespace."""
    wrong = {
        "user/max_user_namespaces": ("0", "set user.max_user_namespaces with sysctl(8)"),
        "kernel/unprivileged_userns_clone": ("0", "set kernel.unprivileged_userns_clone to 1"),
    }
    for name, (value, hint) in wrong.items():
        if _read(proc / name) == value:
            raise JailError(f"{name.replace('/', '.')} is {value}: no user namespaces", hint=hint)


def _seccomp(proc: Path) -> None:
    available = _read(proc / "kernel" / "seccomp" / "actions_avail").split()
    if not {"kill_process", "errno", "allow"} <= set(available):
        raise JailError(
            "this kernel has no seccomp filters",
            hint="it must be built with CONFIG_SECCOMP_FILTER",
        )


def _children() -> None:
    if not Path(f"/proc/self/task/{os.getpid()}/children").exists():
        raise JailError(
            "this kernel does not list a process's children: a jail's could not be counted",
            hint="it must be built with CONFIG_PROC_CHILDREN",
        )


def _read(path: Path) -> str:
    try:
        return path.read_text("ascii").strip()
    except (OSError, ValueError):
        return ""


def _bubblewrap() -> None:
    path = program()
    if not path:
        raise JailError("bubblewrap is not installed", hint="install the package `bubblewrap`")
    if Path(path).stat().st_mode & 0o6000:
        raise JailError(
            f"{path} is setuid: it would make the jail with root's rights",
            hint="take the bit away (`chmod u-s`) and let users make user namespaces",
        )
    known = _known(path)
    if lacking := [option for option in _OPTIONS if option not in known]:
        raise JailError(
            f"{path} does not know {', '.join(lacking)}",
            hint="install bubblewrap 0.8 or later, with its security updates",
        )


@cache
def _known(path: str) -> frozenset[str]:
    try:
        ran = subprocess.run(  # noqa: S603 - words of our own
            [path, "--help"], capture_output=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    return frozenset((ran.stdout + ran.stderr).decode("utf-8", "replace").split())


def tried(plan: Plan) -> None:
    """Run a plan's jail with another command, and look at what the kernel says of its process.

    Raises `JailError` when the jail cannot be made, or lacks one of its walls.
    """
    looking = msgspec.structs.replace(
        plan, command=("/usr/bin/cat", "/proc/self/status", "/proc/self/net/dev")
    )
    jail = start(looking, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert jail.stdout is not None
    assert jail.stderr is not None
    with jail.stdout, jail.stderr:
        output = jail.stdout.read(65_536).decode("utf-8", "replace")
        errors = jail.stderr.read(65_536).decode("utf-8", "replace")
    try:
        ended = jail.wait(30)
    except JailError as problem:
        raise of_bubblewrap(errors) from problem
    if ended.status != 0:
        raise of_bubblewrap(errors)
    if weak := lacking(output):
        raise JailError(
            f"the jail on trial lacks a wall: {weak}",
            hint="nothing was started; this is a fault of the system or of Bridle: report it",
        )


def lacking(output: str) -> str:
    """Return the wall that a process lacks, of what proc(5) says of it; empty when none."""
    lines = (line.partition(":") for line in output.splitlines())
    told = {name: value.split() for name, _, value in lines}
    wanted = {"Seccomp": ["2"], "NoNewPrivs": ["1"], "Uid": [str(UID)] * 4, "Gid": [str(UID)] * 4}
    wanted |= {name: ["0" * 16] for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb", "CapInh")}
    for name, value in wanted.items():
        if told.get(name) != value:
            return f"{name} is {told.get(name)}"
    devices = [line.split(":")[0].strip() for line in output.splitlines() if "|" not in line
               and ":" in line and len(line.split(":")[1].split()) == 16]  # fmt: skip
    return "" if devices == ["lo"] else f"it sees the networks {devices}"
