"""A governor that signs its log, on a disk that may lose its power, and what must then be true.

It is opened as a program opens it: store, checkpoint file and all. What it does to the checkpoint
file outside of SQLite is recorded with the rest.
"""

import json
import os
import random
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest

from bridle.governor.ground import opening
from bridle.model import calls
from bridle.model.errors import StoreError
from bridle.store.sqlite import open_store
from crash import signed
from crash.disk.acting import Office, at_a_bundle
from crash.power.cuts import Judge, due, notes
from crash.power.vfs import SECTOR, Event, Record, RecordingVFS, recording
from governor.desk import ANYONE


@contextmanager
def signing(folder: Path) -> Iterator[Record]:
    """Have governors of the store in `folder` write to a recorded disk."""
    with recording() as vfs, pytest.MonkeyPatch.context() as patch:
        vfs.folders.add(folder)
        patch.setattr(opening, "open_store", partial(_open_store, vfs=vfs))
        _record_files(vfs, folder, patch)
        yield vfs.record


def _open_store(path: Path, *, relaxed_ms: int, vfs: RecordingVFS):
    del relaxed_ms  # what is relaxed is synced by what follows, not by the clock
    store = open_store(path, vfs=vfs.name, relaxed_ms=60_000)
    store._log_pages = 20
    return store


def _record_files(vfs: RecordingVFS, folder: Path, patch: pytest.MonkeyPatch) -> None:
    """Record what is synced and renamed in a folder by others than SQLite."""
    sync, replace, synced = os.fsync, os.replace, set[Path]()

    def fsync(descriptor: int) -> None:
        sync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        if path == folder / "keys":
            names = {each.name: each.read_bytes() for each in path.glob("*.key")}
            vfs.record.note(("keys", names))
        if path.parent == folder and path.is_file():
            _record(vfs.record, path)
            vfs.record.add(Event("sync", path.name))
            synced.add(path)

    def rename(source: Path, target: Path) -> None:
        replace(source, target)
        if Path(target).parent == folder:
            if Path(source) not in synced:
                _record(vfs.record, Path(target), Path(source).name)
            synced.discard(Path(source))
            vfs.record.add(Event("rename", Path(source).name, note=Path(target).name))
            vfs.record.note(("signed", Path(target).read_bytes()))

    patch.setattr(os, "fsync", fsync)
    patch.setattr(os, "replace", rename)


def _record(record: Record, path: Path, name: str = "") -> None:
    for event in (
        Event("open", name or path.name, note=False),
        Event("truncate", name or path.name),
        Event("write", name or path.name, 0, path.read_bytes()),
    ):
        record.add(event)


def work(folder: Path, steps: int, seed: int, *, lives: int = 2) -> list[Event]:
    """Governors that act, sign, change the key and close. Returns the record."""
    dice, state = random.Random(seed), folder / "state"
    with signing(state) as record:
        for life in range(lives):
            office = at_a_bundle(folder, state)
            for step in range(steps):
                _step(office, record, partial(office.act, dice))
                if step % 3 == 2:
                    _step(office, record, office.read)
                    _log(office)._publisher.publish()
                if step == steps // 2 and life % 2 == 0:
                    _rotate(office)
            office.governor.close()
        return record.events


def _log(office: Office):
    found = office.governor._log
    assert found is not None
    return found


def _rotate(office: Office) -> None:
    reply = office.governor.handle(ANYONE, calls.RotateLogKey(as_user="ana"))
    assert isinstance(reply, calls.Listing), reply
    old = next(row["id"] for row in reply.rows if row["state"] == "signs")
    reply = office.governor.handle(ANYONE, calls.RotateLogKey(as_user="ana", retire=old))
    assert isinstance(reply, calls.Listing), reply


def _step(office: Office, record: Record, act: Callable[[], object]) -> None:
    before = dict(office.told.receipts)
    act()
    for index in office.told.receipts.keys() - before.keys():
        how = "strict" if index in office.told.strict else "relaxed"
        record.note((how, (index, office.told.receipts[index])))


def leaves_of(database: Path) -> list[bytes]:
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute('SELECT "data" FROM "leaves" ORDER BY "index"').fetchall()
    return [data for (data,) in rows]


def signed_before(before: list[Event]) -> list[bytes]:
    """Every checkpoint that was let out before a moment."""
    return [note[1] for note in notes(before) if note[0] == "signed"]


def reopened(path: Path, bundle: Path, before: list[Event]) -> None:
    """Have the next governor open what a cut left, and go on from there."""
    lay_keys(path.parent / "keys", before)
    office = at_a_bundle(bundle, path.parent)
    assert office.note()
    office.governor.close()


def lay_keys(folder: Path, before: list[Event]) -> None:
    """Put the keys where they were when their names were last synced."""
    folder.mkdir(mode=0o700)
    names = [note[1] for note in notes(before) if note[0] == "keys"]
    for name, data in names[-1].items() if names else ():
        (folder / name).write_bytes(data)
        (folder / name).chmod(0o600)


def judge(bundle: Path) -> Judge:
    """The store opens with nothing mended, and the log goes on from where it was."""

    def look(path: Path, before: list[Event]) -> None:
        reopened(path, bundle, before)
        check(path, before)

    return look


def check(path: Path, before: list[Event]) -> None:
    """What was told is there, and every checkpoint that anybody saw is of this log's past."""
    leaves = leaves_of(path)
    hashes = [signed.leaf_hash(leaf).hex() for leaf in leaves]
    lost = [(at, found) for at, found in due(before) if hashes[at : at + 1] != [found]]
    assert lost == [], f"acknowledged and lost: {lost}"
    seen = [*signed_before(before), (path.parent / "checkpoint").read_bytes()]
    wrong = [*signed.contradictions(leaves, seen), *signed.unbalanced(map(json.loads, leaves))]
    assert not wrong, wrong
    keys = signed.keys_on_record(map(json.loads, leaves))
    assert signed.read(seen[-1], keys).size == len(leaves), "closed, and not all of it is signed"


# What a disk may do to bytes that it had synced: given them, and where it begins.
ROTS: dict[str, Callable[[bytearray, int, random.Random], None]] = {
    "a bit": lambda data, at, dice: data.__setitem__(at, data[at] ^ 1 << dice.randrange(8)),
    "zeros": lambda data, at, dice: data.__setitem__(slice(at, at + SECTOR), bytes(SECTOR)),
    "noise": lambda data, at, dice: data.__setitem__(
        slice(at, at + SECTOR), dice.randbytes(SECTOR)
    ),
    "cut off": lambda data, at, dice: data.__delitem__(slice(at, None)),
}


def rotted(
    files: dict[str, bytes], before: list[Event], how: str, dice: random.Random
) -> dict[str, bytes]:
    """The files, with the tail of the log gone bad though it was synced.

    The rot begins in what was written last: behind it are only frames of an earlier round.
    """
    log = bytearray(files.get("store.db-wal", b""))
    if log:
        ROTS[how](log, dice.randrange(_written_to(before, len(log))), dice)
    return files | {"store.db-wal": bytes(log)}


def _written_to(before: list[Event], size: int) -> int:
    """Where the newest write to the log ended."""
    ends = (e.offset + len(e.data) for e in reversed(before) if _writes_log(e))
    return min(next(ends, size), size)


def _writes_log(event: Event) -> bool:
    return event.kind == "write" and event.name == "store.db-wal"


def refused(path: Path, bundle: Path, before: list[Event], copy: Path) -> str:
    """The code by which the next governor refuses a store that lacks what it had; else empty.

    One that it goes on with holds everything that was ever signed.
    """
    lay_keys(path.parent / "keys", before)
    notes = signed_before(before)
    if notes:
        copy.write_bytes(notes[-1])
    try:
        office = at_a_bundle(bundle, path.parent, copies=(copy,))
    except StoreError as problem:
        return problem.code
    office.governor.close()
    wrong = signed.contradictions(leaves_of(path), notes)
    assert not wrong, wrong
    return ""
