"""A disk that fails: the system calls by which SQLite changes files return what a bad disk returns.

It is SQLite's own unix file system that meets them, `-shm` included. A sync is no such call there:
`SyncFailing` stands in for it, and may only be used where no checkpoint of SQLite's runs, since
SQLite keeps the failure of one to itself and the binding does not.
"""

import ctypes
import errno
import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw

_numbers = itertools.count()
_LONG, _INT, _SIZE = ctypes.c_long, ctypes.c_int, ctypes.c_size_t
_CALLS: dict[str, tuple[Any, ...]] = {
    "pwrite": (ctypes.c_ssize_t, _INT, ctypes.c_void_p, _SIZE, _LONG),
    "pwrite64": (ctypes.c_ssize_t, _INT, ctypes.c_void_p, _SIZE, _LONG),
    "write": (ctypes.c_ssize_t, _INT, ctypes.c_void_p, _SIZE),
    "ftruncate": (_INT, _INT, _LONG),
    "open": (_INT, ctypes.c_char_p, _INT, _INT),
}


class Disk:
    """Counts what changes files, and refuses some of it.

    `done` counts the operations, `refused` those that failed.
    """

    vfs = ""

    def __init__(self) -> None:
        self.done = self.refused = 0
        self._from = self._to = 0
        self._how = ""

    def fail(self, after: int, how: str, times: int) -> None:
        """Refuse `times` operations, those after the next `after`.

        `how` is `full`, `short` (first a part is written, the rest finds it full), `io` (an error,
        half of it written) or `sync`.
        """
        self._from = self.done + after
        self._to, self._how = self._from + times, how

    def relieve(self) -> None:
        """Have everything succeed from here on."""
        self._how = ""

    def refuses(self) -> str:
        """Count an operation; how it fails, empty if it does not."""
        self.done += 1
        if not self._how or not self._from < self.done <= self._to:
            return ""
        self.refused += 1
        if self._how == "short" and self.done > self._from + 1:
            return "full"
        return self._how


class _Calls:
    """The system calls of SQLite's unix file system, each by way of a `Disk`."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._unix = apsw.VFS(f"calls-{next(_numbers)}", "unix")
        self._kept: list[Any] = []

    def __enter__(self) -> None:
        for name, types in _CALLS.items():
            address = self._unix.xGetSystemCall(name)
            if not address:
                continue
            kind = ctypes.CFUNCTYPE(*types, use_errno=True)
            ours = kind(getattr(self, f"_{name}")(kind(address)))
            self._kept.append(ours)
            pointer = ctypes.cast(ours, ctypes.c_void_p).value
            assert self._unix.xSetSystemCall(name, pointer)

    def __exit__(self, *_: object) -> None:
        for name in _CALLS:
            if self._unix.xGetSystemCall(name):
                self._unix.xSetSystemCall(name, 0)  # its own again
        self._unix.unregister()

    def _pwrite(self, ordinary: Callable[..., int]) -> Callable[..., int]:
        def call(file: int, data: int, size: int, *at: int) -> int:
            how = self._disk.refuses()
            if not how:
                return ordinary(file, data, size, *at)
            if how in ("short", "io"):
                done = ordinary(file, data, size // 2, *at)
            return done if how == "short" else _refused(how)

        return call

    _write = _pwrite64 = _pwrite

    def _ftruncate(self, ordinary: Callable[..., int]) -> Callable[..., int]:
        def call(file: int, size: int) -> int:
            how = self._disk.refuses()
            return _refused(how) if how else ordinary(file, size)

        return call

    def _open(self, ordinary: Callable[..., int]) -> Callable[..., int]:
        def call(path: bytes, flags: int, mode: int) -> int:
            if not flags & os.O_CREAT or Path(os.fsdecode(path)).exists():
                return ordinary(path, flags, mode)
            how = self._disk.refuses()
            return _refused(how) if how else ordinary(path, flags, mode)

        return call


def _refused(how: str) -> int:
    ctypes.set_errno(errno.EIO if how == "io" else errno.ENOSPC)
    return -1


class _SyncFailing(apsw.VFS):
    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self.name = f"syncs-{next(_numbers)}"
        super().__init__(self.name, "unix")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802 (its name in SQLite)
        if name is None:
            return apsw.VFSFile("unix", name, flags)
        return _SyncFailingFile(self._disk, name, flags)


class _SyncFailingFile(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self._disk = disk
        super().__init__("unix", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802
        if self._disk.refuses():
            raise apsw.exception_for(apsw.SQLITE_IOERR_FSYNC)
        super().xSync(flags)


@contextmanager
def failing(how: str) -> Iterator[Disk]:
    """Yield a disk that can be made to fail like this."""
    disk = Disk()
    if how == "sync":
        vfs = _SyncFailing(disk)
        disk.vfs = vfs.name
        yield disk
        vfs.unregister()
        return
    with _Calls(disk):
        yield disk
