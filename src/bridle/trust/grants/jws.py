"""Compact JWS (RFC 7515) with one algorithm: Ed25519 (RFC 9864) over one exact header per type.

Signs payloads and takes texts apart. Every value has one text: a header is compared before
anything is decoded, and base64url (RFC 4648 §5, no padding) that is not what its bytes encode to is
refused. No signature is verified here.
"""

from __future__ import annotations

import base64
import binascii
from typing import NamedTuple, Protocol

from bridle.trust.grants.codes import GrantCode, GrantError

HEADER = '{"alg":"Ed25519","typ":"bridle-grant+jwt"}'
STATUS_HEADER = '{"alg":"Ed25519","typ":"bridle-status+jwt"}'
PLAN_HEADER = '{"alg":"Ed25519","typ":"bridle-plan+jwt"}'
SIGNATURE_BYTES = 64


class Signs(Protocol):
    """What signs: an `Ed25519PrivateKey`, or whatever holds one elsewhere."""

    def sign(self, data: bytes, /) -> bytes:
        """Return the Ed25519 signature of `data`."""
        ...


class Signed(NamedTuple):
    """A compact JWS taken apart. `signature` is not verified."""

    signing_input: bytes
    payload: bytes
    signature: bytes


# Characters of the other alphabet, and padding, become one that is in neither.
_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")


def encode(raw: bytes) -> str:
    """Return `raw` as base64url without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: str | bytes) -> bytes | None:
    """Return the bytes that base64url `text` stands for; None unless it is their one text."""
    given = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    standard = given.translate(_STANDARD)
    try:
        raw = binascii.a2b_base64(standard + b"==")
    except binascii.Error:
        return None
    # Decoders skip characters they do not know and drop bits that are left over.
    return raw if binascii.b2a_base64(raw, newline=False).rstrip(b"=") == standard else None


_KNOWN = {
    header: encode(header.encode()).encode() + b"."
    for header in (HEADER, STATUS_HEADER, PLAN_HEADER)
}


def sign(payload: bytes, private: Signs, header: str = HEADER) -> str:
    """Return the compact JWS of `payload`."""
    signing_input = _KNOWN[header] + encode(payload).encode()
    return f"{signing_input.decode()}.{encode(private.sign(signing_input))}"


def split(text: str, header: str = HEADER) -> Signed:
    """Take a compact JWS apart; its header must be `header`, to the byte.

    Raises `GrantError`: `header_invalid`, `link_malformed` (not three parts in their one base64url
    text) or `signature_invalid` (not 64 bytes). Its length is the caller's to bound.
    """
    given = text.encode("utf-8", "surrogatepass")
    start = _KNOWN[header]
    if not given.startswith(start):
        raise GrantError(GrantCode.HEADER, f"the header is not exactly {header}")
    signing_input, dot, last = given.rpartition(b".")
    payload = decode(signing_input[len(start) :]) if len(signing_input) > len(start) else None
    signature = decode(last) if dot else None
    if payload is None or signature is None:
        raise GrantError(
            GrantCode.MALFORMED, "not a compact JWS: three parts of base64url without padding"
        )
    if len(signature) != SIGNATURE_BYTES:
        raise GrantError(
            GrantCode.SIGNATURE, f"a signature has {SIGNATURE_BYTES} bytes, not {len(signature)}"
        )
    return Signed(signing_input, payload, signature)
