"""As root, before a governor becomes another user: accounts, folders, and the sockets it will own.

Root touches nothing in a folder that anybody else can write: neither agents nor the governor's own
user can put a link where it makes, owns or locks something.
"""

from __future__ import annotations

import fcntl
import grp
import os
import pwd
import stat
from pathlib import Path

from msgspec import Struct

from bridle.model.errors import RefusedError, StoreError, UsageError
from bridle.server.confine import Account
from bridle.server.listening import Door, Listener, agents_door, listen, operator_door

_HINT = "name another with --state or --runtime, or mend its owner and mode"


class Installed(Struct, frozen=True):
    """What root has made ready. `lock` stays open for as long as the governor lives."""

    doors: tuple[Listener, ...]
    lock: int


def account(name: str) -> Account:
    """Look a user up. Raises `UsageError`."""
    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise UsageError(f"there is no user {name!r} on this system") from None
    return Account(found.pw_name, found.pw_uid, found.pw_gid)


def group(name: str) -> int:
    """Look a group up. Raises `UsageError`."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise UsageError(f"there is no group {name!r} on this system") from None


def doors(
    runtime: Path, governor: int, operators: tuple[Account, ...], agents: int
) -> tuple[Door, ...]:
    """The doors of a governor: the agents' (`agents` is a gid, -1 for none) and each operator's.

    One operator has `operator.sock`. Of several each has `operator-<uid>.sock`: file mode and
    peer check then say the same of exactly one user, and none can use up another's connections.
    """
    path = runtime / "operator.sock"
    humans = tuple(
        operator_door(
            path if len(operators) == 1 else runtime / f"operator-{each.uid}.sock",
            operator=each.uid,
            governor=governor,
        )
        for each in operators
    )
    none = operator_door(path, operator=governor, governor=governor)
    return (agents_door(runtime / "agents.sock", group=agents), *(humans or (none,)))


def install(governor: Account, state: Path, runtime: Path, wanted: tuple[Door, ...]) -> Installed:
    """Make folders and sockets, as root. The paths hold no links.

    Raises `RefusedError`, `StoreError` (`store_locked`, `no_sockets`).
    """
    if governor.uid == 0:
        raise UsageError("--user names root: a governor needs a user of its own")
    _state(governor, state)
    _runtime(runtime)
    lock = _lock(runtime)
    try:
        _sweep(runtime, wanted)
        # They listen as root's, which is what clients find behind a folder of root's.
        return Installed(tuple((door, listen(door)) for door in wanted), lock)
    except OSError as problem:
        raise StoreError(
            f"the sockets in {runtime} cannot be made: {problem.strerror}", code="no_sockets"
        ) from problem


def _state(governor: Account, folder: Path) -> None:
    """The governor's own folder. One that is there already is only looked at."""
    if not _made(folder, 0o700):
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != governor.uid:
            raise _unsafe(folder, f"it is no folder of {governor.name}")
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchown(handle, governor.uid, governor.gid)
    finally:
        os.close(handle)


def _runtime(folder: Path) -> None:
    """A folder that everybody can enter and only root can write, as those above it."""
    if not _made(folder, 0o755):
        _own_above(folder)
        if why := _writable(folder):
            raise _unsafe(folder, why)
        folder.chmod(0o755)


def _made(folder: Path, mode: int) -> bool:
    """Make a folder, and those above it; whether there was none."""
    if os.path.lexists(folder):
        return False
    _own_above(folder)
    folder.mkdir(mode=mode)
    folder.chmod(mode)
    return True


def _own_above(folder: Path) -> None:
    """See to it that only root can put anything where this folder lies."""
    for above in reversed(folder.parents):
        if not os.path.lexists(above):
            above.mkdir(mode=0o755)
            above.chmod(0o755)
        if why := _writable(above, sticky=True):
            raise _unsafe(above, why)


def _writable(folder: Path, *, sticky: bool = False) -> str:
    """Say why others than root could replace what lies in a folder; empty when none could."""
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        return "it is no folder"
    if status.st_uid != 0:
        return f"it belongs to user {status.st_uid}"
    if status.st_mode & 0o022 and not (sticky and status.st_mode & stat.S_ISVTX):
        return "others can write in it"
    return ""


def _lock(runtime: Path) -> int:
    """Be the only governor of these sockets: the store's own lock comes too late for them."""
    path = runtime / ".lock"
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise StoreError(
            f"another governor has its sockets in {runtime}",
            code="store_locked",
            hint="stop it first, or name another folder with --runtime",
        ) from None
    return lock


def _sweep(runtime: Path, wanted: tuple[Door, ...]) -> None:
    """Take away sockets of an earlier run that had other operators."""
    for left in runtime.glob("*.sock"):
        if left.is_socket() and left not in {door.path for door in wanted}:
            left.unlink()


def _unsafe(folder: Path, why: str) -> RefusedError:
    return RefusedError(f"{folder} cannot be used: {why}", code="place_exposed", hint=_HINT)
