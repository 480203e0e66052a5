"""What a reader can do about each flaw that verification names."""

from __future__ import annotations

from collections.abc import Iterable

from bridle.ledger.verify import Flaw

_REWRITTEN = (
    "Something else than a governor changed the log. Keep it as it is; compare it with a backup or "
    "an export."
)
_PAYLOAD = (
    "The record still stands, its values do not. Restore them from a backup, or find out who took "
    "them: an erasure leaves a `redaction` record."
)
_ROW = (
    "Something else than a governor wrote the store; find out who could, and restore a backup for "
    "work to go on."
)
_EXPORT = "Get the export anew from whoever made it, and compare the two."
_KEY = "Check the key: `bridle audit keys` prints those of a log, its operator vouches for them."

HINTS = {
    "index_gap": _REWRITTEN,
    "leaf_invalid": _REWRITTEN,
    "filed_wrong": _REWRITTEN,
    "hash_mismatch": _REWRITTEN,
    "chain_broken": _REWRITTEN,
    "time_backwards": "The clock of the governor's machine was put back, or the log was rewritten.",
    "size_mismatch": _REWRITTEN,
    "root_mismatch": _REWRITTEN,
    "head_mismatch": _REWRITTEN,
    "subtree_mismatch": _REWRITTEN,
    "redaction_invalid": _REWRITTEN,
    "commitment_mismatch": _PAYLOAD,
    "payload_unopenable": _PAYLOAD,
    "payload_missing": _PAYLOAD,
    "payload_changed": _PAYLOAD,
    "payload_restored": "Erase it again: what is on record as erased must not be there.",
    "checkpoint_invalid": "Whoever wrote it had not all keys of the log, or it was changed since.",
    "checkpoint_unsigned": _KEY,
    "checkpoint_ahead": "The log was put back to an earlier state: records that were signed are "
    "gone. A backup or an export that is newer has them.",
    "checkpoint_forked": "Two histories were signed, or one was rewritten: keep both as evidence.",
    "checkpoint_missing": "Without it, whoever has the older key cannot follow to the newer one.",
    "tile_mismatch": _EXPORT,
    "entries_mismatch": _EXPORT,
    "file_missing": _EXPORT,
    "file_unexpected": "It is covered by no signature: take it away, and verify again.",
    "file_altered": _EXPORT,
    "bundle_altered": "It is not the bundle that was in force; restore it from where it is kept.",
    "row_changed": _ROW,
    "row_missing": _ROW,
    "row_invented": _ROW,
    "row_misfiled": _ROW,
    "note_unverified": _KEY,
    "note_invalid": "It is no signed note: it was changed or cut off on its way.",
    "quorum_missed": "Ask the log's operator for a checkpoint that those witnesses cosigned.",
    "receipt_unproven": "It proves nothing: ask for it anew, and keep this one.",
    "receipt_invalid": "It was changed or cut off on its way: ask for it anew.",
    "receipt_empty": "Name the file with the record: --leaf.",
    "growth_unproven": "If it was made for this checkpoint, the log was rewritten: keep both.",
    "growth_invalid": "It was changed or cut off on its way: ask for it anew.",
}


def of(flaws: Iterable[Flaw]) -> dict[str, str]:
    """Return the hint for each code among some flaws."""
    return {flaw.code: HINTS[flaw.code] for flaw in flaws if flaw.code in HINTS}
