"""The store: write-ahead log, group commit, relaxed writes, one writing process."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import apsw

from bridle.model.errors import StoreError
from bridle.store.base import Tx
from bridle.store.combining import Combiner
from bridle.store.failures import failure
from bridle.store.relaxed import SyncTimer
from bridle.store.sqlite import opening, resync, rewriting
from bridle.store.sqlite.statements import execute_of, of_sqlite
from bridle.store.sqlite.transaction import Batch, SqliteTx

T = TypeVar("T")

RELAXED_MS = 50
_LOG_PAGES = 1_000


class SqliteStore:
    """A `bridle.store.base.Store` on an open connection; `open_store` makes it.

    Safe for use by many threads of the process that opened it. `descriptor` is the held lock
    file, or None for a store in memory.
    """

    def __init__(
        self, connection: apsw.Connection, descriptor: int | None, relaxed_ms: int
    ) -> None:
        self._connection = connection
        self._descriptor = descriptor
        self._path = Path(connection.db_filename("main"))
        self._process = os.getpid()
        self._level = ""
        # How many pages the log may have before it is moved into the database, and how many are
        # synced for sure.
        self._log_pages, self._synced_pages = _LOG_PAGES, 0
        self._unsure = False
        connection.set_wal_hook(self._committed)
        self._timer = SyncTimer(self.sync, relaxed_ms)
        self._scrubbing = threading.Lock()
        self._to_scrub = self._to_rewrite = self._scrubbed = False
        self._unscrubbed: StoreError | None = None
        self._combiner: Combiner[SqliteTx] = Combiner(self._begin, self._explain)

    def write(self, job: Callable[[Tx], T], *, relaxed: bool = False) -> T:
        """Run `job` in a write transaction and return its result after the commit.

        See `bridle.store.base.Store.write`. The job may run on another caller's thread, so it
        must not depend on thread-locals or context variables; it must not call `write`
        (`UsageError`) or wait for a thread that does.
        """
        if os.getpid() != self._process:
            raise failure("store_forked", "the store was opened before a fork")
        return self._combiner.submit(job, relaxed=relaxed)

    def sync(self) -> None:
        """Make everything committed so far durable, whatever its level was."""
        self.write(SqliteTx.touch)  # type: ignore[arg-type]

    def scrub(self, *, again: bool = False) -> bool:
        """After an erasure: leave nothing of what was erased, in the database or in its log.

        SQLite overwrites what is deleted where it lies, but not the copies that it left behind
        whenever it moved rows from page to page: so the whole database is written anew. With
        `again` only its log is. Returns False where a reader still needs the log as it was: then
        try `again` later. Raises `StoreError` where the database could not be written anew (its
        log is emptied all the same, if nobody reads it). Nothing else is written meanwhile.
        """
        with self._scrubbing:
            self._scrubbed, self._to_scrub, self._unscrubbed = False, True, None
            self._to_rewrite = self._descriptor is not None and not again
            self.write(SqliteTx.touch)  # type: ignore[arg-type]
            if self._unscrubbed is not None:
                raise self._unscrubbed
            return self._scrubbed

    def size(self) -> int:
        """Bytes of the database, without its log; 0 for a store in memory."""
        if self._descriptor is None:
            return 0
        try:
            return self._path.stat().st_size
        except OSError as problem:
            raise failure("store_unavailable", f"the store failed: {problem}") from problem

    def _truncate(self) -> None:
        """Rewrite the database; empty its log, if nobody reads from it. Between transactions.

        Never raises: the commit before it holds all the same.
        """
        self._to_scrub = False
        self._connection.set_busy_timeout(0)  # callers wait meanwhile
        try:
            if self._to_rewrite:
                self._attempt(lambda: rewriting.rewrite(self._connection))
            self._attempt(self._empty_log)
        finally:
            self._connection.set_busy_timeout(opening.BUSY_MS)

    def _empty_log(self) -> None:
        checkpoint = execute_of(self._connection)("PRAGMA wal_checkpoint(TRUNCATE)")
        busy, *_ = checkpoint.fetchall()[0]
        self._scrubbed = not busy

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except StoreError as problem:
            self._unscrubbed = problem
        except apsw.Error as problem:
            self._unscrubbed = self._explain(problem)

    def _durable(self) -> None:
        """Note a commit that wrote something and waited for the disk."""
        self._timer.synced()
        if self._to_scrub:
            self._truncate()

    def close(self) -> None:
        """Finish what is queued, sync, release the lock. Closing twice is harmless."""
        if os.getpid() != self._process:
            return
        self._timer.stop()
        if not self._combiner.close():
            return
        try:
            self._final_sync()
        finally:
            self._connection.close(True)
            if self._descriptor is not None:
                os.close(self._descriptor)

    def _final_sync(self) -> None:
        if not self._timer.pending:
            return
        try:
            batch = self._begin(durable=True)
            batch.begin()
            batch.run(SqliteTx.touch)
            batch.commit()
        except apsw.Error as problem:
            raise of_sqlite(problem, self._connection) from problem

    def _begin(self, durable: bool) -> Batch:  # noqa: FBT001
        """Make the next transaction. A sync that is overdue makes every write strict."""
        if self._unsure:
            # INVARIANT: I7. No commit counts on what an earlier sync failed to write.
            resync.rewrite(self._connection, self._synced_pages)
            self._unsure = False
        level = "FULL" if durable or self._timer.overdue() else "NORMAL"
        if level != self._level:
            self._level = ""
            execute_of(self._connection)(f"PRAGMA synchronous = {level}")
            self._level = level
        if level == "NORMAL":
            return Batch(self._connection, self._timer.unsynced, settles=False)
        return Batch(self._connection, self._durable, settles=self._timer.pending)

    def _committed(self, connection: apsw.Connection, _name: str, pages: int) -> int:
        """Note how long the log is after a commit, and move it into the database in good time.

        Only where the commit left nothing to sync: that a sync failed here is told to nobody.
        """
        if self._level == "FULL":
            self._synced_pages = pages
            if pages >= self._log_pages:
                self._synced_pages = 0  # the next commit may begin the log anew
                with contextlib.suppress(apsw.Error):  # the log keeps it all until it succeeds
                    connection.wal_checkpoint()
        return apsw.SQLITE_OK

    def _explain(self, problem: BaseException) -> StoreError | None:
        if isinstance(problem, apsw.IOError):
            self._unsure = self._descriptor is not None
        if isinstance(problem, apsw.Error):
            return of_sqlite(problem, self._connection)
        return None


def open_store(path: Path | None, *, relaxed_ms: int = RELAXED_MS, vfs: str = "") -> SqliteStore:
    """Open the store at `path`, making folder and file where there are none.

    None is a private store in memory, for offline use and tests. `relaxed_ms` bounds how long a
    relaxed write may stay unsynced. `vfs` names a virtual file system that was registered with
    SQLite (empty: the system's own). Raises `StoreError` with one of the codes `store_locked,
    store_exposed, store_network, store_foreign, store_newer, store_corrupt, store_readonly,
    store_full, store_old_sqlite, store_unavailable`.
    """
    if path is None:
        return SqliteStore(opening.connect(None), None, relaxed_ms)
    descriptor = opening.lock(path)
    try:
        return SqliteStore(opening.connect(path, vfs=vfs), descriptor, relaxed_ms)
    except BaseException:
        os.close(descriptor)
        raise
