"""A governor that dies or fills its disk loses nothing it acknowledged and doubles nothing."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from bridle.ledger.tree import leaf_hash, root_of
from bridle.model.errors import StoreError
from bridle.store.base import ChainHead, Tx
from bridle.store.rows import GlobalRow, KillRow
from bridle.store.sqlite import SqliteStore, open_store

WRITER = Path(__file__).parent / "killed.py"


def killed_run(path: Path, run: str, acknowledged: int) -> set[str]:
    """Start a writer, kill it after so many acknowledgements, return all that were told."""
    with subprocess.Popen(
        [sys.executable, str(WRITER), str(path), run],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    ) as process:
        told = [process.stdout.readline() for _ in range(acknowledged)]
        process.send_signal(signal.SIGKILL)
        told += process.stdout.read().splitlines(keepends=True)
    assert process.returncode == -signal.SIGKILL
    return {line.decode().strip() for line in told if line.endswith(b"\n")}


def judge(path: Path, told: set[str]) -> int:
    """Everything that was told is there once, in leaf, row and counter alike."""
    store = open_store(path)
    leaves, rows, counter, frontier, heads = store.write(
        lambda tx: (
            list(tx.leaves()),
            {row.id for row in tx.find(KillRow, limit=1_000_000)},
            tx.get(GlobalRow, "global"),
            tx.frontier(),
            {f"m{number}": tx.head(f"m{number}") for number in range(4)},
        )
    )
    store.close()
    names = [leaf.data.decode() for leaf in leaves]
    assert told <= set(names)
    assert len(names) == len(set(names)) == frontier.size == counter.epoch
    assert set(names) == rows
    assert frontier.root() == root_of(leaf.data for leaf in leaves)
    found: dict[str, ChainHead] = {}
    for leaf in leaves:
        assert leaf.seq == found.get(leaf.chain, ChainHead()).seq + 1
        found[leaf.chain] = ChainHead(leaf.seq, leaf_hash(leaf.data))
    assert heads == {chain: found.get(chain, ChainHead()) for chain in heads}
    return len(names)


def kill_and_judge(path: Path, times: int) -> None:
    told: set[str] = set()
    for turn in range(times):
        told |= killed_run(path, f"r{turn}", random.randrange(1, 120))
        assert judge(path, told) >= len(told)


def test_after_kill_9_everything_acknowledged_is_there_once(tmp_path: Path) -> None:
    kill_and_judge(tmp_path / "store" / "store.db", 20)


@pytest.mark.slow
def test_after_kill_9_many_times_over(tmp_path: Path, count: Callable[[int, int], int]) -> None:
    kill_and_judge(tmp_path / "store" / "store.db", count(60, 1_000))


def test_a_store_killed_while_it_is_made_is_made_again(tmp_path: Path) -> None:
    for turn in range(5):
        path = tmp_path / str(turn) / "store.db"
        with subprocess.Popen(
            [sys.executable, str(WRITER), str(path), "r"],
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        ) as process:
            while not path.exists():
                os.sched_yield()
            for _ in range(random.randrange(3_000)):
                pass
            process.send_signal(signal.SIGKILL)
        store = open_store(path)
        store.write(lambda tx: tx.put(GlobalRow(epoch=1)))
        store.close()


# A full disk


def fill(tx: Tx, name: str, size: int) -> None:
    data = name.encode()
    tx.append("m1", tx.head("m1").seq + 1, data, leaf_hash(data), b"")
    tx.put(KillRow(id=name, scope="s", subject="", by="", reason="x" * size, time=0))


def write_until_full(store: SqliteStore) -> tuple[list[str], StoreError]:
    done: list[str] = []
    while True:
        name = f"n{len(done)}"
        try:
            store.write(lambda tx, name=name: fill(tx, name, 20_000))
        except StoreError as problem:
            return done, problem
        done.append(name)


def assert_whole(store: SqliteStore, done: list[str]) -> None:
    rows, leaves, frontier = store.write(
        lambda tx: (
            {row.id for row in tx.find(KillRow, limit=100_000)},
            [leaf.data.decode() for leaf in tx.leaves()],
            tx.frontier(),
        )
    )
    assert rows == set(done)
    assert leaves == done
    assert frontier.root() == root_of(name.encode() for name in done)


def test_when_the_database_is_full_a_write_fails_and_the_next_that_fits_does_not(
    tmp_path: Path,
) -> None:
    store = open_store(tmp_path / "store" / "store.db")
    run = store._connection.execute
    run(f"PRAGMA max_page_count = {run('PRAGMA page_count').get + 60}")
    done, problem = write_until_full(store)
    assert (problem.code, bool(problem.hint)) == ("store_full", True)
    assert len(done) > 3
    assert_whole(store, done)
    store.write(lambda tx: tx.put(msgspec.structs.replace(GlobalRow(), epoch=1)))
    run("PRAGMA max_page_count = 1000000")
    store.write(lambda tx: fill(tx, "after", 20_000))
    assert_whole(store, [*done, "after"])
    store.close()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    mounted = ["mount", "-t", "tmpfs", "-o", "size=2m,mode=700", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mounted, check=False, capture_output=True).returncode:
        folder.rmdir()
        pytest.skip("a disk of two megabytes needs root and the right to mount")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
    folder.rmdir()


def test_when_the_disk_is_full_a_write_fails_and_the_store_goes_on(small_disk: Path) -> None:
    store = open_store(small_disk / "store" / "store.db")
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(500_000))
    done, problem = write_until_full(store)
    assert (problem.code, bool(problem.hint)) == ("store_full", True)
    assert_whole(store, done)
    ballast.unlink()
    store.write(lambda tx: fill(tx, "after", 100))
    assert_whole(store, [*done, "after"])
    store.close()
    store = open_store(small_disk / "store" / "store.db")
    assert_whole(store, [*done, "after"])
    store.close()


def test_on_a_full_disk_a_store_does_not_open_and_says_why(small_disk: Path) -> None:
    path = small_disk / "store" / "store.db"
    open_store(path).close()
    rest = shutil.disk_usage(small_disk).free
    (small_disk / "ballast").write_bytes(bytes(rest))
    with pytest.raises(StoreError) as raised:
        open_store(path)
    assert raised.value.code == "store_full"
    (small_disk / "ballast").unlink()
    open_store(path).close()
