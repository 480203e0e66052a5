"""An unlocked key: proves an identity on each new connection, or certifies an agent's runs.

It stays in this process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

from bridle.model import public_key
from bridle.model.calls import Login
from bridle.model.errors import UsageError
from bridle.trust import proof
from bridle.trust.proof import Challenge, Claim

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from bridle.trust.holder import Holder


class Credential:
    """The private key of an identity, in memory only: it does not pickle, copy or print.

    `kind` is `user`, `workload` or `agent`, `name` its id in agents.toml, `public` the public key
    as it is written there. `bridle.unlock` returns one.
    """

    __slots__ = ("_private", "kind", "name", "public")

    def __init__(self, kind: str, name: str, private: Ed25519PrivateKey) -> None:
        self.kind = kind
        self.name = name
        self.public = public_key.written(private.public_key().public_bytes_raw())
        self._private = private

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the public key."""
        return public_key.fingerprint(self.public)

    def login(self, challenge: Challenge) -> Login:
        """Return what proves this identity on the connection that the challenge belongs to."""
        claim = Claim(self.kind, self.name, self.public)
        signature = proof.sign(self._private, challenge, claim)
        return Login(kind=self.kind, name=self.name, key=self.public, signature=signature)

    def certify(self, store: str, holder: str) -> str:
        """Return an agent's certificate of one of its runs: see `bridle.trust.certificate`.

        `store` is the id of the governor's store, `holder` the run's public key as written. Raises
        `UsageError` for the credential of anybody else.
        """
        from bridle.trust import certificate

        if self.kind != "agent":
            raise UsageError(f"{self.name!r} is a {self.kind}, and only agents have runs")
        return certificate.sign(self._private, store, self.name, holder)

    def holder(self) -> Holder:
        """Return the key of a workload as the holder of what is dispatched to it.

        Raises `UsageError` for the credential of anybody else.
        """
        from bridle.trust.holder import Holder

        if self.kind != "workload":
            raise UsageError(f"{self.name!r} is a {self.kind}, and work is dispatched to workloads")
        return Holder(self._private)

    def sealed_by(self, seal: Callable[[bytes], bytes]) -> bytes:
        """Return the private key as `seal` encrypts it."""
        return seal(self._private.private_bytes_raw())

    def __repr__(self) -> str:
        return "<bridle.Credential>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        del protocol
        raise UsageError(
            "a credential stays in the process that unlocked it",
            code="key_exposed",
            hint="unlock the key in each process that needs it",
        )


def generate(kind: str, name: str) -> Credential:
    """Return a credential with a new key."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Credential(kind, name, Ed25519PrivateKey.generate())
