"""The rows of durable state. One struct per table; `KEY` and `INDEXED` become real columns.

Everything else of a row is one JSON document, so a new field needs no migration. Times are
milliseconds since the epoch. Keys that derive from personal data are HMACs made by the governor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from bridle.store.flow_rows import ReadRow, SourceRow
from bridle.store.history_rows import EventRow, HistoryRow, PartitionRow, SnapshotRow
from bridle.store.row import Row
from bridle.store.trust_rows import (
    GrantRow,
    IdentityKeyRow,
    IdentityRow,
    LeaseRow,
    PlanRow,
    RegistrationRow,
    RevokedRow,
    RunRow,
)

__all__ = [
    "ROWS",
    "ActionRow",
    "AttemptRow",
    "BudgetRow",
    "BundleRow",
    "EventRow",
    "ExceptionRow",
    "GlobalRow",
    "GrantRow",
    "HistoryRow",
    "HoldRow",
    "IdentityKeyRow",
    "IdentityRow",
    "KillRow",
    "LeaseRow",
    "LogKeyRow",
    "MissionRow",
    "PartitionRow",
    "PayloadKeyRow",
    "PlanRow",
    "ReadRow",
    "RegistrationRow",
    "RevokedRow",
    "Row",
    "RunRow",
    "SessionRow",
    "SnapshotRow",
    "SourceRow",
]


class GlobalRow(Row, frozen=True, kw_only=True):
    """The one row read in every decision: epoch, active bundle, kills and suspensions in force.

    `unscrubbed` says that older copies of what was erased may still lie in the store's files: it is
    the size of the log when something was erased last, 0 once none are left. `revoked` counts what
    was ever revoked.
    """

    TABLE: ClassVar[str] = "globals"
    KEY: ClassVar[str] = "id"
    id: str = "global"
    epoch: int = 0
    active: str = ""
    kills: int = 0
    suspended: int = 0
    unscrubbed: int = 0
    told: int = -1
    revoked: int = 0


class BundleRow(Row, frozen=True, kw_only=True):
    """An activated bundle: every file of its digest, so that each record can be re-judged later."""

    TABLE: ClassVar[str] = "bundles"
    KEY: ClassVar[str] = "digest"
    digest: str
    name: str
    version: str
    activated: int
    files: dict[str, str]


class KillRow(Row, frozen=True, kw_only=True):
    """A kill in force. `id` is `<scope>:<subject>`; `salt` as that of an action."""

    TABLE: ClassVar[str] = "kills"
    KEY: ClassVar[str] = "id"
    id: str
    scope: str
    subject: str
    by: str
    reason: str
    time: int
    salt: str = ""


class MissionRow(Row, frozen=True, kw_only=True):
    """A mission and its state. The prompt lies sealed in the ledger, not here.

    `labels` are those of all that its agents were given, `vouched` is whether somebody vouches for
    all of it, and `imprinted` whether an imprint of all of it is kept; `missed` are the systems
    (with their domains) that more was read of. A mission that is not `labelled` is from before any
    of that was noted. `registration` is that of the pipeline's definition it is a run of, if it is.
    """

    TABLE: ClassVar[str] = "missions"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("status", "started", "expires")
    id: str
    template: str
    user: str
    status: str
    started: int
    expires: int
    ended: int = 0
    started_by: str = ""
    method: str = ""
    prompt_trusted: bool = True
    labelled: bool = False
    labels: list[str] = []
    vouched: bool = False
    imprinted: bool = False
    missed: dict[str, str] = {}
    registration: str = ""


class SessionRow(Row, frozen=True, kw_only=True):
    """An agent session. `id` is the SHA-256 (hex) of its random handle.

    `holder` is the public key of this run of the agent and `grant` the digest of the last link of
    its chain, both empty where it was opened without a key. `line` names the agents that the task
    came through, the actor last (`a>b`), where it was handed on; empty for an agent of the mission.
    `epoch` is the one it was opened in: what was revoked since covers it. `jailed` says that who
    opened it keeps its handle and key outside the jail in which the agent's process runs.
    """

    TABLE: ClassVar[str] = "sessions"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("mission",)
    id: str
    mission: str
    agent: str
    executor: str
    opened: int
    method: str
    closed: int = 0
    holder: str = ""
    grant: str = ""
    line: str = ""
    task: str = ""
    epoch: int = 0
    jailed: bool = False


class ActionRow(Row, frozen=True, kw_only=True):
    """One action: what was requested, what was judged, where it stands.

    `requested` and `judged` are keyed hashes of argument digests. The text that may execute and a
    stored output lie in `sealed`, encrypted with the payload key. `lapses` is when an allow that
    was not started ends (0: never); `charged` is what budgets hold for it, for good once `settled`,
    and `returned` what they gave back on the word that it had no effect. `definition` is the digest
    of the tool's definition it was asked under (empty: none was seen). `salt` is random where
    nothing is sealed: without it nobody can guess what a digest of the row was made from.
    `requests` counts how often policies judged it finally: each is one request of its history.
    `line` as in `SessionRow`; `grant` is the chain it was judged under, `requester` that of whom it
    serves.
    """

    TABLE: ClassVar[str] = "actions"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("mission", "state", "lapses")
    FIXED: ClassVar[tuple[str, ...]] = ("mission",)
    VOLATILE: ClassVar[Mapping[str, Any]] = {"leaf": -1, "leaf_hash": ""}
    id: str
    mission: str
    agent: str
    tool: str
    executor: str
    state: str
    requested: str
    judged: str = ""
    effect: str = ""
    bundle: str = ""
    decided: int = 0
    lapses: int = 0
    attempts: int = 0
    attempt: str = ""
    approval: str = ""
    charged: dict[str, int] = {}
    settled: bool = False
    sealed: bytes = b""
    leaf: int = -1
    leaf_hash: str = ""
    durability: str = "strict"
    last_error: str = ""
    reasons: list[dict[str, str]] = []
    definition: str = ""
    returned: dict[str, int] = {}
    salt: str = ""
    requests: int = 0
    line: str = ""
    grant: str = ""
    requester: str = ""


class AttemptRow(Row, frozen=True, kw_only=True):
    """One start of an action. Once `contradicted`, only a human's word says how it ended.

    `request` says which of the action's requests it is the start of, `session` (the hash of its
    handle) where it was started.
    """

    TABLE: ClassVar[str] = "attempts"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("action", "state", "lease")
    FIXED: ClassVar[tuple[str, ...]] = ("action",)
    VOLATILE: ClassVar[Mapping[str, Any]] = {"lease": 0}
    id: str
    action: str
    mission: str
    agent: str
    tool: str
    executor: str
    state: str
    started: int
    lease: int
    ended: int = 0
    epoch: int = 0
    error: str = ""
    late: bool = False
    contradicted: bool = False
    request: int = 0
    line: str = ""
    grant: str = ""
    requester: str = ""
    session: str = ""


class HoldRow(Row, frozen=True, kw_only=True):
    """A durable request to humans about an `action` or a `result`; `digest` binds it to one.

    `causes` are `{kind, id, digest|amount}`; `groups` maps an approver group to how many distinct
    humans it needs; `votes` are `{user, approve, reason, time, method, digest}`, the last of which
    says what was voted on: a vote counts for that only. `uid` is that of the process that asked
    (-1: not known). `edited` says that humans put other arguments in place of those judged; `terms`
    how far the approval is to reach beyond this action. `pin` and `shape` are the tool's as humans
    were asked, `level` says how far whoever asked was from the governor.
    """

    TABLE: ClassVar[str] = "holds"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("status", "mission", "agent", "bind", "expires")
    FIXED: ClassVar[tuple[str, ...]] = ("mission", "agent", "bind")
    id: str
    subject: str
    action: str
    mission: str
    agent: str
    tool: str
    bind: str
    digest: str
    status: str
    created: int
    expires: int
    bundle: str
    causes: list[dict[str, Any]]
    groups: dict[str, int]
    reasons: list[dict[str, str]]
    votes: list[dict[str, Any]] = []
    sealed: bytes = b""
    settled: int = 0
    uid: int = -1
    edited: bool = False
    terms: dict[str, Any] | None = None
    pin: str = ""
    shape: str = ""
    level: str = ""
    line: str = ""
    requester: str = ""


class ExceptionRow(Row, frozen=True, kw_only=True):
    """What humans approved for the rest of a mission.

    `policies` (id → text digest) need not be met by one tool while its arguments match, `count`
    times. `sealed` holds the predicate on the arguments, encrypted with the payload key.
    `requester` is the grant of whom the agent served (empty: nobody).
    """

    TABLE: ClassVar[str] = "exceptions"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("mission", "status", "expires", "created")
    id: str
    mission: str
    agent: str
    tool: str
    approval: str
    policies: dict[str, str]
    sealed: bytes
    count: int
    created: int
    expires: int
    by: list[str]
    used: int = 0
    status: str = "active"
    labels: list[str] | None = None
    line: str = ""
    requester: str = ""


class BudgetRow(Row, frozen=True, kw_only=True):
    """What is used of a budget in one window, in ten-thousandths of its unit.

    `mission` is who pays: a mission, or the pseudonym of an agent or user. `window` is the number
    of a mission's window; of any other it says when the window begins.
    """

    TABLE: ClassVar[str] = "budgets"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("mission",)
    id: str
    mission: str
    name: str
    window: int
    used: int = 0


class LogKeyRow(Row, frozen=True, kw_only=True):
    """A key that signs checkpoints. `id` is its key ID in hex, `key` the verifier key.

    `added` and `retired` are times; one that is retired (not 0) signs no more.
    """

    TABLE: ClassVar[str] = "log_keys"
    KEY: ClassVar[str] = "id"
    id: str
    key: str
    added: int
    retired: int = 0


class PayloadKeyRow(Row, frozen=True, kw_only=True):
    """The key that the values of one chain are sealed under, itself sealed under the payload key.

    Without it nothing of the chain can be opened again, from backups neither.
    """

    TABLE: ClassVar[str] = "payload_keys"
    KEY: ClassVar[str] = "chain"
    chain: str
    sealed: bytes
    created: int


ROWS: tuple[type[Row], ...] = (
    GlobalRow,
    BundleRow,
    KillRow,
    MissionRow,
    SessionRow,
    IdentityRow,
    IdentityKeyRow,
    GrantRow,
    RevokedRow,
    LeaseRow,
    HistoryRow,
    PartitionRow,
    EventRow,
    SnapshotRow,
    ReadRow,
    SourceRow,
    ActionRow,
    AttemptRow,
    HoldRow,
    ExceptionRow,
    PlanRow,
    RegistrationRow,
    RunRow,
    BudgetRow,
    LogKeyRow,
    PayloadKeyRow,
)
