"""What a broker is: it makes a credential for one action, and takes it back where it opens.

Every broker keeps this contract, and the suite in `tests/brokers/conformance` holds each to it.
"""

from __future__ import annotations

from typing import Any, NoReturn, Protocol

from msgspec import Struct

from bridle.model.credential import AnyCredential
from bridle.model.errors import BridleError


class BrokerError(BridleError):
    """No credential could be made, or taken back.

    Codes: `secret_missing` (nobody has sealed it), `secrets_unreadable` (the file of secrets was
    damaged, or its key), `secret_unusable` (it cannot stand where it has to), `broker_unreachable`,
    `broker_slow`, `broker_refused`, `broker_unavailable` (its driver is not installed). Messages
    hold no secret and nothing that the other side said.
    """

    code = "broker_refused"


class Secret:
    """The values that open a system. Not shown, not pickled, not compared; `reveal` where used.

    Fields: `secret` is the value or token itself (of every broker but `postgres`, which has those
    of a connection). A header is made of it by `bridle.brokers.header.header_of`.
    """

    __slots__ = ("_fields",)

    def __init__(self, **fields: str) -> None:
        self._fields = fields

    def reveal(self) -> dict[str, str]:
        """Return the values by field. To be kept no longer than the request they go into."""
        return dict(self._fields)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret stays in the process that uses it")

    def __getstate__(self) -> Any:
        raise TypeError("a secret stays in the process that uses it")


class Order(Struct, frozen=True, kw_only=True):
    """For what a credential is made: one attempt of one action. `expires` as in `Made`."""

    lease: str
    mission: str
    agent: str
    attempt: str
    system: str
    tool: str
    expires: int
    credential: AnyCredential


class Made(Struct, frozen=True, kw_only=True):
    """A credential. `handle` is what `revoke` needs to know, kept sealed by the governor.

    `expires` (milliseconds since the epoch) is no later than the order's.
    """

    secret: Secret
    handle: bytes
    expires: int

    def __repr__(self) -> str:
        # The handle may be the credential itself.
        return f"Made(expires={self.expires})"


class Broker(Protocol):
    """Makes credentials of one kind. Safe for use by many threads."""

    def vend(self, order: Order) -> Made:
        """Make a credential within the declaration's `wait_ms`. Raises `BrokerError`."""
        ...

    def revoke(self, credential: AnyCredential, handle: bytes) -> None:
        """Return once the system refuses it, and ends what still runs with it.

        May be asked again, after a crash too, also for what is gone. Raises `BrokerError` where
        that is not sure: it is asked again then.
        """
        ...

    def close(self) -> None:
        """Let go of connections. What was vended is not taken back."""
        ...
