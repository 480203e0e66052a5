"""Arguments between Python and the wire: frozen as JSON text at decide, read from the verdict.

The governor judges the text. Nothing here decides whether a value is fit; what JSON cannot carry
is refused, everything else goes to the governor as it is, so that its refusal is on record.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, NoReturn, cast

from bridle.model.errors import ProtocolError


class ArgumentError(ProtocolError):
    """The arguments cannot be written as JSON."""

    code = "malformed"


def to_text(args: Mapping[str, Any] | str | None) -> str:
    """Return the JSON text of `args`; text is taken as the exact JSON text it is.

    Raises `ArgumentError` for what is not JSON: other keys than strings, other values than those of
    JSON, tuples, mappings and exact decimals.
    """
    if isinstance(args, str):
        return args
    try:
        plain = _plain({} if args is None else args)
        # NaN and infinities stay visible, so that the governor refuses and records them.
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
    except (RecursionError, RuntimeError, ValueError) as problem:
        raise ArgumentError("the arguments are nested too deeply or changed meanwhile") from problem
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(plain, separators=(",", ":"))
    return text


def from_text(text: str) -> dict[str, Any]:
    """Return the arguments in `text`. Raises `ArgumentError` unless it is one JSON object."""
    try:
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_refuse)
    except (ValueError, RecursionError) as problem:
        raise ArgumentError("the verdict's arguments are no JSON object") from problem
    if not isinstance(value, dict):
        raise ArgumentError("the verdict's arguments are no JSON object")
    return cast("dict[str, Any]", value)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {_key(k): _plain(v) for k, v in cast("Iterable[tuple[Any, Any]]", value.items())}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in cast("list[Any]", value)]
    if isinstance(value, Decimal):
        return _number(value)
    raise ArgumentError(f"a {type(value).__name__} among the arguments is no JSON value")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise ArgumentError(f"a key among the arguments is a {type(key).__name__}, not a string")
    return key


def _number(value: Decimal) -> int | float:
    number = (
        int(value) if value.is_finite() and value == value.to_integral_value() else float(value)
    )
    if not value.is_finite() or Decimal(repr(number)) != value:
        raise ArgumentError("a decimal among the arguments has more digits than JSON numbers keep")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice")
    return found


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
