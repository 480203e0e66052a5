"""Other readings of a text: folded, unescaped, decoded, respaced. Each leads back to the original.

The views of a text are a tree of bounded depth and total size. Nothing is detected here.
"""

from __future__ import annotations

import base64
import html
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from urllib.parse import unquote

from bridle.engine.detect.expression import Expression, octets

DEPTH = 2
"""How many encodings inside one another are undone."""

# Looks through: base64 (both alphabets, with or without padding, over line breaks, from any of
# its four alignments), hex (plain or with separators), percent-encoding, HTML entities, \x and \u
# escapes, one separator between single characters, full-width and other compatibility forms,
# combining marks, zero-width and control characters.

_ESCAPES = Expression(
    rb"(?:%[0-9A-Fa-f]{2})+"
    rb"|&#[0-9]{1,7};?|&#[xX][0-9A-Fa-f]{1,6};?|&[A-Za-z][A-Za-z0-9]{1,31};"
    rb"|\\u[0-9A-Fa-f]{4}|\\u\{[0-9A-Fa-f]{1,6}\}|\\x[0-9A-Fa-f]{2}"
)
_BASE64 = Expression(rb"[A-Za-z0-9+/_-]{8,}(?:\r?\n[A-Za-z0-9+/_-]{4,})*={0,2}")
# No '@', ':' or '=' and hardly a digit encodes without one of these; prose has few such words.
_ENCODED = Expression(rb"[A-Za-z0-9+/_-](?:[A-Z0-9+/]|\n)")
_HEX = Expression(rb"(?:(?:0[xX]|\\x)?[0-9A-Fa-f]{2}[ :,-]{0,2}){5,}(?:0[xX]|\\x)?[0-9A-Fa-f]{2,3}")
_SPACED = {
    separators: Expression(
        rb"(?:^|[^A-Za-z0-9])((?:[^%(no)b][%(s)b]{1,5}){5,}[^%(no)b])(?:[^A-Za-z0-9]|$)"
        % {b"s": escaped, b"no": rb"\s" if separators == b" \t\n" else rb"\n" + escaped}
    )
    for separators, escaped in (
        (b" \t\n", rb" \t\n"), (b"-", rb"\-"), (b"_", b"_"), (b".", rb"\."), (b"*", rb"\*"),
        (b"|", rb"\|"), (b"/", b"/"), (b",", b","), (b"~", b"~"), (b"+", rb"\+"),
    )
}  # fmt: skip
_ANY_SPACED = Expression(rb"(?:^|[^A-Za-z0-9])(?:[^\n][ \t\n\-_.*|/,~+]{1,5}){5}")
_READABLE = Expression(r"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x{fffd}]{5,}")


class View:
    """One reading of a text. `octets` has one octet per code point of `text`."""

    __slots__ = ("depth", "octets", "parent", "source", "text")

    def __init__(self, text: str, source: _Source | None, parent: View | None, depth: int) -> None:
        self.text = text
        self.octets = octets(text)
        self.depth = depth
        self.source = source
        self.parent = parent

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Return which span of the original text yields this span of the view."""
        view: View | None = self
        while view is not None:
            if view.source is not None:
                start, end = view.source.span(start, end)
            view = view.parent
        return start, end


class _Source:
    """Where the pieces of a view come from: spans of its parent, read literally or as a block."""

    __slots__ = ("_made", "_pieces")

    def __init__(self, pieces: list[tuple[int, int, int, bool]]) -> None:
        self._pieces = pieces  # (offset in the view, start and end in the parent, literal)
        self._made = [p[0] for p in pieces]

    def span(self, start: int, end: int) -> tuple[int, int]:
        offset, low, high, literal = self._pieces[bisect_right(self._made, start) - 1]
        first = low + start - offset if literal else low
        offset, low, high, literal = self._pieces[bisect_right(self._made, max(start, end - 1)) - 1]
        return first, (min(high, low + end - offset) if literal else high)


class _Folded(_Source):
    """The positions of a folded text; made only when something was found in it."""

    __slots__ = ("_starts", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._starts: list[int] | None = None

    def span(self, start: int, end: int) -> tuple[int, int]:
        if self._starts is None:
            self._starts = [i for i, c in enumerate(self._text) for _ in _FOLD[ord(c)]]
        starts = self._starts
        after = starts[end] if end < len(starts) else len(self._text)
        # What was dropped behind the last character (marks, zero-width) belongs to it.
        return starts[start], max(starts[end - 1] + 1, after)


def views(text: str) -> Iterator[View]:
    """Yield every view of a text, the folded original first. Deterministic, breadth first."""
    pending = [_fold(text, None, None, 0)]
    while pending:
        view = pending.pop(0)
        yield view
        if view.depth < DEPTH:
            pending.extend(_derived(view))


def _derived(view: View) -> Iterator[View]:
    data = view.octets
    if b"%" in data or b"&" in data or b"\\" in data:
        yield from _rewritten(view, _unescaped(view))
    if _ANY_SPACED.matches(data):
        for separators in _SPACED:
            yield from _rewritten(view, _respaced(view, separators))
    if _ENCODED.matches(data):
        yield from _blocks(view, _from_base64(view))
        yield from _blocks(view, _from_hex(view))


def _fold(text: str, source: _Source | None, parent: View | None, depth: int) -> View:
    folded = text if text.isascii() and text.isprintable() else text.translate(_FOLD)
    if folded == text:
        return View(text, source, parent, depth)
    # The unfolded text is only a step on the way back.
    return View(folded, _Folded(text), View("", source, parent, depth), depth)


def _rewritten(view: View, replaced: Iterable[tuple[int, int, str, bool]]) -> Iterator[View]:
    """Yield the view with the given spans replaced, if there are any."""
    pieces: list[tuple[int, int, int, bool]] = []
    made: list[str] = []
    length = done = 0
    for start, end, text, literal in replaced:
        if start > done:
            pieces.append((length, done, start, True))
            made.append(view.text[done:start])
            length += start - done
        if text:
            pieces.append((length, start, end, literal))
            made.append(text)
            length += len(text)
        done = end
    if not done:
        return
    if done < len(view.text):
        pieces.append((length, done, len(view.text), True))
        made.append(view.text[done:])
    if pieces:
        yield _fold("".join(made), _Source(pieces), view, view.depth + 1)


def _blocks(view: View, found: Iterable[tuple[int, int, str]]) -> Iterator[View]:
    """Yield one view of everything that was decoded, a line for each piece."""
    pieces: list[tuple[int, int, int, bool]] = []
    made: list[str] = []
    length = 0
    for start, end, text in found:
        pieces.append((length, start, end, False))
        made.append(text)
        length += len(text) + 1
    if pieces:
        yield _fold("\n".join(made), _Source(pieces), view, view.depth + 1)


def _unescaped(view: View) -> Iterator[tuple[int, int, str, bool]]:
    for start, end in _ESCAPES.spans(view.octets):
        token = view.text[start:end]
        if token[0] == "%":
            plain = unquote(token, errors="replace")
        elif token[0] == "&":
            plain = html.unescape(token)
        else:
            code = int(token[2:].strip("{}"), 16)
            plain = chr(code) if code < 0x110000 else "\ufffd"
        yield start, end, plain, False


def _respaced(view: View, separators: bytes) -> Iterator[tuple[int, int, str, bool]]:
    """Yield nothing in place of each separator in a run of single characters."""
    for start, end in _SPACED[separators].spans(view.octets, 1):
        for place in range(start, end):
            if view.octets[place] in separators:
                yield place, place + 1, "", False


def _from_base64(view: View) -> Iterator[tuple[int, int, str]]:
    for start, end in _BASE64.spans(view.octets):
        run = view.octets[start:end]
        if not _ENCODED.matches(run):
            continue
        run = run.translate(_STANDARD, b"\r\n=")
        for skipped in range(4):
            body = run[skipped:]
            body = body[: len(body) - (len(body) % 4 == 1)]
            yield from _readable(start, end, base64.b64decode(body + b"=" * (-len(body) % 4)))


def _from_hex(view: View) -> Iterator[tuple[int, int, str]]:
    for start, end in _HEX.spans(view.octets):
        digits = view.octets[start:end].translate(None, b" :,-\\")
        digits = digits.replace(b"0x", b"").replace(b"0X", b"").replace(b"x", b"")
        for skipped in range(2):
            body = digits[skipped : len(digits) - (len(digits) - skipped) % 2]
            yield from _readable(start, end, bytes.fromhex(body.decode()))


def _readable(start: int, end: int, decoded: bytes) -> Iterator[tuple[int, int, str]]:
    text = decoded.replace(b"\0", b"").decode("utf-8", "replace")
    for low, high in _READABLE.text_spans(text):
        yield start, end, text[low:high]


_STANDARD = bytes.maketrans(b"-_", b"+/")

_DROPPED = frozenset({"Cf", "Mn", "Me"})
# Default-ignorable code points of other categories, and full stops of other scripts (UTS 46).
_IGNORABLE = "\u115f\u1160\u17b4\u17b5\u3164\uffa0"
_ODD = {**dict.fromkeys(_IGNORABLE, ""), "\u3002": ".", "\uff61": "."}


class _Fold(dict[int, str]):
    """Code point → the ASCII-leaning form in which patterns look for it."""

    _KEPT = 8_192

    def __missing__(self, code: int) -> str:
        folded = _folded_character(chr(code))
        if len(self) < self._KEPT:
            self[code] = folded
        return folded


def _folded_character(character: str) -> str:
    if character in _ODD:
        return _ODD[character]
    plain = unicodedata.normalize("NFKD", character)
    return "".join(map(_plain_character, plain))


def _plain_character(character: str) -> str:
    category = unicodedata.category(character)
    if category in _DROPPED or (category == "Cc" and character not in "\t\n\r"):
        return ""
    if category == "Nd":
        return str(unicodedata.decimal(character))
    by_category = {"Zs": " ", "Zl": "\n", "Zp": "\n", "Pd": "-", "Cs": "\ufffd"}
    return by_category.get(category, _ODD.get(character, character))


_FOLD = _Fold()
