"""Encrypts what lies beside the log: payloads of leaves, and values that rows keep.

AES-256-GCM (NIST SP 800-38D) under one payload key. A blob is bound to its place by `aad`: for
the payload of a leaf that is the leaf's hash. Nonces come in as arguments, 12 random bytes each;
one key takes at most 2**32 of them.
"""

from __future__ import annotations

import hmac

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridle.ledger.errors import LedgerError
from bridle.ledger.leaf import Opening

KEY_BYTES = 32
NONCE_BYTES = 12
_ID_BYTES = 8
_OPENINGS, _VALUE = b"\x01", b"\x02"  # format and what is inside
_HEAD = 1 + _ID_BYTES
_LEAST = _HEAD + NONCE_BYTES + 16

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(dict[str, Opening]).decode


class Sealer:
    """Seals and opens with one key of 32 bytes. Safe for use by many threads."""

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise LedgerError(f"a payload key has {KEY_BYTES} bytes", code="seal_invalid")
        self._cipher = AESGCM(key)
        self.key_id = hmac.digest(key, b"bridle payload key id", "sha256")[:_ID_BYTES]
        """Names the key in each blob, so that another can follow it; tells nothing about it."""

    def seal(self, openings: dict[str, Opening], aad: bytes, nonce: bytes) -> bytes:
        """Encrypt the openings of a leaf, bound to `aad`, the leaf's hash."""
        return self._seal(_OPENINGS, _encode(openings), aad, nonce)

    def open(self, blob: bytes, aad: bytes) -> dict[str, Opening]:
        """Decrypt what `seal` made. Raises one and the same `LedgerError` whatever is wrong."""
        try:
            return _decode(self._open(_OPENINGS, blob, aad))
        except msgspec.MsgspecError:
            raise _shut() from None

    def seal_bytes(self, value: bytes, aad: bytes, nonce: bytes) -> bytes:
        """Encrypt one value, bound to `aad`: what it is and whose."""
        return self._seal(_VALUE, value, aad, nonce)

    def open_bytes(self, blob: bytes, aad: bytes) -> bytes:
        """Decrypt what `seal_bytes` made. Raises one and the same `LedgerError`."""
        return self._open(_VALUE, blob, aad)

    def _seal(self, form: bytes, plain: bytes, aad: bytes, nonce: bytes) -> bytes:
        if len(nonce) != NONCE_BYTES:
            raise LedgerError(f"a nonce has {NONCE_BYTES} bytes", code="seal_invalid")
        head = form + self.key_id
        return head + nonce + self._cipher.encrypt(nonce, plain, head + aad)

    def _open(self, form: bytes, blob: bytes, aad: bytes) -> bytes:
        head, nonce = blob[:_HEAD], blob[_HEAD : _HEAD + NONCE_BYTES]
        if len(blob) < _LEAST or head != form + self.key_id:
            raise _shut()
        try:
            return self._cipher.decrypt(nonce, blob[_HEAD + NONCE_BYTES :], head + aad)
        except InvalidTag:
            raise _shut() from None


def _shut() -> LedgerError:
    return LedgerError("a sealed value does not open", code="seal_invalid")
