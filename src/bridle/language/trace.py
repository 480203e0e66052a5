"""Traces as the reference writes them: one event a line, with what its request was decided by.

    @<seconds> scope(principal: …, resource: …) entities(…) request_context(…)
        Ns::Action::"name"::kind(<logged fields>)

(on one line). `scope`, `entities` and `request_context` may be absent. The history holds the logged
fields; the condition of a deciding line reads its scope, entities and request context. A word that
is nothing else is a string, as for the reference. Everything is read in one pass; text that is no
trace is refused with its place.
"""

from __future__ import annotations

import re
from typing import TypeAlias

from msgspec import Struct

from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Source
from bridle.language.temporal.ast import DecimalLiteral, EntityLiteral

Value: TypeAlias = (
    "bool | int | str | EntityLiteral | DecimalLiteral | list[Value] | dict[str, Value] | None"
)
"""A value of a trace. An array keeps its order."""

MAX_DEPTH = 128
"""Arrays and records within one another, as for the reference."""

MAX_LINE = 1_000_000
"""Characters of one event."""

LONG_MIN, LONG_MAX = -(2**63), 2**63 - 1


class TracedEntity(Struct, frozen=True):
    """An entity as a line declares it. `parents` are direct ones."""

    entity: EntityLiteral
    attributes: dict[str, Value]
    parents: tuple[EntityLiteral, ...] = ()


class TracedEvent(Struct, frozen=True):
    """One line. `time` is in seconds; `namespace` ends in `Action`; `line` counts from 1."""

    time: int
    namespace: tuple[str, ...]
    action: str
    kind: str
    logged: dict[str, Value]
    context: dict[str, Value]
    scope: dict[str, Value]
    entities: tuple[TracedEntity, ...]
    line: int


# Possessive, so that a line is read in one pass whatever stands in it.
_SPACE = re.compile(r"\s*+")
_TIME = re.compile(r"@([+-]?[0-9]{1,19})\s++")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*+")
_STRING = re.compile(r'"((?:[^"\\]++|\\.)*+)"', re.DOTALL)
_ENTITY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*+(?:::[A-Za-z_][A-Za-z0-9_]*+)*+(?=::\")")
_BARE = re.compile(r"[^\s,:()\[\]{}\"]++")
_INTEGER = re.compile(r"[+-]?[0-9]++")
_DECIMAL = re.compile(r"[+-]?(?:[0-9]++\.[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?")
_CALL = re.compile(r'decimal\(\s*+"[^"\\]*+"\s*+\)')
_ESCAPE = re.compile(r"\\(?:u\{([0-9A-Fa-f_]{1,12})\}|x([0-9A-Fa-f]{1,2})|(.))", re.DOTALL)
_SIMPLE = {'"': '"', "\\": "\\", "'": "'", "n": "\n", "t": "\t", "r": "\r", "0": "\0"}
_WORDS: dict[str, Value] = {"null": None, "true": True, "false": False}


def parse(file: str, text: str) -> tuple[TracedEvent, ...]:
    """Return the events of a trace in order; empty lines are none. Raises `LanguageError`."""
    source, found, start = Source(file, text), list[TracedEvent](), 0
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            found.append(_Line(source, start, line.rstrip()).event(number))
        start += len(line) + 1
    return tuple(found)


class _Line:
    def __init__(self, source: Source, start: int, text: str) -> None:
        self.source = source
        self.start = start
        self.text = text
        self.next = 0

    def event(self, number: int) -> TracedEvent:
        if len(self.text) > MAX_LINE:
            raise self._fault(f"a line of a trace has at most {MAX_LINE} characters")
        time = self._time()
        scope = self._group("scope")
        entities = self._entities()
        context = self._group("request_context")
        action, kind = self._head()
        logged = self._members(")", 0)
        self._space()
        if self.next < len(self.text):
            raise self._fault("nothing may follow the fields of an event")
        namespace = tuple(action.type.split("::"))
        return TracedEvent(
            time, namespace, action.id, kind, logged, context, scope, entities, number
        )

    def _time(self) -> int:
        self._space()
        found = _TIME.match(self.text, self.next)
        if not found or not LONG_MIN <= int(found[1]) <= LONG_MAX:
            hint = (
                'an event is written `@12 scope(…) request_context(…) Ns::Action::"a"::request(…)`'
            )
            raise self._fault("expected `@` and the time of the event in seconds", hint)
        self.next = found.end()
        return int(found[1])

    def _group(self, name: str) -> dict[str, Value]:
        return self._members(")", 0) if self._begins(name) else {}

    def _begins(self, name: str) -> bool:
        self._space()
        if not self.text.startswith(name + "(", self.next):
            return False
        self.next += len(name) + 1
        return True

    def _head(self) -> tuple[EntityLiteral, str]:
        self._space()
        action = self._entity()
        if action is None:
            raise self._fault('expected an event, such as `Ns::Action::"name"::request(…)`')
        self._take("::")
        kind = _NAME.match(self.text, self.next)
        if kind is None:
            raise self._fault("expected the kind of the event, such as `request`")
        self.next = kind.end()
        self._take("(")
        return action, kind[0]

    def _members(self, close: str, depth: int) -> dict[str, Value]:
        """Read `name: value, …` up to `close`."""
        found: dict[str, Value] = {}
        while not self._ends(close):
            begin = self.next
            name = self._name()
            self._take(":")
            if name in found:
                raise self._fault(f"`{name}` stands here twice", at=begin)
            found[name] = self._value(depth + 1)
            self._comma(close)
        return found

    def _name(self) -> str:
        found = _NAME.match(self.text, self.next)
        if found:
            self.next = found.end()
            return found[0]
        name = self._string()
        if name is None:
            raise self._fault("expected the name of a field")
        return name

    def _value(self, depth: int) -> Value:
        self._space()
        if depth > MAX_DEPTH:
            raise self._fault(f"values are nested more than {MAX_DEPTH} deep")
        if self.text.startswith("{", self.next):
            self.next += 1
            return self._members("}", depth)
        if self.text.startswith("[", self.next):
            self.next += 1
            return self._items(depth)
        entity = self._entity()
        if entity is not None:
            return entity
        text = self._string()
        return self._bare() if text is None else text

    def _items(self, depth: int) -> list[Value]:
        found = list[Value]()
        while not self._ends("]"):
            found.append(self._value(depth + 1))
            self._comma("]")
        return found

    def _entity(self) -> EntityLiteral | None:
        found = _ENTITY.match(self.text, self.next)
        if found is None:
            return None
        self.next = found.end() + 2
        name = self._string()
        if name is None:
            raise self._fault("this string is never closed")
        return EntityLiteral(found[0], name)

    def _string(self) -> str | None:
        if not self.text.startswith('"', self.next):
            return None
        found = _STRING.match(self.text, self.next)
        if found is None:
            raise self._fault("this string is never closed")
        self.next = found.end()
        return _ESCAPE.sub(_decoded, found[1]) if "\\" in found[1] else found[1]

    def _bare(self) -> Value:
        found = _CALL.match(self.text, self.next) or _BARE.match(self.text, self.next)
        if found is None:
            raise self._fault("expected a value")
        begin, self.next = self.next, found.end()
        word = found[0]
        if word in _WORDS:
            return _WORDS[word]
        if _INTEGER.fullmatch(word):
            if len(word) > 40 or not LONG_MIN <= int(word) <= LONG_MAX:
                raise self._fault("this integer does not fit into 64 bits", at=begin)
            return int(word)
        # What Cedar would not take for a decimal is one that equals only its own spelling.
        return DecimalLiteral(word) if _DECIMAL.fullmatch(word) else word

    def _entities(self) -> tuple[TracedEntity, ...]:
        found = dict[EntityLiteral, TracedEntity]()
        if not self._begins("entities"):
            return ()
        while not self._ends(")"):
            begin = self.next
            entity = self._entity()
            if entity is None:
                raise self._fault('expected an entity, such as `Ns::User::"ana": { … }`')
            if entity in found:
                raise self._fault("this entity stands here twice", at=begin)
            self._take(":")
            self._take("{")
            attributes = self._members("}", 1)
            found[entity] = TracedEntity(entity, attributes, self._parents())
            self._comma(")")
        return tuple(found.values())

    def _parents(self) -> tuple[EntityLiteral, ...]:
        self._space()
        if not re.compile(r"in\s*+\[").match(self.text, self.next):
            return ()
        self.next = self.text.index("[", self.next)
        begin = self.next
        parents = self._value(0)
        found = (
            [p for p in parents if isinstance(p, EntityLiteral)]
            if isinstance(parents, list)
            else []
        )
        if not isinstance(parents, list) or len(found) != len(parents):
            raise self._fault("the parents of an entity are entities", at=begin)
        return tuple(found)

    def _ends(self, close: str) -> bool:
        self._space()
        if self.text.startswith(close, self.next):
            self.next += len(close)
            return True
        return False

    def _comma(self, close: str) -> None:
        """Take a comma, unless `close` is next."""
        self._space()
        if not self.text.startswith(close, self.next):
            self._take(",")

    def _take(self, wanted: str) -> None:
        self._space()
        if not self.text.startswith(wanted, self.next):
            raise self._fault(f"expected `{wanted}`")
        self.next += len(wanted)
        self._space()

    def _space(self) -> None:
        found = _SPACE.match(self.text, self.next)
        self.next = found.end() if found else self.next

    def _fault(self, message: str, hint: str = "", at: int | None = None) -> LanguageError:
        offset = self.start + (self.next if at is None else at)
        place = self.source.at(min(offset, len(self.source.text)))
        return fault(place, "trace_syntax", message, hint)


def _decoded(match: re.Match[str]) -> str:
    """Return what an escape means; one that means nothing stays as it is, as for the reference."""
    digits = match[1] or match[2]
    if digits is None:
        return _SIMPLE.get(match[3], match[0])
    code = int(digits.replace("_", "") or "110000", 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else match[0]
