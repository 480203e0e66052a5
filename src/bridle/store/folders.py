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
