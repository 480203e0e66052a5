"""Where things lie: store, keys and sockets of a bundle, and who else could reach them.

Mode bits and owners are looked at; access control lists are not.
"""

from __future__ import annotations

import fcntl
import grp
import hashlib
import os
import pwd
import re
import stat
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
from msgspec import Struct

from bridle.model.errors import StoreError
from bridle.store import folders
from bridle.store.failures import of_system

SOCKET_BYTES = 100
"""Longest socket path: the kernel takes 108 bytes, some systems 104."""

INSTALLED_STATE = Path("/var/lib/bridle")
INSTALLED_RUNTIME = Path("/run/bridle")

_ODD = re.compile(r"[^A-Za-z0-9_.-]+")

_HINT = (
    "Move it to a folder that only the user who runs Bridle can write and that no tool writes, "
    "or take that folder out of the system's `writes`."
)
_Index = dict[str, str]


class Place(Struct, frozen=True):
    """The folders of one store, all 0700 and ours. `id` is short, stable and tells nothing.

    `runtime` holds the sockets: `folder` itself unless its path is too long for one.
    """

    id: str
    folder: Path
    runtime: Path

    @property
    def database(self) -> Path:
        """The file that `open_store` takes."""
        return self.folder / "store.db"

    @property
    def payload_key(self) -> Path:
        """The file that `load_or_create` takes."""
        return self.keys / "payload.key"

    @property
    def keys(self) -> Path:
        """The folder of the store's own keys."""
        return self.folder / "keys"

    @property
    def checkpoint(self) -> Path:
        """The newest signed checkpoint, beside the database: a copy is what others hold on to."""
        return self.folder / "checkpoint"

    @property
    def agents_socket(self) -> Path:
        """Where agents and workloads connect."""
        return self.runtime / "agents.sock"

    @property
    def operator_socket(self) -> Path:
        """Where the operator connects."""
        return self.runtime / "operator.sock"


def place_of(bundle: Path, environ: Mapping[str, str] = os.environ) -> Place:
    """Return the place of a bundle in the user's state directory, making it the first time.

    The id is random, made once per absolute path of a bundle (links resolved). Raises
    `StoreError` (`place_exposed`, `place_invalid`, `store_readonly`).
    """
    state = _state(environ)
    with _system_errors(state):
        folders.make(state)
        _assert_private(state)
        return _place(_id_of(state, os.path.realpath(bundle)), state, environ)


def place_at(
    folder: Path, environ: Mapping[str, str] = os.environ, *, runtime: Path | None = None
) -> Place:
    """Return the place whose store lies in `folder` itself, making it the first time.

    `runtime` names another folder for the sockets; nobody but its owner may write there.
    """
    where = Path(os.path.realpath(folder))
    name = hashlib.sha256(os.fsencode(where)).hexdigest()[:16]
    with _system_errors(where):
        if runtime is None:
            return _place(name, where.parent, environ, where)
        folders.make(where)
        _assert_private(where)
        sockets = Path(os.path.realpath(runtime))
        if not sockets.exists():
            sockets.mkdir(mode=0o755)
            # Whatever the umask: who may connect has to come as far as the sockets.
            sockets.chmod(0o755)
        _assert_short(sockets)
        return Place(name, where, sockets)


def installed_name(bundle: Path) -> str:
    """Return the name under which a governor with a uid of its own keeps its folders.

    It follows from the bundle's path alone, so that everybody who knows the path finds the sockets.
    """
    real = os.path.realpath(bundle)
    digest = hashlib.sha256(os.fsencode(real)).hexdigest()[:8]
    return f"{_ODD.sub('-', Path(real).name)[:32] or 'bundle'}-{digest}"


def installed_state(bundle: Path) -> Path:
    """Return where such a governor keeps its store, unless it is told otherwise."""
    return INSTALLED_STATE / installed_name(bundle)


def installed_runtime(bundle: Path) -> Path:
    """Return where such a governor has its sockets, unless it is told otherwise."""
    return INSTALLED_RUNTIME / installed_name(bundle)


def assert_apart(
    place: Place,
    bundle: Path | None,
    writes: Iterable[str],
    *,
    operators: frozenset[int] = frozenset(),
) -> None:
    """Raise `place_exposed` when store, keys or bundle can be written by tools or other users.

    `writes` are the folders that the systems of the bundle say their tools write. The bundle may
    also belong to one of the `operators` (uids): what they change counts once they activate it.
    """
    # INVARIANT: I9. What raises authority (store, keys, bundle) lies where no tool writes.
    paths = [place.folder, place.runtime, *([bundle] if bundle else [])]
    for path, written in overlaps(paths, writes):
        raise _exposed(f"{path} lies where tools write ({written})")
    for path in paths:
        owners = operators if path == bundle else frozenset[int]()
        for part in _parts(path):
            if why := _open_to_others(part, owners):
                raise _exposed(f"{path} is not safe from other users: {why}")


def overlaps(paths: Iterable[Path], writes: Iterable[str]) -> list[tuple[Path, Path]]:
    """Return each of `paths` that lies in a folder of `writes`, or holds one.

    Links are resolved, and folders that are one and the same under two names are found.
    """
    written = [Path(os.path.realpath(each)) for each in writes]
    return [
        (path, each)
        for path in paths
        for each in written
        if _within(Path(os.path.realpath(path)), each)
        or _within(each, Path(os.path.realpath(path)))
    ]


def _within(inner: Path, outer: Path) -> bool:
    chain = (inner, *inner.parents)
    if outer in chain:
        return True
    identity = _identity(outer)
    return identity is not None and any(_identity(each) == identity for each in chain)


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _parts(path: Path) -> Iterator[Path]:
    """Yield the folders above `path`, the path itself and everything in it."""
    real = Path(os.path.realpath(path))
    yield from reversed(real.parents)
    yield real
    for folder, inner, files in os.walk(real):
        yield from (Path(folder, name) for name in (*inner, *files))


def _open_to_others(path: Path, owners: frozenset[int]) -> str:
    """Say how a user other than root, ourselves and `owners` could change `path`; else empty."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return ""
    mode = status.st_mode
    # A socket's owner and mode say who may connect; who may replace it is up to its folder.
    if stat.S_ISSOCK(mode):
        return ""
    if status.st_uid not in {0, os.geteuid(), *owners}:
        return f"{path} belongs to user {status.st_uid}"
    # A link has no mode; in a sticky folder only the owner of an entry can replace it.
    if stat.S_ISLNK(mode) or (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
        return ""
    return _writable(path, status)


def _writable(path: Path, status: os.stat_result) -> str:
    if status.st_mode & stat.S_IWOTH:
        return f"{path} is writable by everyone"
    if status.st_mode & stat.S_IWGRP and not _private_group(status.st_gid):
        return f"{path} is writable by group {status.st_gid}"
    return ""


def _private_group(number: int) -> bool:
    """Whether the group is the user's own, as systems make one for each user."""
    try:
        user, group = pwd.getpwuid(os.geteuid()), grp.getgrgid(number)
    except KeyError:
        return False
    return group.gr_name == user.pw_name and not set(group.gr_mem) - {user.pw_name}


def _state(environ: Mapping[str, str]) -> Path:
    base = environ.get("XDG_STATE_HOME", "")
    # The XDG specification: a relative path is invalid and ignored.
    root = Path(base) if Path(base).is_absolute() else Path.home() / ".local" / "state"
    return Path(os.path.realpath(root)) / "bridle"


def _id_of(state: Path, bundle: str) -> str:
    """Look the id up in the index, adding it under the index's lock."""
    index = state / "index.json"
    descriptor = os.open(state / "index.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        known = _read(index)
        if bundle not in known:
            known[bundle] = os.urandom(8).hex()
            folders.replace(index, msgspec.json.encode(known))
        return known[bundle]
    finally:
        os.close(descriptor)


def _read(index: Path) -> _Index:
    try:
        known = msgspec.json.decode(index.read_bytes(), type=_Index)
    except FileNotFoundError:
        return {}
    except msgspec.MsgspecError as problem:
        raise _invalid(index, str(problem)) from problem
    for each in known.values():
        if len(each) != 16 or not each.isalnum():
            raise _invalid(index, "an id is not one that was made here")
    return known


def _place(name: str, state: Path, environ: Mapping[str, str], folder: Path | None = None) -> Place:
    folder = folder or state / name
    folders.make(folder)
    _assert_private(folder)
    if _short(folder):
        return Place(name, folder, folder)
    runtime = _runtime(name, environ)
    for each in (runtime.parent, runtime):
        each.mkdir(mode=0o700, exist_ok=True)
        _assert_private(each)
    return Place(name, folder, runtime)


def _runtime(name: str, environ: Mapping[str, str]) -> Path:
    """Choose a folder for sockets: short, and the same for all who look with this environment."""
    base = Path(environ.get("XDG_RUNTIME_DIR", ""))
    runtime = base / "bridle" / name
    if base.is_absolute() and base.is_dir() and _short(runtime):
        return runtime
    return Path("/tmp") / f"bridle-{os.geteuid()}" / name  # noqa: S108 (0700 and checked)


def _assert_short(folder: Path) -> None:
    if not _short(folder):
        raise StoreError(
            f"{folder} is too long a path for sockets: they have {SOCKET_BYTES} bytes in all",
            code="place_invalid",
            hint="name a shorter one with --runtime",
        )


def _short(folder: Path) -> bool:
    return len(os.fsencode(folder / "operator.sock")) <= SOCKET_BYTES


def _assert_private(folder: Path) -> None:
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode):
        raise _exposed(f"{folder} is no folder")
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise _exposed(f"{folder} has mode {mode:04o}, owner {status.st_uid}")


@contextmanager
def _system_errors(path: Path) -> Generator[None, None, None]:
    try:
        yield
    except OSError as problem:
        raise of_system(problem, path) from problem


def _exposed(message: str) -> StoreError:
    return StoreError(message, code="place_exposed", hint=_HINT)


def _invalid(index: Path, why: str) -> StoreError:
    return StoreError(
        f"{index} cannot be read: {why}",
        code="place_invalid",
        hint="Restore it, or remove it: stores stay in their folders under new ids.",
    )
