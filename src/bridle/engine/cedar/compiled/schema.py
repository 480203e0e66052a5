"""The schema as Cedar prints it → which requests it takes, action by action.

Reads the one form that Cedar's printer gives what Cedar's parser has understood: entities and
actions without namespaces, common types before whatever names them. An action whose types are not
understood exactly is left out, and a schema that is not understood at all raises `Unsupported`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from bridle.engine.cedar.compiled import forms
from bridle.engine.cedar.compiled.forms import Field, Read
from bridle.engine.cedar.compiled.values import Unsupported

MAX_NESTING = 50
"""Types nested deeper are left to Cedar, whose JSON reader has a limit of its own."""

_TOKEN = re.compile(
    r'\s+|(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<text>"[^"\\]*")|(?P<mark>::|[{}\[\]<>,:;?=])'
)
_PLAIN: dict[str, Read] = {
    "String": forms.string,
    "Long": forms.long,
    "Bool": forms.boolean,
    "decimal": forms.fixed,
}
_BUILT_IN = {*_PLAIN, "Set", "Boolean", "Record", "Entity", "Extension", "EntityOrCommon",
             "ipaddr", "datetime", "duration"}  # fmt: skip


class Applies(Struct, frozen=True):
    """What an action's requests look like: their types, and the reader of their context."""

    principals: frozenset[str]
    resources: frozenset[str]
    context: Read


def requests(printed: str) -> dict[str, Applies]:
    """Return what each action takes. An action that applies to nothing is left out."""
    return _Printed(_tokens(printed)).actions()


def _tokens(text: str) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise Unsupported
        if match.lastgroup:
            found.append(match[0])
        at = match.end()
    return found


class _Printed:
    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._next = 0
        self._entities: set[str] = set()
        self._common: dict[str, Read] = {}
        self._named: set[str] = set()

    def actions(self) -> dict[str, Applies]:
        found: dict[str, Applies] = {}
        while self._next < len(self._tokens):
            if self._accept("entity"):
                self._entity()
            elif self._accept("type"):
                self._common_type()
            else:
                self._expect("action")
                name = _unquoted(self._take())
                made = self._action()
                if made is not None:
                    found[name] = made
        # A name that two of them have could mean either.
        known = [*self._entities, *self._common, *_BUILT_IN]
        if len(set(known)) < len(known) or not self._named <= self._entities:
            raise Unsupported
        return found

    def _common_type(self) -> None:
        name = self._word()
        self._expect("=")
        # Two types of one name, or one that is used before it is declared, are not understood.
        if name in self._common or name in self._named:
            raise Unsupported
        self._common[name] = self._type(0)
        self._expect(";")

    def _entity(self) -> None:
        self._entities.add(self._word())
        if self._accept("in"):
            self._list(self._word)
        if self._accept("="):
            self._record(0)
        if self._accept("tags"):
            self._type(0)
        self._expect(";")

    def _action(self) -> Applies | None:
        if self._accept("in"):
            self._list(self._group)
        made = None
        if self._accept("appliesTo"):
            self._expect("{")
            principals = self._types("principal")
            self._expect(",")
            resources = self._types("resource")
            self._expect(",")
            self._label("context")
            made = Applies(principals, resources, forms.record(self._record(0)))
            self._expect("}")
        self._expect(";")
        return made

    def _group(self) -> str:
        self._expect("Action")
        self._expect("::")
        return _unquoted(self._take())

    def _types(self, label: str) -> frozenset[str]:
        self._label(label)
        return frozenset(self._list(self._entity_type))

    def _label(self, label: str) -> None:
        self._expect(label)
        self._expect(":")

    def _entity_type(self) -> str:
        name = self._word()
        self._named.add(name)
        return name

    def _type(self, depth: int) -> Read:
        if depth > MAX_NESTING:
            raise Unsupported
        if self._tokens[self._next : self._next + 1] == ["{"]:
            return forms.record(self._record(depth + 1))
        name = self._word()
        if name == "Set":
            self._expect("<")
            item = self._type(depth + 1)
            self._expect(">")
            return forms.many(item)
        if name in _PLAIN:
            return _PLAIN[name]
        if name in self._common:
            return self._common[name]
        self._named.add(name)
        return forms.entity(name)

    def _record(self, depth: int) -> dict[str, Field]:
        found: dict[str, Field] = {}
        self._expect("{")
        while not self._accept("}"):
            name = self._attribute()
            if name in found:
                raise Unsupported
            optional = self._accept("?")
            self._expect(":")
            found[name] = Field(self._type(depth), required=not optional)
            if not self._accept(","):
                self._expect("}")
                break
        return found

    def _attribute(self) -> str:
        token = self._take()
        name = _unquoted(token) if token.startswith('"') else _name(token)
        # Cedar's JSON gives these keys a meaning of their own.
        if name.startswith("__"):
            raise Unsupported
        return name

    def _list(self, one: Callable[[], str]) -> list[str]:
        self._expect("[")
        found = [one()]
        while self._accept(","):
            found.append(one())
        self._expect("]")
        return found

    def _word(self) -> str:
        return _name(self._take())

    def _take(self) -> str:
        if self._next >= len(self._tokens):
            raise Unsupported
        self._next += 1
        return self._tokens[self._next - 1]

    def _accept(self, token: str) -> bool:
        found = self._next < len(self._tokens) and self._tokens[self._next] == token
        self._next += found
        return found

    def _expect(self, token: str) -> None:
        if self._take() != token:
            raise Unsupported


def _name(token: str) -> str:
    if not (token[0].isalpha() or token[0] == "_"):
        raise Unsupported
    return token


def _unquoted(token: str) -> str:
    if not token.startswith('"'):
        raise Unsupported
    return token[1:-1]
