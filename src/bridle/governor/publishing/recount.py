"""Computes a log anew from its leaves, and holds against that what the store keeps of it.

It goes along with whoever reads the leaves anyway, so that opening a store reads them once. What
the leaves say, and whether chains link by `prev`, is for `bridle.ledger.verify`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from bridle.ledger.tiles import BITS
from bridle.ledger.tree import folded, node_hash
from bridle.store.base import ChainHead, Frontier, StoredLeaf, Tx

_LEVELS = 8
"""Levels of tiles: a log of more than 256^8 leaves has no index."""


class Recount:
    """One pass over a log. `sizes` are those whose roots are asked for.

    `size` is that of the log as far as it was counted; `differences` are messages: what is in the
    store and does not follow from the leaves.
    """

    def __init__(self, tx: Tx, sizes: Iterable[int] = ()) -> None:
        self._tx = tx
        self._wanted = frozenset(sizes)
        self._full: list[bytes] = []
        self._heads: dict[str, ChainHead] = {}
        self.size = 0
        self.roots: dict[int, bytes] = {}
        self.differences: list[str] = []

    def over(self, leaves: Iterable[StoredLeaf]) -> Iterator[StoredLeaf]:
        """Yield leaves, in order of index, as they are counted."""
        if 0 in self._wanted:
            self.roots[0] = folded(())
        for leaf in leaves:
            self._take(leaf)
            yield leaf

    def finish(self) -> None:
        """Compare the whole, once all leaves have been taken."""
        found = Frontier(self.size, tuple(self._full))
        if found != self._tx.frontier():
            self._differs(f"the {self.size} records do not hash to the root that is kept")
        for chain, head in self._tx.heads():
            if self._heads.pop(chain, None) != head:
                self._differs(f"the chain {chain!r} does not end as is kept of it")
        if self._heads:
            self._differs(f"of {len(self._heads)} chains nothing is kept")
        for level in range(1, _LEVELS):
            if self._tx.hashes(level, self.size >> (BITS * level), 1 << 62):
                self._differs(f"level {level} of the tiles has hashes of no records")

    def _take(self, leaf: StoredLeaf) -> None:
        digest = sha256(b"\x00" + leaf.data).digest()
        if digest != leaf.hash or leaf.index != self.size:
            self._differs(f"record {leaf.index} is not what its hash says, or out of place")
        before = self._heads.get(leaf.chain)
        if leaf.seq != (before.seq + 1 if before is not None else 0):
            self._differs(f"record {leaf.index} does not follow in the chain {leaf.chain!r}")
        self._heads[leaf.chain] = ChainHead(leaf.seq, digest)
        self._append(digest)

    def _append(self, digest: bytes) -> None:
        full, size, height = self._full, self.size, 0
        while size & 1:
            digest = node_hash(full.pop(), digest)
            size, height = size >> 1, height + 1
            if not height % BITS:
                self._compare(height // BITS, self.size >> height, digest)
        full.append(digest)
        self.size += 1
        if self.size in self._wanted:
            self.roots[self.size] = folded(full)

    def _compare(self, level: int, number: int, digest: bytes) -> None:
        if self._tx.hashes(level, number, number + 1) != [digest]:
            self._differs(
                f"hash {number} of level {level} of the tiles does not follow from records"
            )

    def _differs(self, message: str) -> None:
        self.differences.append(message)
