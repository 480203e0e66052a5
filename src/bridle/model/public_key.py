"""Public keys as they are written: `ed25519:` and the base64 of 32 bytes. Reads and names them.

Nothing is signed or verified here.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from bridle.model.errors import UsageError

PREFIX = "ed25519:"
KEY_BYTES = 32

# Points of small order (RFC 8032 §5.1, encodings as y, without the sign bit): under such a "key"
# anybody can make signatures that verify.
_WEAK = frozenset(
    bytes.fromhex(each)
    for each in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)


def written(raw: bytes) -> str:
    """Return the text of a raw public key."""
    return PREFIX + base64.b64encode(raw).decode()


def parse(text: str) -> bytes:
    """Return the 32 raw bytes of a public key.

    Exactly one text stands for a key. Raises `UsageError` (`key_invalid`) for any other, and for
    keys under which anybody could sign.
    """
    raw = _decoded(text.removeprefix(PREFIX)) if text.startswith(PREFIX) else b""
    if len(raw) != KEY_BYTES or written(raw) != text:
        raise UsageError(
            f"a public key is written {PREFIX} and the base64 of {KEY_BYTES} bytes",
            code="key_invalid",
            hint="`bridle operator new-key` makes one and prints it",
        )
    if is_weak(raw):
        raise UsageError("anybody could sign under this public key", code="key_invalid")
    return raw


def is_weak(raw: bytes) -> bool:
    """Tell whether anybody could sign under these 32 bytes: a point of small order."""
    return raw[:-1] + bytes([raw[-1] & 0x7F]) in _WEAK


def fingerprint(text: str) -> str:
    """Return the SHA-256 (hex) of the raw key. Raises as `parse`."""
    return hashlib.sha256(parse(text)).hexdigest()


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""
