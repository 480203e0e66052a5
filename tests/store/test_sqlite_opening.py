"""A store opens only where its promises hold; every other place has a code and a way out."""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from bridle.ledger.tiles import root_reader
from bridle.ledger.tree import frontier_of, leaf_hash
from bridle.model.errors import StoreError
from bridle.store import failures
from bridle.store.base import Tx
from bridle.store.rows import ROWS, ActionRow, AttemptRow, GlobalRow, Row
from bridle.store.sqlite import open_store, opening
from bridle.store.sqlite.tables import table

HOLDER = """
import sys
from pathlib import Path
from bridle.store.sqlite import open_store
open_store(Path(sys.argv[1]))
print("open", flush=True)
sys.stdin.read()
"""

FORKER = """
import os, sys
from pathlib import Path
from bridle.model.errors import StoreError
from bridle.store.rows import GlobalRow
from bridle.store.sqlite import open_store
store = open_store(Path(sys.argv[1]))
child = os.fork()
if child == 0:
    try:
        store.write(lambda tx: tx.put(GlobalRow(epoch=1)))
    except StoreError as problem:
        os.write(1, problem.code.encode() + b" ")
    store.close()
    os._exit(0)
os.waitpid(child, 0)
store.write(lambda tx: tx.put(GlobalRow(epoch=2)))
row = store.write(lambda tx: tx.get(GlobalRow, "global"))
print(row.epoch)
store.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "store.db"


def made(path: Path) -> Path:
    store = open_store(path)
    store.write(lambda tx: tx.put(GlobalRow(epoch=7)))
    store.close()
    return path


def refused(path: Path) -> StoreError:
    before = path.read_bytes() if path.is_file() else b""
    with pytest.raises(StoreError) as raised:
        open_store(path)
    assert raised.value.hint
    assert (path.read_bytes() if path.is_file() else b"") == before
    return raised.value


# What a new store is


def test_a_new_store_is_private_and_synced_and_says_whose_it_is(path: Path) -> None:
    store = open_store(path)
    run = store._connection.execute
    assert run("PRAGMA journal_mode").get == "wal"
    assert run("PRAGMA synchronous").get == 2
    assert run("PRAGMA mmap_size").get == 0
    assert run("PRAGMA application_id").get == opening.APPLICATION_ID
    assert run("PRAGMA user_version").get == len(opening.migrations())
    store.write(lambda tx: tx.put(GlobalRow()))
    assert path.parent.stat().st_mode & 0o777 == 0o700
    modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    assert modes == dict.fromkeys(
        ["store.db", "store.db-wal", "store.db-shm", "store.db.lock"], 0o600
    )
    store.close()


def test_the_mode_of_the_process_does_not_widen_the_store(path: Path) -> None:
    before = os.umask(0)
    try:
        store = open_store(path)
        store.write(lambda tx: tx.put(GlobalRow()))
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert {each.stat().st_mode & 0o777 for each in path.parent.iterdir()} == {0o600}
        store.close()
    finally:
        os.umask(before)


def test_the_tables_are_those_of_the_rows_and_no_others(path: Path) -> None:
    store = open_store(path)
    run = store._connection.execute
    kinds = {str: "TEXT", int: "INTEGER"}
    for kind in ROWS:
        types = {field.name: field.type for field in msgspec.structs.fields(kind)}
        found = {
            name: (sort, bool(required), bool(key))
            for _, name, sort, required, _, key in run(f'PRAGMA table_info("{kind.TABLE}")')
        }
        assert found == {
            kind.KEY: ("TEXT", True, True),
            **{name: (kinds[types[name]], True, False) for name in kind.INDEXED},
            "doc": ("BLOB", True, False),
        }
        indexes = [
            tuple(column for _, _, column in run(f'PRAGMA index_info("{name}")'))
            for _, name, _, origin, _ in run(f'PRAGMA index_list("{kind.TABLE}")')
            if origin == "c"
        ]
        assert {column for index in indexes for column in index} == set(kind.INDEXED)
        assert set(kind.FIXED) <= set(kind.INDEXED)
    tables = {name for (name,) in run("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    assert tables == {kind.TABLE for kind in ROWS} | {
        "leaves",
        "chains",
        "log",
        "subtrees",
        "checkpoints",
    }
    store.close()


def test_a_store_that_was_killed_while_it_was_made_opens(path: Path) -> None:
    path.parent.mkdir(mode=0o700)
    path.touch(0o600)
    assert made(path)


# What is no store


@pytest.mark.parametrize(
    "content", [b"hello", b"\x00" * 4096, b"SQLite format 2\0" + b"\x00" * 500], ids=len
)
def test_a_file_of_another_kind_is_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(content)
    path.chmod(0o600)
    assert refused(path).code == "store_foreign"


@pytest.mark.parametrize("mark", ["application_id = 7", "user_version = 1", "secure_delete = 1"])
def test_a_database_of_another_program_is_left_alone(path: Path, mark: str) -> None:
    path.parent.mkdir(mode=0o700)
    other = sqlite3.connect(path)
    other.executescript(f"PRAGMA {mark}; CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
    other.close()
    path.chmod(0o600)
    assert refused(path).code == "store_foreign"


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc")])
def test_what_is_no_plain_file_is_refused(path: Path, make: Callable[[Path], None]) -> None:
    path.parent.mkdir(mode=0o700)
    make(path)
    with pytest.raises(StoreError) as raised:
        open_store(path)
    assert raised.value.code in {"store_foreign", "store_unavailable", "store_exposed"}


def test_a_link_instead_of_the_file_is_refused(path: Path, tmp_path: Path) -> None:
    elsewhere = made(tmp_path / "elsewhere" / "store.db")
    path.parent.mkdir(mode=0o700)
    path.symlink_to(elsewhere)
    with pytest.raises(StoreError):
        open_store(path)


def test_a_store_of_a_newer_schema_is_left_alone(path: Path) -> None:
    other = sqlite3.connect(made(path))
    other.execute("PRAGMA user_version = 99")
    other.close()
    error = refused(path)
    assert error.code == "store_newer"
    assert "99" in error.message


@pytest.mark.parametrize("where", [100, 4096, 8192, 20_000])
def test_a_damaged_store_is_refused(path: Path, where: int) -> None:
    made(path)
    with path.open("r+b") as file:
        file.seek(where)
        file.write(os.urandom(3_000))
    assert refused(path).code == "store_corrupt"


def test_a_store_cut_short_is_refused(path: Path) -> None:
    made(path)
    os.truncate(path, path.stat().st_size // 2)
    assert refused(path).code == "store_corrupt"


def test_a_row_that_cannot_be_read_is_an_error_and_not_an_empty_row(path: Path) -> None:
    store = open_store(path)
    store.write(lambda tx: tx.put(GlobalRow()))
    for doc in (b"{}}", b'{"id":"global","epoch":"seven"}', b'{"id":"global","unknown":1}'):
        store._connection.execute('UPDATE "globals" SET "doc" = ?', (doc,))
        with pytest.raises(StoreError) as raised:
            store.write(lambda tx: tx.get(GlobalRow, "global"))
        assert raised.value.code == "store_corrupt"
    store.close()


def test_a_frontier_that_cannot_be_is_an_error(path: Path) -> None:
    store = open_store(path)
    store._connection.execute('UPDATE "log" SET "size" = 3')
    with pytest.raises(StoreError) as raised:
        store.write(lambda tx: tx.frontier())
    assert raised.value.code == "store_corrupt"
    store.close()


# Where a store may not lie


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph"])
def test_a_network_file_system_is_refused(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nserver:/x {tmp_path.resolve()} {kind} rw 0 0\n")
    monkeypatch.setattr(opening, "MOUNTS", mounts)
    assert refused(path).code == "store_network"
    assert not path.exists()


def test_the_innermost_and_latest_mount_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "a / ext4 rw 0 0\nb /net nfs rw 0 0\nc /net/local\\040disk xfs rw 0 0\n"
        "d /netto ext4 rw 0 0\ne /over nfs rw 0 0\nf /over ext4 rw 0 0\nbroken\n"
    )
    monkeypatch.setattr(opening, "MOUNTS", mounts)
    found = [
        opening.filesystem(Path(path))
        for path in ("/", "/net/x", "/net/local disk/y", "/netto/x", "/over/x", "/elsewhere")
    ]
    assert found == ["ext4", "nfs", "xfs", "ext4", "ext4", "ext4"]


@pytest.mark.parametrize("mode", [0o755, 0o750, 0o770, 0o701])
def test_a_folder_that_others_can_enter_is_refused(path: Path, mode: int) -> None:
    made(path)
    path.parent.chmod(mode)
    assert refused(path).code == "store_exposed"


@pytest.mark.parametrize("mode", [0o644, 0o660, 0o602])
def test_a_file_that_others_can_use_is_refused(path: Path, mode: int) -> None:
    made(path)
    path.chmod(mode)
    assert refused(path).code == "store_exposed"


@pytest.mark.skipif(os.geteuid() != 0, reason="giving a file away needs root")
def test_a_folder_or_file_of_another_user_is_refused(path: Path) -> None:
    made(path)
    for each in (path, path.parent):
        os.chown(each, 65534, 65534)
        assert refused(path).code == "store_exposed"
        os.chown(each, 0, 0)


@pytest.fixture
def unprivileged() -> Iterator[Path]:
    """A folder of the user that the test runs as, who is not root."""
    folder = Path(tempfile.mkdtemp())
    root = os.geteuid() == 0
    try:
        if root:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        yield folder
    finally:
        if root:
            os.seteuid(0)
        for each in [folder, *folder.rglob("*")]:
            each.chmod(0o700)
        shutil.rmtree(folder)


def test_a_read_only_folder_is_refused(unprivileged: Path) -> None:
    unprivileged.chmod(0o500)
    assert refused(unprivileged / "store.db").code == "store_readonly"
    assert refused(unprivileged / "deeper" / "store.db").code == "store_readonly"


def test_a_read_only_file_is_refused(unprivileged: Path) -> None:
    made(unprivileged / "store.db").chmod(0o400)
    assert refused(unprivileged / "store.db").code == "store_readonly"


def test_an_old_sqlite_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "OLDEST_SQLITE", (99, 0, 0))
    assert refused(path).code == "store_old_sqlite"


# One governor per store


def test_a_second_opening_is_refused_and_names_the_process(path: Path) -> None:
    store = open_store(path)
    error = refused(path)
    assert error.code == "store_locked"
    assert str(os.getpid()) in error.message
    store.close()
    open_store(path).close()


def test_the_lock_of_another_process_holds_and_dies_with_it(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        assert process.stdout.readline() == b"open\n"
        with pytest.raises(StoreError) as raised:
            open_store(path)
        assert raised.value.code == "store_locked"
        assert str(process.pid) in raised.value.message
        process.send_signal(signal.SIGKILL)
        process.wait()
    open_store(path).close()


def test_a_writer_that_ignores_the_lock_makes_writes_fail_and_nothing_else(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "BUSY_MS", 1)
    store = open_store(path)
    intruder = apsw.Connection(str(path))
    intruder.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError) as raised:
        store.write(lambda tx: tx.put(GlobalRow()))
    assert raised.value.code == "store_locked"
    intruder.execute("ROLLBACK")
    intruder.close()
    store.write(lambda tx: tx.put(GlobalRow()))
    store.close()


def test_a_store_that_could_not_be_opened_holds_no_lock(path: Path) -> None:
    made(path)
    path.chmod(0o644)
    assert refused(path).code == "store_exposed"
    path.chmod(0o600)
    open_store(path).close()


def test_after_a_fork_the_child_cannot_write(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FORKER, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout.split() == ["store_forked", "2"]


# Growing


@pytest.mark.parametrize(
    ("kind", "find", "index"),
    [
        (ActionRow, {"below": "lapses", "equals": ("state",)}, "actions_open (state=? AND lap"),
        (AttemptRow, {"below": "lease", "equals": ("state",)}, "attempts_open (state=? AND lea"),
        (AttemptRow, {"equals": ("action", "state")}, "attempts_action (action=? AND state=?)"),
        (AttemptRow, {"newest": "lease", "equals": ("state",)}, "attempts_open (state=?)"),
    ],
)
def test_what_is_looked_up_for_a_decision_is_found_without_going_through_the_history(
    path: Path, kind: type[Row], find: dict[str, Any], index: str
) -> None:
    store = open_store(path)
    sql = table(kind).find(find.get("newest", ""), find.get("below", ""), find["equals"])
    plan = store._connection.execute(f"EXPLAIN QUERY PLAN {sql}", (1,) * sql.count("?")).fetchall()
    assert index in plan[0][3]
    store.close()


def test_a_migration_that_fails_leaves_the_store_as_it_was(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(path)
    first = opening.migrations()
    monkeypatch.setattr(opening, "migrations", lambda: [*first, "CREATE TABLE more (x); NONSENSE"])
    with pytest.raises(StoreError):
        open_store(path)
    monkeypatch.setattr(opening, "migrations", lambda: [*first, "CREATE TABLE more (x)"])
    store = open_store(path)
    assert store._connection.execute("PRAGMA user_version").get == len(first) + 1
    assert store.write(lambda tx: tx.get(GlobalRow, "global")) == GlobalRow(epoch=7)
    store.close()


def test_every_code_has_a_way_out() -> None:
    assert all(failures.HINTS.values())
    assert set(failures.CODES_OF_ERRNO.values()) <= failures.HINTS.keys()


@pytest.mark.parametrize("size", [0, 255, 256, 600, pytest.param(71_000, marks=pytest.mark.slow)])
def test_hashes_of_tiles_are_filled_in_where_they_were_not_kept(path: Path, size: int) -> None:
    """As a store is that was made before there were any."""
    digests = [leaf_hash(b"%d" % number) for number in range(size)]

    def grow(tx: Tx) -> None:
        for number in range(size):
            tx.append("m", number, b"%d" % number, digests[number], b"")

    def kept(tx: Tx) -> list[list[bytes]]:
        return [tx.hashes(level, 0, 1 << 40) for level in (1, 2, 3)]

    store = open_store(path)
    store.write(grow)
    whole = store.write(kept)
    assert [len(each) for each in whole] == [size >> 8, size >> 16, 0]
    store._connection.execute("DELETE FROM subtrees WHERE number % 2 = 0")
    store.close()
    again = open_store(path)
    assert again.write(kept) == whole
    assert again.write(lambda tx: root_reader(tx.hashes)(0, size)) == frontier_of(digests).root()
    again.close()
