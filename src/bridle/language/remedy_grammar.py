"""The grammar of `@modify` and `@hold`: annotation text → typed remedies, or a located error.

    modify := operator (";" operator)*
    path   := ("input" | "output") ("." name | "[]")*      name := identifier or "JSON string"

Whether a path exists and an operator fits its type depends on tools and is checked with the bundle.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NoReturn

import re2

from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Source
from bridle.language.plain import is_array, is_object
from bridle.language.remedy import (
    Clamp,
    Drop,
    Mask,
    Modify,
    Path,
    Redact,
    Replace,
    SetTo,
    Truncate,
)
from bridle.language.source import Annotation

MAX_OPERATORS = 32
"""Operators in one `@modify`."""

_LONG = 2**63
_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,4})?(?![0-9])")
_COUNT = re.compile(r"[0-9]{1,9}(?![0-9])")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_REGEX = re.compile(r"/((?:[^/\\\n]|\\.)++)/")
_TEXT = re.compile(r"[^;]*")
_DETECTOR = re.compile(r"[a-z][a-z0-9_]*")
_GROUP = re.compile(r"[A-Za-z0-9_.@+-]+")
_HINT = "see the policy guide: set, drop, clamp, truncate, redact, mask, replace"


def parse_modify(source: Source, annotation: Annotation) -> tuple[Modify, ...]:
    """Parse the text of a `@modify`. Raises `LanguageError` with the place of the first mistake."""
    cursor = _Cursor(source, annotation)
    found = [_operator(cursor)]
    while cursor.accept(";"):
        if not cursor.at_end():
            found.append(_operator(cursor))
        if len(found) > MAX_OPERATORS:
            cursor.fail(f"a @modify has at most {MAX_OPERATORS} operators")
    if not cursor.at_end():
        cursor.fail("expected `;` or the end here")
    return tuple(found)


def parse_hold(source: Source, annotation: Annotation) -> tuple[tuple[str, int], ...]:
    """Parse `group, group:n`. A count of 0 stands for the group's own `need`."""
    cursor = _Cursor(source, annotation, "hold_syntax", 'write @hold("group") or @hold("group:2")')
    found = dict[str, int]()
    while True:
        group = cursor.match(_GROUP, "the name of an approver group")[0]
        if group in found:
            cursor.fail(f"the group {group} is named twice")
        found[group] = _need(cursor) if cursor.accept(":") else 0
        if not cursor.accept(","):
            break
    if not cursor.at_end():
        cursor.fail("expected `,` or the end here")
    return tuple(found.items())


def _need(cursor: _Cursor) -> int:
    text = cursor.match(_COUNT, "how many humans")[0]
    need = int(text)
    if need < 1:
        cursor.offset -= len(text)
        cursor.fail("at least one human has to approve")
    return need


class _Cursor:
    """A position in an annotation's text that can say where in the file it stands."""

    def __init__(
        self,
        source: Source,
        annotation: Annotation,
        code: str = "modify_syntax",
        hint: str = _HINT,
    ) -> None:
        self.source, self.annotation, self.code, self.hint = source, annotation, code, hint
        self.text, self.offset = annotation.value, 0

    def blank(self) -> None:
        found = _SPACE.match(self.text, self.offset)
        self.offset = found.end() if found else self.offset

    def at_end(self) -> bool:
        self.blank()
        return self.offset >= len(self.text)

    def accept(self, text: str) -> bool:
        self.blank()
        if not self.text.startswith(text, self.offset):
            return False
        self.offset += len(text)
        return True

    def expect(self, text: str) -> None:
        if not self.accept(text):
            self.fail(f"expected `{text}` here")

    def match(self, pattern: re.Pattern[str], wanted: str, *, blank: bool = True) -> re.Match[str]:
        if blank:
            self.blank()
        found = pattern.match(self.text, self.offset)
        if found is None:
            self.fail(f"expected {wanted} here")
        self.offset = found.end()
        return found

    def fail(self, message: str, code: str = "") -> NoReturn:
        raise self.error(message, code)

    def error(self, message: str, code: str = "") -> LanguageError:
        places = self.annotation.places
        place = (
            self.source.at(places[min(self.offset, len(places) - 1)])
            if places
            else self.annotation.location
        )
        return fault(place, code or self.code, message, self.hint)


def _operator(cursor: _Cursor) -> Modify:
    cursor.blank()
    start = cursor.offset
    name = cursor.match(_WORD, "an operator")[0]
    build = _OPERATORS.get(name)
    if build is None:
        cursor.offset = start
        cursor.fail(f"there is no operator `{name[:40]}`")
    return build(cursor, _path(cursor))


def _path(cursor: _Cursor) -> Path:
    root = cursor.match(_WORD, "a path that begins with `input` or `output`")[0]
    if root not in {"input", "output"}:
        cursor.offset -= len(root)
        cursor.fail("a path begins with `input` or `output`")
    steps = list[str]()
    while cursor.offset < len(cursor.text):
        if cursor.text.startswith("[]", cursor.offset):
            cursor.offset += 2
            steps.append("[]")
        elif cursor.text[cursor.offset] == "." and not cursor.text.startswith("..", cursor.offset):
            cursor.offset += 1
            steps.append(_name(cursor))
        else:
            break
    return Path(root, tuple(steps))


def _name(cursor: _Cursor) -> str:
    if cursor.text.startswith('"', cursor.offset):
        return _string(cursor)
    return cursor.match(_WORD, "the name of an argument", blank=False)[0]


def _string(cursor: _Cursor) -> str:
    start = cursor.offset
    found = cursor.match(_STRING, 'a string in `"`', blank=False)
    try:
        return str(json.loads(found[0]))
    except ValueError:
        cursor.offset = start
        cursor.fail("this is no JSON string")


def _set(cursor: _Cursor, path: Path) -> Modify:
    cursor.blank()
    start = cursor.offset
    try:
        value, cursor.offset = _DECODER.raw_decode(cursor.text, cursor.offset)
        return SetTo(path, _exact(value))
    except (ValueError, RecursionError) as error:
        cursor.offset = start
        message = str(error) if isinstance(error, _InexactError) else "expected a JSON value here"
        raise cursor.error(message) from None


def _drop(_cursor: _Cursor, path: Path) -> Modify:
    return Drop(path)


def _clamp(cursor: _Cursor, path: Path) -> Modify:
    cursor.blank()
    start = cursor.offset
    low = None if cursor.accept("..") else _number(cursor)
    if low is not None:
        cursor.expect("..")
    high = None if cursor.at_end() or cursor.text[cursor.offset] == ";" else _number(cursor)
    if low is None and high is None:
        cursor.fail("a range needs at least one end")
    if low is not None and high is not None and low > high:
        cursor.offset = start
        cursor.fail("this range is empty: its low end lies above its high end")
    return Clamp(path, low, high)


def _number(cursor: _Cursor) -> int | Decimal:
    cursor.blank()
    start = cursor.offset
    text = cursor.match(_NUMBER, "a number with at most four decimals")[0]
    value = Decimal(text) if "." in text else int(text)
    if not _fits(value):
        cursor.offset = start
        cursor.fail("this number is out of range")
    return value


def _truncate(cursor: _Cursor, path: Path) -> Modify:
    return Truncate(path, int(cursor.match(_COUNT, "a length")[0]))


def _mask(cursor: _Cursor, path: Path) -> Modify:
    cursor.expect("keep")
    return Mask(path, int(cursor.match(_COUNT, "how many characters to keep")[0]))


def _redact(cursor: _Cursor, path: Path) -> Modify:
    cursor.expect(":")
    found = [cursor.match(_DETECTOR, "the name of a detector")[0]]
    while cursor.accept(","):
        found.append(cursor.match(_DETECTOR, "the name of a detector")[0])
    return Redact(path, tuple(dict.fromkeys(found)))


def _replace(cursor: _Cursor, path: Path) -> Modify:
    cursor.blank()
    start = cursor.offset
    pattern = cursor.match(_REGEX, "a pattern between slashes")[1].replace("\\/", "/")
    end = cursor.offset
    if not compiles(pattern):
        cursor.offset = start
        cursor.fail("this is no re2 pattern (no look-around, no back-references)", "bad_pattern")
    cursor.offset = end
    if not (cursor.accept("->") or cursor.accept("→")):
        cursor.fail("expected `->` here")
    cursor.blank()
    if cursor.text.startswith('"', cursor.offset):
        return Replace(path, pattern, _string(cursor))
    return Replace(path, pattern, cursor.match(_TEXT, "a text")[0].rstrip())


def compiles(pattern: str) -> bool:
    """Whether re2 accepts a pattern, within its memory budget."""
    engine: Any = re2
    options = engine.Options()
    options.log_errors = False
    try:
        engine.compile(pattern, options)
    except (engine.error, UnicodeError):
        return False
    return True


class _InexactError(ValueError):
    """A JSON value that a decision could not carry exactly."""


def _exact(value: Any) -> Any:
    if isinstance(value, int | Decimal) and not isinstance(value, bool) and not _fits(value):
        raise _InexactError("numbers are 64-bit integers, or have at most four decimals")
    for inner in value.values() if is_object(value) else ():
        _exact(inner)
    for inner in value if is_array(value) else ():
        _exact(inner)
    return value


def _fits(value: int | Decimal) -> bool:
    if isinstance(value, int):
        return -_LONG <= value < _LONG
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and -4 <= exponent <= 0 and abs(value) < _LONG // 10_000


def _constant(_text: str) -> NoReturn:
    raise _InexactError("NaN and infinities are no JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key for key, _ in pairs}) != len(pairs):
        raise _InexactError("a key stands twice in this object")
    return dict(pairs)


_DECODER = json.JSONDecoder(
    parse_float=Decimal, parse_constant=_constant, object_pairs_hook=_unique
)

_OPERATORS: dict[str, Callable[[_Cursor, Path], Modify]] = {
    "set": _set,
    "drop": _drop,
    "clamp": _clamp,
    "truncate": _truncate,
    "mask": _mask,
    "redact": _redact,
    "replace": _replace,
}
