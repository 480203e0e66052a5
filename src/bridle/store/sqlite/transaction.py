"""A write transaction of SQLite: rows, leaves, chains and the frontier of the log.

One `Batch` is one transaction; each job sees it through a `SqliteTx` of its own, in a savepoint.
Heads of chains and the frontier are read once per batch and written once, at the commit; leaves are
inserted many at a time, at the commit or when somebody reads them.
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Callable, Iterator
from functools import cache
from itertools import chain as chained
from typing import TypeAlias, TypeVar

import apsw

from bridle.ledger import tiles, tree
from bridle.model.errors import UsageError
from bridle.store.base import ChainHead, Filed, Frontier, StoredLeaf
from bridle.store.failures import failure
from bridle.store.rows import Row
from bridle.store.sqlite.statements import execute_of
from bridle.store.sqlite.tables import PAGE, table

R = TypeVar("R", bound=Row)
T = TypeVar("T")

LEAF_BYTES = 65_535
_PAGE = 256
_HASH = tree.HASH_BYTES
_AT_ONCE = 16  # leaves of one statement
_SUBTREE = 'INSERT INTO "subtrees" VALUES (?, ?, ?)'
_TOUCH = 'UPDATE "log" SET "syncs" = "syncs" + 1'

Waiting: TypeAlias = list[tuple[int, str, int, bytes, bytes, bytes]]
Mark: TypeAlias = tuple[dict[str, ChainHead], int, Frontier | None, Waiting, int]


@cache
def _insert(count: int) -> str:
    marks = ", ".join(["(?, ?, ?, ?, ?, ?)"] * count)
    return f'INSERT INTO "leaves" VALUES {marks}'  # noqa: S608 - marks only


class Log:
    """Chain heads and frontier as this transaction sees them."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute = execute_of(connection)
        self._heads: dict[str, ChainHead] = {}
        # In order of their first change, so that what came later can be forgotten.
        self._changed: dict[str, None] = {}
        self._frontier: Frontier | None = None
        self._stored: Frontier | None = None
        self._waiting: Waiting = []

    def mark(self) -> Mark:
        """Return what `restore` needs to come back to this point."""
        waiting = self._waiting
        return dict(self._heads), len(self._changed), self._frontier, waiting, len(waiting)

    def restore(self, mark: Mark) -> None:
        """Forget what was appended since `mark`."""
        self._heads, changed, self._frontier, self._waiting, count = mark
        while len(self._changed) > changed:
            self._changed.popitem()
        # `settle` starts a new list, so what it inserted is still here if that was undone.
        del self._waiting[count:]

    def frontier(self) -> Frontier:
        """Return the frontier, this transaction's leaves included."""
        if self._frontier is None:
            size, hashes = self._execute('SELECT "size", "hashes" FROM "log"').get or (-1, b"")
            if size < 0 or len(hashes) != size.bit_count() * _HASH:
                raise failure("store_corrupt", "the frontier of the log does not match its size")
            parts = struct.unpack(f"{_HASH}s" * size.bit_count(), hashes)
            self._frontier = self._stored = Frontier(size, parts)
        return self._frontier

    def head(self, chain: str) -> ChainHead:
        """Return the last leaf of the chain."""
        known = self._heads.get(chain)
        if known is None:
            found = self._execute(
                'SELECT "seq", "hash" FROM "chains" WHERE "chain" = ?', (chain,)
            ).get
            known = self._heads[chain] = ChainHead(*found) if found else ChainHead()
        return known

    def append(self, chain: str, seq: int, data: bytes, digest: bytes, sealed: bytes) -> int:
        """Insert a leaf and move head and frontier on."""
        if not 0 < len(data) <= LEAF_BYTES or tree.leaf_hash(data) != digest:
            raise UsageError(f"a leaf of {chain} is empty, too long or not what its hash says")
        head = self.head(chain)
        # INVARIANT: I7. A chain has no gap and no branch: each leaf follows the head it names.
        if seq != head.seq + 1:
            raise UsageError(f"leaf {seq} of {chain} does not follow its head {head.seq}")
        frontier = self.frontier()
        self._waiting.append((frontier.size, chain, seq, data, digest, sealed))
        if len(self._waiting) >= _PAGE:
            self.settle()
        if (frontier.size + 1) % tiles.WIDTH == 0:
            self._fill(frontier, digest)
        self._frontier = frontier.append(digest)
        self._heads[chain] = ChainHead(seq, digest)
        if chain not in self._changed:
            self._changed[chain] = None
        return frontier.size

    def _fill(self, frontier: Frontier, digest: bytes) -> None:
        """Keep the hashes of tiles that one more leaf completes."""
        for height, root in frontier.completed(digest):
            level, odd = divmod(height, tiles.BITS)
            if not odd:
                self._execute(_SUBTREE, (level, frontier.size >> height, root))

    def settle(self) -> None:
        """Insert the leaves that wait: before anything reads or changes them, and to commit."""
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), _AT_ONCE):
            some = waiting[start : start + _AT_ONCE]
            self._execute(_insert(len(some)), tuple(chained.from_iterable(some)))

    def flush(self) -> None:
        """Write leaves, heads and frontier, once for the whole batch."""
        self.settle()
        for chain in self._changed:
            head = self._heads[chain]
            self._execute(
                'INSERT INTO "chains" VALUES (?, ?, ?) ON CONFLICT ("chain") '
                'DO UPDATE SET "seq" = excluded."seq", "hash" = excluded."hash"',
                (chain, head.seq, head.hash),
            )
        if self._frontier is not None and self._frontier is not self._stored:
            self._execute(
                'UPDATE "log" SET "size" = ?, "hashes" = ?',
                (self._frontier.size, b"".join(self._frontier.hashes)),
            )


class SqliteTx:
    """One job's view inside a write transaction; of no use once the job has returned."""

    __slots__ = ("_connection", "_execute", "_log", "open")

    def __init__(self, connection: apsw.Connection, log: Log) -> None:
        self._connection = connection
        self._execute = execute_of(connection)
        self._log = log
        self.open = True

    def _check(self) -> None:
        if not self.open:
            raise UsageError("a transaction was used after its job had ended")
        if not self._connection.in_transaction:
            # Without this, a job that swallowed the error would go on in autocommit.
            raise failure("store_unavailable", "the transaction was given up after an error")

    def get(self, kind: type[R], key: str) -> R | None:
        """Return the row, or None."""
        self._check()
        rows = table(kind)
        doc = self._execute(rows.get, (key,)).get
        return None if doc is None else rows.row(doc)

    def put(self, row: Row) -> None:
        """Insert or replace the row."""
        self._check()
        rows = table(type(row))
        self._execute(rows.put, rows.values(row))
        if rows.fixed and not self._connection.changes():
            raise UsageError(f"a {type(row).__name__} keeps {', '.join(row.FIXED)} for good")

    def delete(self, kind: type[Row], key: str) -> None:
        """Delete the row if it is there."""
        self._check()
        self._execute(table(kind).delete, (key,))

    def find(
        self,
        kind: type[R],
        *,
        limit: int = 1000,
        newest: str = "",
        below: tuple[str, int] | None = None,
        **equals: str | int,
    ) -> list[R]:
        """Search by indexed columns; see `bridle.store.base.Tx.find`."""
        self._check()
        rows = table(kind)
        sql = rows.find(newest, below[0] if below else "", tuple(equals))
        binds = (*equals.values(), *((below[1],) if below else ()), max(limit, 0))
        return [rows.row(doc) for (doc,) in self._execute(sql, binds).fetchall()]

    def count(self, kind: type[Row], **equals: str | int) -> int:
        """Count rows by indexed columns."""
        self._check()
        found = self._execute(table(kind).count(tuple(equals)), tuple(equals.values())).get
        return int(found)

    def every(self, kind: type[Row]) -> Iterator[Filed]:
        """Yield every row of a kind in order of key, a page at a time; only while the job runs."""
        rows, after = table(kind), ""
        while True:
            self._check()
            page = self._execute(rows.every, (after,)).fetchall()
            yield from map(rows.filed, page)
            if len(page) < PAGE:
                return
            _assert_after(page[-1][0], after)
            after = page[-1][0]

    def head(self, chain: str) -> ChainHead:
        """Return the last leaf of a chain."""
        self._check()
        return self._log.head(chain)

    def heads(self) -> Iterator[tuple[str, ChainHead]]:
        """Yield the last leaf of every chain, a page at a time; only while the job runs."""
        self._log.flush()
        sql = f'SELECT * FROM "chains" WHERE "chain" > ? ORDER BY "chain" LIMIT {PAGE}'  # noqa: S608
        after, page = "", [("", 0, b"")]
        while page:
            self._check()
            page = self._execute(sql, (after,)).fetchall()
            for chain, seq, digest in page:
                _assert_after(chain, after)
                after = chain
                yield chain, ChainHead(seq, digest)

    def append(self, chain: str, seq: int, data: bytes, digest: bytes, sealed: bytes) -> int:
        """Append a leaf and return its index. Raises `UsageError` unless it follows the head."""
        self._check()
        return self._log.append(chain, seq, data, digest, sealed)

    def frontier(self) -> Frontier:
        """Return size and compact range of the log."""
        self._check()
        return self._log.frontier()

    def leaves(self, start: int = 0, end: int | None = None) -> Iterator[StoredLeaf]:
        """Yield leaves in order, a page at a time; only while the job runs."""
        at, stop = start, self.frontier().size if end is None else end
        while at < stop:
            self._check()
            self._log.settle()
            page = self._execute(
                'SELECT "index", "chain", "seq", "data", "sealed", "hash" FROM "leaves" '
                'WHERE "index" >= ? AND "index" < ? ORDER BY "index" LIMIT ?',
                (at, stop, _PAGE),
            ).fetchall()
            if not page:
                return
            for leaf in page:
                yield StoredLeaf(*leaf)
            _assert_after(page[-1][0], at - 1)
            at = page[-1][0] + 1

    def hashes(self, level: int, start: int, end: int) -> list[bytes]:
        """Return hashes of tiles; see `bridle.store.base.Tx.hashes`."""
        self._check()
        self._log.settle()
        if level == 0:
            sql = 'SELECT "hash" FROM "leaves" WHERE "index" >= ? AND "index" < ? ORDER BY "index"'
            found = self._execute(sql, (start, end))
        else:
            sql = (
                'SELECT "hash" FROM "subtrees" '
                'WHERE "level" = ? AND "number" >= ? AND "number" < ? ORDER BY "number"'
            )
            found = self._execute(sql, (level, start, end))
        return [digest for (digest,) in found.fetchall()]

    def erase(self, chain: str) -> int:
        """Drop every sealed payload of a chain."""
        self._check()
        self._log.settle()
        before = self._connection.total_changes()
        self._execute(
            'UPDATE "leaves" SET "sealed" = x\'\' WHERE "chain" = ? AND "sealed" <> x\'\'',
            (chain,),
        )
        return self._connection.total_changes() - before

    def reseal(self, index: int, sealed: bytes) -> None:
        """Put another sealed payload, or none, beside the leaf at `index`."""
        self._check()
        self._log.settle()
        self._execute('UPDATE "leaves" SET "sealed" = ? WHERE "index" = ?', (sealed, index))

    def checkpoints(self) -> list[bytes]:
        """Return the signed checkpoints that are kept, in order of size."""
        self._check()
        found = self._execute('SELECT "note" FROM "checkpoints" ORDER BY "size"')
        return [note for (note,) in found.fetchall()]

    def put_checkpoint(self, size: int, note: bytes, *, instead: int | None = None) -> None:
        """Keep the checkpoint of `size`, in place of the one of size `instead`."""
        self._check()
        if instead is not None:
            self._execute('DELETE FROM "checkpoints" WHERE "size" = ?', (instead,))
        self._execute('INSERT OR REPLACE INTO "checkpoints" VALUES (?, ?)', (size, note))

    def touch(self) -> None:
        """Write something, so that the commit has a reason to sync."""
        self._check()
        self._execute(_TOUCH)


def _assert_after(found: str | int, before: str | int) -> None:
    """Refuse a page that does not lead on: a damaged index would be read round and round."""
    if type(found) is not type(before) or not found > before:  # type: ignore[operator]
        raise failure("store_corrupt", "a table of the store is not in its own order")


class Batch:
    """One transaction: begin, jobs that fail alone, commit or undo.

    The first job needs no savepoint: with it everything is undone, and the transaction begins
    anew. Most batches of a lone caller have no other. `written` is called after a commit that
    wrote something. With `settles` such a commit has to sync what others before it left unsynced.
    """

    def __init__(
        self, connection: apsw.Connection, written: Callable[[], None], *, settles: bool
    ) -> None:
        self._connection = connection
        self._execute = execute_of(connection)
        self._written = written
        self._settles = settles
        self._log = Log(connection)
        self._first = True
        self._broken = False
        self._wrote = False
        self._committing = False

    def begin(self) -> None:
        """Take the write lock, so that nothing read here is stale at the commit."""
        if self._connection.in_transaction:  # an undo that failed
            self._execute("ROLLBACK")
        self._execute("BEGIN IMMEDIATE")

    def run(self, job: Callable[[SqliteTx], T]) -> T:
        """Run a job so that it can be undone. What it raises passes through, its changes undone."""
        mark, changes = self._log.mark(), self._connection.total_changes()
        tx = SqliteTx(self._connection, self._log)
        first = self._first
        try:
            if not first:
                self._execute("SAVEPOINT job")
            result = job(tx)
            if not first:
                self._execute("RELEASE job")
        except BaseException:
            tx.open = False
            self._undo_job(mark, first=first)
            raise
        tx.open = self._first = False
        self._wrote = self._wrote or self._connection.total_changes() != changes
        return result

    def _undo_job(self, mark: Mark, *, first: bool) -> None:
        self._broken = True
        self._log.restore(mark)
        # SQLite may have given up the whole transaction (a full disk), or an interruption came
        # when the savepoint was gone already: then the batch fails, and not only this job.
        if self._connection.in_transaction:
            with contextlib.suppress(apsw.SQLError):
                self._execute("ROLLBACK" if first else "ROLLBACK TO job")
                self._execute("BEGIN IMMEDIATE" if first else "RELEASE job")
                self._broken = False

    @property
    def alive(self) -> bool:
        """Whether the transaction still stands and holds no part of a job that failed."""
        return self._connection.in_transaction and not self._broken

    @property
    def committed(self) -> bool:
        """Whether the commit happened, even if an interruption followed it at once."""
        return self._committing and not self._connection.in_transaction

    def commit(self) -> None:
        """Commit all of the batch, or raise; tell `written` if something was written."""
        changes = self._connection.total_changes()
        self._log.flush()
        self._wrote = self._wrote or self._connection.total_changes() != changes
        if self._wrote and self._settles:
            # SQLite skips a page that was written as it was, and then the sync with it.
            self._execute(_TOUCH)
        self._committing = True
        try:
            self._execute("COMMIT")
        except apsw.Error:
            self._committing = False
            raise
        if self._wrote:
            self._written()

    def undo(self) -> None:
        """Roll everything back, where there is still something to roll back."""
        self._committing = False
        if self._connection.in_transaction:
            self._execute("ROLLBACK")
