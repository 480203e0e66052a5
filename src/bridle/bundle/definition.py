"""The digest of a tool's definition, as its server gives it in `tools/list`. That is what pins pin.

The whole object counts, known keys and unknown ones alike: a description steers a model as much as
a schema does.
"""

from __future__ import annotations

import json
from decimal import Decimal
from hashlib import sha256
from typing import Any

from bridle.language.plain import is_array, is_object

MAX_BYTES = 1024 * 1024
"""Bytes of a tools/*.json, which is a file of a bundle like any other."""

_MOST_DIGITS = 4_300  # as `json` reads and writes at most; reading costs the square of the length


def definition_digest(tool: dict[str, Any]) -> str:
    """Return the SHA-256 (hex) over the canonical JSON of a tool's definition.

    Keys sorted, UTF-8, no white space; one spelling for equal numbers (`1`, `1.0`, `1e0`). Raises
    `ValueError` for what is no JSON: NaN, infinities, halves of surrogate pairs, other types.
    """
    try:
        plain = _numbers(tool)
        text = json.dumps(
            plain, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False
        )
        return sha256(text.encode("utf-8")).hexdigest()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except TypeError as error:
        raise ValueError(f"it is no JSON: {error}") from None


def definitions_text(tools: list[dict[str, Any]]) -> str:
    """Return the text of a tools/*.json that pins these definitions, made to be read by humans.

    What does not show, or moves what does, is written as an escape. Raises `ValueError` for what
    has no digest, would have another one when read back, or is larger than `MAX_BYTES`.
    """
    text = _written(tools, indent=2)
    if len(text.encode()) > MAX_BYTES:
        text = _written(tools, indent=None)
    if len(text.encode()) > MAX_BYTES:
        raise ValueError(f"it has more than {MAX_BYTES:,} bytes")
    before, after = (
        [definition_digest(t) for t in ts] for ts in (tools, json.loads(text)["tools"])
    )
    if before != after:
        raise ValueError("it cannot be written down without changing it")
    return text


def _written(tools: list[dict[str, Any]], *, indent: int | None) -> str:
    text = json.dumps({"tools": tools}, ensure_ascii=False, indent=indent, allow_nan=False)
    return "".join(_spelled(char) for char in text) + "\n"


def _spelled(char: str) -> str:
    # Outside strings there is only ASCII, so an escape can stand wherever one of these does.
    return char if char == "\n" or char.isprintable() else json.dumps(char)[1:-1]


def _numbers(value: Any) -> Any:
    if is_object(value):
        return {key: _numbers(each) for key, each in value.items()}
    if is_array(value):
        return [_numbers(each) for each in value]
    if isinstance(value, Decimal):
        # As `json` reads the same text: without a point or an exponent it is an integer.
        if value.adjusted() >= _MOST_DIGITS:
            raise ValueError("a number that nothing can hold")
        value = int(value) if value.as_tuple().exponent == 0 else float(value)
    return int(value) if isinstance(value, float) and value.is_integer() else value
