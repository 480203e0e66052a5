"""Callers that share a commit do not share each other's misfortunes."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridle.model.errors import StoreError
from bridle.store.base import Tx
from bridle.store.relaxed import SyncTimer
from bridle.store.rows import GlobalRow, KillRow
from bridle.store.sqlite import SqliteStore, open_store

STORM = Path(__file__).parent / "interrupted.py"


def put(number: int) -> Any:
    return lambda tx: tx.put(
        KillRow(id=str(number), scope="s", subject="", by="", reason="", time=number)
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    opened = open_store(tmp_path / "store" / "store.db", relaxed_ms=60_000)
    yield opened
    opened.close()


def traced(store: SqliteStore) -> list[str]:
    """What SQLite is told from now on."""
    seen: list[str] = []

    def trace(cursor: Any, sql: str, bindings: Any) -> bool:
        seen.append(sql)
        return True

    store._connection.set_exec_trace(trace)
    return seen


def test_a_lone_caller_commits_on_its_own_thread(store: SqliteStore) -> None:
    threads: list[int] = []
    before = set(threading.enumerate())
    store.write(lambda tx: threads.append(threading.get_ident()))
    assert threads == [threading.get_ident()]
    assert set(threading.enumerate()) <= before


def test_a_relaxed_write_does_not_sync_and_a_strict_one_does(store: SqliteStore) -> None:
    seen = traced(store)
    store.write(put(1), relaxed=True)
    assert seen[:2] == ["PRAGMA synchronous = NORMAL", "BEGIN IMMEDIATE"]
    del seen[:]
    store.write(put(2), relaxed=True)
    assert seen[0] == "BEGIN IMMEDIATE"
    del seen[:]
    store.write(put(3))
    assert seen[:2] == ["PRAGMA synchronous = FULL", "BEGIN IMMEDIATE"]


def test_a_relaxed_write_is_synced_by_itself_in_time(tmp_path: Path) -> None:
    store = open_store(tmp_path / "store" / "store.db", relaxed_ms=1)
    synced = threading.Event()
    sync = store._timer._sync

    def noted() -> None:
        sync()
        synced.set()

    store._timer._sync = noted
    store.write(put(1), relaxed=True)
    assert synced.wait(30)
    assert not store._timer.pending
    assert store._connection.execute('SELECT "syncs" FROM "log"').get > 0
    store.close()


def test_a_strict_write_settles_what_relaxed_ones_left(store: SqliteStore) -> None:
    store.write(put(1), relaxed=True)
    assert store._timer.pending
    store.write(lambda tx: tx.get(GlobalRow, "global"))
    assert store._timer.pending  # a commit that writes nothing syncs nothing
    store.write(put(2))
    assert not store._timer.pending


def test_a_job_that_was_undone_syncs_nothing(store: SqliteStore) -> None:
    store.write(put(1), relaxed=True)

    def bad(tx: Tx) -> None:
        put(2)(tx)
        raise ValueError

    with pytest.raises(ValueError):
        store.write(bad)
    assert store._timer.pending


def test_when_a_sync_is_overdue_every_write_is_strict(store: SqliteStore) -> None:
    store.write(put(1), relaxed=True)
    store._timer._since = time.monotonic() - 61
    seen = traced(store)
    store.write(put(2), relaxed=True)
    assert seen[0] == "PRAGMA synchronous = FULL"
    assert not store._timer.pending


def test_closing_syncs_what_relaxed_writes_left(store: SqliteStore) -> None:
    store.write(put(1), relaxed=True)
    seen = traced(store)
    store.close()
    assert seen[:2] == ["PRAGMA synchronous = FULL", "BEGIN IMMEDIATE"]
    assert seen[-1] == "COMMIT"


def test_a_sync_that_fails_is_tried_again() -> None:
    enough = threading.Event()
    tries: list[None] = []

    def sync() -> None:
        tries.append(None)
        if len(tries) < 3:
            raise StoreError("no")
        timer.synced()
        enough.set()

    timer = SyncTimer(sync, 1)
    timer.unsynced()
    assert enough.wait(30)
    assert not timer.overdue()
    timer.stop()
    assert len(tries) == 3


def test_a_job_that_swallows_an_error_cannot_go_on_outside_its_transaction(
    store: SqliteStore,
) -> None:
    store.write(put(0))
    codes: list[str] = []

    def job(tx: Tx) -> None:
        put(1)(tx)
        store._connection.execute("ROLLBACK")  # as SQLite does when a disk is full
        try:
            put(2)(tx)
        except StoreError as problem:
            codes.append(problem.code)

    with pytest.raises(StoreError):
        store.write(job)
    assert codes == ["store_unavailable"]
    assert store.write(lambda tx: [row.id for row in tx.find(KillRow)]) == ["0"]


def test_an_interruption_right_after_the_commit_undoes_nothing(store: SqliteStore) -> None:
    """The rows are there, so every caller but the interrupted one must be told so."""
    found: list[Any] = []
    inside, queued = threading.Event(), threading.Event()

    def interrupt(connection: Any, name: str, pages: int) -> int:
        store._connection.set_wal_hook(None)
        raise KeyboardInterrupt

    def first(tx: Tx) -> None:
        store._connection.set_wal_hook(interrupt)
        inside.set()
        assert queued.wait(30)
        put(1)(tx)

    def leader() -> None:
        with pytest.raises(KeyboardInterrupt):
            store.write(first)

    threads = [
        threading.Thread(target=leader),
        threading.Thread(target=lambda: found.append(store.write(put(2)))),
    ]
    threads[0].start()
    assert inside.wait(30)
    threads[1].start()
    while not store._combiner._queue:
        os.sched_yield()
    queued.set()
    for thread in threads:
        thread.join(30)
        assert not thread.is_alive()
    assert found == [None]
    assert store.write(lambda tx: [row.id for row in tx.find(KillRow)]) == ["1", "2"]


def storm(folder: Path, times: int) -> None:
    """In a process of its own: signals reach its main thread while it leads, waits and settles."""
    done = subprocess.run(
        [sys.executable, str(STORM), str(folder / "store" / "store.db"), str(times)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"interrupted {times} ")


def test_ctrl_c_at_any_moment_strands_no_caller_and_loses_no_write(tmp_path: Path) -> None:
    storm(tmp_path, 1_000)


@pytest.mark.slow
def test_ctrl_c_at_any_moment_many_times_over(
    tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    for turn in range(count(5, 50)):
        storm(tmp_path / str(turn), 5_000)
