"""Why a chain, a proof or a status is refused: the closed set of codes, and the refusal itself."""

from __future__ import annotations

from enum import StrEnum

from bridle.model.errors import BridleError


class GrantCode(StrEnum):
    """In the order in which they are found. `docs/reference/trust.md` says what each means."""

    TOO_LARGE = "chain_too_large"
    TOO_DEEP = "chain_too_deep"
    EMPTY = "chain_empty"
    HEADER = "header_invalid"
    MALFORMED = "link_malformed"
    ROOT_UNKNOWN = "root_unknown"
    ROOT_WINDOW = "root_key_expired"
    SIGNATURE = "signature_invalid"
    PARENT = "parent_mismatch"
    DEPTH = "depth_exceeded"
    OUTLIVES = "outlives_parent"
    ISSUED = "issued_wrongly"
    CHANGED = "claims_changed"
    DUPLICATE = "link_duplicate"
    EXPIRED = "grant_expired"
    NOT_YET = "grant_not_yet_valid"
    REVOKED = "revoked"
    STATUS_STALE = "status_stale"
    STATUS_INVALID = "status_invalid"
    STATUS_ROLLED_BACK = "status_rolled_back"
    AUDIENCE = "audience_mismatch"
    MISSION = "mission_mismatch"
    TASK = "task_mismatch"
    NOT_GRANTED = "not_granted"
    PROOF_MISSING = "proof_missing"
    PROOF_INVALID = "proof_invalid"
    PROOF_STALE = "proof_stale"
    PROOF_REPLAYED = "proof_replayed"
    CERTIFICATE = "certificate_invalid"
    CONTEXT = "context_malformed"


class GrantError(BridleError):
    """A chain, proof, status or reference that is refused. `code` is a `GrantCode`.

    `link` is the index of the link at fault, root 0 (-1: the whole).
    """

    code = "grant_invalid"

    def __init__(self, code: GrantCode, message: str, *, link: int = -1, hint: str = "") -> None:
        super().__init__(message, code=code.value, hint=hint)
        self.link = link
