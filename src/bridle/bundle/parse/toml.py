"""TOML text → plain data and the place of every key. `tomllib` judges the text; we only add places.

Where this cannot tell a place it says so (line 0); it never changes what `tomllib` read.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from decimal import Decimal
from typing import Any

from msgspec import Struct

from bridle.language.errors import LanguageError, fault
from bridle.model.finding import Location

KeyPath = tuple[str | int, ...]

MAX_NESTING = 64
"""Brackets within brackets, and parts of a dotted key."""

_KEY = re.compile(r"""[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'""")
_BLANK = re.compile(r"[ \t]*+")
_SKIP = re.compile(r"(?:[ \t\r\n]++|\#[^\n]*+)*+")
_STRING = re.compile(
    r'''"""(?:[^"\\]|\\.|"(?!""))*+"{3,5}'''
    r"""|'''(?:[^']|'(?!''))*+'{3,5}"""
    r"""|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+'""",
    re.DOTALL,
)
_BARE = re.compile(r"[^,\]}\n#]*+")
_LINE = re.compile(r"\(at line (\d+), column (\d+)\)")
_DEEP_KEY = re.compile(
    r"""(?m)(?:^|[][{,])[ \t]*+"""
    r"""(?:(?:[A-Za-z0-9_-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){64}"""
)


class Document(Struct, frozen=True):
    """A parsed file: its data (fractions as `Decimal`) and the places of its keys."""

    file: str
    data: dict[str, Any]
    places: dict[KeyPath, Location]

    def at(self, path: KeyPath) -> Location:
        """Return the place of a key, or of the nearest thing around it that has one."""
        for length in range(len(path), 0, -1):
            found = self.places.get(path[:length])
            if found is not None:
                return found
        return Location(self.file)


def parse(file: str, text: str) -> Document:
    """Parse TOML. Raises `LanguageError` with `toml_syntax`."""
    _refuse_depth(file, text)
    try:
        data = tomllib.loads(text, parse_float=_decimal)
    except tomllib.TOMLDecodeError as error:
        raise _syntax(file, str(error)) from None
    except (RecursionError, ValueError, ArithmeticError) as error:
        raise fault(Location(file), "toml_syntax", f"this is no TOML: {error}") from None
    try:
        places = _Scanner(file, text).run()
    except (_LostError, RecursionError):
        places = {}
    return Document(file, data, places)


def _decimal(text: str) -> Decimal:
    return Decimal(text.replace("_", ""))


def _syntax(file: str, message: str) -> LanguageError:
    found = _LINE.search(message)
    place = Location(file, int(found[1]), int(found[2])) if found else Location(file)
    return fault(place, "toml_syntax", f"this is no TOML: {_LINE.sub('', message).strip()}")


def _refuse_depth(file: str, text: str) -> None:
    """Refuse what costs `tomllib` quadratic time or its stack, before it sees it."""
    if _DEEP_KEY.search(text):
        raise fault(Location(file), "toml_syntax", f"a key has more than {MAX_NESTING} parts")


class _LostError(Exception):
    """The scanner does not understand the text; places stay unknown."""


class _Scanner:
    """Walks text that `tomllib` has accepted, and notes where each key begins."""

    def __init__(self, file: str, text: str) -> None:
        self.file, self.text, self.offset = file, text, 0
        self.places: dict[KeyPath, Location] = {}
        self.counts: dict[KeyPath, int] = {}
        self._starts = [0, *(m.end() for m in re.finditer("\n", text))]

    def run(self) -> dict[KeyPath, Location]:
        table: KeyPath = ()
        while True:
            self._match(_SKIP)
            if self.offset >= len(self.text):
                return self.places
            if self.text[self.offset] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        start = self.offset
        many = self.text.startswith("[[", start)
        self.offset += 2 if many else 1
        path: KeyPath = ()
        keys = self._keys()
        for index, (key, _) in enumerate(keys):
            path = (*path, key)
            if many and index == len(keys) - 1:
                self.places.setdefault(path, self._at(start))
                self.counts[path] = self.counts.get(path, -1) + 1
            if path in self.counts:
                path = (*path, self.counts[path])
            self.places.setdefault(path, self._at(start))
        self._expect("]]" if many else "]")
        return path

    def _pair(self, table: KeyPath) -> None:
        path = table
        for key, start in self._keys():
            path = (*path, key)
            self.places.setdefault(path, self._at(start))
        self._expect("=")
        self._value(path)

    def _keys(self) -> list[tuple[str, int]]:
        found = list[tuple[str, int]]()
        while True:
            self._match(_BLANK)
            start = self.offset
            found.append((self._key(self._match(_KEY)), start))
            self._match(_BLANK)
            if not self.text.startswith(".", self.offset):
                return found
            self.offset += 1

    @staticmethod
    def _key(text: str) -> str:
        if text[:1] == "'":
            return text[1:-1]
        if text[:1] == '"' and "\\" in text:
            return next(iter(tomllib.loads(f"{text} = 0")))
        return text.strip('"')

    def _value(self, path: KeyPath) -> None:
        self._match(_SKIP)
        char = self.text[self.offset : self.offset + 1]
        if char == "[":
            self._array(path)
        elif char == "{":
            self._inline(path)
        elif char in {'"', "'"}:
            self._match(_STRING)
        else:
            self._match(_BARE)

    def _array(self, path: KeyPath) -> None:
        self.offset += 1
        index = 0
        while True:
            self._match(_SKIP)
            if self._accept("]"):
                return
            element = (*path, index)
            self.places.setdefault(element, self._at(self.offset))
            self._value(element)
            self._match(_SKIP)
            self._accept(",")
            index += 1

    def _inline(self, path: KeyPath) -> None:
        self.offset += 1
        while True:
            self._match(_SKIP)
            if self._accept("}"):
                return
            self._pair(path)
            self._match(_SKIP)
            self._accept(",")

    def _match(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self.text, self.offset)
        if found is None:
            raise _LostError
        self.offset = found.end()
        return found[0]

    def _accept(self, text: str) -> bool:
        if self.offset >= len(self.text):
            raise _LostError
        if not self.text.startswith(text, self.offset):
            return False
        self.offset += len(text)
        return True

    def _expect(self, text: str) -> None:
        self._match(_BLANK)
        if not self._accept(text):
            raise _LostError

    def _at(self, offset: int) -> Location:
        line = bisect_right(self._starts, offset)
        return Location(self.file, line, offset - self._starts[line - 1] + 1)
