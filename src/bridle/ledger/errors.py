"""The error of the ledger: bytes that are not what they claim to be."""

from __future__ import annotations

from bridle.model.errors import BridleError


class LedgerError(BridleError):
    """Bytes that cannot be written or read, or do not show what they claim to show.

    Codes: `leaf_invalid`, `leaf_too_large`, `seal_invalid`, and those of notes, checkpoints, tiles,
    receipts and trust files, which `docs/reference/ledger.md` lists. A payload that does not open
    never says why: wrong key, wrong place and changed bytes look alike.
    """

    code = "leaf_invalid"
