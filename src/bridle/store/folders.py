"""Folders whose names last: a file is only as durable as the names on the way to it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def make(folder: Path) -> None:
    """Make a folder (0700), and those above it, where there are none. Raises `OSError`.

    When this returns, no power cut takes its name away, whoever made it.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    # INVARIANT: I7. What is fsynced in a folder is lost with the folder's own name. The name of one
    # that was there already is synced too: whoever made it may have died before.
    for each in missing or [folder]:
        # A folder that we may not read is one that we could not make a name in.
        with suppress(PermissionError):
            sync(each.parent)


def sync(folder: Path) -> None:
    """Make the names in a folder durable, new and deleted ones. Raises `OSError`."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Write a file so that readers and crashes see the old or the new one, never a part.

    One process at a time may do so: its draft lies beside the file, under a name of its own.
    Raises `OSError`.
    """
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        with open(os.open(draft, flags, 0o600), "wb") as file:  # noqa: PTH123
            os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with suppress(OSError):
            draft.unlink()
        raise
    sync(path.parent)
