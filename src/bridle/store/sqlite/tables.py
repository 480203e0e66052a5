"""Rows to SQL and back: one table per row type, prepared statements, identifiers from rows only."""
# ruff: noqa: S608 (identifiers stand in quotes and come from row classes; values are bound)

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Generic, TypeVar

import msgspec

from bridle.model.errors import UsageError
from bridle.store.base import Filed
from bridle.store.failures import failure
from bridle.store.rows import ROWS, Row

R = TypeVar("R", bound=Row)
_encode = msgspec.json.Encoder().encode

PAGE = 256
"""Rows that are read at a time where all are."""


class Table(Generic[R]):
    """The statements and the codec of one row type."""

    def __init__(self, kind: type[R]) -> None:
        self._kind = kind
        types = {field.name: field.type for field in msgspec.structs.fields(kind)}
        self._columns = (kind.KEY, *kind.INDEXED)
        self._numeric = {name for name in self._columns if types[name] is int}
        self._values: Callable[[Row], Any] = attrgetter(*self._columns)
        self._decode = msgspec.json.Decoder(kind).decode
        self._searches: dict[tuple[str, ...], str] = {}
        key, table = kind.KEY, kind.TABLE
        names = ", ".join(f'"{name}"' for name in (*self._columns, "doc"))
        marks = ", ".join("?" * (len(self._columns) + 1))
        # An index whose columns are set is written anew even if nothing in it changes.
        free = [name for name in kind.INDEXED if name not in kind.FIXED]
        sets = ", ".join(f'"{name}" = excluded."{name}"' for name in (*free, "doc"))
        same = " AND ".join(f'"{name}" = excluded."{name}"' for name in kind.FIXED)
        self.get = f'SELECT "doc" FROM "{table}" WHERE "{key}" = ?'
        self.put = (
            f'INSERT INTO "{table}" ({names}) VALUES ({marks}) '
            f'ON CONFLICT ("{key}") DO UPDATE SET {sets}' + (f" WHERE {same}" if same else "")
        )
        self.fixed = bool(kind.FIXED)
        self.every = (
            f'SELECT {names} FROM "{table}" WHERE "{key}" > ? ORDER BY "{key}" LIMIT {PAGE}'
        )
        self.delete = f'DELETE FROM "{table}" WHERE "{key}" = ?'

    def values(self, row: Row) -> tuple[Any, ...]:
        """Return what `put` binds."""
        columns = self._values(row)
        doc = _encode(row)
        return (*columns, doc) if len(self._columns) > 1 else (columns, doc)

    def filed(self, found: tuple[Any, ...]) -> Filed:
        """Read what `every` selects: a row and whether its columns say the same."""
        *columns, doc = found
        key = str(columns[0])
        try:
            row = self._decode(doc)
        except (msgspec.MsgspecError, TypeError):
            return Filed(key, None, true=False)
        values = self._values(row)
        said = values if len(self._columns) > 1 else (values,)
        return Filed(key, row, true=said == tuple(columns))

    def row(self, doc: bytes) -> R:
        """Read a document back. Raises `StoreError` when it is no such row."""
        try:
            return self._decode(doc)
        except msgspec.MsgspecError as problem:
            raise failure(
                "store_corrupt", f"a row of {self._kind.TABLE} cannot be read: {problem}"
            ) from problem

    def find(self, newest: str, below: str, equals: tuple[str, ...]) -> str:
        """Return the search by these columns; binds the values of `equals`, `below`, the limit."""
        shape = ("doc", newest, below, *equals)
        return self._searches.get(shape) or self._search(shape)

    def count(self, equals: tuple[str, ...]) -> str:
        """Return the statement that counts by these columns; binds the values of `equals`."""
        shape = ("count", "", "", *equals)
        return self._searches.get(shape) or self._search(shape)

    def _search(self, shape: tuple[str, ...]) -> str:
        what, newest, below, *equals = shape
        named = {newest, below, *equals} - {""}
        if unknown := named - set(self._columns):
            raise UsageError(f"{self._kind.__name__} has no indexed column {sorted(unknown)}")
        if odd := {newest, below} - {""} - self._numeric:
            raise UsageError(f"{self._kind.__name__} has no numeric column {sorted(odd)}")
        tests = [f'"{name}" = ?' for name in equals]
        if below:
            tests.append(f'"{below}" < ?')
        where = f" WHERE {' AND '.join(tests)}" if tests else ""
        if what == "count":
            sql = f'SELECT count(*) FROM "{self._kind.TABLE}"{where}'
        else:
            key = f'"{self._kind.KEY}"'
            order = f'"{newest}" DESC, {key} DESC' if newest else key
            sql = f'SELECT "doc" FROM "{self._kind.TABLE}"{where} ORDER BY {order} LIMIT ?'
        self._searches[shape] = sql
        return sql


_TABLES: dict[type[Row], Table[Any]] = {kind: Table(kind) for kind in ROWS}


def table(kind: type[R]) -> Table[R]:
    """Return the table of a row type. Raises `UsageError` for a type that has none."""
    try:
        return _TABLES[kind]
    except KeyError:
        raise UsageError(f"{kind.__name__} is no row of the store") from None
