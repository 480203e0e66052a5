"""Whether a run may hide another text, so that its other readings are worth their price.

Most of what looks like base64 or hex is an id, and decodes to noise. A run is read in other ways
only if it holds escapes, single characters with signs between them, or what decodes to text.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Iterator

_ESCAPED = re.compile(r"%[0-9A-Fa-f]{2}|&#|&[A-Za-z]+;|\\[uxUX]|(?:[^\n][\-_.*|/,~+]{1,5}){5}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2}){5,}[0-9A-Fa-f]?")
# Prose has no upper-case letter, digit or `+` behind a letter; what is encoded does.
_ENCODED = re.compile(r"[A-Za-z0-9+/_-][A-Z0-9+/]")
_STANDARD = str.maketrans("-_", "+/")
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e]{8}|(?:[\xc2-\xf4][\x80-\xbf]{1,3}[\x20-\x7e]{0,2}){4}")
_ALL_TEXT = re.compile(rb"(?:[\t\n\r\x20-\x7e]|[\xc2-\xf4][\x80-\xbf]{1,3})+")


def may_hide(run: str) -> bool:
    """Whether something may stand in a run of ASCII that is not seen as it is."""
    if len(run) < 8 or (run.isalpha() and run[1:].islower()):
        return "%" in run or "&" in run or "\\" in run
    if _ESCAPED.search(run):
        return True
    if not _ENCODED.search(run):
        return False
    return any(map(_reads, _decoded(run)))


def _decoded(run: str) -> Iterator[bytes]:
    for found in _BASE64.finditer(run):
        digits = found[0].translate(_STANDARD)
        for skipped in range(4):
            body = digits[skipped:]
            body = body[: len(body) - (len(body) % 4 == 1)]
            yield a2b_base64(body + "=" * (-len(body) % 4))
    for found in _HEX.finditer(run):
        for skipped in range(2):
            body = found[0][skipped:]
            yield bytes.fromhex(body[: len(body) - len(body) % 2])


def _reads(decoded: bytes) -> bool:
    # UTF-16 has a NUL beside every Latin letter.
    plain = decoded.replace(b"\0", b"")
    return _TEXT.search(plain) is not None or (
        len(plain) > 4 and _ALL_TEXT.fullmatch(plain) is not None
    )
