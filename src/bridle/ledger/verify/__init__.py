"""Verifies a log offline: what is stored is recomputed from the leaves, never believed."""

from bridle.ledger.verify.log import Verification, verify_log
from bridle.ledger.verify.report import (
    MOST_FINDINGS,
    Findings,
    Flaw,
    KeyChange,
    LeafRecord,
    Payloads,
    Report,
)
from bridle.ledger.verify.sealed import Opener, SealedPayloads, opener_of

__all__ = [
    "MOST_FINDINGS",
    "Findings",
    "Flaw",
    "KeyChange",
    "LeafRecord",
    "Opener",
    "Payloads",
    "Report",
    "SealedPayloads",
    "Verification",
    "opener_of",
    "verify_log",
]
