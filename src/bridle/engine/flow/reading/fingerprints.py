"""Keyed fingerprints of 64 bits: equal for equal tokens, and nothing can be read from them.

AES as a keyed permutation of one block per token, so a whole text costs one call. A token that does
not fit into a block is hashed first (keyed BLAKE2b). Without the key nobody can make two tokens
that share a fingerprint, or tell which token one belongs to. Nothing is stored here.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from hashlib import blake2b
from threading import Lock

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

WIDTH = 8
"""Octets of one fingerprint."""

BREAK = bytes(WIDTH)
"""Stands between two texts. No token has this fingerprint."""

_BLOCK = 16
_LONG = 0x80  # set in the kind octet of a token that was hashed; kinds are ASCII


class Fingerprints:
    """One key's fingerprints. `key` is any number of octets; 32 random ones are meant."""

    __slots__ = ("_block", "_lock", "_seed")

    def __init__(self, key: bytes) -> None:
        material = blake2b(key, digest_size=48, person=b"bridle.flow").digest()
        self._seed = material[16:]
        # A block is a token, and equal tokens are meant to look equal: nothing to chain.
        cipher = Cipher(AES(material[:16]), ECB())  # noqa: S305
        self._block = cipher.encryptor()
        self._lock = Lock()

    def of(self, tokens: Sequence[bytes]) -> bytes:
        """Return the fingerprints of tokens, in order. A token's first octet says its kind."""
        fits = [
            t.ljust(_BLOCK, b"\0") if len(t) <= _BLOCK and 0 not in t else self._hashed(t)
            for t in tokens
        ]
        with self._lock:
            blocks = self._block.update(b"".join(fits))
        halves = array("Q", blocks)[::2]
        if 0 in halves:
            halves = array("Q", [h or 1 for h in halves])
        return halves.tobytes()

    def _hashed(self, token: bytes) -> bytes:
        digest = blake2b(token, digest_size=_BLOCK - 1, key=self._seed).digest()
        return bytes((token[0] | _LONG,)) + digest
