"""Proves what a log holds to whoever has its key alone: one record, or that it has only grown.

Proofs are read from the hashes that the store keeps of its tiles, a few for each level, and are
checked before they are handed out. A receipt carries the record itself.
"""

from __future__ import annotations

from bridle.audit.growth import Growth
from bridle.ledger import checkpoint, note, receipt
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.errors import LedgerError
from bridle.ledger.receipt import Receipt
from bridle.ledger.tiles import root_reader
from bridle.ledger.tree import consistency_proof, consistent, includes, inclusion_proof, leaf_hash
from bridle.model.errors import NotFoundError, StoreError
from bridle.store.base import Tx

_VERIFY = "`bridle audit verify` says what is wrong with the store."


def newest(tx: Tx) -> tuple[bytes, Checkpoint]:
    """Return the newest checkpoint of a store. Raises `StoreError` (`checkpoint_missing`)."""
    notes = tx.checkpoints()
    if not notes:
        raise StoreError(
            "nothing of the log is signed yet, so nothing of it can be proved or exported",
            code="checkpoint_missing",
            hint="Serve the bundle once: a governor signs what is there as it starts.",
        )
    return notes[-1], checkpoint.parse(note.parse(notes[-1]).text)


def record(tx: Tx, index: int) -> Receipt:
    """Return the receipt of a record, in O(log n) reads.

    Raises `NotFoundError` (`not_found`, or `not_signed` for one newer than the newest checkpoint),
    `LedgerError` (`receipt_unproven`) where the store's hashes do not lead to its checkpoint.
    """
    data, signed = newest(tx)
    leaf = next(tx.leaves(index, index + 1), None)
    if leaf is None:
        raise NotFoundError(f"there is no record {index}")
    if index >= signed.size:
        raise NotFoundError(
            f"record {index} is newer than the newest checkpoint, which covers {signed.size}",
            code="not_signed",
            hint="A governor signs within half a second; try again.",
        )
    proof = inclusion_proof(root_reader(tx.hashes), index, signed.size)
    if not includes(index, signed.size, leaf_hash(leaf.data), proof, signed.root):
        raise unproven()
    made = Receipt(index, proof, data, leaf.data)
    assert receipt.parse(receipt.render(made)) == made
    return made


def growth(tx: Tx, old: int, root: bytes | None = None) -> Growth:
    """Return the proof that the log of `old` records is the beginning of the newest one.

    `root` is that of the old one, if it is known. Raises `NotFoundError` when the log never had as
    many signed, `LedgerError` (`growth_unproven`) when it began otherwise.
    """
    data, signed = newest(tx)
    if not 0 <= old <= signed.size:
        raise NotFoundError(
            f"{old} records were never signed: the newest checkpoint covers {signed.size}",
            code="not_signed",
            hint="If a checkpoint says so, the log was put back to an earlier state.",
        )
    hashed = root_reader(tx.hashes)
    if old == 0:
        return Growth(0, (), data)
    proof = consistency_proof(hashed, old, signed.size)
    first = hashed(0, old)
    if not consistent(old, signed.size, first, signed.root, proof):
        raise unproven()
    if root is not None and root != first:
        raise LedgerError(
            f"the log's first {old} records are not those of that checkpoint",
            code="growth_unproven",
            hint=_VERIFY,
        )
    return Growth(old, proof, data)


def unproven() -> LedgerError:
    """Return the error of a store whose hashes do not fit together."""
    return LedgerError(
        "the hashes that the store keeps do not lead to its checkpoint",
        code="receipt_unproven",
        hint=_VERIFY,
    )
