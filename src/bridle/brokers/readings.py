"""Reads a text as whoever decodes it would: without escapes, entities, line breaks and gaps.

Each reading knows where its characters stand in the text, so that what is found in it can be taken
out there.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence

from msgspec import Struct

# What stands in each other is undone layer by layer: no system that only echoes wraps more.
_LAYERS = 4
_LAST = 0x10FFFF
_HEX = ("hex", "braced", "four", "eight", "two")

_ESCAPE = re.compile(
    r"""
      [%=](?P<hex>[0-9a-f]{2})                          # percent-encoding, quoted-printable
    | \\u\{(?P<braced>0*[0-9a-f]{1,6})\}
    | \\(?:(?-i:U)(?P<eight>[0-9a-f]{8})|u(?P<four>[0-9a-f]{4})|x(?P<two>[0-9a-f]{2}))
    | \\(?P<octal>[0-3][0-7]{2})
    | \\(?P<break>[nr])
    | \\(?P<plain>[^\sa-z0-9])                          # a quote, a slash, another backslash
    | (?P<entity>&(?:\#[0-9]{1,8}|\#x[0-9a-f]{1,7}|[a-z][a-z0-9]{1,31});?)
    | (?P<gap>=?\r?\n[ \t]*|\r|\0+|\u00ad|\u200b|\ufeff)  # wrapped lines, wide characters
    """,
    re.IGNORECASE | re.VERBOSE,
)


class Reading(Struct, frozen=True):
    """A text as it is read; `places` says where in the source each character (and the end) is."""

    text: str
    places: Sequence[int]


def of(text: str) -> Iterator[Reading]:
    """Yield what a text says once decoded, twice decoded, …, as long as that differs."""
    reading = Reading(text, range(len(text) + 1))
    for _ in range(_LAYERS):
        if _ESCAPE.search(reading.text) is None:
            return
        reading = _decoded(reading)
        yield reading


def _decoded(reading: Reading) -> Reading:
    text, places = reading.text, reading.places
    parts: list[str] = []
    kept: list[int] = []
    begin = 0
    for found in _ESCAPE.finditer(text):
        said = _said(found)
        parts += (text[begin : found.start()], said)
        kept += places[begin : found.start()]
        kept += [places[found.start()]] * len(said)
        begin = found.end()
    parts.append(text[begin:])
    kept += places[begin:]
    return Reading("".join(parts), kept)


def _said(found: re.Match[str]) -> str:
    """Return what one escape stands for: nothing, for what only wraps or fills."""
    if found["entity"]:
        return html.unescape(found["entity"])
    if found["octal"]:
        return chr(int(found["octal"], 8))
    code = next((found[name] for name in _HEX if found[name]), "")
    if code:
        number = int(code, 16)
        return chr(number) if number <= _LAST else ""
    return found["plain"] or ""
