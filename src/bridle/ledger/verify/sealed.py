"""Sealed payloads beside the leaves of a store: there, as sealed, and what was committed to.

Without any key it is seen that a payload is the one its leaf names; with the keys, that it opens
the leaf's commitments. What is missing or different has to be on record as erased.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from msgspec import Struct

from bridle.ledger.errors import LedgerError
from bridle.ledger.leaf import Opening, opens, sealed_digest
from bridle.ledger.seal import Sealer
from bridle.ledger.verify.redactions import Redactions
from bridle.ledger.verify.report import Findings, LeafRecord, Payloads
from bridle.model.record import Leaf

SAID = "sealed"

Opener: TypeAlias = Callable[[LeafRecord, bytes], dict[str, Opening]]
"""`opener(record, leaf hash)`: opens the payload beside a leaf, or raises `LedgerError`."""

Reread: TypeAlias = Callable[[int], LeafRecord | None]
"""`reread(index)`: the leaf at an index once more."""


def opener_of(sealer: Sealer) -> Opener:
    """Return what opens payloads that are all under one key, each bound to its leaf's hash."""
    return lambda record, digest: sealer.open(record.sealed, digest)


def digest_of(sealed: bytes) -> str:
    """Return how a leaf names the payload sealed beside it; empty for none."""
    return sealed_digest(sealed) if sealed else ""


class _Odd(Struct, frozen=True):
    """A payload that is not as its leaf names it: the digest of what is there, or what it lacks.

    `names` are the fields that the leaf commits to; what it `lacks` is known where it was `opened`.
    """

    chain: str
    digest: str
    names: frozenset[str] = frozenset()
    lacks: frozenset[str] = frozenset()
    opened: bool = False


class SealedPayloads:
    """Memory grows with what is missing or different, not with the log."""

    def __init__(self, opener: Opener | None = None, reread: Reread | None = None) -> None:
        self._opener = opener
        self._reread = reread
        self._odd: dict[int, _Odd] = {}
        self._first: dict[str, int] = {}
        self._opened = self._erased = self._unopened = 0

    def take(self, record: LeafRecord, leaf: Leaf, digest: bytes, found: Findings) -> None:
        """Look at what lies beside a leaf."""
        sealed, commit = record.sealed, leaf.commit
        if not commit:
            if sealed != b"":
                found.add(record.index, "payload_changed", "a payload lies where none was sealed")
            return
        if not sealed:
            self._odd[record.index] = _Odd(leaf.chain, "")
            return
        if leaf.chain not in self._first:
            self._first[leaf.chain] = record.index
        said = leaf.body.get(SAID)
        if said is not None and said != sealed_digest(sealed):
            self._odd[record.index] = _Odd(leaf.chain, digest_of(sealed), frozenset(commit))
        if self._opener is None:
            self._unopened += 1
        else:
            self._open(self._opener, record, leaf, digest, found)

    def _open(
        self, opener: Opener, record: LeafRecord, leaf: Leaf, digest: bytes, found: Findings
    ) -> None:
        try:
            openings = opener(record, digest)
        except LedgerError:
            found.add(record.index, "payload_unopenable", "the sealed payload does not open")
            return
        wrong = [name for name, opening in openings.items() if not opens(leaf, name, opening)]
        for name in wrong:
            found.add(record.index, "commitment_mismatch", f"{name} is not what was committed to")
        if wrong:
            return
        lacks = leaf.commit.keys() - openings.keys()
        if lacks or record.index in self._odd:
            digest_there, names = digest_of(record.sealed), frozenset(leaf.commit)
            odd = _Odd(leaf.chain, digest_there, names, frozenset(lacks), opened=True)
            self._odd[record.index] = odd
        if not lacks:
            self._opened += 1

    def finish(self, redactions: Redactions, found: Findings) -> Payloads:
        """Compare what is missing or different with what is on record as erased."""
        for index, odd in self._odd.items():
            self._explain(index, odd, redactions, found)
        for chain, first in self._first.items():
            if first < redactions.below(chain):
                message = f"payloads of {chain} that were erased on record are there"
                found.add(first, "payload_restored", message)
        for index in redactions.records():
            if index not in self._odd:
                self._remains(index, redactions, found)
        return Payloads(self._opened, self._erased, self._unopened)

    def _explain(self, index: int, odd: _Odd, redactions: Redactions, found: Findings) -> None:
        erased = redactions.of(odd.chain, index)
        if not odd.digest:
            self._erased += 1
            if erased is None or erased.sealed:
                found.add(index, "payload_missing", "its payload is gone, and no record says why")
        elif erased is None or erased.whole:
            self._erased += bool(odd.lacks)
            if erased is None:  # what is whole on record, `finish` names by its chain
                found.add(index, "payload_changed", "its payload is not the one it was sealed with")
        elif erased.sealed != odd.digest or not odd.lacks <= erased.fields:
            found.add(index, "payload_changed", "its payload is not what a redaction left")
        elif not erased.fields <= odd.names:
            found.add(index, "redaction_invalid", "a redaction names fields that it never had")
        elif odd.opened and erased.fields != odd.lacks:
            found.add(index, "payload_restored", "what was erased on record is there")
        else:
            self._erased += 1
            self._unopened -= self._opener is None

    def _remains(self, index: int, redactions: Redactions, found: Findings) -> None:
        """Of this record something was erased, and its payload looks as if nothing had been."""
        record = self._reread(index) if self._reread is not None else None
        erased = redactions.of(record.chain, index) if record is not None else None
        if record is None:
            found.add(index, "payload_restored", "what was erased on record seems to be there")
        elif erased is None:
            found.add(index, "redaction_invalid", "a redaction in another chain speaks of it")
        elif not erased.whole and erased.sealed != digest_of(record.sealed):
            found.add(index, "payload_restored", "what was erased on record is there")
