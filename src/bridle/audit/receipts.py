"""Verifies a receipt: one file and a key show that one record is in a log."""

from __future__ import annotations

from msgspec import Struct

from bridle.ledger import leaf, receipt
from bridle.ledger.checkpoint import Signed
from bridle.ledger.errors import LedgerError
from bridle.ledger.tree import includes, leaf_hash
from bridle.ledger.trustfile import Trust
from bridle.model.record import Leaf

MOST_BYTES = receipt.MOST_BYTES


class Proved(Struct, frozen=True):
    """A record that is in the log: its place, leaf hash (hex), content, and who signed."""

    index: int
    hash: str
    record: Leaf
    signed: Signed


def verify(data: bytes, trust: Trust, given: bytes | None = None) -> Proved:
    """Show that the record is in a log of `trust`: the one that the receipt carries, or `given`.

    Raises `LedgerError`: `receipt_invalid`, `receipt_empty` where it carries none,
    `receipt_unproven`, and as reading a checkpoint does.
    """
    found = receipt.parse(data)
    content = given if given is not None else found.extra
    if not content:
        raise LedgerError(
            "the receipt does not carry its record",
            code="receipt_empty",
            hint="Name the file with the record: --leaf.",
        )
    signed = trust.read(found.checkpoint)
    size, root = signed.checkpoint.size, signed.checkpoint.root
    digest = leaf_hash(content)
    if not includes(found.index, size, digest, found.proof, root):
        raise LedgerError("the record is not in the log it names", code="receipt_unproven")
    return Proved(found.index, digest.hex(), leaf.parse(content), signed)
