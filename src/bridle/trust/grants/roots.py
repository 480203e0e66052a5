"""The governor's public keys that roots of chains are verified with, and when each is in force."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Struct

from bridle.model import public_key
from bridle.trust.grants.codes import GrantCode, GrantError

MOST_KEYS = 8


class RootKey(Struct, frozen=True):
    """A public key (`ed25519:…`), in force from `since_s` until before `until_s` (0: open)."""

    key: str
    since_s: int = 0
    until_s: int = 0


class Roots:
    """The pinned keys. Immutable.

    Of more than `MOST_KEYS` those that end last are kept: each costs a verification where a root
    is signed with none of them. Raises `UsageError` (`key_invalid`) for a key that is none.
    """

    def __init__(self, keys: Iterable[RootKey | str]) -> None:
        """Pin `keys`; a text alone is a key without a window."""
        pinned = [RootKey(key) if isinstance(key, str) else key for key in keys]
        # Open windows first, then by their end: ties go to the key that came into force later.
        pinned.sort(key=lambda each: (each.until_s == 0, each.until_s, each.since_s), reverse=True)
        self.keys = tuple(pinned[:MOST_KEYS])
        self._public = {each.key: public(public_key.parse(each.key)) for each in self.keys}

    def signer(self, signing_input: bytes, signature: bytes) -> str:
        """Return the pinned key that made a signature, in force or not; empty where none did."""
        for key, verifier in self._public.items():
            if signed_by(verifier, signature, signing_input):
                return key
        return ""

    def require(self, key: str, now_s: int, skew_s: int = 0) -> None:
        """Raise `GrantError` (`root_unknown`, `root_key_expired`) unless `key` is in force now.

        `skew_s` is how far another clock may be ahead: it moves the beginning, never the end.
        """
        windows = [each for each in self.keys if each.key == key]
        if not windows:
            raise GrantError(
                GrantCode.ROOT_UNKNOWN,
                "the root is signed with none of the pinned keys",
                link=0,
                hint="pin the governor's key: `bridle keys list --kind governor` prints it",
            )
        if not any(
            each.since_s <= now_s + skew_s and (not each.until_s or now_s < each.until_s)
            for each in windows
        ):
            raise GrantError(
                GrantCode.ROOT_WINDOW,
                "the key that signed the root is not in force now",
                link=0,
                hint="ask the governor for a new grant",
            )


@lru_cache(maxsize=1_024)
def public(raw: bytes) -> Ed25519PublicKey:
    """Return the key object of 32 raw bytes, which the caller has found not to be weak."""
    return Ed25519PublicKey.from_public_bytes(raw)


def signed_by(verifier: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether `signature` is the key's. A second form of one signature (S ≥ L) is none."""
    try:
        verifier.verify(signature, message)
    except InvalidSignature:
        return False
    return True
