"""Reads records out of a store beside its governor. Opens no payload, writes and locks nothing.

Each page is a snapshot of its own: one kept open would hold up the store's own clearing away.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from bridle.emit.record import Record
from bridle.ledger import checkpoint, leaf, note
from bridle.ledger.errors import LedgerError
from bridle.ledger.tree import leaf_hash
from bridle.model.errors import StoreError
from bridle.store.base import Tx
from bridle.store.rows import LogKeyRow
from bridle.store.sqlite.reading import snapshot

PAGE = 128
"""Records read at once."""


class Page(Struct, frozen=True):
    """Some records, and how many the log has (or the newest signed checkpoint covers)."""

    records: tuple[Record, ...]
    size: int


Extent = Callable[[Tx], int]
"""How many of a log's records are there to be read."""


def committed(tx: Tx) -> int:
    """Every record of the log."""
    return tx.frontier().size


def signed(tx: Tx) -> int:
    """Those that the newest checkpoint covers; all, in a log that has no key yet.

    INVARIANT: what is told is never taken back. A relaxed record may be lost with the power until
    something strict is committed; a checkpoint is, after all that it covers.
    """
    if not tx.find(LogKeyRow, limit=1):
        return committed(tx)
    kept = tx.checkpoints()
    if not kept:
        return 0
    return min(checkpoint.parse(note.parse(kept[-1]).text).size, committed(tx))


def size(database: Path, extent: Extent = committed) -> int:
    """Return how many records there are. Raises `StoreError`."""
    with snapshot(database) as tx:
        return extent(tx)


def page(database: Path, start: int, *, extent: Extent = committed, limit: int = PAGE) -> Page:
    """Return the records from `start` on, at most `limit`. Raises `StoreError`, `LedgerError`."""
    with snapshot(database) as tx:
        most = extent(tx)
        origin = _origin(tx, database)
        stored = list(tx.leaves(start, min(most, start + limit)))
    records = tuple(
        Record(each.index, leaf_hash(each.data).hex(), leaf.parse(each.data), origin)
        for each in stored
    )
    wanted = range(start, min(most, start + limit))
    if [each.index for each in records] != list(wanted):
        hint = "`bridle audit verify` says what else is wrong."
        raise StoreError(f"records from {start} on are missing", code="store_corrupt", hint=hint)
    return Page(records, most)


def _origin(tx: Tx, database: Path) -> str:
    """Return the log's name: that of its keys. Before the first it goes by its folder."""
    for row in tx.find(LogKeyRow, limit=1):
        with suppress(LedgerError):
            return note.key(row.key).name
    return f"localhost/{database.parent.name}"
