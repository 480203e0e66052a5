"""What verification is given and what it finds: leaves as they are kept, flaws, the report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from msgspec import Struct, field

MOST_FINDINGS = 1_000


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

    @property
    def hash(self) -> bytes:
        """The leaf hash that is kept beside it."""
        ...


class Flaw(Struct, frozen=True):
    """One thing that is wrong. `index` is the leaf's place in the log, -1 for the log as a whole.

    Codes of leaves: `index_gap, leaf_invalid, filed_wrong, hash_mismatch, chain_broken,
    time_backwards, redaction_invalid`; of what lies beside them: `commitment_mismatch,
    payload_unopenable, payload_missing, payload_changed, payload_restored`; of the whole:
    `size_mismatch, root_mismatch, head_mismatch, subtree_mismatch`, of its word:
    `checkpoint_invalid, checkpoint_unsigned, checkpoint_ahead, checkpoint_forked,
    checkpoint_missing`. Exports add
    `tile_mismatch, entries_mismatch, file_missing, file_unexpected, file_altered`, both stores and
    exports `bundle_altered`, stores those of rows: `bridle.governor.audit.reconcile`.
    """

    index: int
    code: str
    message: str


class Findings:
    """Flaws as they are found: all are counted, the first thousand kept."""

    def __init__(self) -> None:
        self.kept: list[Flaw] = []
        self.count = 0

    def add(self, index: int, code: str, message: str) -> None:
        """Note a flaw."""
        self.count += 1
        if len(self.kept) < MOST_FINDINGS:
            self.kept.append(Flaw(index, code, message))

    def extend(self, flaws: Iterable[Flaw]) -> None:
        """Note flaws that something else found."""
        for each in flaws:
            self.add(each.index, each.code, each.message)


class Payloads(Struct, frozen=True):
    """What lies beside the leaves, counted in leaves that commit to something.

    `opened` agreed with every commitment, `erased` lack some or all of their values (a redaction
    says so, or it is a flaw), `unopened` were not tried, for want of a key.
    """

    opened: int = 0
    erased: int = 0
    unopened: int = 0


class KeyChange(Struct, frozen=True):
    """A key of the log was `added` or `retired` on record, by the leaf at `index`, at `time`."""

    index: int
    time: int
    key: str
    state: str


class Report(Struct, frozen=True):
    """What verification found. `ok` holds when there is no flaw.

    `size` and `root` (hex) are recomputed; `anchored` tells whether they were compared with an
    expected size or root: without, a log that was cut short cannot be told from a whole one.
    `kinds` and `chains` count leaves, `roots` are those at the sizes asked for (all that the log
    reaches), `keys` what is on record of keys that sign, `bundles` the digests of those activated,
    `redactions` the indices of the leaves that say what was erased.
    At most 1,000 flaws are listed, `flaws` counts them all.
    """

    size: int
    root: str
    anchored: bool
    kinds: dict[str, int]
    chains: dict[str, int]
    payloads: Payloads
    findings: tuple[Flaw, ...]
    flaws: int
    roots: dict[int, bytes] = field(default_factory=dict[int, bytes])
    keys: tuple[KeyChange, ...] = ()
    bundles: tuple[str, ...] = ()
    redactions: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.flaws == 0
