"""What is told to the disk, seen from underneath SQLite: strict writes wait for it."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from bridle.store.rows import GlobalRow
from bridle.store.sqlite import SqliteStore, open_store

SYNCED: list[str] = []


class WatchedFile(apsw.VFSFile):
    """A file that notes each sync by the end of its name."""

    def __init__(self, name: object, flags: list[int]) -> None:
        super().__init__("unix", name, flags)
        self.name = name.filename() if isinstance(name, apsw.URIFilename) else str(name)

    def xSync(self, flags: int) -> None:  # noqa: N802 (its name in SQLite)
        SYNCED.append(self.name.rpartition("store.")[2])
        super().xSync(flags)


class WatchedVFS(apsw.VFS):
    """The system's files, watched."""

    def __init__(self) -> None:
        super().__init__("watched", "unix", makedefault=True)

    def xOpen(self, name: object, flags: list[int]) -> WatchedFile:  # noqa: N802
        return WatchedFile(name, flags)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    watched = WatchedVFS()
    opened = open_store(tmp_path / "store" / "store.db", relaxed_ms=60_000)
    opened.write(lambda tx: tx.put(GlobalRow()))
    SYNCED.clear()
    yield opened
    opened.close()
    watched.unregister()


def put(store: SqliteStore, epoch: int, *, relaxed: bool = False) -> None:
    store.write(lambda tx: tx.put(GlobalRow(epoch=epoch)), relaxed=relaxed)


def test_a_strict_write_is_on_the_disk_before_it_returns(store: SqliteStore) -> None:
    for epoch in range(1, 4):
        SYNCED.clear()
        put(store, epoch)
        assert SYNCED == ["db-wal"]


def test_a_relaxed_write_does_not_wait_for_the_disk(store: SqliteStore) -> None:
    put(store, 1, relaxed=True)
    assert SYNCED == []
    store.sync()
    assert SYNCED == ["db-wal"]


def test_a_strict_write_takes_relaxed_ones_with_it(store: SqliteStore) -> None:
    put(store, 1, relaxed=True)
    put(store, 2)
    assert SYNCED == ["db-wal"]


def test_a_strict_write_that_changes_nothing_takes_relaxed_ones_with_it_all_the_same(
    store: SqliteStore,
) -> None:
    put(store, 1, relaxed=True)
    put(store, 1)
    assert SYNCED == ["db-wal"]
    assert not store._timer.pending


def test_reading_alone_asks_nothing_of_the_disk(store: SqliteStore) -> None:
    store.write(lambda tx: tx.get(GlobalRow, "global"))
    assert SYNCED == []


def test_closing_leaves_everything_on_the_disk(store: SqliteStore) -> None:
    put(store, 1, relaxed=True)
    store.close()
    assert SYNCED[0] == "db-wal"
    assert "db" in SYNCED
