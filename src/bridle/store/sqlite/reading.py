"""Reads a store beside the governor that writes it, or without one. Writes and locks nothing."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import apsw

from bridle.model.errors import StoreError
from bridle.store.failures import failure
from bridle.store.sqlite.opening import APPLICATION_ID, assert_schema, migrations
from bridle.store.sqlite.statements import execute_of, of_sqlite
from bridle.store.sqlite.transaction import Log, SqliteTx


@contextmanager
def snapshot(path: Path) -> Generator[SqliteTx]:
    """Yield the store as it was committed at this moment; what is written meanwhile is not seen.

    Only the reading methods of the transaction work. Raises `StoreError`: `store_missing`,
    `store_foreign`, `store_newer`, `store_tampered`, `store_corrupt` and those of a failing disk.
    """
    if not path.is_file():
        hint = "It is made when its bundle is first served or opened."
        raise StoreError(f"there is no store at {path}", code="store_missing", hint=hint)
    connection: apsw.Connection | None = None
    try:
        connection = _connect(path)
        _assert_ours(connection, path)
        execute_of(connection)("BEGIN")
        yield SqliteTx(connection, Log(connection))
    except apsw.Error as problem:
        raise of_sqlite(problem, connection) from problem
    finally:
        if connection is not None:
            connection.close(True)


def _connect(path: Path) -> apsw.Connection:
    """Open the database to read; also a copy where nothing may be written, such as read-only media.

    Beside a write-ahead log SQLite wants a file of its own. Where that cannot be made nobody writes
    the store either: then it is read as what cannot change, if nothing waits in its log.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(2_000)
    try:
        execute_of(connection)("SELECT 1 FROM sqlite_schema").get  # noqa: B018 - opens the files
    except (apsw.CantOpenError, apsw.ReadOnlyError) as problem:
        connection.close(True)
        log = path.with_name(path.name + "-wal")
        if log.exists() and log.stat().st_size:
            hint = "Copy store.db with store.db-wal into a folder that you may write."
            message = f"{path} has a log beside it that cannot be read from where it is"
            raise StoreError(message, code="store_readonly", hint=hint) from problem
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        return apsw.Connection(f"{path.absolute().as_uri()}?immutable=1", flags=flags)
    return connection


def _assert_ours(connection: apsw.Connection, path: Path) -> None:
    execute = execute_of(connection)
    if execute("PRAGMA application_id").get != APPLICATION_ID:
        raise failure("store_foreign", f"{path} is no store of Bridle")
    version, known = int(execute("PRAGMA user_version").get), len(migrations())
    if version > known:
        raise failure("store_newer", f"{path} has schema {version}, this is {known}")
    if version < known:
        hint = "Serve its bundle once: that brings the store up to date."
        message = f"{path} has schema {version}, this is {known}"
        raise StoreError(message, code="store_older", hint=hint)
    assert_schema(connection, path)
