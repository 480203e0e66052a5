"""How Bridle talks to SQLite: statements in, plain values out, errors with a code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import apsw

from bridle.model.errors import StoreError
from bridle.store.failures import CODES_OF_ERRNO, failure

Execute: TypeAlias = Callable[..., Any]
"""Runs a statement with its bindings. Iterate for rows; `.get` is the first row or value."""

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


def execute_of(connection: apsw.Connection) -> Execute:
    """Return the function that runs statements; apsw keeps them prepared by their text."""
    # The bindings' annotations name `Buffer`, which Python 3.11 does not have.
    execute: Execute = connection.execute  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
    return execute


def of_sqlite(problem: apsw.Error, connection: apsw.Connection | None = None) -> StoreError:
    """Translate an error of SQLite."""
    code = next((code for kind, code in _CODES if isinstance(problem, kind)), "store_unavailable")
    if isinstance(problem, apsw.IOError | apsw.CantOpenError) and connection is not None:
        # A full disk shows as an I/O error where SQLite maps or truncates files.
        code = CODES_OF_ERRNO.get(connection.system_errno, code)
    return failure(code, f"the store failed: {type(problem).__name__}: {problem}")
