"""The error of the ledger: bytes that are not what they claim to be."""

from __future__ import annotations

from bridle.model.errors import BridleError


class LedgerError(BridleError):
    """A leaf that cannot be written or read, or a payload that does not open.

    Codes: `leaf_invalid`, `leaf_too_large`, `seal_invalid`. A payload that does not open never
    says why: wrong key, wrong place and changed bytes look alike.
    """

    code = "leaf_invalid"
