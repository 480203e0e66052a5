"""What SQLite and the operating system report, as `StoreError` with a code and a way out."""

from __future__ import annotations

import errno
from pathlib import Path

import apsw

from bridle.model.errors import StoreError

HINTS = {
    "store_foreign": "This file belongs to another program. Name another folder for the store.",
    "store_newer": "A newer Bridle wrote this store. Upgrade Bridle, or restore a backup.",
    "store_old_sqlite": "Install the apsw wheel that Bridle pins; it brings its own SQLite.",
    "store_corrupt": "Keep a copy of the folder, then restore a backup or start a new store.",
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

_CODES: tuple[tuple[type[apsw.Error], str], ...] = (
    (apsw.FullError, "store_full"),
    (apsw.ReadOnlyError, "store_readonly"),
    (apsw.CantOpenError, "store_readonly"),
    (apsw.PermissionsError, "store_readonly"),
    (apsw.BusyError, "store_locked"),
    (apsw.LockedError, "store_locked"),
    (apsw.CorruptError, "store_corrupt"),
    (apsw.NotADBError, "store_corrupt"),
    (apsw.FormatError, "store_corrupt"),
)
_ERRNOS = {
    errno.ENOSPC: "store_full",
    errno.EDQUOT: "store_full",
    errno.EROFS: "store_readonly",
    errno.EACCES: "store_readonly",
    errno.EPERM: "store_readonly",
}


def failure(code: str, message: str) -> StoreError:
    """Build the error of a code with the hint that belongs to it."""
    return StoreError(message, code=code, hint=HINTS[code])


def of_sqlite(problem: apsw.Error, connection: apsw.Connection | None = None) -> StoreError:
    """Translate an error of SQLite."""
    code = next((code for kind, code in _CODES if isinstance(problem, kind)), "store_unavailable")
    if isinstance(problem, apsw.IOError | apsw.CantOpenError) and connection is not None:
        # A full disk shows as an I/O error where SQLite maps or truncates files.
        code = _ERRNOS.get(connection.system_errno, code)
    return failure(code, f"the store failed: {type(problem).__name__}: {problem}")


def of_system(problem: OSError, path: Path) -> StoreError:
    """Translate an error of the operating system at `path`."""
    code = _ERRNOS.get(problem.errno or 0, "store_unavailable")
    return failure(code, f"{path}: {problem.strerror or problem}")
