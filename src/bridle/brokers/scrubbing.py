"""Takes secrets out of what a system answers, in the forms that text commonly carries them in.

It stops a system that echoes what it was sent. It is no defence against one that wants to leak:
whoever holds a secret can spell it in more ways than anybody can look for.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, TypeGuard
from urllib.parse import quote, quote_plus

from bridle.brokers import readings

MARK = "[credential]"

PLAIN = frozenset(("host", "port", "dbname", "user", "sslmode"))
"""Fields that say where a credential is used, and open nothing."""

# Shorter values stand in too much that is none of theirs.
_SHORTEST = 4
_SHORTEST_ENCODED = 6
_DEEPEST = 200
# Strings and numbers of a JSON text.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9][0-9.eE+-]*', re.DOTALL)


class Scrubber:
    """Replaces the values of secrets, and their usual encodings, by `[credential]`."""

    def __init__(self, values: Iterable[str]) -> None:
        forms: set[str] = set()
        for value in values:
            forms |= _forms(value)
        # The longest first: what contains another goes as a whole.
        found = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        self._text = re.compile(found, re.IGNORECASE) if found else None
        self._bytes = (
            re.compile(found.encode("utf-8", "surrogatepass"), re.IGNORECASE) if found else None
        )

    @classmethod
    def of(cls, fields: Mapping[str, str]) -> Self:
        """Return one for the fields of a secret that are one: a port or a database's name is none.

        `fields` are those of `Secret.reveal`.
        """
        return cls(value for name, value in fields.items() if name not in PLAIN)

    def text(self, value: str) -> str:
        """Return the text without them, however it spells them: as it is, or once it is decoded."""
        if self._text is None:
            return value
        spans = list(_spans(self._text, value))
        if not spans:
            return value
        parts: list[str] = []
        end = 0
        for start, stop in sorted(spans):
            if start >= end:
                parts += (value[end:start], MARK)
            end = max(end, stop)
        return "".join((*parts, value[end:]))

    def raw(self, value: bytes) -> bytes:
        """Return the bytes without them, as UTF-8 has them; wide characters (UTF-16) too."""
        if self._bytes is None:
            return value
        plain = self._bytes.sub(MARK.encode(), value)
        return self.text(plain.decode("latin-1")).encode("latin-1")

    def document(self, text: str) -> str:
        """Return a JSON text without them, in numbers too. It stays JSON where it was some."""
        if self._text is None:
            return text
        return self.text(_TOKEN.sub(self._token, text))

    def _token(self, found: re.Match[str]) -> str:
        if len(found[0]) < _SHORTEST:
            return found[0]
        try:
            said = json.loads(found[0], strict=False)
        except ValueError:
            return found[0]
        plain = self.value(said)
        return found[0] if plain == said else json.dumps(plain)

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return a JSON value without them, in keys too. What is nested too deep is left out."""
        if isinstance(value, str):
            return self.text(value)
        if _is_number(value):
            return value if self.text(repr(value)) == repr(value) else MARK
        if depth >= _DEEPEST:
            return MARK
        if _is_list(value):
            return [self.value(item, depth + 1) for item in value]
        if _is_object(value):
            return {self.text(k): self.value(item, depth + 1) for k, item in value.items()}
        return value


def _spans(forms: re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield where a text has a secret, in whichever of its readings."""
    yield from (found.span() for found in forms.finditer(text))
    for reading in readings.of(text):
        for found in forms.finditer(reading.text):
            yield reading.places[found.start()], reading.places[found.end()]


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _forms(value: str) -> set[str]:
    if len(value) < _SHORTEST:
        return set()
    forms = {value}
    if len(value) >= _SHORTEST_ENCODED:
        raw = value.encode("utf-8", "surrogatepass")
        forms |= {quote(raw, safe=""), quote(raw), quote_plus(raw), raw.hex()}
        forms |= {html.escape(value), json.dumps(value)[1:-1]}
        forms |= {json.dumps(value, ensure_ascii=False)[1:-1].replace("/", "\\/")}
        forms |= _base64(raw) | _decoded(value)
    return {form for form in forms if len(form) >= _SHORTEST}


def _base64(raw: bytes) -> set[str]:
    """Return what stands in base64 text for it wherever it begins: at each of three alignments."""
    forms: set[str] = set()
    for offset in range(3):
        padded = b"\0" * offset + raw
        # Characters at either end depend on their neighbours as well.
        start = (0, 2, 3)[offset]
        end = len(padded) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(padded).decode()
            forms.add(text[start:end])
            # Where it ends here, so does the text: its last character, too, says something.
            forms |= {text[start:], text[start:].rstrip("=")}
    return forms


def _decoded(value: str) -> set[str]:
    """Return what the value itself spells in base64, as `Basic` credentials do."""
    try:
        plain = base64.b64decode(value + "=" * (-len(value) % 4), validate=True).decode("utf-8")
    except (binascii.Error, ValueError):
        return set()
    parts = {plain, *plain.split(":", 1)[1:]} if plain.isprintable() else set[str]()
    return {part for part in parts if len(part) >= _SHORTEST_ENCODED}
