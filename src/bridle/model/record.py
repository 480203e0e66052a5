"""The ledger's leaf envelope. Final: readers keep unknown `body` keys, nothing is renamed."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct, field


class LeafKind(StrEnum):
    """What a leaf records."""

    DECISION = "decision"
    STARTED = "started"
    OUTCOME = "outcome"
    RELEASE = "release"
    APPROVAL = "approval"
    DELEGATION = "delegation"
    REVOCATION = "revocation"
    CREDENTIAL = "credential"
    IDENTITY = "identity"
    MISSION = "mission"
    POLICY = "policy"
    KILL = "kill"
    REDACTION = "redaction"
    DEGRADED = "degraded"
    LOG = "log"
    PLAN = "plan"


SYSTEM_CHAIN = "system"


class Leaf(Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """One record: `{v, kind, chain, seq, prev, time, ids, commit, body}`.

    `chain` is a mission id or `system`; `seq` counts its leaves from 0 and `prev` is the hex leaf
    hash of the one before (64 zeros at seq 0). `time` is in milliseconds since the epoch. `commit`
    holds HMAC-SHA256 commitments (hex) of the fields whose values lie sealed beside the leaf. It
    holds what JSON can say and so never itself: the garbage collector need not look for that.
    """

    v: int
    kind: LeafKind
    chain: str
    seq: int
    prev: str
    time: int
    ids: dict[str, str]
    commit: dict[str, str] = field(default_factory=dict[str, str])
    body: dict[str, Any] = field(default_factory=dict[str, Any])
