"""JSON text → plain value, or the reason it is refused. One reading only, the same for everyone.

Stricter than RFC 8259, so that no two parsers can read one text in two ways (I-JSON, RFC 7493, in
spirit): no duplicate keys, no unpaired surrogates, no NaN, numbers in one spelling only. It knows
no schema; what a place may hold is for `bridle.engine.normalise`.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal, InvalidOperation
from itertools import accumulate
from typing import Any, NoReturn

from bridle.engine.case import Refusal
from bridle.language.plain import is_array, is_object
from bridle.model.reason import ReasonCode

RESERVED = frozenset({"__entity", "__extn", "__expr"})
"""Keys with which Cedar's JSON form names entities and extension values. Never input."""

DEEPEST = 256
"""The depth beyond which no limit can be raised: every recursion over a value is this bounded."""

LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1

_LONGEST_INTEGER = 20  # "-9223372036854775808"; anything longer is never handed to int()
_FRACTION = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,4}")
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_STEP = [1 if chr(c) in "[{" else -1 for c in range(256)]


class _RefusedError(Exception):
    """Carries a refusal out of the scanner's hooks. Never leaves this module."""

    def __init__(self, code: ReasonCode, text: str) -> None:
        super().__init__(text)
        self.refusal = Refusal(code, text)


def parse_arguments(text: str, *, size: int, depth: int) -> dict[str, Any] | Refusal:
    """Parse the arguments of an action: an object, integers of 64 bits, exact fractions.

    `size` is the cap in bytes of UTF-8, `depth` the number of containers inside one another.
    Fractions become `Decimal` and have one to four digits; a place that may not hold one is
    refused later. Never raises on account of `text`.
    """
    value = _parse(text, size, depth, _ARGUMENTS)
    if isinstance(value, Refusal) or is_object(value):
        return value
    return Refusal(ReasonCode.MALFORMED, "the arguments are not a JSON object")


def parse_result(text: str, *, size: int, depth: int) -> Any | Refusal:
    """Parse what a tool returned: any JSON value, any JSON number.

    Numbers that are no 64-bit integer (or are written `-0`) become `Decimal`, exactly as written.
    Whoever types the value decides which of them it can represent; the text itself may pass.
    """
    return _parse(text, size, depth, _RESULTS)


def _parse(text: str, size: int, depth: int, decoder: json.JSONDecoder) -> Any | Refusal:
    try:
        _measure(text, size, min(depth, DEEPEST))
        value = decoder.decode(text)
        # The scanner passes half a surrogate pair on; only an escape can have brought it.
        if "\\u" in text and _ESCAPED_SURROGATE.search(text):
            _encodable(value)
    except _RefusedError as e:
        return e.refusal
    except json.JSONDecodeError as e:
        return Refusal(ReasonCode.MALFORMED, f"not JSON at character {e.pos}")
    except UnicodeEncodeError:
        return Refusal(ReasonCode.MALFORMED, "an unpaired surrogate, which UTF-8 does not have")
    except RecursionError:  # pragma: no cover - the depth is bounded above
        return _too_deep(depth)
    return value


def _measure(text: str, size: int, depth: int) -> None:
    """Refuse what is too large or too deep before the parser sees it."""
    # INVARIANT: I2. Neither memory nor the stack of the parser depends on the sender.
    if len(text) > size or (not text.isascii() and len(text.encode()) > size):
        raise _RefusedError(ReasonCode.LIMIT_EXCEEDED, f"longer than {size} bytes")
    if text.count("[") + text.count("{") > depth and _depth(text) > depth:
        raise _RefusedError(ReasonCode.LIMIT_EXCEEDED, _too_deep(depth).text)


def _depth(text: str) -> int:
    """Return how deep the brackets outside strings go.

    Exact up to the first character that is not JSON, which is as far as the parser gets.
    """
    unescaped = text.replace("\\\\", "").replace('\\"', "")
    outside = "".join(unescaped.split('"')[::2]).encode()
    brackets = outside.translate(None, _NO_BRACKETS)
    return max(accumulate(map(_STEP.__getitem__, brackets)), default=0)


def _too_deep(depth: int) -> Refusal:
    return Refusal(ReasonCode.LIMIT_EXCEEDED, f"nested deeper than {depth}")


def _encodable(value: Any) -> None:
    """Raise `UnicodeEncodeError` when a string or key anywhere is not Unicode text."""
    if isinstance(value, str):
        value.encode()
    elif is_array(value):
        for item in value:
            _encodable(item)
    elif is_object(value):
        for key, item in value.items():
            _encodable(key)
            _encodable(item)


# The scanner calls these for every object and number; it hands over lexemes, not floats.


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _RefusedError(ReasonCode.MALFORMED, "a key is written twice in one object")
    # INVARIANT: I2. No value from outside can name an entity: these keys exist only inside.
    if "__entity" in made or "__extn" in made or "__expr" in made:
        raise _RefusedError(ReasonCode.RESERVED_INPUT, "a reserved key (__entity, __extn, __expr)")
    return made


def _integer(lexeme: str) -> int:
    if lexeme == "-0":
        raise _RefusedError(ReasonCode.NOT_CANONICAL, "minus zero")
    # Reading an integer costs the square of its length, so the length is looked at first.
    if len(lexeme) <= _LONGEST_INTEGER and LONG_MIN <= (value := int(lexeme)) <= LONG_MAX:
        return value
    raise _RefusedError(ReasonCode.NOT_CANONICAL, "an integer beyond 64 bits")


def _fraction(lexeme: str) -> Decimal:
    if not _FRACTION.fullmatch(lexeme):
        raise _RefusedError(
            ReasonCode.NOT_CANONICAL, "a number with an exponent or more than four fraction digits"
        )
    value = Decimal(lexeme)
    if not value and lexeme[0] == "-":
        raise _RefusedError(ReasonCode.NOT_CANONICAL, "minus zero")
    return value


def _any_integer(lexeme: str) -> int | Decimal:
    if lexeme != "-0" and len(lexeme) <= _LONGEST_INTEGER:
        value = int(lexeme)
        if LONG_MIN <= value <= LONG_MAX:
            return value
    return Decimal(lexeme)


def _any_number(lexeme: str) -> Decimal:
    try:
        value = Decimal(lexeme)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise _RefusedError(ReasonCode.NOT_CANONICAL, "a number whose exponent nothing can hold")
    return value


def _constant(_: str) -> NoReturn:
    raise _RefusedError(ReasonCode.MALFORMED, "NaN or an infinity, which JSON does not have")


_ARGUMENTS = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)
_RESULTS = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_any_integer,
    parse_float=_any_number,
    parse_constant=_constant,
)
