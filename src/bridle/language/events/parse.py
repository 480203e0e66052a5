"""An event-schema text → its declarations. One job: syntax, and what can be told from it alone.

Derivation binds the selectors to actions. `decision`, `event` and `pin` are keywords only where
they can be nothing else. Stricter than the reference in three points: a kind is declared once, a
name once within its braces (whether or not an action ever uses it), and braces have a limit.
"""

from __future__ import annotations

from bridle.language.errors import LanguageError, fault
from bridle.language.events.ast import (
    DEFAULT_MAX_WINDOW,
    Declaration,
    Declared,
    EventSchema,
    Member,
    NamedType,
    RecordType,
    Reference,
    SelectorType,
    Spread,
)
from bridle.language.lexer import Kind, Source, Token, tokens
from bridle.language.temporal.ast import UNITS, Span

MAX_NESTING = 40
"""Braces within braces."""

_LONG = 2**63
_SPREADS = {"inputs": "input", "outputs": "output"}
_TYPES = {"principalType", "resourceType"}


def parse(source: Source) -> EventSchema:
    """Read a whole `.dwschema`. Raises `LanguageError` with the place of what is wrong."""
    return _Reader(source).schema()


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._words = tokens(source)
        self._next = 0
        self._binder = ""

    def schema(self) -> EventSchema:
        window = self._max_window()
        found = list[Declaration]()
        kinds = set[str]()
        while self._next < len(self._words):
            place = self._words[self._next]
            declared = self._declaration()
            if declared.kind in kinds:
                raise self._fault(
                    place,
                    "event_schema_duplicate",
                    f"the kind `{declared.kind}` is declared twice",
                    "put all its fields into one declaration",
                )
            kinds.add(declared.kind)
            found.append(declared)
        if not found:
            raise fault(
                self._source.at(0),
                "event_schema_empty",
                "this event schema declares no event, so nothing could ever be decided",
                "declare one, such as `decision event <A>::request { ...inputs(A) }`",
            )
        return EventSchema(tuple(found), window)

    def _max_window(self) -> int:
        if not self._at("max_window"):
            return DEFAULT_MAX_WINDOW
        self._next += 1
        self._expect("=")
        number = self._take("a number")
        if number.kind is not Kind.NUMBER:
            raise self._syntax(number, "a number")
        unit = self._take("`s`, `m`, `h` or `d`")
        if unit.text not in UNITS:
            raise self._syntax(unit, "`s`, `m`, `h` or `d`")
        digits = number.text.lstrip("0")
        if not digits or len(digits) > 19 or int(digits) >= _LONG:
            raise self._fault(
                number,
                "event_schema_window",
                "`max_window` must be more than zero and fit into 64 bits",
                "write a length such as `24h`, or leave the line out: 24h is the default",
            )
        return min(int(digits) * UNITS[unit.text], _LONG - 1)

    def _declaration(self) -> Declaration:
        first = self._words[self._next]
        decision = self._at("decision")
        self._next += decision
        self._expect("event")
        self._expect("<")
        self._binder = self._word("a name for the action")
        self._expect(">")
        self._expect("::")
        kind = self._word("the kind of the event")
        self._expect("{")
        members = self._members(1)
        span = Span(first.start, self._words[self._next - 1].end)
        return Declaration(kind, decision, members, span)

    def _members(self, depth: int) -> tuple[Member, ...]:
        found, names = list[Member](), set[str]()
        while not self._accept("}"):
            place = self._words[self._next] if self._next < len(self._words) else self._words[-1]
            member = self._member(depth)
            name = _SPREADS[member.selector] if isinstance(member, Spread) else member.name
            if name in names:
                raise self._fault(
                    place,
                    "event_schema_duplicate",
                    f"`{name}` is declared twice within these braces",
                    "`...inputs(A)` declares `input`, `...outputs(A)` declares `output`",
                )
            names.add(name)
            found.append(member)
            if not self._accept(","):
                self._expect("}")
                break
        return tuple(found)

    def _member(self, depth: int) -> Member:
        if self._at("."):
            return self._spread()
        first = self._take("a field")
        pinned = first.text == "pin" and self._is_word(0) and self._at(":", 1)
        name = self._word("the name of the field") if pinned else self._name(first, "a field")
        self._expect(":")
        kind = self._type(depth)
        pin = self._reference() if self._accept("=") else None
        if (pin is not None) != pinned or (pinned and isinstance(kind, RecordType)):
            raise self._bad_pin(first, name, pin, pinned=pinned)
        return Declared(name, kind, pin, Span(first.start, self._words[self._next - 1].end))

    def _bad_pin(
        self, first: Token, name: str, pin: Reference | None, *, pinned: bool
    ) -> LanguageError:
        if pin is None:
            hint = f"write `pin {name}: … = principal`, `resource` or `context.…`"
            message = f"`{name}` is pinned to nothing"
        elif not pinned:
            hint, message = f"write `pin {name}: … = …`", f"`{name}` has a value and no `pin`"
        else:
            hint, message = "pin a field inside it", f"`{name}` is a group, which cannot be pinned"
        return self._fault(first, "event_schema_pin", message, hint)

    def _spread(self) -> Spread:
        dots = [self._expect(".") for _ in range(3)]
        if dots[2].end - dots[0].start != 3:
            raise self._syntax(dots[0], "`...`, written together")
        selector = self._take("`inputs` or `outputs`")
        self._argument()
        if selector.text not in _SPREADS:
            hint = "`...inputs(A)` and `...outputs(A)` bring in fields"
            if selector.text in _TYPES:
                hint = f"it is a type: write `name: {selector.text}({self._binder})`"
            message = f"`{selector.text}` has no fields to bring in"
            raise self._fault(selector, "event_schema_selector", message, hint)
        return Spread(selector.text, Span(dots[0].start, self._words[self._next - 1].end))

    def _type(self, depth: int) -> SelectorType | NamedType | RecordType:
        first = self._take("a type")
        if first.text == "{":
            if depth >= MAX_NESTING:
                message = f"braces are nested more than {MAX_NESTING} deep"
                raise self._fault(first, "event_schema_too_deep", message, "flatten the fields")
            return RecordType(self._members(depth + 1))
        name = self._name(first, "a type")
        if self._at("(") and (name in _TYPES or name in _SPREADS):
            self._argument()
            if name in _SPREADS:
                hint = f"bring its fields in with `...{name}({self._binder})`"
                message = f"`{name}` is no type: it stands for several fields"
                raise self._fault(first, "event_schema_selector", message, hint)
            return SelectorType(name)
        while self._accept("::"):
            name += "::" + self._word("a name")
        return NamedType(name)

    def _argument(self) -> None:
        self._expect("(")
        given = self._take("the name of the action")
        if self._name(given, "the name of the action") != self._binder:
            raise self._fault(
                given,
                "event_schema_selector",
                f"`{given.text}` is not the action of this declaration",
                f"write `{self._binder}`",
            )
        self._expect(")")

    def _reference(self) -> Reference:
        root = self._take("`principal`, `resource` or `context`")
        if root.text not in {"principal", "resource", "context"}:
            raise self._syntax(root, "`principal`, `resource` or `context`")
        path = list[str]()
        while self._accept("."):
            path.append(self._word("a name"))
        if root.text == "context" and not path:
            message = "a field cannot be pinned to the whole context"
            raise self._fault(root, "event_schema_pin", message, "write `context.NAME`")
        return Reference(root.text, tuple(path))

    def _at(self, text: str, ahead: int = 0) -> bool:
        index = self._next + ahead
        return index < len(self._words) and self._words[index].text == text

    def _is_word(self, ahead: int) -> bool:
        index = self._next + ahead
        return index < len(self._words) and self._words[index].kind is Kind.WORD

    def _accept(self, text: str) -> bool:
        found = self._at(text)
        self._next += found
        return found

    def _expect(self, text: str) -> Token:
        token = self._take(f"`{text}`")
        if token.text != text:
            raise self._syntax(token, f"`{text}`")
        return token

    def _word(self, wanted: str) -> str:
        return self._name(self._take(wanted), wanted)

    def _name(self, token: Token, wanted: str) -> str:
        if token.kind is not Kind.WORD:
            raise self._syntax(token, wanted)
        return token.text

    def _take(self, wanted: str) -> Token:
        if self._next >= len(self._words):
            end = len(self._source.text)
            message = f"the event schema ends where {wanted} should follow"
            raise fault(self._source.at(end), "event_schema_syntax", message)
        self._next += 1
        return self._words[self._next - 1]

    def _syntax(self, token: Token, wanted: str) -> LanguageError:
        shown = token.text if len(token.text) <= 40 else token.text[:37] + "…"
        return self._fault(token, "event_schema_syntax", f"expected {wanted}, found `{shown}`")

    def _fault(self, token: Token, code: str, message: str, hint: str = "") -> LanguageError:
        return fault(self._source.at(token.start), code, message, hint)
