"""Failures of the store: each code with its way out. What the system reports becomes one."""

from __future__ import annotations

import errno
from pathlib import Path

from bridle.model.errors import StoreError

HINTS = {
    "store_foreign": "This file belongs to another program. Name another folder for the store.",
    "store_newer": "A newer Bridle wrote this store. Upgrade Bridle, or restore a backup.",
    "store_old_sqlite": "Install the apsw wheel that Bridle pins; it brings its own SQLite.",
    "store_corrupt": "Keep a copy of the folder, then restore a backup or start a new store.",
    "store_tampered": "Find out who could write it; restore a backup, or start a new store.",
    "store_rolled_back": "It is an older copy: put the newest back. Where there is none, keep "
    "this one for audit, and start a new store.",
    "store_network": "Locks and syncs do not hold there. Put the store on a local disk.",
    "store_readonly": "Make the folder and its files writable for the user that runs Bridle.",
    "store_full": "Free some space, then try again; nothing that was acknowledged is lost.",
    "store_locked": "One governor per store: connect to the one that runs, or stop it.",
    "store_exposed": "Only the user that runs Bridle may own and reach it: chmod 0700 the folder, "
    "0600 the files.",
    "store_closed": "Open the store again.",
    "store_forked": "Open the store in the process that uses it, after the fork.",
    "store_interrupted": "Try again; nothing of this write happened.",
    "store_unavailable": "Try again; if it persists, check the disk and the system log.",
}

CODES_OF_ERRNO = {
    errno.ENOSPC: "store_full",
    errno.EDQUOT: "store_full",
    errno.EROFS: "store_readonly",
    errno.EACCES: "store_readonly",
    errno.EPERM: "store_readonly",
}


def failure(code: str, message: str) -> StoreError:
    """Build the error of a code with the hint that belongs to it."""
    return StoreError(message, code=code, hint=HINTS[code])


def of_system(problem: OSError, path: Path) -> StoreError:
    """Translate an error of the operating system at `path`."""
    code = CODES_OF_ERRNO.get(problem.errno or 0, "store_unavailable")
    return failure(code, f"{path}: {problem.strerror or problem}")
