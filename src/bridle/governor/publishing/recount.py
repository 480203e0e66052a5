"""Computes a log anew from its leaves, and holds against that what the store keeps of it.

It goes along with whoever reads the leaves anyway, so that opening a store reads them once. What
the leaves say, and whether chains link by `prev`, is for `bridle.ledger.verify`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from bridle.ledger.tiles import BITS, WIDTH, OpenTiles
from bridle.ledger.tree import folded
from bridle.store.base import Frontier, StoredLeaf, Tx

_LEVELS = 8
"""Levels of tiles: a log of more than 256^8 leaves has no index."""

_NONE = (-1, b"")


class Recount:
    """One pass over a log. `sizes` are those whose roots are asked for.

    `size` is that of the log as far as it was counted; `differences` are messages: what is in the
    store and does not follow from the leaves.
    """

    def __init__(self, tx: Tx, sizes: Iterable[int] = ()) -> None:
        self._tx = tx
        self._wanted = frozenset(sizes)
        self._open = OpenTiles()
        self._heads: dict[str, tuple[int, bytes]] = {}
        self.size = 0
        self.roots: dict[int, bytes] = {}
        self.differences: list[str] = []

    def over(self, leaves: Iterable[StoredLeaf]) -> Iterator[StoredLeaf]:
        """Yield leaves, in order of index, as they are counted."""
        # One way through all that was ever recorded: what is in this loop is what opening costs.
        heads, tile, wanted, size = self._heads, self._open.leaves, self._wanted, 0
        if 0 in wanted:
            self.roots[0] = folded(())
        for leaf in leaves:
            digest, chain, seq = sha256(b"\x00" + leaf.data).digest(), leaf.chain, leaf.seq
            if digest != leaf.hash or leaf.index != size:
                self._differs(f"record {leaf.index} is not what its hash says, or out of place")
            if seq != heads.get(chain, _NONE)[0] + 1:
                self._differs(f"record {leaf.index} does not follow in the chain {chain!r}")
            heads[chain] = seq, digest
            tile.append(digest)
            size += 1
            if len(tile) == WIDTH:
                for level, number, root in self._open.fill(size):
                    self._compare(level, number, root)
            if size in wanted:
                self.roots[size] = folded(self._open.full())
            yield leaf
        self.size = size

    def finish(self) -> None:
        """Compare the whole, once all leaves have been taken."""
        found = Frontier(self.size, self._open.full())
        if found != self._tx.frontier():
            self._differs(f"the {self.size} records do not hash to the root that is kept")
        for chain, head in self._tx.heads():
            if self._heads.pop(chain, None) != (head.seq, head.hash):
                self._differs(f"the chain {chain!r} does not end as is kept of it")
        if self._heads:
            self._differs(f"of {len(self._heads)} chains nothing is kept")
        for level in range(1, _LEVELS):
            if self._tx.hashes(level, self.size >> (BITS * level), 1 << 62):
                self._differs(f"level {level} of the tiles has hashes of no records")

    def _compare(self, level: int, number: int, digest: bytes) -> None:
        if self._tx.hashes(level, number, number + 1) != [digest]:
            self._differs(
                f"hash {number} of level {level} of the tiles does not follow from records"
            )

    def _differs(self, message: str) -> None:
        self.differences.append(message)
