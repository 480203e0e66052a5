"""Real leaves: what a governed run on disk left in its ledger, and the entries it was made from."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from msgspec import Struct, structs

from bench import load, workload
from bridle.governor.ground.records import Entry, Recorder, Written
from bridle.ledger.tree import Frontier
from bridle.store.base import StoredLeaf, Tx


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
        found = governed.governor.core.store.write(lambda tx: (list(tx.leaves()), tx.frontier()))
    return Run(calls, *found, entries, folder / "leaves", root)


def asked_of(governed: load.Governed, call: load.Call) -> list[Entry]:
    """Make one call and return what it asked to record."""
    asked: list[Entry] = []
    recorder = governed.governor.core.recorder
    written = recorder.write

    def write(tx: Tx, time: int, entry: Entry) -> Written:
        asked.append(entry)
        return written(tx, time, entry)

    recorder.write = write  # type: ignore[method-assign]
    try:
        call()
    finally:
        recorder.write = written  # type: ignore[method-assign]
    return asked


def written_again(recorder: Recorder, tx: Tx, entries: list[Entry], chain: str, time: int) -> None:
    """Write entries once more, into a chain of their own."""
    for entry in entries:
        recorder.write(tx, time, structs.replace(entry, chain=chain))
