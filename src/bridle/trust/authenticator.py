"""How an executing identity is proven on a connection: one interface, for more than one way.

A workload is who carries actions out; it is authenticated apart from the agent that decides. What
proves it is judged here; which proofs count at this moment is the governor's to say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from bridle.model import public_key
from bridle.model.calls import Login
from bridle.model.errors import UsageError
from bridle.trust import proof
from bridle.trust.proof import Challenge, Claim

Counts = Callable[[str], bool]
"""Whether the credential with this fingerprint counts now for the name that is claimed."""


class Authenticator(Protocol):
    """One way for an identity to prove itself on a new connection.

    Whatever the way, it has to bind the connection (its challenge holds a nonce of the governor,
    the store and the socket): what was proved on one is worth nothing on another. The three that
    the record's `method` can tell apart:

    - `key`: a signature over the challenge by a key of its own (`OwnKey`).
    - `jwt-svid`: a SPIFFE JWT-SVID whose audience is the challenge; the trust domain's keys take
      the place of the registry's, and the SPIFFE ID names the workload. `fingerprint` is that of
      the signing key, so that it can be revoked.
    - `mtls`: the certificate of the peer, as the transport verified it; a proof is made by the
      handshake itself, over a channel binding (RFC 9266) of the connection.
    """

    @property
    def method(self) -> str:
        """Return the name of this way, as it stands on records."""
        ...

    def proven(self, challenge: Challenge, login: Login, counts: Counts) -> str:
        """Return the fingerprint (SHA-256, hex) of what proves the login, or nothing. Never raises.

        `counts` is asked about no fingerprint but that of what made the proof.
        """
        ...


class OwnKey:
    """An Ed25519 key of the identity's own, in agents.toml or the governor's registry."""

    @property
    def method(self) -> str:
        """Return `key`."""
        return "key"

    def proven(self, challenge: Challenge, login: Login, counts: Counts) -> str:
        """Return the fingerprint of the key that answered the challenge, or nothing."""
        try:
            fingerprint = public_key.fingerprint(login.key)
        except (UsageError, ValueError):
            return ""
        # INVARIANT: I9 — the caller says which key it has; the registry says whether that counts.
        if not counts(fingerprint):
            return ""
        claim = Claim(login.kind, login.name, login.key)
        return fingerprint if proof.holds(challenge, claim, login.signature) else ""
