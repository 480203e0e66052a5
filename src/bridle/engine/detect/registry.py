"""The detectors of a bundle by name, and the search through every view of a text.

Deterministic, and bounded in time: a text that cannot be searched in full counts as one in which
everything asked for was found, and says so with the extra name `unsearched`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any

from msgspec import Struct

from bridle.bundle.bundle import Bundle, Detector
from bridle.bundle.parse.manifest import UNSEARCHED
from bridle.engine.detect.expression import Expression, PatternError, TooManyError, octets
from bridle.engine.detect.facts import Facts, Texts
from bridle.engine.detect.structured import ibans, ip_addresses, payment_cards
from bridle.engine.detect.views import View, views
from bridle.engine.detect.written import emails, phones, secrets, urls
from bridle.model.errors import BundleError

MAX_TEXT = 2**20
"""Code points of one text that are searched."""

_BUDGET, _BUDGET_FLOOR = 8, 65_536
# Code points of all views together, per code point of the text and at least.

_BUILT_IN: dict[str, Callable[[bytes], Iterator[tuple[int, int]]]] = {
    "email": emails,
    "iban": ibans,
    "ip": ip_addresses,
    "payment_card": payment_cards,
    "phone": phones,
    "secret_key": secrets,
    "url": urls,
}
BUILT_IN = tuple(_BUILT_IN)
"""The names of the built-in detectors."""

# Nothing built in can be found, in the open or encoded, in a text without any of these.
_SIGN = Expression(
    rb"[@0-9%&=:\\\xff]|[A-Za-z+/_-][A-Z]|//|[Ww]{3}"
    rb"|(?:^|[^A-Za-z0-9])(?:[^\n][ \t\n\-_.*|/,~+]{1,5}){5}"
)


class Span(Struct, frozen=True, order=True):
    """A find: code points `[start, end)` of the original text. Encoded finds are covered whole."""

    start: int
    end: int
    detector: str


class Detectors:
    """Everything that one bundle can detect. Immutable after construction."""

    __slots__ = ("_own", "_texts", "_tools", "names")

    def __init__(self, bundle: Bundle) -> None:
        self._own = {d.name: _own(d) for d in bundle.manifest.detectors}
        self.names = (*BUILT_IN, *(n for n in self._own if n not in _BUILT_IN))
        """Every name, built-in ones first."""
        self._tools = bundle.tools
        self._texts: dict[str, Texts] = {}

    def facts(self, tool: str, value: dict[str, Any]) -> Facts:
        """Return `{argument: {"length", "found"}}` of every top-level argument that has text.

        Nested strings and the keys of open objects count together; lengths are code points.
        """
        return self._of(tool).facts(value)

    def facts_output(self, tool: str, value: Any) -> Facts:
        """Return the same of a result: by property if it is typed, else under the key `value`."""
        return self._of(tool).facts_output(value)

    def find(self, text: str, names: Iterable[str] | None = None) -> list[Span]:
        """Return every find in a text, sorted; `names` defaults to all detectors.

        Spans of one detector may overlap (a find in the open and the same one decoded).
        """
        return sorted(set(self._search(text, self._wanted(names))))

    def found(self, text: str, names: Iterable[str] | None = None) -> set[str]:
        """Return only which detectors find something; cheaper than `find`."""
        wanted = self._wanted(names)
        seen: set[str] = set()
        for span in self._search(text, wanted, seen):
            seen.add(span.detector)
        return seen

    def _of(self, tool: str) -> Texts:
        texts = self._texts.get(tool)
        if texts is None:
            texts = self._texts[tool] = Texts(self._tools[tool], self.found, self.names)
        return texts

    def _wanted(self, names: Iterable[str] | None) -> tuple[str, ...]:
        if names is None:
            return self.names
        wanted = tuple(names)
        for name in wanted:
            if name not in _BUILT_IN and name not in self._own:
                raise BundleError(
                    f"there is no detector `{name}`",
                    code="unknown_detector",
                    hint=f"known here: {', '.join(self.names)}",
                )
        return wanted

    def _search(
        self, text: str, names: tuple[str, ...], enough: Collection[str] = ()
    ) -> Iterator[Span]:
        """Yield finds view by view; a detector whose name is in `enough` is not asked again."""
        if not names or not text:
            return
        own = [n for n in names if n in self._own]
        for name in own:
            yield from (Span(s, e, name) for s, e in self._own[name].text_spans(_valid(text)))
        if len(text) > MAX_TEXT:
            yield from _unsearched(text, names)
        elif _SIGN.matches(octets(text)):
            yield from self._in_views(text, names, enough)

    def _in_views(
        self, text: str, names: tuple[str, ...], enough: Collection[str]
    ) -> Iterator[Span]:
        budget = _BUDGET * len(text) + _BUDGET_FLOOR
        for view in views(text):
            budget -= len(view.text)
            wanted = [n for n in names if n not in enough]
            if not wanted:
                return
            if budget < 0:
                yield from _unsearched(text, names)
                return
            try:
                yield from self._in_view(view, wanted)
            except TooManyError:
                yield from _unsearched(text, names)
                return

    def _in_view(self, view: View, names: list[str]) -> Iterator[Span]:
        for name in names:
            built_in = _BUILT_IN.get(name)
            spans = built_in(view.octets) if built_in else self._own[name].text_spans(view.text)
            for start, end in spans:
                yield Span(*view.origin(start, end), name)


def _unsearched(text: str, names: Iterable[str]) -> Iterator[Span]:
    # INVARIANT: I2. What was not searched counts as found.
    yield from (Span(0, len(text), n) for n in (*names, UNSEARCHED))


def _own(detector: Detector) -> Expression:
    try:
        return Expression(detector.pattern, fold_case=True)
    except PatternError as e:
        raise BundleError(
            f"the pattern of detector `{detector.name}` cannot be used: {e}",
            hint="patterns are RE2: no look-around, no back-references",
        ) from e


def _valid(text: str) -> str:
    """Return text that UTF-8 can carry, with as many code points."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
