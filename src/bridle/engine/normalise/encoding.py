"""Values → text: the exact JSON that executes, and the canonical form that digests run over."""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any, cast

import msgspec

from bridle.engine.normalise.canonical import SAFE_INTEGER
from bridle.engine.normalise.places import Place, place_of
from bridle.language.plain import is_array, is_object

MARK = "__extn"
"""Key that marks a printed number where a string could stand as well. Reserved, so never input."""

_WIDEST = 400  # digits; beyond, a number prints with an exponent

_exact = msgspec.json.Encoder(decimal_format="number")
_sorted = msgspec.json.Encoder(order="deterministic")
_unsorted = msgspec.json.Encoder()


def encode(value: Any) -> str:
    """Return the JSON text of a value; a `Decimal` becomes the number as it was written."""
    return _exact.encode(value).decode()


def digest_of(tool: str, value: Any, place: Place) -> str:
    """Return the SHA-256 (hex) over the canonical form of `{"args": value, "tool": tool}`.

    The form is RFC 8785 with `int64` integers and all decimals as strings. With the tool's name
    inside, no digest holds for another tool.
    """
    typed = canonical(value, place) if place.special else value
    return hashlib.sha256(_rfc8785({"args": typed, "tool": tool})).hexdigest()


def digest_of_result(tool: str, value: Any, place: Place) -> str:
    """Return the digest of `{"output": value, "tool": tool}`; any number may stand anywhere."""
    typed = canonical(value, place)
    return hashlib.sha256(_rfc8785({"output": typed, "tool": tool})).hexdigest()


def canonical(value: Any, place: Place) -> Any:
    """Return the value with every number that RFC 8785 cannot carry exactly as a string.

    INVARIANT: I3. Different values have different forms: where a string could stand as well, the
    printed number sits in an object under a key that no input can have.
    """
    kind = cast("object", type(value))
    if kind is dict:
        names, other = place.names, place.other
        return {k: canonical(v, names.get(k, other)) for k, v in value.items()}
    if kind is list:
        return [canonical(v, place_of(place, i)) for i, v in enumerate(value)]
    if kind is int:
        printed = _printed_integer(value, place)
    elif kind is Decimal:
        printed = decimal_text(value)
    else:
        return value
    return {MARK: printed} if place.stringy and isinstance(printed, str) else printed


def _printed_integer(value: int, place: Place) -> int | str:
    if place.fraction:
        return f"{value}.0"
    wide = place.meaning.int64 or not -SAFE_INTEGER <= value <= SAFE_INTEGER
    return str(value) if wide else value


def decimal_text(value: Decimal) -> str:
    """Print a decimal in its shortest form with at least one fraction digit, as Cedar does."""
    if not value:
        return "0.0"
    if abs(value.adjusted()) > _WIDEST:
        return _scientific(value)
    text = f"{value:f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction.rstrip('0') or '0'}"


def _scientific(value: Decimal) -> str:
    sign, digits, exponent = value.as_tuple()
    coefficient = "".join(map(str, digits)).lstrip("0")
    kept = coefficient.rstrip("0")
    power = cast("int", exponent) + len(coefficient) - len(kept)
    return f"{'-' if sign else ''}{kept}E{power}"


def _rfc8785(value: Any) -> bytes:
    """Encode as RFC 8785 (JCS). The numbers left in `value` are integers within ±(2^53-1)."""
    data = _sorted.encode(value)
    # Keys sort by UTF-16 units; the encoder sorts by code point. That differs only from here on.
    if data.isascii() or max(data.decode()) < "\ud800":
        return data
    return _unsorted.encode(_by_utf16(value))


def _by_utf16(value: Any) -> Any:
    if is_object(value):
        keys = sorted(value, key=lambda k: k.encode("utf-16-be"))
        return {k: _by_utf16(value[k]) for k in keys}
    if is_array(value):
        return [_by_utf16(v) for v in value]
    return value
