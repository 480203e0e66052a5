"""JSON values and PostgreSQL's text forms: arguments on their way in, cells on their way out.

Numbers that a float would change (`numeric`), times, and all that JSON has no form of stay the text
that PostgreSQL writes: times in ISO 8601 and UTC. `bytea` is base64, `json` is what it says.
"""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from bridle.brokers.performing.failures import UnreachedError

_PLACE = re.compile(r"%(?:\((?P<name>[^()]+)\)s|%)")
_BOOL, _BYTEA, _FLOATS, _INTEGERS, _JSON = 16, 17, {700, 701}, {20, 21, 23, 26}, {114, 3802}


def numbered(statement: str) -> tuple[str, tuple[str, ...]]:
    """Return the statement with `$1` for `%(name)s`, `%` for `%%`, and the names in their order."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        name = found["name"]
        if name is None:
            return "%"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return _PLACE.sub(number, statement), tuple(names)


def parameters(names: tuple[str, ...], arguments: Mapping[str, Any]) -> list[bytes | None]:
    """Return arguments as the server reads them; one that is missing is NULL.

    Raises `UnreachedError` (`argument_refused`) for text that no database holds.
    """
    return [_parameter(arguments.get(name)) for name in names]


def _parameter(value: Any) -> bytes | None:
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raw = b"\0"
    if b"\0" in raw:
        raise UnreachedError("an argument is no text of a database", code="argument_refused")
    return raw


def cell(raw: bytes | None, kind: int) -> Any:
    """Return one cell as JSON has it. `kind` is the OID of its type."""
    if raw is None:
        return None
    text = raw.decode("utf-8", "replace")
    if kind == _BOOL:
        return text == "t"
    if kind == _BYTEA:
        return base64.b64encode(bytes.fromhex(text.removeprefix("\\x"))).decode()
    try:
        return _number_or_json(text, kind)
    except (ValueError, RecursionError):
        return text


def _number_or_json(text: str, kind: int) -> Any:
    if kind in _INTEGERS:
        return int(text)
    if kind in _FLOATS:
        number = float(text)
        return number if math.isfinite(number) else text
    return json.loads(text) if kind in _JSON else text
