"""Has the ledger witness every row: each leaf says what the rows written for it are from then on.

A leaf's body carries `rows`: the name of each row that was put or deleted since the leaf before, in
the same transaction, with a keyed digest of what it holds (empty: deleted). Rows that nobody told
of by the end of the turn get a leaf of their own. So whatever differs from its last digest was
changed by something else than a governor.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import structs

from bridle.ledger.mac import Mac
from bridle.model.errors import UsageError
from bridle.store.base import ChainHead, Filed, Frontier, StoredLeaf, Tx
from bridle.store.rows import ActionRow, Row

R = TypeVar("R", bound=Row)

# Rows that one leaf speaks for: it must stay well below the size a leaf may have.
MOST = 256
# Rows remembered from reading: what one decision looks at, and never a whole history.
_READ = 64
# 128 bits: nobody who is held back by it can choose both of two rows that would collide.
_DIGITS = 32

_encode = msgspec.json.Encoder().encode


class Marker:
    """Names rows in the ledger and digests what they hold, under the store's digest key."""

    def __init__(self, secret: bytes) -> None:
        self._mac = Mac(secret)
        # Every record of an action names it, and every record that speaks for its row.
        self._named = lru_cache(maxsize=256)(self._name_of)

    def action(self, action: str) -> str:
        """Return the name of an action in the ledger.

        An action's id is a hash of its key, which a developer may have made from something that
        can be guessed; the ledger holds no bare hash of such a thing.
        """
        return self._named(action)

    def _name_of(self, action: str) -> str:
        return "act_" + self._keyed(f"action|{action}".encode("utf-8", "surrogatepass"))

    def name(self, kind: type[Row], key: str) -> str:
        """Return the name of a row in the ledger."""
        return f"{kind.TABLE}/{self.action(key) if kind is ActionRow else key}"

    def digest(self, row: Row) -> str:
        """Return the keyed digest of a row, but for what changes without a record."""
        return self.digest_steady(steady(row))

    def digest_steady(self, row: Row) -> str:
        """Return the same of a row that is `steady` already."""
        return self._keyed(b"row|" + row.TABLE.encode() + b"|" + _encode(row))

    def _keyed(self, value: bytes) -> str:
        return self._mac.hex(value)[:_DIGITS]


def steady(row: R) -> R:
    """Return the row without what says nothing of its own: leases, and where its record lies."""
    return structs.replace(row, **row.VOLATILE) if row.VOLATILE else row


class Witness:
    """A transaction that remembers which rows were written. See `bridle.store.base.Tx`.

    The first rows that are read are remembered too: nobody else writes while it lasts, so reading
    them again says the same.
    """

    __slots__ = ("_marker", "_pending", "_read", "_told", "_tx", "appended")

    def __init__(self, tx: Tx, marker: Marker) -> None:
        self._tx = tx
        self._marker = marker
        # Whether this transaction appended to the log.
        self.appended = False
        self._pending: dict[str, Row | None] = {}
        self._told: dict[str, Row | None] = {}
        self._read: dict[tuple[type[Row], str], Row | None] = {}

    def get(self, kind: type[R], key: str) -> R | None:
        """Return the row, or None."""
        at = (kind, key)
        if at in self._read:
            return cast("R | None", self._read[at])
        row = self._tx.get(kind, key)
        if len(self._read) < _READ:
            self._read[at] = row
        return row

    def _forget(self, kind: type[Row], key: str) -> None:
        # INVARIANT: what this transaction writes is what it reads from then on.
        self._read.pop((kind, key), None)

    def put(self, row: Row) -> None:
        """Insert or replace the row, and remember it."""
        # INVARIANT: no change of a row is committed without a leaf of the same transaction that
        # says what it is now.
        self.tell(row)
        self._forget(type(row), getattr(row, row.KEY))
        self._tx.put(row)

    def renew(self, row: Row) -> None:
        """Replace a row where a lease is all that changes: heartbeats leave no record.

        Raises `UsageError` if anything else differs from what is stored.
        """
        before = self._tx.get(type(row), getattr(row, row.KEY))
        # INVARIANT: as for `put`. Only what no leaf speaks of changes without one.
        if before is None or steady(before) != steady(row):
            raise UsageError(f"more than the lease of a {type(row).__name__} changes")
        self._forget(type(row), getattr(row, row.KEY))
        self._tx.put(row)

    def tell(self, row: Row) -> None:
        """Have the next record speak for a row that is about to be put as it is here."""
        name, said = self._marker.name(type(row), getattr(row, row.KEY)), steady(row)
        if self._told.get(name) != said:
            self._pending[name] = said
        else:
            self._pending.pop(name, None)

    def delete(self, kind: type[Row], key: str) -> None:
        """Delete the row, and remember that it is gone."""
        self._pending[self._marker.name(kind, key)] = None
        self._forget(kind, key)
        self._tx.delete(kind, key)

    @property
    def pending(self) -> bool:
        """Whether rows were written that no record speaks for yet."""
        return bool(self._pending)

    def taken(self) -> dict[str, str]:
        """Return what the next record has to say of rows: it is told then."""
        rows = self._pending
        if len(rows) > MOST:
            rows = {name: rows.pop(name) for name in list(rows)[:MOST]}
        else:
            self._pending = {}
        self._told |= rows
        digest = self._marker.digest_steady
        return {name: digest(row) if row is not None else "" for name, row in rows.items()}

    def find(self, kind: type[R], **how: Any) -> list[R]:
        """See `bridle.store.base.Tx.find`."""
        return self._tx.find(kind, **how)

    def count(self, kind: type[Row], **equals: str | int) -> int:
        """Number of rows whose indexed columns equal `equals`."""
        return self._tx.count(kind, **equals)

    def every(self, kind: type[Row]) -> Iterator[Filed]:
        """See `bridle.store.base.Tx.every`."""
        return self._tx.every(kind)

    def head(self, chain: str) -> ChainHead:
        """The last leaf of a chain."""
        return self._tx.head(chain)

    def heads(self) -> Iterator[tuple[str, ChainHead]]:
        """The last leaf of every chain."""
        return self._tx.heads()

    def append(self, chain: str, seq: int, data: bytes, digest: bytes, sealed: bytes) -> int:
        """Append a leaf."""
        self.appended = True
        return self._tx.append(chain, seq, data, digest, sealed)

    def frontier(self) -> Frontier:
        """Size and compact range of the log."""
        return self._tx.frontier()

    def leaves(self, start: int = 0, end: int | None = None) -> Iterator[StoredLeaf]:
        """Leaves in order."""
        return self._tx.leaves(start, end)

    def hashes(self, level: int, start: int, end: int) -> list[bytes]:
        """Hashes of tiles."""
        return self._tx.hashes(level, start, end)

    def erase(self, chain: str) -> int:
        """Drop every sealed payload of a chain: its record has to say so."""
        return self._tx.erase(chain)

    def reseal(self, index: int, sealed: bytes) -> None:
        """Put another sealed payload beside a leaf: its record has to say so."""
        self._tx.reseal(index, sealed)

    def checkpoints(self) -> list[bytes]:
        """The signed checkpoints that are kept."""
        return self._tx.checkpoints()

    def put_checkpoint(self, size: int, note: bytes, *, instead: int | None = None) -> None:
        """Keep a checkpoint. It speaks for leaves, and no leaf speaks for it."""
        self._tx.put_checkpoint(size, note, instead=instead)
