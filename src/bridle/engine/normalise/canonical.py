"""Whether a parsed value is canonical: strings, keys, numbers and sizes of every place.

A value that is not canonical is refused, never repaired. Strings that steer an effect are NFC
without control, format or unassigned characters and without surrounding white space (Unicode
General Category and White_Space); content may carry newline and tab as well, and any assigned
character that is not a control.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from decimal import Decimal
from typing import Any, cast

from bridle.bundle.bundle import Limits
from bridle.engine.case import Refusal
from bridle.engine.normalise.places import Place, place_of
from bridle.model.reason import ReasonCode

SAFE_INTEGER = 2**53 - 1
"""The largest integer that every JSON parser reads alike (RFC 8259, section 6)."""

DECIMAL_MAX = Decimal("922337203685477.5807")
DECIMAL_MIN = Decimal("-922337203685477.5808")
"""The range of Cedar's `decimal`."""

# Line and paragraph separators end a line as a control character does.
_NOT_STEERING = frozenset({"Cc", "Cf", "Cn", "Cs", "Zl", "Zp"})
_NOT_CONTENT = frozenset({"Cc", "Cn", "Cs"})


class NotCanonicalError(Exception):
    """What is wrong and, gathered on the way out, where. Becomes a `Refusal`."""

    def __init__(self, code: ReasonCode, what: str) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.steps: list[str | int] = []

    def refusal(self) -> Refusal:
        """Return the refusal; its text names the place."""
        place = path_text(reversed(self.steps))
        return Refusal(self.code, f"{place}: {self.what}" if place else self.what)


def path_text(path: Iterable[str | int]) -> str:
    """Print a path as `fields.note`, `to[2]`. Keys that nobody declared come in as `*`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


class Canon:
    """The rules under one bundle's limits."""

    __slots__ = ("_items", "_keys", "_string")

    def __init__(self, limits: Limits) -> None:
        self._string = limits.string
        self._items = limits.items
        self._keys = limits.keys

    def check(self, value: Any, place: Place) -> None:
        """Raise `NotCanonicalError` for the first thing in `value` that is not canonical."""
        kind = cast("object", type(value))
        if kind is str:
            self._text(value, steering=place.steering)
        elif kind is int:
            _integer(value, place)
        elif kind is dict:
            self._object(value, place)
        elif kind is list:
            self._array(value, place)
        elif kind is Decimal:
            _fraction(value, place)

    def _object(self, value: dict[str, Any], place: Place) -> None:
        if len(value) > self._keys:
            raise _limit("keys", self._keys)
        names = place.names
        for key, item in value.items():
            below = names.get(key)
            if below is None:
                self._undeclared(key, item, place)
            # The common case inline: printable ASCII, nothing at the edges.
            elif not (
                type(item) is str
                and item.isascii()
                and item.isprintable()
                and len(item) <= self._string
                and item == item.strip()
            ):
                self._below(item, below, key)

    def _undeclared(self, key: str, item: Any, place: Place) -> None:
        try:
            self._text(key, steering=place.steering)
        except NotCanonicalError as e:
            e.what = f"a key: {e.what}"
            raise
        self._below(item, place.other, "*")

    def _array(self, value: list[Any], place: Place) -> None:
        if len(value) > self._items:
            raise _limit("items", self._items)
        for index, item in enumerate(value):
            self._below(item, place_of(place, index), index)

    def _below(self, item: Any, place: Place, step: str | int) -> None:
        try:
            self.check(item, place)
        except NotCanonicalError as e:
            e.steps.append(step)
            raise

    def _text(self, text: str, *, steering: bool) -> None:
        if len(text) > self._string:
            raise _limit("string", self._string)
        # Printable text has no control, format, separator, surrogate or unassigned character.
        if not text.isprintable():
            _characters(text, steering=steering)
        if steering:
            _edges_and_form(text)


def _characters(text: str, *, steering: bool) -> None:
    distinct = set(text)
    if not steering:
        distinct -= {"\n", "\t"}
    refused = _NOT_STEERING if steering else _NOT_CONTENT
    bad = refused.intersection(map(unicodedata.category, distinct))
    if bad:
        raise _not_canonical(f"a character of category {min(bad)}")


def _edges_and_form(text: str) -> None:
    if text != text.strip():
        raise _not_canonical("white space at the start or the end")
    if not (text.isascii() or unicodedata.is_normalized("NFC", text)):
        raise _not_canonical("text that is not in Unicode normal form C")


def _integer(value: int, place: Place) -> None:
    if place.fraction:
        _range(value)
    if not (place.meaning.int64 or -SAFE_INTEGER <= value <= SAFE_INTEGER):
        raise _not_canonical("an integer beyond ±(2^53-1) where no int64 is declared")


def _fraction(value: Decimal, place: Place) -> None:
    if not place.fraction:
        code = ReasonCode.SCHEMA_MISMATCH if place.typed else ReasonCode.NOT_CANONICAL
        raise NotCanonicalError(code, "a fraction where the schema has no `number`")
    if place.mixed and value == value.to_integral_value():
        raise _not_canonical("a whole number written with a fraction")
    _range(value)


def _range(value: Decimal | int) -> None:
    if not DECIMAL_MIN <= value <= DECIMAL_MAX:
        raise NotCanonicalError(ReasonCode.LIMIT_EXCEEDED, "a number beyond the range of decimal")


def _not_canonical(what: str) -> NotCanonicalError:
    return NotCanonicalError(ReasonCode.NOT_CANONICAL, what)


def _limit(name: str, limit: int) -> NotCanonicalError:
    return NotCanonicalError(ReasonCode.LIMIT_EXCEEDED, f"more than limits.{name} = {limit}")
