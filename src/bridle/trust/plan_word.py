"""The governor's signed word on a plan: that one of this digest was checked, and not denied.

It is no authority, and no secret: every step is judged when it comes. It names the plan to whoever
carries it on, and shows anyone who pins the governor's keys that it was checked.
"""

from __future__ import annotations

import re

import msgspec
from msgspec import Struct

from bridle.trust.grants import jws
from bridle.trust.grants.codes import GrantCode, GrantError
from bridle.trust.grants.roots import Roots

MAX_BYTES = 4_096
SKEW_S = 60
_LATEST_S = 2**53
_DIGEST = re.compile(r"[0-9a-f]{64}")


class PlanWord(Struct, frozen=True, forbid_unknown_fields=True):
    """What governor `iss` (`bridle:<store id>`) says: plan `pln` was checked at `iat` (seconds).

    `pln` is the plan's digest, `mis` the mission, `act` the agent (with its line) that asked, `bdl`
    the digest of the bundle it was judged by.
    """

    iss: str
    mis: str
    act: str
    pln: str
    bdl: str
    iat: int


_DECODER = msgspec.json.Decoder(PlanWord)
_ENCODER = msgspec.json.Encoder()


def sign(word: PlanWord, private: jws.Signs) -> str:
    """Return the word as a compact JWS."""
    return jws.sign(_ENCODER.encode(word), private, jws.PLAN_HEADER)


def claims(text: str) -> PlanWord:
    """Return what a word says, unverified. Raises `GrantError` for what is none."""
    return _parsed(_split(text).payload)


def read(text: str, roots: Roots, now_s: int, *, skew_s: int = SKEW_S) -> PlanWord:
    """Return the word that one of the pinned keys signed. Raises `GrantError`."""
    signed = _split(text)
    roots.require(roots.signer(signed.signing_input, signed.signature), now_s, skew_s)
    word = _parsed(signed.payload)
    if word.iat > now_s + skew_s:
        raise _malformed(f"this word is of later than {skew_s} s from now")
    return word


def _split(text: str) -> jws.Signed:
    if len(text) > MAX_BYTES:
        raise _malformed(f"a word on a plan has {MAX_BYTES} bytes at most")
    return jws.split(text, jws.PLAN_HEADER)


def _parsed(payload: bytes) -> PlanWord:
    try:
        word = _DECODER.decode(payload)
        same = _ENCODER.encode(word) == payload
    except (ValueError, RecursionError, OverflowError):
        raise _malformed("this is no word on a plan") from None
    if not same or not _DIGEST.fullmatch(word.pln) or not 0 <= word.iat <= _LATEST_S:
        raise _malformed("this is not the one text of a word on a plan")
    return word


def _malformed(message: str) -> GrantError:
    return GrantError(GrantCode.MALFORMED, message)
