"""Reads files that strangers made: plain ones only, up to a size, never waiting for anything."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from bridle.ledger.errors import LedgerError


def read(path: Path, most: int) -> bytes | None:
    """Return what a file holds; None where there is nothing of that name.

    Raises `LedgerError` (`file_refused`) for links, pipes, devices, folders, files of more than
    `most` bytes (their size alone is looked at) and those that cannot be read.
    """
    file = _opened(path)
    if file is None:
        return None
    with file:
        try:
            size = os.fstat(file.fileno()).st_size
            if size > most:
                raise _refused(path, f"it has {size} bytes, {most} are the most")
            data = file.read(most + 1)
        except OSError as problem:
            raise _refused(path, problem.strerror or "it cannot be read") from problem
    if len(data) > most:
        raise _refused(path, f"it has more than {most} bytes")
    return data


def lines(path: Path, most: int, begin: bytes) -> Iterator[bytes] | None:
    """Return the lines of a file, with their ends, read one at a time; None as `read`.

    Of a line that does not begin with `begin` no more than that is read. Raises as `read`, `most`
    being the bytes of one line; also while it is read.
    """
    file = _opened(path)
    return None if file is None else _lines(path, file, most, begin)


def _lines(path: Path, file: BinaryIO, most: int, begin: bytes) -> Iterator[bytes]:
    with file:
        try:
            while head := file.readline(len(begin)):
                rest = file.readline(most) if head == begin else b""
                if len(rest) == most:
                    raise _refused(path, f"a line of it has more than {most} bytes")
                yield head + rest
        except OSError as problem:
            raise _refused(path, problem.strerror or "it cannot be read") from problem


def _opened(path: Path) -> BinaryIO | None:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else str(problem)
        raise _refused(path, why or "it cannot be opened") from problem
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _refused(path, "it is no plain file")
    return os.fdopen(descriptor, "rb")


def required(path: Path, most: int) -> bytes:
    """Return what a file that an auditor named holds. Raises as `read`, also where it is absent."""
    data = read(path, most)
    if data is None:
        raise _refused(path, "there is no such file")
    return data


def _refused(path: Path, why: str) -> LedgerError:
    return LedgerError(f"{ascii(str(path))[1:-1]} is not read: {why}", code="file_refused")
