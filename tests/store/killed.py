"""Writes from four threads until it is killed; prints each write once it has been acknowledged.

Run as `killed.py STORE NAME`. One job is one leaf, one row and one step of a counter, so that a
write which came through in parts shows.
"""

import os
import sys
import threading
from pathlib import Path

from bridle.ledger.tree import leaf_hash
from bridle.store.base import Tx
from bridle.store.rows import GlobalRow, KillRow
from bridle.store.sqlite import SqliteStore, open_store


def write(store: SqliteStore, chain: str, what: str, *, relaxed: bool) -> None:
    def job(tx: Tx) -> None:
        row = tx.get(GlobalRow, "global") or GlobalRow()
        tx.put(GlobalRow(epoch=row.epoch + 1))
        data = what.encode()
        tx.append(chain, tx.head(chain).seq + 1, data, leaf_hash(data), b"")
        tx.put(KillRow(id=what, scope="s", subject="", by="", reason="x" * 300, time=0))

    store.write(job, relaxed=relaxed)
    os.write(1, what.encode() + b"\n")


def work(store: SqliteStore, run: str, name: int) -> None:
    number = 0
    while True:
        number += 1
        write(store, f"m{name}", f"{run}-{name}-{number}", relaxed=number % 4 == 0)


if __name__ == "__main__":
    opened = open_store(Path(sys.argv[1]), relaxed_ms=5)
    for each in range(4):
        threading.Thread(target=work, args=(opened, sys.argv[2], each)).start()
