"""Detectors that are a pattern and a check on its surroundings: e-mail, phone, URL, secrets."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from bridle.engine.detect.expression import FOREIGN, MAX_CANDIDATES, Expression, TooManyError

Found = Iterator[tuple[int, int]]

_WORD = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_DIGITS = frozenset(b"0123456789")

# --- e-mail -------------------------------------------------------------------------------------

# \xff is any letter beyond ASCII (internationalised addresses, RFC 6531).
_EMAIL = Expression(
    rb"[A-Za-z0-9._%+'\xff-]{1,64}@"
    rb"(?:(?:[A-Za-z0-9\xff](?:[A-Za-z0-9\xff-]{0,62}[A-Za-z0-9\xff])?\.)+"
    rb"[A-Za-z\xff][A-Za-z0-9\xff-]{0,61}[A-Za-z0-9\xff]"
    rb"|\[[0-9A-Fa-f.:]{3,45}\])"
)


def emails(data: bytes) -> Found:
    """Yield e-mail addresses (dot-atom local part; domain name or address literal)."""
    if b"@" in data:
        yield from _EMAIL.spans(data)


# --- URLs (RFC 3986) ----------------------------------------------------------------------------

_URL = Expression(
    rb"(?:[A-Za-z][A-Za-z0-9+.-]{1,20}:)?//[A-Za-z0-9\xff\[][^\s<>\"`{}|^\\]*"
    rb"|[Ww]{3}[0-9]?\.[A-Za-z0-9\xff-]+\.[^\s<>\"`{}|^\\]+"
    rb"|(?i:mailto|javascript|data|tel|sms):[^\s<>\"`{}|^\\]+"
)
_TRAILING = b".,;:!?'\")]*_"


def urls(data: bytes) -> Found:
    """Yield URLs with any scheme, protocol-relative ones with a dotted host, and `www.` names."""
    for start, end in _URL.spans(data):
        stop = start + len(data[start:end].rstrip(_TRAILING))
        text = data[start:stop]
        if text.startswith(b"//") and b"." not in text:
            continue
        if stop - start > 4 and (start == 0 or data[start - 1] not in _WORD):
            yield start, stop


# --- phone numbers ------------------------------------------------------------------------------

_PHONE = Expression(
    rb"(?:\+|\b00)[ ]?\(?[1-9](?:[ ().\-/]{0,3}[0-9]){6,14}"  # ITU-T E.164, + or 00
    rb"|\(?0[1-9](?:[ ().\-/]{0,3}[0-9]){6,12}"  # national, with a trunk prefix
    rb"|\(?[2-9][0-9]{2}\)?[ .\-]{1,2}[0-9]{3}[ .\-][0-9]{4}"  # North America
)
_DATE = Expression(rb"^\(?[0-9]{2}([./-])[0-9]{2}[./-][0-9]{2,4}")
_NOT_BEFORE = _WORD | frozenset(b".,:+-_/=")


def phones(data: bytes) -> Found:
    """Yield phone numbers: international, national with a leading 0, or North American."""
    done = 0
    for start, end in _PHONE.candidates(data):
        if start >= done and _is_phone(data, start, end):
            yield start, end
            done = end


def _is_phone(data: bytes, start: int, end: int) -> bool:
    """Whether a match stands free, and is no date."""
    if data[start : start + 1] == b"+":
        return True
    if start and data[start - 1] in _NOT_BEFORE:
        return False
    if data[start : start + 2] == b"00":
        return True
    return not data[end : end + 1].isalnum() and not _DATE.matches(data[start:end])


# --- secrets ------------------------------------------------------------------------------------

_KEY = Expression(
    rb"(?i:A(?:KIA|SIA|BIA|CCA))[A-Za-z0-9]{16}"
    rb"|gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{22,255}"
    rb"|gl(?:pat|ptt|rt|dt)-[A-Za-z0-9_-]{20,}"
    rb"|sk-[A-Za-z0-9_-]{16,}|[sr]k_(?:live|test)_[A-Za-z0-9]{16,}"
    rb"|xox[abeprs]-[A-Za-z0-9-]{10,}|AIza[A-Za-z0-9_-]{35}|ya29\.[A-Za-z0-9_-]{20,}"
    rb"|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{30,}"
    rb"|SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"
    rb"|eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"
    rb"|-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    rb"[A-Za-z0-9+/=\s:,.()]*(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----)?"
)
_ASSIGNED = Expression(
    rb"(?i)(?:pass(?:word|wd|phrase|code)?|pwd|secret|token|credentials?|bearer"
    rb"|(?:api|access|private|secret|auth|account|client|encryption)[ _-]?(?:key|token|secret))"
    rb"[\"']?(?:[ \t]*(?:=>|:=|[=:])[ \t]*|[ ])[\"']?([^\s\"'<>&;,`]{6,256})"
)
_LABEL = Expression(rb"^\[redacted:[a-z][a-z0-9_]*\]?$")


def secrets(data: bytes) -> Found:
    """Yield keys of known formats, private key blocks, JWTs, and values assigned to secret words.

    Of an assignment only the value is the find, and only when it looks random: letters and digits
    mixed, with 2.5 bits of entropy per character or more.
    """
    for start, end in _KEY.spans(data):
        if not _DIGITS.isdisjoint(data[start:end]) or data[start : start + 5] == b"-----":
            yield start, end
    for count, (start, end) in enumerate(_ASSIGNED.spans(data, 1)):
        if count == MAX_CANDIDATES:
            raise TooManyError
        value = data[start:end]
        if not _LABEL.matches(value) and _looks_random(value):
            yield start, end


def _looks_random(value: bytes) -> bool:
    letters = any((o in _WORD and o not in _DIGITS) or o == FOREIGN for o in value)
    return letters and not _DIGITS.isdisjoint(value) and _entropy(value) >= 2.5


def _entropy(value: bytes) -> float:
    """Return the Shannon entropy in bits per octet."""
    counts = Counter(value).values()
    return -sum(c / len(value) * math.log2(c / len(value)) for c in counts)
