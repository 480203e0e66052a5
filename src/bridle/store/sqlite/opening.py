"""Opening a SQLite store: what must hold of folder, file and settings before the first write."""

from __future__ import annotations

import fcntl
import os
import re
import stat
from collections.abc import Iterator
from functools import cache
from importlib import resources
from pathlib import Path

import apsw

from bridle.model.errors import StoreError
from bridle.store import folders
from bridle.store.failures import failure, of_system
from bridle.store.sqlite import rewriting, subtrees
from bridle.store.sqlite.statements import execute_of, of_sqlite

APPLICATION_ID = 0x42726431  # "Brd1"
OLDEST_SQLITE = (3, 50, 0)
MOUNTS = Path("/proc/mounts")
NETWORK = re.compile(
    r"(nfs|nfs4|cifs|smb|smb2|smb3|smbfs|9p|afs|ceph|coda|gfs2?|glusterfs|gpfs|lustre|ncpfs|ocfs2"
    r"|beegfs|orangefs|webdav|davfs|fuse\.(?!fuse-overlayfs|gocryptfs|ntfs|exfat|bindfs).+)"
)
_MAGIC = b"SQLite format 3\0"
_LOGS = (
    ("-journal", bytes.fromhex("d9d505f920a163d7")),
    ("-wal", bytes.fromhex("377f0682")),
    ("-wal", bytes.fromhex("377f0683")),
)
_CHECKED_BYTES = 16 << 20
BUSY_MS = 2_000


def connect(path: Path | None, *, vfs: str = "") -> apsw.Connection:
    """Open and check the database, migrate it, and set what durability needs.

    `path` None is a private store in memory; `vfs` names one of SQLite's virtual file systems
    (empty: the system's own). Raises `StoreError`, each cause with its own code.
    """
    _assert_version()
    if path is None:
        return _prepare(apsw.Connection(":memory:"), None)
    _assert_own(path)
    rewriting.remove_draft(path)
    try:
        connection = apsw.Connection(str(path), vfs=vfs or None)
    except apsw.Error as problem:
        raise of_sqlite(problem) from problem
    try:
        return _prepare(connection, path)
    except apsw.Error as problem:
        error = of_sqlite(problem, connection)
        connection.close(True)
        raise error from problem
    except OSError as problem:
        connection.close(True)
        raise of_system(problem, path) from problem
    except BaseException:
        connection.close(True)
        raise


def lock(path: Path) -> int:
    """Take the store's lock for as long as the returned descriptor is open.

    Makes the folder (0700) where there is none. Raises `StoreError`: `store_locked` with the
    holder's process id, `store_exposed`, `store_network`, `store_readonly`, `store_full`.
    """
    assert_private(path.parent)
    assert_local(path.parent)
    name = path.with_name(path.name + ".lock")
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        descriptor = os.open(name, flags, 0o600)
    except OSError as problem:
        raise of_system(problem, name) from problem
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except BlockingIOError as problem:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
        os.close(descriptor)
        raise failure("store_locked", f"{path} is in use by process {holder}") from problem
    except OSError as problem:
        os.close(descriptor)
        raise of_system(problem, name) from problem
    return descriptor


def assert_private(folder: Path) -> None:
    """Make the folder if need be; raise `store_exposed` unless it is ours and 0700."""
    try:
        folders.make(folder)
        status = folder.stat()
    except OSError as problem:
        raise of_system(problem, folder) from problem
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise failure("store_exposed", f"{folder} has mode {mode:04o}, owner {status.st_uid}")


def assert_local(folder: Path) -> None:
    """Raise `store_network` where the folder lies on a network file system."""
    kind = filesystem(folder)
    if NETWORK.fullmatch(kind):
        raise failure("store_network", f"{folder} lies on a network file system ({kind})")


def filesystem(path: Path) -> str:
    """Return the type of the file system that holds `path`, empty where nothing tells."""
    where, best = os.path.realpath(path), ("", "")
    for point, kind in _mounts():
        inside = where == point or where.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = point, kind
    return best[1]


def _mounts() -> Iterator[tuple[str, str]]:
    try:
        text = MOUNTS.read_bytes()
    except OSError:
        return
    for line in text.splitlines():
        if len(fields := line.split(b" ")) > 2:
            # Mount points carry space, tab, newline and backslash as octal escapes.
            point = re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), fields[1])
            yield os.fsdecode(point), os.fsdecode(fields[2])


def _assert_version() -> None:
    found = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if found < OLDEST_SQLITE:
        raise failure("store_old_sqlite", f"SQLite {apsw.sqlite_lib_version()} is too old")


def _assert_own(path: Path) -> None:
    """Refuse a file that is not ours to open; create it 0600 where there is none."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as problem:
        raise of_system(problem, path) from problem
    try:
        status, start = os.fstat(descriptor), os.pread(descriptor, 16, 0)
    except OSError as problem:
        raise of_system(problem, path) from problem
    finally:
        os.close(descriptor)
    # A power cut may leave anything there, and beside it the log that undoes or repeats the write.
    begun = any(
        _start_of(path.with_name(path.name + ending)).startswith(magic) for ending, magic in _LOGS
    )
    if not stat.S_ISREG(status.st_mode) or (start not in {b"", _MAGIC} and not begun):
        raise failure("store_foreign", f"{path} is no store of Bridle")
    if status.st_uid != os.geteuid() or status.st_mode & 0o077:
        mode = stat.S_IMODE(status.st_mode)
        raise failure("store_exposed", f"{path} has mode {mode:04o}, owner {status.st_uid}")


def _start_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError:
        return b""


def _prepare(connection: apsw.Connection, path: Path | None) -> apsw.Connection:
    execute = execute_of(connection)
    connection.set_busy_timeout(BUSY_MS)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    execute("PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON")
    version = _assert_ours(connection, path)
    if path is not None and path.stat().st_size <= _CHECKED_BYTES:
        found = execute("PRAGMA quick_check(1)").get
        if found != "ok":
            raise failure("store_corrupt", f"{path} is damaged: {found}")
    _migrate(connection, version)
    # What is erased is overwritten with zeros, in pages that stay and in those that are let go.
    _set(connection, "secure_delete", "ON", 1)
    if path is not None:
        assert_schema(connection, path)
        _set(connection, "journal_mode", "WAL", "wal")
        _set(connection, "synchronous", "FULL", 2)
        folders.sync(path.parent)
    subtrees.fill(connection)
    return connection


def _assert_ours(connection: apsw.Connection, path: Path | None) -> int:
    """Return the schema version, 0 for an empty database."""
    execute = execute_of(connection)
    application = execute("PRAGMA application_id").get
    version = int(execute("PRAGMA user_version").get)
    if application != APPLICATION_ID:
        empty = execute("SELECT count(*) FROM sqlite_schema").get == 0
        if application != 0 or version != 0 or not empty:
            raise failure("store_foreign", f"{path} is a database of another program")
    if version > len(migrations()):
        raise failure("store_newer", f"{path} has schema {version}, this is {len(migrations())}")
    return version


def migrations() -> list[str]:
    """Return the SQL of each migration, in order of its number."""
    folder = resources.files("bridle.store.sqlite") / "migrations"
    found = sorted((each.name, each) for each in folder.iterdir() if each.name.endswith(".sql"))
    for number, (name, _) in enumerate(found, 1):
        if not name.startswith(f"{number:04d}_"):
            raise StoreError(f"migration {number:04d} is missing, found {name}")
    return [each.read_text("utf-8") for _, each in found]


def _migrate(connection: apsw.Connection, version: int) -> None:
    """Bring the schema up to date, each step in a transaction of its own."""
    execute = execute_of(connection)
    for number, sql in enumerate(migrations()[version:], version + 1):
        execute("BEGIN EXCLUSIVE")
        try:
            execute(sql)
            execute(f"PRAGMA application_id = {APPLICATION_ID}")
            execute(f"PRAGMA user_version = {number}")
            execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                execute("ROLLBACK")
            raise


def assert_schema(connection: apsw.Connection, path: Path) -> None:
    """Raise `store_tampered` unless tables and indexes are those that the migrations make."""
    # INVARIANT: I9 — a trigger or a view would change rows within the governor's own writes, long
    # after they were compared with the ledger.
    odd = sorted({name for _, name, *_ in _schema(connection) ^ _made_by(tuple(migrations()))})
    if odd:
        raise failure("store_tampered", f"{path} has a schema of its own: {', '.join(odd)[:200]}")


@cache
def _made_by(steps: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    connection = apsw.Connection(":memory:")
    try:
        for sql in steps:
            execute_of(connection)(sql)
        return _schema(connection)
    finally:
        connection.close(True)


def _schema(connection: apsw.Connection) -> frozenset[tuple[str, ...]]:
    columns = 'SELECT "type", "name", "tbl_name", coalesce("sql", \'\') FROM sqlite_schema'
    return frozenset(execute_of(connection)(columns).fetchall())


def _set(connection: apsw.Connection, name: str, value: str, expected: str | int) -> None:
    """Set a pragma and read it back: SQLite ignores silently what it cannot do."""
    execute = execute_of(connection)
    execute(f"PRAGMA {name} = {value}")
    found = execute(f"PRAGMA {name}").get
    if found != expected:
        raise failure("store_unavailable", f"SQLite refused {name} = {value}: it is {found}")
