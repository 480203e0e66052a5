"""Writes events as JSON, one a line: to a file that is appended to, or to any stream."""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from bridle.emit.errors import EmitError
from bridle.emit.record import Record

Render = Callable[[Record], dict[str, Any]]

_encode = msgspec.json.Encoder().encode
_FLAGS = os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


def line(event: dict[str, Any]) -> bytes:
    """Return an event as one line of ASCII.

    Programs that read text end lines at more than a newline, and terminals obey more than one byte:
    whatever else occurs is escaped.
    """
    data = _encode(event)
    if not data.isascii():
        data = json.dumps(msgspec.to_builtins(event), separators=(",", ":")).encode()
    return data.replace(b"\x7f", b"\\u007f") + b"\n"


class File:
    """Appends to one file; made where there is none, for its owner alone.

    It has to be a plain file of one name, ours or root's, and no link: whoever else could put one
    there would have the governor write where they cannot. Replaced by another (as programs that
    rotate logs do), it is opened anew.
    """

    def __init__(self, path: Path, render: Render) -> None:
        """Open the file. Raises `EmitError` (`emit_target`)."""
        self._path = path
        self._render = render
        self._taken: list[bytes] = []
        self._descriptor, self._identity = -1, (0, 0)
        self._open()

    def emit(self, record: Record) -> None:
        """Take a record."""
        self._taken.append(line(self._render(record)))

    def flush(self) -> None:
        """Append what was taken and sync it. What fails half-way is written again, whole."""
        try:
            self._reopen()
            self._write(b"".join(self._taken))
        except OSError as problem:
            self._shut()
            raise _failed(self._path, problem) from problem
        finally:
            self._taken.clear()

    def close(self) -> None:
        """Close the file."""
        self._shut()

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._descriptor, view) :]
        os.fsync(self._descriptor)

    def _reopen(self) -> None:
        found = None
        with suppress(FileNotFoundError):
            found = os.lstat(self._path)
        if self._descriptor < 0 or found is None or _identity(found) != self._identity:
            self._shut()
            self._open()

    def _open(self) -> None:
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | _FLAGS, 0o600)
            status = os.fstat(self._descriptor)
            _assert_ours(self._path, status)
            self._identity = _identity(status)
            self._end_torn_line(status)
        except OSError as problem:
            self._shut()
            raise _failed(self._path, problem) from problem
        except EmitError:
            self._shut()
            raise

    def _end_torn_line(self, status: os.stat_result) -> None:
        """End a line that a crash cut off. It comes again: nothing counts as told before a sync."""
        size = status.st_size
        if size and os.pread(self._descriptor, 1, size - 1) != b"\n":
            os.write(self._descriptor, b"\n")

    def _shut(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._identity = -1, (0, 0)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _assert_ours(path: Path, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
        raise _refused(f"{path} is no plain file of one name")
    if status.st_uid not in (0, os.geteuid()):
        raise _refused(f"{path} belongs to user {status.st_uid}")


def _refused(message: str) -> EmitError:
    hint = "Name a file that the user who runs the governor owns, in a folder that no tool writes."
    return EmitError(message, code="emit_target", hint=hint)


def _failed(path: Path, problem: OSError) -> EmitError:
    if problem.errno == errno.ELOOP:
        return _refused(f"{path} is a link")
    return EmitError(
        f"{path}: {problem.strerror}",
        code="emit_target",
        hint="The folder has to be there, and writable for the user who runs the governor.",
    )
