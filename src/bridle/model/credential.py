"""Credentials of systems, as `systems.toml` declares them: who makes them, and who may use them.

The declarations name secrets and never hold one.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class Use(StrEnum):
    """Where a credential is put to use. Never in the process of the agent that decides.

    `governor`: the governor's side carries the action out and puts it in. `worker`: a workload that
    is declared `separate` gets it for the attempt that it carries out. `mcp`: the gateway puts it
    into the call it sends to the system's MCP server.
    """

    GOVERNOR = "governor"
    WORKER = "worker"
    MCP = "mcp"


class Credential(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="broker"):
    """What every declaration has: `[systems.ID.credential]`.

    `secret` names a sealed secret (`bridle secrets`). `lease_ms` is the longest that one may be
    used for, `wait_ms` how long its broker may take to make it.
    """

    use: Use
    secret: str
    lease_ms: int = 60_000
    wait_ms: int = 5_000


class SealedCredential(Credential, frozen=True, kw_only=True, tag="sealed"):
    """The sealed secret itself, for a separate worker or a MCP server.

    `meta` is the key of `params._meta` it goes into where it is used by `mcp`.
    """

    meta: str = ""


class HeaderCredential(Credential, frozen=True, kw_only=True, tag="header"):
    """The sealed secret in a header of requests that the governor's side makes to the system.

    `form` is the header's value, `{secret}` the place for it.
    """

    header: str = "Authorization"
    form: str = "Bearer {secret}"


class ExchangeCredential(Credential, frozen=True, kw_only=True, tag="token_exchange"):
    """An access token that an authorization server gives for this action (RFC 8693).

    `secret` is the token that is exchanged (the subject token), `client_id` and `client_secret`
    (the name of a sealed secret, empty: none) authenticate this governor at `endpoint`;
    `revocation` is the server's endpoint of RFC 7009 (empty: tokens end by expiring). `header`,
    `form` and `meta` as for the others; `private` as for a system.
    """

    endpoint: str
    client_id: str = ""
    client_secret: str = ""
    revocation: str = ""
    audience: str = ""
    resource: str = ""
    scope: str = ""
    subject_type: str = "urn:ietf:params:oauth:token-type:access_token"
    header: str = "Authorization"
    form: str = "Bearer {secret}"
    meta: str = ""
    private: bool = False


class PostgresCredential(Credential, frozen=True, kw_only=True, tag="postgres"):
    """A role of a PostgreSQL database. `secret` is the connection string of who may hand it out.

    Used by the `governor`, statements run in a pooled connection as `role` (`SET LOCAL ROLE`); by a
    `worker`, a login role is made for the attempt, a member of `role`, and dropped with its lease.
    """

    role: str


AnyCredential = SealedCredential | HeaderCredential | ExchangeCredential | PostgresCredential
