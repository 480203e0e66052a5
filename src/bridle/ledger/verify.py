"""Verifies a log offline: its leaves are read once, in order, and nothing stored is believed.

Hashes are recomputed from the bytes of the leaves. Memory grows with the number of chains, not
of leaves; time is linear. It proves that the log is what it was when its root was noted; that
the root is the right one is for checkpoints and witnesses to show.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct

from bridle.ledger.errors import LedgerError
from bridle.ledger.leaf import opens, parse
from bridle.ledger.seal import Sealer
from bridle.ledger.tree import Frontier, leaf_hash
from bridle.model.record import Leaf

MOST_FINDINGS = 1_000
_NO_LEAF = bytes(32)


class LeafRecord(Protocol):
    """A leaf as a store keeps it."""

    @property
    def index(self) -> int:
        """Position in the log."""
        ...

    @property
    def chain(self) -> str:
        """The chain it is filed under."""
        ...

    @property
    def seq(self) -> int:
        """The place in the chain it is filed under."""
        ...

    @property
    def data(self) -> bytes:
        """The leaf's bytes."""
        ...

    @property
    def sealed(self) -> bytes:
        """The sealed payload, empty where there is none or it was erased."""
        ...


class Flaw(Struct, frozen=True):
    """One thing that is wrong. `index` is the leaf's place in the log, -1 for the log as a whole.

    Codes: `index_gap, leaf_invalid, filed_wrong, chain_broken, time_backwards,
    commitment_mismatch, payload_unopenable, size_mismatch, root_mismatch`.
    """

    index: int
    code: str
    message: str


class Payloads(Struct, frozen=True):
    """What lies beside the leaves, counted in leaves that commit to something.

    `opened` agreed with every commitment, `erased` lack some or all of their values (a redaction
    says why), `unopened` were not tried, for want of a key.
    """

    opened: int = 0
    erased: int = 0
    unopened: int = 0


class Report(Struct, frozen=True):
    """What verification found. `ok` holds when there is no flaw.

    `size` and `root` (hex) are recomputed; `anchored` tells whether they were compared with an
    expected size or root: without, a log that was cut short cannot be told from a whole one.
    `kinds` and `chains` count leaves. At most 1,000 flaws are listed, `flaws` counts them all.
    """

    size: int
    root: str
    anchored: bool
    kinds: dict[str, int]
    chains: dict[str, int]
    payloads: Payloads
    findings: tuple[Flaw, ...]
    flaws: int

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.flaws == 0


class _Chain:
    __slots__ = ("hash", "seq", "time")

    def __init__(self) -> None:
        self.seq, self.hash, self.time = -1, _NO_LEAF, 0


class _Verification:
    """One pass over a log."""

    def __init__(self, sealer: Sealer | None) -> None:
        self._sealer = sealer
        self._chains: dict[str, _Chain] = {}
        self._kinds: dict[str, int] = {}
        self._counts = {"opened": 0, "erased": 0, "unopened": 0}
        self._findings: list[Flaw] = []
        self._flaws = 0
        self._frontier = Frontier()
        self._next = 0

    def flaw(self, index: int, code: str, message: str) -> None:
        self._flaws += 1
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(Flaw(index, code, message))

    def take(self, record: LeafRecord) -> None:
        if record.index != self._next:
            self.flaw(record.index, "index_gap", f"leaf {self._next} was expected here")
        self._next = record.index + 1
        digest = leaf_hash(record.data)
        self._frontier = self._frontier.append(digest)
        try:
            leaf = parse(record.data)
        except LedgerError as problem:
            self.flaw(record.index, "leaf_invalid", problem.message)
            return
        kind = leaf.kind.value
        self._kinds[kind] = self._kinds.get(kind, 0) + 1
        if (leaf.chain, leaf.seq) != (record.chain, record.seq):
            self.flaw(record.index, "filed_wrong", "it is filed under another chain or place")
        self._link(record.index, leaf, digest)
        self._payload(record, leaf, digest)

    def _link(self, index: int, leaf: Leaf, digest: bytes) -> None:
        chain = self._chains.setdefault(leaf.chain, _Chain())
        if leaf.seq != chain.seq + 1 or leaf.prev != chain.hash.hex():
            self.flaw(index, "chain_broken", f"it does not follow leaf {chain.seq} of {leaf.chain}")
        if leaf.time < chain.time:
            self.flaw(index, "time_backwards", f"it is older than the leaf before in {leaf.chain}")
        chain.seq, chain.hash, chain.time = leaf.seq, digest, leaf.time

    def _payload(self, record: LeafRecord, leaf: Leaf, digest: bytes) -> None:
        if not record.sealed:
            self._counts["erased"] += bool(leaf.commit)
            return
        if self._sealer is None:
            self._counts["unopened"] += 1
            return
        try:
            openings = self._sealer.open(record.sealed, digest)
        except LedgerError:
            self.flaw(record.index, "payload_unopenable", "the sealed payload does not open")
            return
        wrong = [name for name, opening in openings.items() if not opens(leaf, name, opening)]
        for name in wrong:
            self.flaw(record.index, "commitment_mismatch", f"{name} is not what was committed to")
        if not wrong:
            whole = openings.keys() == leaf.commit.keys()
            self._counts["opened" if whole else "erased"] += 1

    def finish(self, expected: Frontier | None, size: int | None, root: bytes | None) -> Report:
        found = self._frontier
        if expected is not None:
            size = expected.size if size is None else size
            root = expected.root() if root is None else root
        if size is not None and size != found.size:
            self.flaw(-1, "size_mismatch", f"{found.size} leaves were found, not {size}")
        if root is not None and root != found.root():
            self.flaw(-1, "root_mismatch", "the leaves do not hash to the expected root")
        return Report(
            size=found.size,
            root=found.root().hex(),
            anchored=root is not None,
            kinds=self._kinds,
            chains={name: chain.seq + 1 for name, chain in self._chains.items()},
            payloads=Payloads(**self._counts),
            findings=tuple(self._findings),
            flaws=self._flaws,
        )


def verify_log(
    leaves: Iterable[LeafRecord],
    expected: Frontier | None = None,
    *,
    size: int | None = None,
    root: bytes | None = None,
    sealer: Sealer | None = None,
) -> Report:
    """Verify a whole log from its leaves, in order of index.

    `expected` (or `size` and `root`, which go before it) anchors the log; with `sealer` the
    sealed payloads are opened and compared with the commitments. Never raises for bad content.
    """
    verification = _Verification(sealer)
    for record in leaves:
        verification.take(record)
    return verification.finish(expected, size, root)
