"""Writes a database anew, page by page: no byte of it stays that no row holds any more.

`VACUUM` does that by way of a file in the system's folder for such, which may be shared, small or
on another disk; here the copy lies beside the database, for its owner alone, and has no name while
it is copied back.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import apsw

from bridle.store.failures import failure, of_system
from bridle.store.sqlite.statements import execute_of

_ENDING = "-scrub"


def rewrite(connection: apsw.Connection) -> None:
    """Write the connection's database anew, in one transaction of its log. Between transactions.

    Needs twice the space of the database, and begins only where there is so much. Raises
    `apsw.Error`, `StoreError`; then the database is as it was.
    """
    database = Path(connection.db_filename("main"))
    draft = _draft_of(database)
    remove_draft(database)
    try:
        _assert_space(database)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
        execute_of(connection)("VACUUM INTO ?", (str(draft),))
        fresh = apsw.Connection(
            str(draft), flags=apsw.SQLITE_OPEN_READONLY, vfs=connection.open_vfs
        )
    except OSError as problem:
        raise of_system(problem, draft) from problem
    finally:
        remove_draft(database)
    try:
        with connection.backup("main", fresh, "main") as copy:
            copy.step(-1)
    finally:
        fresh.close(True)


def remove_draft(database: Path) -> None:
    """Remove the copy that a killed process left. Raises `StoreError`."""
    draft = _draft_of(database)
    try:
        draft.unlink(missing_ok=True)
    except OSError as problem:
        raise of_system(problem, draft) from problem


def _draft_of(database: Path) -> Path:
    return database.with_name(database.name + _ENDING)


def _assert_space(database: Path) -> None:
    size, free = database.stat().st_size, shutil.disk_usage(database.parent).free
    if free < 2 * size:
        raise failure("store_full", f"{2 * size} bytes are needed beside {database}, {free} free")
