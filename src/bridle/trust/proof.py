"""Proofs of identity: an Ed25519 signature (RFC 8032) over one connection's challenge.

A proof is good for one connection: it binds the governor's nonce, its store, the socket and its
folder, and who is proven with which key. Nothing is kept here.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from msgspec import Struct

from bridle.model import public_key
from bridle.model.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Part of what is signed: no signature made for anything else can be taken for a proof.
_DOMAIN = b"bridle login 1\n"
_SIGNATURE_BYTES = 64
NONCE_BYTES = 32


class Challenge(Struct, frozen=True):
    """What a proof answers to.

    `store` is the governor's store id, `nonce` its random bytes for this connection (64 hex
    digits), `role` the socket's: `operator` or `agent`. `folder` is the folder of that socket as
    each side finds it for itself: another governor cannot pass a proof on to this one.
    """

    store: str
    nonce: str
    role: str
    folder: str = ""


class Claim(Struct, frozen=True):
    """Who is said to be there: `kind` is `user` or `workload`, `key` the public key as written."""

    kind: str
    name: str
    key: str


def sign(private: Ed25519PrivateKey, challenge: Challenge, claim: Claim) -> str:
    """Return the proof of a claim, in base64."""
    return base64.b64encode(private.sign(_message(challenge, claim))).decode()


def holds(challenge: Challenge, claim: Claim, signature: str) -> bool:
    """Whether `signature` proves the claim to whoever made the challenge. Never raises."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        raw = base64.b64decode(signature, validate=True)
        # One text for each proof: base64 with other padding bits is not the same proof.
        if len(raw) != _SIGNATURE_BYTES or base64.b64encode(raw).decode() != signature:
            return False
        public = Ed25519PublicKey.from_public_bytes(public_key.parse(claim.key))
        public.verify(raw, _message(challenge, claim))
    except (InvalidSignature, binascii.Error, ValueError, UsageError):
        return False
    return True


def _message(challenge: Challenge, claim: Claim) -> bytes:
    """Each part is preceded by its length in bytes, so that nothing can move between them."""
    nonce = bytes.fromhex(challenge.nonce)
    if len(nonce) != NONCE_BYTES:
        raise ValueError("a challenge has a nonce of 32 bytes")
    where = (challenge.store, challenge.role, challenge.folder)
    texts = (*where, claim.kind, claim.name, claim.key)
    parts = (nonce, *(text.encode("utf-8", "surrogatepass") for text in texts))
    return _DOMAIN + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
