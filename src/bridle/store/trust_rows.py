"""Rows of identities, their keys, grants, revocations, leases. Part of `bridle.store.rows`."""

from __future__ import annotations

from typing import ClassVar

from bridle.store.row import Row


class IdentityRow(Row, frozen=True, kw_only=True):
    """Registry status of a declared identity. `id` is `<kind>:<name>`; no row means active."""

    TABLE: ClassVar[str] = "identities"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("kind",)
    id: str
    kind: str
    name: str
    status: str
    changed: int
    by: str = ""


class IdentityKeyRow(Row, frozen=True, kw_only=True):
    """A public key of an identity: of a `governor`, `user`, `agent` or `workload`.

    `id` is the key's fingerprint (SHA-256, hex), `key` the key as written. It counts from `since`
    until `until` (0: without end).
    """

    TABLE: ClassVar[str] = "identity_keys"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("owner",)
    id: str
    owner: str
    kind: str
    name: str
    key: str
    since: int
    until: int = 0
    by: str = ""


class GrantRow(Row, frozen=True, kw_only=True):
    """One link of a chain of grants. `id` is its digest, `parent` that of the link before.

    `sealed` holds the link itself, encrypted with the mission's payload key: its predicates may
    quote arguments. `key` is the fingerprint of the holder's key; `state` is `offered`, `active`,
    `dispatched` (to `workload`, which takes it up as often as need be) or `ended`. `issued`,
    `expires` in milliseconds. `certified` is the fingerprint of the agent's key that certified the
    holder's (empty: the agent has none): what is done to that is done to this. `executor` is the
    workload of the session that offered it.
    `epoch` is the one it was put on record in: unlike `issued`, which its signer chose, it says for
    sure what was revoked before it.
    """

    TABLE: ClassVar[str] = "grants"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("mission", "parent", "state", "expires")
    FIXED: ClassVar[tuple[str, ...]] = ("mission", "parent")
    id: str
    mission: str
    parent: str
    agent: str
    key: str
    state: str
    depth: int
    issued: int
    expires: int
    sealed: bytes
    line: str = ""
    task: str = ""
    tools: list[str] = []
    accepted: int = 0
    certified: str = ""
    executor: str = ""
    epoch: int = 0
    workload: str = ""


class RevokedRow(Row, frozen=True, kw_only=True):
    """Something that was revoked. `id` is `<kind>:<subject>`; it is never taken away again.

    Of an `agent` or a `user` it ends what was granted until `time`; of a `grant`, `key` or
    `mission`, everything. `epoch` is the one it began with.
    """

    TABLE: ClassVar[str] = "revoked"
    KEY: ClassVar[str] = "id"
    id: str
    kind: str
    subject: str
    time: int
    epoch: int
    by: str
    salt: str = ""


class PlanRow(Row, frozen=True, kw_only=True):
    """A plan that was checked in a mission, and that no step of was denied.

    `id` is a keyed digest of mission, agent (with its line) and plan; `sealed` is the plan's text,
    encrypted with the mission's payload key. `done` maps a step to the action that was let run as
    it.
    """

    TABLE: ClassVar[str] = "plans"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("mission",)
    FIXED: ClassVar[tuple[str, ...]] = ("mission",)
    id: str
    mission: str
    created: int
    sealed: bytes = b""
    done: dict[str, str] = {}


class RegistrationRow(Row, frozen=True, kw_only=True):
    """A definition of a pipeline that its author has registered.

    `digest` is the definition's (SHA-256, hex), `key` the fingerprint of the author's key that
    proved it, `epoch` the one it was registered in: what was revoked since covers it. It counts
    until it has `ended` (0: not yet), and never again.
    """

    TABLE: ClassVar[str] = "registrations"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("pipeline",)
    FIXED: ClassVar[tuple[str, ...]] = ("pipeline",)
    id: str
    pipeline: str
    digest: str
    author: str
    key: str
    method: str
    since: int
    epoch: int
    ended: int = 0
    ended_by: str = ""


class RunRow(Row, frozen=True, kw_only=True):
    """A run of a pipeline: its mission. `id` is a keyed digest of the pipeline and the run's id."""

    TABLE: ClassVar[str] = "pipeline_runs"
    KEY: ClassVar[str] = "id"
    id: str
    mission: str


class LeaseRow(Row, frozen=True, kw_only=True):
    """A credential that was asked for: for one attempt, until `expires` (milliseconds).

    `state` is `asked` (its broker is at work), `live`, `ending` (it is to be taken back where it
    opens the system), `ended` or `failed`. `grant` is that of the session it was asked in, `epoch`
    the one it was asked in. `sealed` is what its broker needs to take it back, encrypted with this
    governor's key of secrets; `tries` counts how often taking it back has failed.
    `bundle` is that whose declaration it was made by, `live` when it was vended (0: never).
    """

    TABLE: ClassVar[str] = "leases"
    KEY: ClassVar[str] = "id"
    INDEXED: ClassVar[tuple[str, ...]] = ("mission", "attempt", "state", "expires")
    FIXED: ClassVar[tuple[str, ...]] = ("mission", "attempt")
    id: str
    mission: str
    attempt: str
    state: str
    expires: int
    agent: str
    line: str
    grant: str
    session: str
    system: str
    broker: str
    executor: str
    issued: int
    epoch: int
    sealed: bytes = b""
    ended: int = 0
    code: str = ""
    tries: int = 0
    bundle: str = ""
    live: int = 0
