"""What every request to a governor has in common, and the proof that an agent's may carry."""

from __future__ import annotations

from msgspec import Struct


class Call(Struct, frozen=True, forbid_unknown_fields=True, tag_field="op", kw_only=True):
    """Base of all requests."""


class Proof(Struct, frozen=True, forbid_unknown_fields=True):
    """Shows that the holder of a grant's key made this very request (`bridle.trust.holder`).

    `time` is the holder's clock in milliseconds since the epoch, `nonce` 16 random bytes in hex,
    never used again, `signature` Ed25519 in base64.
    """

    time: int
    nonce: str
    signature: str


class AgentCall(Call, frozen=True, kw_only=True):
    """A request made with a session's handle, which names mission, agent and executor.

    `proof` is needed where the session has a key and the request comes from another process than
    the governor's, or asks for something irreversible.
    """

    session: str
    proof: Proof | None = None


class OperatorCall(Call, frozen=True, kw_only=True):
    """A request that needs the operator's connection. `as_user` names the human."""

    as_user: str = ""
