"""Reads files that strangers made: plain ones only, up to a size, never waiting for anything."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from bridle.ledger.errors import LedgerError


def read(path: Path, most: int) -> bytes | None:
    """Return what a file holds; None where there is nothing of that name.

    Raises `LedgerError` (`file_refused`) for links, pipes, devices, folders, files of more than
    `most` bytes (their size alone is looked at) and those that cannot be read.
    """
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as problem:
        why = problem.strerror if isinstance(problem, OSError) else str(problem)
        raise _refused(path, why or "it cannot be opened") from problem
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _refused(path, "it is no plain file")
        if status.st_size > most:
            raise _refused(path, f"it has {status.st_size} bytes, {most} are the most")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            data = file.read(most + 1)
    except OSError as problem:
        raise _refused(path, problem.strerror or "it cannot be read") from problem
    finally:
        os.close(descriptor)
    if len(data) > most:
        raise _refused(path, f"it has more than {most} bytes")
    return data


def required(path: Path, most: int) -> bytes:
    """Return what a file that an auditor named holds. Raises as `read`, also where it is absent."""
    data = read(path, most)
    if data is None:
        raise _refused(path, "there is no such file")
    return data


def _refused(path: Path, why: str) -> LedgerError:
    return LedgerError(f"{ascii(str(path))[1:-1]} is not read: {why}", code="file_refused")
