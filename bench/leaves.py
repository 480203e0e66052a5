"""Real leaves: what a governed run on disk left in its ledger, and the entries it was made from."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from msgspec import Struct, structs

from bench import load, workload
from bridle.governor.ground.records import Entry, Recorder, Written
from bridle.ledger.seal import Sealer
from bridle.ledger.tree import Frontier
from bridle.store.base import StoredLeaf, Tx
from bridle.store.sqlite.reading import snapshot


class Run(Struct, frozen=True):
    """What `calls` governed calls left behind.

    `entries` are what the last call asked to record, as the recorder got it; `folder` holds the
    store, closed.
    """

    calls: int
    leaves: list[StoredLeaf]
    frontier: Frontier
    entries: list[Entry]
    folder: Path
    bundle: Path

    @property
    def records(self) -> int:
        """Number of leaves."""
        return len(self.leaves)


def governed_run(folder: Path, calls: int) -> Run:
    """Make so many governed calls, strict, by one caller, and read the ledger they left."""
    root = workload.write_bundle(folder / "bundle-leaves", 100, "strict")
    with closing(load.Governed(root, folder / "leaves")) as governed:
        call = governed.caller()
        for _ in range(calls - 1):
            call()
        entries = asked_of(governed, call)
    with snapshot(folder / "leaves" / "store.db") as tx:
        return Run(calls, list(tx.leaves()), tx.frontier(), entries, folder / "leaves", root)


def asked_of(governed: load.Governed, call: load.Call) -> list[Entry]:
    """Make one call and return what it asked to record."""
    asked: list[Entry] = []
    recorder = governed.governor.core.recorder
    written = recorder.write

    def write(tx: Tx, time: int, entry: Entry, sealer: Sealer | None) -> Written:
        asked.append(entry)
        return written(tx, time, entry, sealer)

    recorder.write = write  # type: ignore[method-assign]
    try:
        call()
    finally:
        recorder.write = written  # type: ignore[method-assign]
    return asked


def written_again(
    recorder: Recorder, tx: Tx, entries: list[Entry], sealer: Sealer, times: int
) -> None:
    """Write entries so many times more, into a chain of their own."""
    again = [structs.replace(entry, chain="again") for entry in entries]
    for _ in range(times):
        for entry in again:
            recorder.write(tx, 1, entry, sealer if entry.secret else None)
