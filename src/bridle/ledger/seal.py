"""Encrypts what lies beside the log: payloads of leaves, and values that rows keep.

AES-256-GCM (NIST SP 800-38D). Each chain has a key of its own, which lies sealed under the store's
payload key: who deletes it has erased all that was sealed with it. A blob names its key, and is
bound to its place by `aad`; the payload of a leaf to chain and `seq`, in logs of before this to the
leaf's hash. Nonces come in as arguments, 12 random bytes each; one key takes at most 2**32 of them.
"""

from __future__ import annotations

import hmac
from functools import lru_cache

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
_KEYS = 256

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
        """Encrypt the openings of a leaf, bound to `aad` (see `place`)."""
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

    def made(self, blob: bytes) -> bool:
        """Whether a blob says that it was sealed with this key."""
        return blob[1:_HEAD] == self.key_id

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


class Keyring:
    """The store's payload key, and the keys of chains sealed under it. Safe for many threads."""

    def __init__(self, key: bytes) -> None:
        self.store = Sealer(key)
        # A pure function of what the store keeps; `forget` empties it when a key is erased.
        self._opened = lru_cache(maxsize=_KEYS)(self._open_key)

    def wrap(self, chain: str, key: bytes, nonce: bytes) -> bytes:
        """Seal the key of a chain, bound to the chain."""
        return self.store.seal_bytes(key, _bound(chain), nonce)

    def sealer(self, chain: str, wrapped: bytes) -> Sealer:
        """Return what seals for a chain, by its key as `wrap` sealed it. Raises `LedgerError`."""
        return self._opened(chain, wrapped)

    def forget(self) -> None:
        """Keep no key of a chain in memory."""
        self._opened.cache_clear()

    def open(
        self, blob: bytes, at: tuple[str, int], digest: bytes, wrapped: bytes
    ) -> dict[str, Opening]:
        """Decrypt the payload of the leaf `at` chain and `seq`, whose hash is `digest`.

        `wrapped` is the chain's sealed key, empty where there is none. Raises `LedgerError`.
        """
        if self.store.made(blob):  # before chains had keys
            return self.store.open(blob, digest)
        return self._of(at[0], wrapped).open(blob, place(*at))

    def open_bytes(self, blob: bytes, aad: bytes, chain: str, wrapped: bytes) -> bytes:
        """Decrypt a value that a row of this chain keeps. Raises `LedgerError`."""
        if self.store.made(blob):
            return self.store.open_bytes(blob, aad)
        return self._of(chain, wrapped).open_bytes(blob, aad)

    def _of(self, chain: str, wrapped: bytes) -> Sealer:
        if not wrapped:
            raise _shut()
        return self.sealer(chain, wrapped)

    def _open_key(self, chain: str, wrapped: bytes) -> Sealer:
        return Sealer(self.store.open_bytes(wrapped, _bound(chain)))


def place(chain: str, seq: int) -> bytes:
    """Return what the payload of a leaf is bound to."""
    return f"{chain}\n{seq}".encode()


def _bound(chain: str) -> bytes:
    return b"payload key\n" + chain.encode()


def _shut() -> LedgerError:
    return LedgerError("a sealed value does not open", code="seal_invalid")
