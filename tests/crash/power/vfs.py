"""A disk that can lose its power: records what SQLite does to files, and says what may be left.

What was synced is there. Of what was not, any sectors may be: whole writes, parts of them, later
ones without those before. In rough images the rest is not only as it was before: sectors are zero,
or noise, or torn at any byte. What a write was not asked to change stays (SQLite's "powersafe
overwrite"). A new, deleted or changed name counts from the next sync of its folder. Shared memory
(`-shm`) passes through to the system's own file system and is never part of an image: no power cut
leaves any.
"""

import itertools
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import pytest

from bridle.store import folders

SECTOR = 512
# SQLite's unix VFS syncs the folder with the first sync of such a file (os_unix.c, unixSync).
_SYNCS_FOLDER = apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_WAL
_numbers = itertools.count()


class Event(NamedTuple):
    """`kind` is `open`, `write`, `truncate`, `sync`, `lost`, `delete`, `rename`, `names`, `note`.

    Of a `rename` the note is the new name.
    """

    kind: str
    name: str = ""
    offset: int = 0
    data: bytes = b""
    note: Any = None


class Record:
    """What was done, in order, and what the test noted in between."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = threading.Condition()

    def add(self, event: Event) -> None:
        with self._changed:
            self.events.append(event)
            self._changed.notify_all()

    def note(self, what: Any) -> None:
        self.add(Event("note", note=what))

    def wait_for_sync(self, name: str) -> None:
        """Wait until a file is synced after this moment."""
        with self._changed:
            seen = len(self.events)
            assert self._changed.wait_for(
                lambda: any(e.kind == "sync" and e.name == name for e in self.events[seen:]), 30
            )


class RecordingFile(apsw.VFSFile):
    """A file of the system's, recorded."""

    def __init__(self, disk: "RecordingVFS", name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        self._name, self._disk = Path(path).name, disk
        disk.folders.add(Path(path).parent)
        folder = bool(flags[0] & _SYNCS_FOLDER and flags[0] & apsw.SQLITE_OPEN_CREATE)
        super().__init__("unix", name, flags)
        disk.record.add(Event("open", self._name, note=folder))

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 (its name in SQLite)
        super().xWrite(data, offset)
        self._disk.record.add(Event("write", self._name, offset, bytes(data)))

    def xTruncate(self, size: int) -> None:  # noqa: N802
        super().xTruncate(size)
        self._disk.record.add(Event("truncate", self._name, size))

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._disk.failing:
            self._disk.failing -= 1
            self._disk.record.add(Event("lost", self._name))
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        if self._disk.syncs:
            super().xSync(flags)
            self._disk.record.add(Event("sync", self._name))


class RecordingVFS(apsw.VFS):
    """The system's file system, recorded. With `syncs` false it only claims to sync.

    The next `failing` syncs fail, as Linux has them fail: what was not synced is still read, and
    never written (fsync(2), EIO).
    """

    def __init__(self, record: Record, *, syncs: bool = True) -> None:
        self.record, self.syncs, self.failing = record, syncs, 0
        self.folders: set[Path] = set()
        self.name = f"recording-{next(_numbers)}"
        super().__init__(self.name, "unix")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        if name is None:  # a temporary file, that no reopening looks for
            return apsw.VFSFile("unix", name, flags)
        return RecordingFile(self, name, flags)

    def xDelete(self, name: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(name, syncdir)
        self.record.add(Event("delete", Path(name).name))
        if syncdir and self.syncs:
            self.record.add(Event("names"))


@contextmanager
def recording(*, syncs: bool = True) -> Iterator[RecordingVFS]:
    """Register a recording file system; the store's own sync of its folder is recorded too."""
    record = Record()
    vfs = RecordingVFS(record, syncs=syncs)
    sync = folders.sync

    def seen(folder: Path) -> None:
        sync(folder)
        if folder in vfs.folders and vfs.syncs:
            record.add(Event("names"))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(folders, "sync", seen)
        yield vfs
    vfs.unregister()


class _File:
    """Bytes that last, and what was done since the last sync."""

    def __init__(self, data: bytes = b"") -> None:
        self.lasting = bytearray(data)
        self.pending: list[Event] = []
        self.syncs_folder = False

    def sync(self) -> None:
        for event in self.pending:
            _apply(self.lasting, event)
        self.pending.clear()


class Disk:
    """Follows a record, and tells at any point what a power cut may leave.

    It begins with the files that an earlier cut left.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self._now = {name: _File(data) for name, data in files.items()}
        self._lasting = dict(self._now)
        self._pending: list[tuple[str, str, _File]] = []

    def follow(self, event: Event) -> None:
        """Do to the disk what the event says."""
        match event.kind:
            case "open":
                self._open(event)
            case "write" | "truncate":
                self._now[event.name].pending.append(event)
            case "sync":
                self._sync(self._now[event.name])
            case "lost":
                self._now[event.name].pending.clear()
            case "delete":
                self._pending.append(("delete", event.name, self._now.pop(event.name)))
            case "rename":
                file = self._now.pop(event.name)
                self._pending.append(("delete", event.name, file))
                self._pending.append(("open", event.note, file))
                self._now[event.note] = file
            case "names":
                self._sync_names()
            case _:
                pass

    def image(self, dice: random.Random, keep: float) -> dict[str, bytes]:
        """Return the files after a cut, each unsynced piece kept with probability `keep`."""
        names = dict(self._lasting)
        for what, name, file in self._pending:
            if dice.random() >= keep:
                continue
            if what == "open":
                names[name] = file
            elif names.get(name) is file:
                del names[name]
        rough = dice.random() < 0.5
        return {name: _torn(file, dice, keep, rough=rough) for name, file in names.items()}

    def _open(self, event: Event) -> None:
        file = self._now.get(event.name)
        if file is None:
            file = self._now[event.name] = _File()
            self._pending.append(("open", event.name, file))
        file.syncs_folder = file.syncs_folder or event.note

    def _sync(self, file: _File) -> None:
        file.sync()
        if file.syncs_folder:
            file.syncs_folder = False
            self._sync_names()

    def _sync_names(self) -> None:
        self._pending.clear()
        self._lasting = dict(self._now)


def _torn(file: _File, dice: random.Random, keep: float, *, rough: bool) -> bytes:
    data = bytearray(file.lasting)
    for event in file.pending:
        if event.kind == "truncate" or dice.random() < 0.5:
            if dice.random() < keep:
                _apply(data, event)
            continue
        for start in range(0, len(event.data), SECTOR):
            part = event.data[start : start + SECTOR]
            if dice.random() >= keep:
                before = bytes(data[event.offset + start :][: len(part)]).ljust(len(part), b"\0")
                part = dice.choice(_ROUGH)(before, part, dice) if rough else b""
            if part:
                _apply(data, event._replace(offset=event.offset + start, data=part))
    return bytes(data)


# What becomes of a sector that was not written whole: given what was there, what was to be.
_ROUGH: tuple[Callable[[bytes, bytes, random.Random], bytes], ...] = (
    lambda before, after, dice: b"",
    lambda before, after, dice: bytes(len(after)),
    lambda before, after, dice: dice.randbytes(len(after)),
    lambda before, after, dice: after[: dice.randint(1, len(after))],
    lambda before, after, dice: _joined(before, after, dice.randint(0, len(after))),
)


def _joined(before: bytes, after: bytes, at: int) -> bytes:
    return before[:at] + after[at:]


def _apply(data: bytearray, event: Event) -> None:
    if event.kind == "truncate":
        del data[event.offset :]
        return
    if len(data) < event.offset:
        data.extend(bytes(event.offset - len(data)))
    data[event.offset : event.offset + len(event.data)] = event.data


def written(image: dict[str, bytes], folder: Path) -> Path:
    """Put an image into a new folder and return the path of its database."""
    folder.mkdir(mode=0o700)
    for name, data in image.items():
        path = folder / name
        path.write_bytes(data)
        path.chmod(0o600)
    return folder / "store.db"
