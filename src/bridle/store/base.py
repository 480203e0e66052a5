"""The interface of durable state. Drivers implement it; one conformance suite runs on each.

It is honest about running beside others: no method that only one process could implement, no
cache that outlives a transaction. Everything is read and written inside `Store.write`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Protocol, TypeVar

from msgspec import Struct

from bridle.ledger.tree import Frontier
from bridle.store.rows import Row

__all__ = ["ChainHead", "Filed", "Frontier", "Store", "StoredLeaf", "Tx"]

R = TypeVar("R", bound=Row)
T = TypeVar("T")


class ChainHead(Struct, frozen=True):
    """The last leaf of a chain: its `seq` (-1 when empty) and hash (32 zero bytes when empty)."""

    seq: int = -1
    hash: bytes = bytes(32)


class StoredLeaf(Struct, frozen=True):
    """A leaf as written: place in the log and in its chain, exact bytes, sealed payload or none.

    `hash` is what the store keeps as its leaf hash; whoever verifies computes it anew.
    """

    index: int
    chain: str
    seq: int
    data: bytes
    sealed: bytes
    hash: bytes


class Filed(Struct, frozen=True):
    """A row as it lies in its table.

    `key` is the column it is found by. `row` is None where it cannot be read; `true` says that all
    columns are what the row says.
    """

    key: str
    row: Row | None
    true: bool


class Tx(Protocol):
    """One job's view of a write transaction. Raising rolls this job back, not its neighbours."""

    def get(self, kind: type[R], key: str) -> R | None:
        """Return the row, or None."""
        ...

    def put(self, row: Row) -> None:
        """Insert or replace the row. Raises `UsageError` if a column that is `FIXED` differs."""
        ...

    def delete(self, kind: type[Row], key: str) -> None:
        """Delete the row if it is there."""
        ...

    def find(
        self,
        kind: type[R],
        *,
        limit: int = 1000,
        newest: str = "",
        below: tuple[str, int] | None = None,
        **equals: str | int,
    ) -> list[R]:
        """Rows whose indexed columns equal `equals` and (with `below`) whose column is < the value.

        Ordered by key, or by column `newest` descending.
        """
        ...

    def count(self, kind: type[Row], **equals: str | int) -> int:
        """Number of rows whose indexed columns equal `equals`."""
        ...

    def every(self, kind: type[Row]) -> Iterator[Filed]:
        """Every row of a kind, in order of key, whatever became of it in its table."""
        ...

    def head(self, chain: str) -> ChainHead:
        """The last leaf of a chain, under the chain row's lock."""
        ...

    def heads(self) -> Iterator[tuple[str, ChainHead]]:
        """The last leaf of every chain, in order of the chains' names."""
        ...

    def append(self, chain: str, seq: int, data: bytes, digest: bytes, sealed: bytes) -> int:
        """Append a leaf (its RFC 6962 leaf hash is `digest`) and return its index in the log."""
        ...

    def frontier(self) -> Frontier:
        """Size and compact range of the log, including what this transaction appended."""
        ...

    def leaves(self, start: int = 0, end: int | None = None) -> Iterator[StoredLeaf]:
        """Leaves with `start <= index < end`, in order."""
        ...

    def hashes(self, level: int, start: int, end: int) -> list[bytes]:
        """Hashes of tiles (`bridle.ledger.tiles`): those at `start <= index < end` of a level."""
        ...

    def erase(self, chain: str) -> int:
        """Drop every sealed payload of a chain. Returns how many there were."""
        ...

    def reseal(self, index: int, sealed: bytes) -> None:
        """Put another sealed payload, or none, beside the leaf at `index`."""
        ...

    def checkpoints(self) -> list[bytes]:
        """The signed checkpoints that are kept, in order of size: the last is the newest."""
        ...

    def put_checkpoint(self, size: int, note: bytes, *, instead: int | None = None) -> None:
        """Keep the checkpoint of `size`, in place of the one of size `instead` if there is one."""
        ...


class Store(Protocol):
    """Durable state of one governor."""

    def write(self, job: Callable[[Tx], T], *, relaxed: bool = False) -> T:
        """Run `job` in a write transaction; return its result only after the commit.

        Jobs of concurrent callers share a commit, each in its own savepoint. `relaxed` allows the
        commit to return before the fsync, which follows within the stated milliseconds. Raises
        what the job raised; raises `StoreError` when the commit fails, and then nothing of the
        batch happened.
        """
        ...

    def scrub(self, *, again: bool = False) -> bool:
        """After an erasure was committed: leave no older copy of what was erased.

        Returns False where a reader still needs one: then try `again` later. Raises `StoreError`
        where the files could not be written anew. Nothing else is written meanwhile.
        """
        ...

    def size(self) -> int:
        """Bytes that `scrub` writes anew; 0 for a store in memory. Raises `StoreError`."""
        ...

    def close(self) -> None:
        """Finish what is queued, sync, release the lock."""
        ...
