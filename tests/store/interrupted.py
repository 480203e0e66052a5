"""Writes from the main thread and three others while signals interrupt the main one.

Run as `interrupted.py STORE TIMES`. Ends with 0 when every write that returned is there once,
every write that failed is not there, and nobody is left waiting.
"""

import faulthandler
import os
import random
import signal
import sys
import threading
from pathlib import Path

from bridle.ledger.tree import leaf_hash, root_of
from bridle.model.errors import StoreError
from bridle.store.base import Tx
from bridle.store.sqlite import SqliteStore, open_store


class Writer:
    """One caller: numbers its writes and remembers what became of each."""

    def __init__(self, store: SqliteStore, name: str) -> None:
        self.store, self.name = store, name
        self.number = 0
        self.good: list[str] = []
        self.bad: list[str] = []

    def write(self) -> None:
        self.number += 1
        what = f"{self.name}-{self.number}"

        def job(tx: Tx) -> None:
            data = what.encode()
            tx.append(self.name, tx.head(self.name).seq + 1, data, leaf_hash(data), b"")

        try:
            self.store.write(job, relaxed=self.number % 3 != 0)
        except StoreError:
            self.bad.append(what)
        else:
            self.good.append(what)


def main(path: Path, times: int) -> int:
    faulthandler.dump_traceback_later(50 + times // 50, exit=True)
    store = open_store(path)
    stop = threading.Event()
    others = [Writer(store, f"w{number}") for number in range(3)]

    def work(writer: Writer) -> None:
        while not stop.is_set():
            writer.write()

    ready = threading.Event()  # one interruption at a time: the next once the last was caught

    def shoot() -> None:
        while not stop.is_set():
            if ready.wait(0.01):
                ready.clear()
                for _ in range(random.randrange(20_000)):  # a moment of any length
                    pass
                os.kill(os.getpid(), signal.SIGINT)

    threads = [threading.Thread(target=work, args=(writer,)) for writer in others]
    threads.append(threading.Thread(target=shoot))
    for thread in threads:
        thread.start()
    mine = Writer(store, "main")
    for _ in range(times):
        try:
            ready.set()
            while True:
                mine.write()
        except KeyboardInterrupt:
            continue
    stop.set()
    for thread in threads:
        thread.join()
    return judge(store, mine, others, times)


def judge(store: SqliteStore, mine: Writer, others: list[Writer], caught: int) -> int:
    leaves = [each.data.decode() for each in store.write(lambda tx: list(tx.leaves()))]
    root = store.write(lambda tx: tx.frontier().root())
    there = set(leaves)
    good = {what for writer in (mine, *others) for what in writer.good}
    bad = {what for writer in (mine, *others) for what in writer.bad}
    unknown = {f"main-{number}" for number in range(1, mine.number + 1)} - good - bad
    wrong = {
        "twice": len(leaves) - len(there),
        "lost": len(good - there),
        "failed but there": len(bad & there),
        "from nowhere": len(there - good - unknown),
        "root": int(root != root_of(each.encode() for each in leaves)),
        "too many unknown": int(len(unknown) > caught),
    }
    store.close()
    print("interrupted", caught, "good", len(good), "failed", len(bad), "unknown", len(unknown))
    print(wrong, file=sys.stderr)
    return int(any(wrong.values()))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
