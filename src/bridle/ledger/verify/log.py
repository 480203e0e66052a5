"""Verifies a log offline: its leaves are read once, in order, and nothing stored is believed.

Hashes are recomputed from the bytes of the leaves. Memory grows with the number of chains and of
what is missing, not of leaves; time is linear. It proves that the log is what it was when its root
was noted; that the root is the right one is for checkpoints and witnesses to show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import sha256
from itertools import zip_longest
from typing import Protocol, TypeAlias

from bridle.ledger import note
from bridle.ledger.errors import LedgerError
from bridle.ledger.leaf import parse, parse_together
from bridle.ledger.seal import Sealer
from bridle.ledger.tiles import WIDTH, OpenTiles
from bridle.ledger.tree import EMPTY_ROOT, Frontier, folded
from bridle.ledger.verify.redactions import Redactions
from bridle.ledger.verify.report import Findings, KeyChange, LeafRecord, Payloads, Report
from bridle.ledger.verify.sealed import Opener, SealedPayloads, opener_of
from bridle.model.record import SYSTEM_CHAIN, Leaf, LeafKind

_NO_LEAF = "0" * 64
# So many leaves are read at once. What lies sealed beside them is held as long.
_TOGETHER = 64
_TELLING = frozenset({LeafKind.REDACTION, LeafKind.LOG, LeafKind.POLICY})

Completed: TypeAlias = Callable[[int, int, bytes], None]
"""`completed(level, number, hash)`: told of each full tile's root, as it is recomputed."""


class Beside(Protocol):
    """Verifies what lies beside the leaves: sealed payloads, or opened ones."""

    def take(self, record: LeafRecord, leaf: Leaf, digest: bytes, found: Findings) -> None:
        """Look at one leaf."""
        ...

    def finish(self, redactions: Redactions, found: Findings) -> Payloads:
        """Say what was there, all redactions being known."""
        ...


class _Chain:
    __slots__ = ("hash", "seq", "time")

    def __init__(self) -> None:
        self.seq, self.hash, self.time = -1, _NO_LEAF, 0


class Verification:
    """One pass over a log: `take` every leaf in order, then `finish`.

    `sizes` are those at which roots are wanted; `completed` is told of the roots of full tiles.
    `filed` says that leaves are kept by chain and place, which have to be those they name.
    """

    def __init__(
        self,
        beside: Beside,
        *,
        sizes: Iterable[int] = (),
        completed: Completed | None = None,
        filed: bool = True,
    ) -> None:
        self.found = Findings()
        self._waiting: list[LeafRecord] = []
        self._filed = filed
        self._beside = beside
        self._sizes = frozenset(sizes)
        self._completed = completed
        self._chains: dict[str, _Chain] = {}
        self._kinds: dict[LeafKind, int] = {}
        self._tiles = OpenTiles()
        self._tile = self._tiles.leaves
        self._size = self._next = 0
        self._roots = {0: EMPTY_ROOT} if 0 in self._sizes else {}
        self._redactions = Redactions()
        self._keys: list[KeyChange] = []
        self._bundles: dict[str, int] = {}
        self._erasing: list[int] = []

    def take(self, record: LeafRecord) -> None:
        """Verify one leaf: now, or with those after it."""
        self._waiting.append(record)
        if len(self._waiting) == _TOGETHER:
            self._catch_up()

    def _catch_up(self) -> None:
        records, self._waiting = self._waiting, []
        leaves = parse_together([record.data for record in records]) if records else None
        for record, leaf in zip_longest(records, leaves or ()):
            self._take(record, leaf)

    def _take(self, record: LeafRecord, leaf: Leaf | None) -> None:
        index, data = record.index, record.data
        if index != self._next:
            self.found.add(index, "index_gap", f"leaf {self._next} was expected here")
        self._next = index + 1
        digest = sha256(b"\x00" + data).digest()
        if record.hash != digest:
            self.found.add(index, "hash_mismatch", "the hash kept beside it is not its own")
        self._append(digest)
        if leaf is None:
            try:
                leaf = parse(data)
            except LedgerError as problem:
                self.found.add(index, "leaf_invalid", problem.message)
                return
        kind = leaf.kind
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        if self._filed and (leaf.seq != record.seq or leaf.chain != record.chain):
            self.found.add(index, "filed_wrong", "it is filed under another chain or place")
        self._link(index, leaf, digest)
        if kind in _TELLING:
            self._hear(index, leaf)
        if leaf.commit or record.sealed != b"":
            self._beside.take(record, leaf, digest, self.found)

    def _append(self, digest: bytes) -> None:
        self._size = size = self._size + 1
        tile = self._tile
        tile.append(digest)
        if len(tile) == WIDTH:
            for level, number, root in self._tiles.fill(size):
                if self._completed is not None:
                    self._completed(level, number, root)
        if size in self._sizes:
            self._roots[size] = folded(self._tiles.full())

    def _link(self, index: int, leaf: Leaf, digest: bytes) -> None:
        chain = self._chains.get(leaf.chain)
        if chain is None:
            chain = self._chains[leaf.chain] = _Chain()
        if leaf.seq != chain.seq + 1 or leaf.prev != chain.hash:
            message = f"it does not follow leaf {chain.seq} of {leaf.chain}"
            self.found.add(index, "chain_broken", message)
        if leaf.time < chain.time:
            message = f"it is older than the leaf before in {leaf.chain}"
            self.found.add(index, "time_backwards", message)
        chain.seq, chain.hash, chain.time = leaf.seq, digest.hex(), leaf.time

    def _hear(self, index: int, leaf: Leaf) -> None:
        """Keep what the log says of itself: what was erased, who signs, what was in force."""
        body = leaf.body
        if leaf.kind is LeafKind.REDACTION:
            self._erasing.append(index)
            if not self._redactions.take(index, leaf):
                self.found.add(index, "redaction_invalid", "it does not say what was erased")
        elif leaf.chain == SYSTEM_CHAIN and leaf.kind is LeafKind.POLICY:
            digest = body.get("digest")
            if isinstance(digest, str) and digest:
                self._bundles.setdefault(digest, index)
        elif leaf.chain == SYSTEM_CHAIN and body.get("what") == "key":
            self._hear_key(index, leaf.time, str(body.get("key")), str(body.get("state")))

    def _hear_key(self, index: int, time: int, key: str, state: str) -> None:
        try:
            note.key(key)
        except LedgerError:
            self.found.add(index, "leaf_invalid", "it names no key")
            return
        self._keys.append(KeyChange(index, time, key, state))

    def head(self, chain: str) -> tuple[int, bytes]:
        """Return `seq` and hash of the last leaf of a chain that was seen."""
        self._catch_up()
        known = self._chains[chain]
        return known.seq, bytes.fromhex(known.hash)

    @property
    def chains(self) -> Iterable[str]:
        """The chains that were seen."""
        self._catch_up()
        return self._chains

    @property
    def size(self) -> int:
        """How many leaves were seen."""
        self._catch_up()
        return self._size

    @property
    def frontier(self) -> Frontier:
        """The compact range over the leaves that were seen."""
        self._catch_up()
        return Frontier(self._size, self._tiles.full())

    def finish(self, *, size: int | None = None, root: bytes | None = None) -> Report:
        """Compare the whole with an expected size and root, and return what was found."""
        self._catch_up()
        own = folded(self._tiles.full())
        payloads = self._beside.finish(self._redactions, self.found)
        if size is not None and size != self._size:
            message = f"{self._size} leaves were found, not {size}"
            self.found.add(-1, "size_mismatch", message)
        if root is not None and root != own:
            message = "the leaves do not hash to the expected root"
            self.found.add(-1, "root_mismatch", message)
        return Report(
            size=self._size,
            root=own.hex(),
            anchored=root is not None,
            kinds={kind.value: count for kind, count in self._kinds.items()},
            chains={name: chain.seq + 1 for name, chain in self._chains.items()},
            payloads=payloads,
            findings=tuple(self.found.kept),
            flaws=self.found.count,
            roots=self._roots,
            keys=tuple(self._keys),
            bundles=tuple(self._bundles),
            redactions=tuple(self._erasing),
        )


def verify_log(  # noqa: PLR0913 (an anchor has three forms)
    leaves: Iterable[LeafRecord],
    expected: Frontier | None = None,
    *,
    size: int | None = None,
    root: bytes | None = None,
    sealer: Sealer | None = None,
    opener: Opener | None = None,
) -> Report:
    """Verify a whole log from its leaves, in order of index.

    `expected` (or `size` and `root`, which go before it) anchors the log; with `opener` (or, where
    all is under one key, `sealer`) the sealed payloads are opened and compared with the
    commitments. Never raises for bad content.
    """
    if opener is None and sealer is not None:
        opener = opener_of(sealer)
    verification = Verification(SealedPayloads(opener))
    take = verification.take
    for record in leaves:
        take(record)
    if expected is not None:
        size = expected.size if size is None else size
        root = expected.root() if root is None else root
    return verification.finish(size=size, root=root)
