"""Writes to a bare store, and what must be true of it after a power cut."""

import random
import threading
from collections.abc import Collection
from pathlib import Path

from bridle.ledger.tree import leaf_hash, root_of
from bridle.store.base import Tx
from bridle.store.rows import GlobalRow, KillRow
from bridle.store.sqlite import SqliteStore, open_store
from crash.power.cuts import Judge, due
from crash.power.vfs import Event, Record, RecordingVFS


def write(store: SqliteStore, record: Record, what: str, *, relaxed: bool, size: int) -> None:
    """One leaf, one row and one step of a counter, so that a part of it shows."""

    def job(tx: Tx) -> None:
        row = tx.get(GlobalRow, "global") or GlobalRow()
        tx.put(GlobalRow(epoch=row.epoch + 1))
        data = what.encode()
        tx.append("m1", tx.head("m1").seq + 1, data, leaf_hash(data), b"")
        tx.put(KillRow(id=what, scope="s", subject="", by="", reason="x" * size, time=0))

    store.write(job, relaxed=relaxed)
    record.note(("relaxed" if relaxed else "strict", what))


def opened(path: Path, vfs: RecordingVFS, *, pages: int = 12, relaxed_ms: int = 60_000):
    """A store that moves its log into the database every few pages, so that cuts meet that too."""
    store = open_store(path, vfs=vfs.name, relaxed_ms=relaxed_ms)
    store._log_pages = pages
    return store


def alone(path: Path, vfs: RecordingVFS, writes: int, seed: int) -> list[str]:
    """One caller, who closes and opens the store in between. Returns the leaves in order."""
    dice = random.Random(seed)
    store = opened(path, vfs)
    for number in range(writes):
        if number == writes // 2:
            store.close()
            store = opened(path, vfs)
        size = dice.choice((10, 300, 3_000, 12_000))
        write(store, vfs.record, f"w{number}", relaxed=dice.random() < 0.4, size=size)
    store.sync()
    leaves = order(store)
    store.close()
    return leaves


def resumed(path: Path, vfs: RecordingVFS) -> list[str]:
    """Whoever opens the store after a cut, and writes on."""
    store = opened(path, vfs)
    for name in ("soft", "after"):
        write(store, vfs.record, name, relaxed=name == "soft", size=3_000)
    leaves = order(store)
    store.close()
    return leaves


def crowd(path: Path, vfs: RecordingVFS, writes: int, seed: int) -> list[str]:
    """Four callers who share commits."""
    store = opened(path, vfs, pages=40)

    def work(name: int) -> None:
        dice = random.Random(f"{seed}/{name}")
        for number in range(writes // 4):
            size = dice.choice((10, 300, 6_000))
            write(store, vfs.record, f"{name}-{number}", relaxed=dice.random() < 0.3, size=size)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    leaves = order(store)
    store.close()
    return leaves


def order(store: SqliteStore) -> list[str]:
    return store.write(lambda tx: [leaf.data.decode() for leaf in tx.leaves()])


def judge(leaves: list[str], owed: Collection[str] = ()) -> Judge:
    """What was due is there, nothing is there in parts, and nothing came before its turn.

    `owed` was due already when the record began.
    """

    def look(path: Path, before: list[Event]) -> None:
        store = open_store(path)
        try:
            found, rows, counter, frontier = store.write(
                lambda tx: (
                    [leaf.data.decode() for leaf in tx.leaves()],
                    {row.id for row in tx.find(KillRow, limit=1_000_000)},
                    tx.get(GlobalRow, "global") or GlobalRow(),
                    tx.frontier(),
                )
            )
        finally:
            store.close()
        lost = (due(before) | set(owed)) - set(found)
        assert not lost, f"acknowledged and lost: {sorted(lost)}"
        assert found == leaves[: len(found)]
        assert rows == set(found)
        assert counter.epoch == frontier.size == len(found)
        assert frontier.root() == root_of(name.encode() for name in found)

    return look
