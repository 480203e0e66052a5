"""Folders that a jail is given. One job: to open them once, and refuse what would be a way out.

A folder is known by what it is (device and inode), not by its name. What lies in it is looked at
once, at the start: who adds a socket or a mount later must be able to write there from outside.
"""

from __future__ import annotations

import os
import pwd
import re
import stat
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from bridle.jail.errors import JailError
from bridle.jail.places import system
from bridle.jail.profile import Kept, Profile
from bridle.store.place import INSTALLED_STATE

MOST = 2_000_000
"""Entries of one folder that are looked at; one with more is refused."""

_SYSTEM = ("/usr", "/etc", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/boot",
           "/dev", "/proc", "/sys", "/run", "/var/run")  # fmt: skip
_MACHINE = ("/dev", "/proc", "/sys", "/run", "/var/run")
_TOP = ("/", "/etc", "/home", "/root", "/tmp", "/var", "/var/lib", "/var/tmp", "/opt", "/srv",  # noqa: S108
        "/mnt", "/media")  # fmt: skip
_OF_USERS = (
    ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".netrc", ".pgpass", ".git-credentials",
    ".config/gcloud", ".config/gh", ".config/bridle", ".local/share/keyrings",
    ".local/state/bridle", ".password-store", ".vault-token", ".mozilla", ".pypirc", ".npmrc",
    ".bash_history",
)  # fmt: skip
_SOCKETS = ("SSH_AUTH_SOCK", "GPG_AGENT_INFO", "XDG_RUNTIME_DIR", "DOCKER_HOST", "BRIDLE_SOCKETS")

_ESCAPED = re.compile(rb"\\([0-3][0-7]{2})")


class Seen(Struct, frozen=True):
    """A file or folder that is seen in the jail: what it is opened as, and at which path."""

    path: Path
    descriptor: int


def opened(profile: Profile) -> tuple[Seen, tuple[Seen, ...]]:
    """Open the work folder and those to read, each without symbolic links.

    The caller closes the descriptors. Raises `JailError` (jail_refused) for a folder that is not
    there, is a place of the system or of a user's secrets, holds or lies in what is kept, has a
    mount below, or holds a socket, pipe or device.
    """
    kept = [*profile.kept, *_own(profile)]
    found: list[Seen] = []
    # An environment may lie in a home: what is shown of it must hold no more than programs.
    for path in system.python() if profile.python else ():
        _apart(path, "interpreter's folder", [each for each in kept if not each.readable])
    try:
        found.append(_work(profile, kept))
        found.extend(_read(path, kept, found[0].path) for path in profile.read)
    except BaseException:
        for each in found:
            os.close(each.descriptor)
        raise
    return found[0], tuple(found[1:])


def _work(profile: Profile, kept: list[Kept]) -> Seen:
    path = _resolved(profile.work, "work folder")
    if not path.is_dir():
        raise _refusal("work folder", path, "is no folder")
    if str(path) in _TOP or path in _homes(profile):
        raise _refusal("work folder", path, "holds more than one task's files")
    _outside(path, "work folder", _SYSTEM)
    _apart(path, "work folder", kept)
    return _searched(path, "work folder")


def _read(given: Path, kept: list[Kept], work: Path) -> Seen:
    path = _resolved(given, "path to read")
    if path.is_relative_to(work):
        raise _refusal("path to read", path, "lies in the work folder, which can be written")
    if str(path) in _TOP:
        raise _refusal("path to read", path, "holds more than one thing")
    _outside(path, "path to read", _MACHINE)
    _apart(path, "path to read", [each for each in kept if not each.readable])
    return _searched(path, "path to read")


def _resolved(path: Path, what: str) -> Path:
    try:
        return path.resolve(strict=True)
    except (OSError, RuntimeError) as problem:
        raise _refusal(what, path, f"cannot be had: {problem}") from problem


def _outside(path: Path, what: str, places: tuple[str, ...]) -> None:
    for place in places:
        if path.is_relative_to(place) or Path(place).is_relative_to(path):
            raise _refusal(what, path, f"is of the system ({place})")


def _apart(path: Path, what: str, kept: list[Kept]) -> None:
    """Refuse a path that is, holds or lies in a kept one, by whatever name."""
    # INVARIANT: I9 — no agent reaches state, keys, policies or the program that judges it.
    above = {_id(each) for each in (path, *path.parents)}
    for each in kept:
        place = each.path.resolve()
        own = _id(place)
        lies = path.is_relative_to(place) or (own is not None and own in above)
        if lies or _id(path) in {_id(each) for each in (place, *place.parents)}:
            raise _refusal(what, path, f"holds or lies in {each.what} ({place})")


def _id(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _own(profile: Profile) -> list[Kept]:
    """Return what nobody has to name: users' secrets, agents' sockets, the interpreter."""
    secrets = [
        Kept("secrets of a user", home / name)
        for home in _homes(profile)
        for name in _OF_USERS
        if (home / name).exists()
    ]
    sockets = [
        Kept(f"what {name} names", Path(value.removeprefix("unix://")))
        for name in _SOCKETS
        if (value := os.environ.get(name, "").split(":")[0 if name != "DOCKER_HOST" else -1])
        if value.removeprefix("unix://").startswith("/")
    ]
    programs = [Kept("the program that runs this", path, True) for path in system.python()]
    return [*secrets, *sockets, *programs, Kept("a governor's state", INSTALLED_STATE)]


def _homes(profile: Profile) -> list[Path]:
    found = [Path(os.environ["HOME"])] if os.environ.get("HOME", "").startswith("/") else []
    for uid in {os.getuid(), profile.user.uid if profile.user else os.getuid()}:
        try:
            found.append(Path(pwd.getpwuid(uid).pw_dir))
        except KeyError:
            continue
    return list(dict.fromkeys(home.resolve() for home in found if home.exists()))


def _searched(path: Path, what: str) -> Seen:
    """Open a path as it is now, and look through what lies in it."""
    flags = os.O_PATH | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags)
    try:
        _unmounted(path, what)
        _plain(path, what, os.fstat(descriptor).st_mode)
    except BaseException:
        os.close(descriptor)
        raise
    return Seen(path, descriptor)


def _unmounted(path: Path, what: str) -> None:
    mounts = mounts_below(path, Path("/proc/self/mountinfo").read_bytes())
    if mounts:
        raise _refusal(what, path, f"has something mounted at {mounts[0]}")


def mounts_below(path: Path, mountinfo: bytes) -> list[Path]:
    """Return where something is mounted below a path, of what proc(5) says of mounts."""
    fields = (line.split(b" ") for line in mountinfo.splitlines())
    places = (_ESCAPED.sub(lambda found: bytes([int(found[1], 8)]), each[4])
              for each in fields if len(each) > 4)  # fmt: skip
    found = (Path(os.fsdecode(place)) for place in places)
    return [place for place in found if place != path and place.is_relative_to(path)]


def _plain(path: Path, what: str, mode: int) -> None:
    if stat.S_ISREG(mode):
        return
    if not stat.S_ISDIR(mode):
        raise _refusal(what, path, "is neither file nor folder")
    try:
        for count, (name, plain) in enumerate(_entries(path)):
            if not plain:
                raise _refusal(what, path, f"holds a socket, pipe or device: {name}")
            if count >= MOST:
                raise _refusal(what, path, f"holds more than {MOST:,} files")
    except OSError as problem:
        raise _refusal(what, path, f"cannot be looked through: {problem}") from problem


def _entries(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield what lies in a folder at any depth, and whether it is file, folder or link."""
    waiting = [str(path)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                folder = entry.is_dir(follow_symlinks=False)
                if folder:
                    waiting.append(entry.path)
                yield entry.path, folder or entry.is_symlink() or entry.is_file()


def _refusal(what: str, path: Path, why: str) -> JailError:
    return JailError(
        f"the {what} {path} {why}",
        code="jail_refused",
        hint="give the jail a folder that is made for its task and holds nothing else",
    )
