"""Opened payloads of an export: one line a leaf, in one spelling only, compared with the leaf.

`{"index":5,"fields":{"args":{"salt":"<hex>","value":"text"}}}`, fields in the order in which the
leaf commits to them. Anything else opens nothing, so no byte of a line can differ unseen.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct

from bridle.ledger.errors import LedgerError
from bridle.ledger.leaf import Opening, opens
from bridle.ledger.verify import Findings, LeafRecord, Payloads
from bridle.ledger.verify.redactions import Redactions
from bridle.model.record import Leaf

MOST_LINE = 1 << 29
"""Longest line that is read, in bytes: more than the limits of a bundle let anything grow to."""
BEGIN = b'{"index":'
"""What each line begins with."""


class _Field(Struct, frozen=True, forbid_unknown_fields=True):
    salt: str
    value: str


class _Line(Struct, frozen=True, forbid_unknown_fields=True):
    index: int
    fields: dict[str, _Field]


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Line).decode


def line(index: int, leaf: Leaf, openings: Mapping[str, Opening]) -> bytes:
    """Write the line of a leaf, without its newline. Raises `LedgerError` for what is no text."""
    try:
        fields = {
            name: _Field(openings[name][0].hex(), openings[name][1].decode())
            for name in leaf.commit
            if name in openings
        }
        return _encode(_Line(index, fields))
    except ValueError as problem:
        raise LedgerError(
            f"the values of leaf {index} are no text", code="seal_invalid"
        ) from problem


def index_of(data: bytes) -> int:
    """Return which leaf a line is about, -1 where it is no line."""
    try:
        return _decode(data).index
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return -1


class Unopened:
    """Payloads are left out: leaves that commit to something are counted."""

    def __init__(self) -> None:
        self._count = 0

    def take(self, record: LeafRecord, leaf: Leaf, digest: bytes, found: Findings) -> None:  # noqa: ARG002
        """Count a leaf."""
        self._count += 1

    def finish(self, redactions: Redactions, found: Findings) -> Payloads:  # noqa: ARG002
        """Return the count."""
        return Payloads(unopened=self._count)


class OpenedPayloads:
    """Payloads are included: each opens its leaf's commitments, or is on record as erased.

    Memory grows with what is missing, not with the log.
    """

    def __init__(self) -> None:
        self._lacks: dict[int, tuple[str, frozenset[str], bool]] = {}
        self._first: dict[str, int] = {}
        self._opened = 0

    def take(self, record: LeafRecord, leaf: Leaf, digest: bytes, found: Findings) -> None:  # noqa: ARG002
        """Compare the line of a leaf with what the leaf commits to."""
        index, data = record.index, record.sealed
        if not data:
            self._lacks[index] = leaf.chain, frozenset(leaf.commit), True
            return
        self._first.setdefault(leaf.chain, index)
        openings = _openings(data, index, leaf)
        if not openings:
            found.add(index, "payload_changed", "what is said to be its payload is none")
            return
        wrong = [name for name, opening in openings.items() if not opens(leaf, name, opening)]
        for name in wrong:
            found.add(index, "commitment_mismatch", f"{name} is not what was committed to")
        lacks = leaf.commit.keys() - openings.keys()
        if lacks:
            self._lacks[index] = leaf.chain, frozenset(lacks), False
        elif not wrong:
            self._opened += 1

    def finish(self, redactions: Redactions, found: Findings) -> Payloads:
        """Compare what is missing with what is on record as erased."""
        for index, (chain, lacks, gone) in self._lacks.items():
            erased = redactions.of(chain, index)
            if erased is None or not (erased.whole or lacks <= erased.fields):
                found.add(index, "payload_missing", f"{', '.join(sorted(lacks))} is not there")
            elif not erased.whole and not gone and erased.fields - lacks:
                found.add(index, "payload_restored", "what was erased on record is there")
        for chain, first in self._first.items():
            if first < redactions.below(chain):
                message = f"payloads of {chain} that were erased on record are there"
                found.add(first, "payload_restored", message)
        for index in redactions.records():
            if index not in self._lacks:
                found.add(index, "payload_restored", "what was erased on record is there")
        return Payloads(opened=self._opened, erased=len(self._lacks))


def _openings(data: bytes, index: int, leaf: Leaf) -> dict[str, Opening]:
    """Read a line; nothing where it is not spelt as `line` spells it."""
    try:
        read = _decode(data)
        found = {
            name: (bytes.fromhex(field.salt), field.value.encode())
            for name, field in read.fields.items()
        }
        return found if line(index, leaf, found) == data else {}
    except (msgspec.MsgspecError, ValueError, RecursionError, LedgerError):
        return {}
