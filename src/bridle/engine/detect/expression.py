"""RE2 with types: the one door to the linear-time regular expressions that detectors use."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Any, Protocol, cast

import re2 as _re2

FOREIGN = 0xFF
"""The octet that stands for any character beyond ASCII, so that offsets equal code points."""

_HANDLER = "bridle.one_octet"
_ERROR = cast("type[Exception]", cast("Any", _re2).error)


MAX_CANDIDATES = 20_000
"""Places in one view that a detector looks at closely."""


class TooManyError(Exception):
    """A view has more candidates than are looked at. Never leaves this package."""


class PatternError(ValueError):
    """A pattern that the linear-time engine does not accept."""


class _Match(Protocol):
    def span(self, group: int = 0) -> tuple[int, int]: ...


class _Compiled(Protocol):
    def search(self, text: str | bytes, pos: int | None = None) -> _Match | None: ...


class Expression:
    """A compiled pattern.

    Over octets (see `octets`) it treats them as Latin-1; over text as Unicode. `search` costs time
    linear in the text.
    """

    __slots__ = ("_compiled",)

    def __init__(self, pattern: str | bytes, *, fold_case: bool = False) -> None:
        options = cast("Any", _re2.Options())
        options.log_errors = False
        options.case_sensitive = not fold_case
        if isinstance(pattern, bytes):
            options.encoding = cast("Any", _re2.Options).Encoding.LATIN1
        try:
            self._compiled = cast("_Compiled", cast("Any", _re2).compile(pattern, options))
        except _ERROR as e:
            raise PatternError(str(e)) from e

    def matches(self, text: str | bytes) -> bool:
        """Whether the pattern occurs anywhere."""
        return self._compiled.search(text) is not None

    def spans(self, octets: bytes, group: int = 0) -> Iterator[tuple[int, int]]:
        """Yield the spans of a group of all matches, left to right, none overlapping."""
        place = 0
        while (found := self._compiled.search(octets, place)) is not None:
            start, end = found.span()
            yield found.span(group)
            place = max(end, start + 1)

    def find(self, octets: bytes, place: int) -> tuple[int, int] | None:
        """Return the span of the first match at or behind a place."""
        found = self._compiled.search(octets, place)
        return found.span() if found else None

    def candidates(self, octets: bytes) -> Iterator[tuple[int, int]]:
        """Yield a match from every place where one starts, overlapping ones too.

        Raises `TooManyError` when there are more than `MAX_CANDIDATES`.
        """
        place = 0
        for _ in range(MAX_CANDIDATES):
            found = self.find(octets, place)
            if found is None:
                return
            place = found[0] + 1
            yield found
        raise TooManyError

    def text_spans(self, text: str) -> list[tuple[int, int]]:
        """Return the spans in code points of all matches that are not empty."""
        found = cast("Any", self._compiled).finditer(text)
        return [s for s in (m.span() for m in found) if s[1] > s[0]]


def octets(text: str) -> bytes:
    """Return one octet per code point: ASCII as it is, everything else as `FOREIGN`."""
    return text.encode("ascii", _HANDLER)


def _one_octet(error: UnicodeError) -> tuple[bytes, int]:
    assert isinstance(error, UnicodeEncodeError)
    return bytes((FOREIGN,)) * (error.end - error.start), error.end


codecs.register_error(_HANDLER, _one_octet)
