"""Certificates: an agent's own key vouches for the key of one run of it.

A certificate is no authority. It says that whoever keeps the agent's key let this run begin; what
the run may do its grants say. It holds for one governor's store and no longer than the agent's key
is in force.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from bridle.model import public_key
from bridle.model.errors import UsageError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

# Part of what is signed: no signature made for anything else can be taken for a certificate.
_DOMAIN = b"bridle run certificate 1\n"
_SIGNATURE_BYTES = 64


def sign(agent_private: Ed25519PrivateKey, store: str, agent: str, holder: str) -> str:
    """Return the certificate of a run's public key `holder` (`ed25519:…`), in base64.

    `store` is the governor's store id, `agent` the agent's name. Raises `UsageError`
    (`key_invalid`) where `holder` is no public key.
    """
    public_key.parse(holder)
    return base64.b64encode(agent_private.sign(_message(store, agent, holder))).decode()


def holds(agent_public: bytes, store: str, agent: str, holder: str, certificate: str) -> bool:
    """Whether the agent's key (32 raw bytes) vouches for `holder`. Never raises."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        raw = base64.b64decode(certificate, validate=True)
        # One text for each certificate: base64 with other padding bits is not the same one.
        if len(raw) != _SIGNATURE_BYTES or base64.b64encode(raw).decode() != certificate:
            return False
        public_key.parse(holder)
        if len(agent_public) != public_key.KEY_BYTES or public_key.is_weak(agent_public):
            return False
        Ed25519PublicKey.from_public_bytes(agent_public).verify(raw, _message(store, agent, holder))
    except (InvalidSignature, binascii.Error, ValueError, UsageError):
        return False
    return True


def _message(store: str, agent: str, holder: str) -> bytes:
    """Each part is preceded by its length in bytes, so that nothing can move between them."""
    parts = [text.encode("utf-8", "surrogatepass") for text in (store, agent, holder)]
    return _DOMAIN + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
