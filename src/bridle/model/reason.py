"""Why a verdict is what it is: the closed set of reason codes, and one reason."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class ReasonCode(StrEnum):
    """Stable names. `docs/reference/reason-codes.md` gives each one's cause and way out."""

    # The action itself
    UNKNOWN_TOOL = "unknown_tool"
    SCHEMA_MISMATCH = "schema_mismatch"
    NOT_CANONICAL = "not_canonical"
    RESERVED_INPUT = "reserved_input"
    MALFORMED = "malformed"
    LIMIT_EXCEEDED = "limit_exceeded"
    TOOL_CHANGED = "tool_changed"
    # Who asks
    NO_SESSION = "no_session"
    SUSPENDED = "suspended"
    OUT_OF_MISSION = "out_of_mission"
    MISSION_NOT_ACTIVE = "mission_not_active"
    EXPIRED = "expired"
    PROOF_MISSING = "proof_missing"
    PROOF_INVALID = "proof_invalid"
    PROOF_REPLAYED = "proof_replayed"
    PROOF_STALE = "proof_stale"
    EXECUTOR_NOT_PROVEN = "executor_not_proven"
    DEFINITION_UNKNOWN = "definition_unknown"
    DEFINITION_WITHDRAWN = "definition_withdrawn"
    # What it was granted
    GRANT_INVALID = "grant_invalid"
    GRANT_EXPIRED = "grant_expired"
    NOT_GRANTED = "not_granted"
    REVOKED = "revoked"
    REQUESTER_MISSING = "requester_missing"
    REQUESTER_INVALID = "requester_invalid"
    # What it would need to open the system
    NOT_SEPARATED = "not_separated"
    CREDENTIAL_DENIED = "credential_denied"
    CREDENTIAL_UNAVAILABLE = "credential_unavailable"
    # Policy
    NO_PERMIT = "no_permit"
    FORBIDDEN = "forbidden"
    POLICY_ERROR = "policy_error"
    MODIFY_DIVERGED = "modify_diverged"
    MODIFIED = "modified"
    HELD = "held"
    BUDGET_EXHAUSTED = "budget_exhausted"
    HISTORY_INCOMPLETE = "history_incomplete"
    # Oversight
    KILLED = "killed"
    APPROVAL_VOID = "approval_void"
    APPROVAL_DENIED = "approval_denied"
    APPROVAL_EXPIRED = "approval_expired"
    # The course of one action
    ARGS_CHANGED = "args_changed"
    ALREADY_STARTED = "already_started"
    NOT_DECIDED = "not_decided"
    LEASE_LAPSED = "lease_lapsed"
    NEEDS_HUMAN = "needs_human"
    RESULT_OPAQUE = "result_opaque"
    ERASED = "erased"
    # The governor
    BUNDLE_CHANGED = "bundle_changed"
    STORE_UNAVAILABLE = "store_unavailable"
    INTERNAL = "internal"


class Reason(Struct, frozen=True, forbid_unknown_fields=True):
    """One reason of a verdict, safe to show to the agent.

    `policy` is the policy id where a policy spoke, otherwise empty. `text` is the policy's
    `@reason` or a short sentence of ours; it never repeats argument values.
    """

    code: ReasonCode
    text: str = ""
    policy: str = ""
