"""A Cedar schema's text → `CedarActions`. One job: what the schema says of actions and types.

Cedar itself judges whether the schema is one. Before it is asked, what it could not survive is
refused here: it expands every name in place and recurses without a limit. Annotations are skipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import cedarpy
from msgspec import Struct

from bridle.language.errors import LanguageError, fault
from bridle.language.events.actions import (
    Action,
    ActionKey,
    CedarActions,
    EntityType,
)
from bridle.language.events.cedar_types import Named, Raw, RawRecord, RawSet, Resolver
from bridle.language.lexer import Kind, Source, Token, tokens, unescape

MAX_NESTING = 40
"""Brackets within brackets."""

_Path: TypeAlias = tuple[str, ...]
_T = TypeVar("_T")
_END = Token(Kind.PUNCTUATION, "", 0, 0)


def read(source: Source) -> CedarActions:
    """Read a Cedar schema in Cedar's own syntax.

    Raises `LanguageError` (code `cedar_schema`) where Cedar or the limits refuse it.
    """
    found = _Reader(source).schema()
    try:
        cedarpy.Schema.from_str(source.text)
    except ValueError as error:
        raise _refused(source, None, f"Cedar refuses this schema: {error}") from None
    return found


def _refused(source: Source, place: Token | None, message: str) -> LanguageError:
    location = source.at(place.start if place else 0)
    return fault(location, "policy_schema", message[:400], "mend the Cedar schema")


class _RawEntity(Struct, frozen=True):
    name: str
    namespace: str
    parents: tuple[Named, ...]
    attributes: RawRecord
    tags: Raw | None
    ids: tuple[str, ...] | None


class _RawAction(Struct, frozen=True):
    name: str
    namespace: str
    parents: tuple[tuple[str, str], ...]
    principals: tuple[Named, ...]
    resources: tuple[Named, ...]
    context: Raw


class _Reader:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._words = tokens(source)
        self._next = 0
        self._depth = 0
        self._namespace = ""
        self._entities = list[_RawEntity]()
        self._actions = list[_RawAction]()
        self._types = dict[str, tuple[str, Raw]]()
        self._declared = set[tuple[str, str]]()

    def schema(self) -> CedarActions:
        while self._next < len(self._words):
            self._annotations()
            if self._accept("namespace"):
                self._in_namespace()
            else:
                self._declaration()
        return self._resolved()

    def _in_namespace(self) -> None:
        self._namespace = "::".join(self._path())
        self._expect("{")
        while not self._accept("}"):
            self._annotations()
            self._declaration()
        self._namespace = ""

    def _declaration(self) -> None:
        if self._accept("entity"):
            self._entity()
        elif self._accept("type"):
            name = self._word()
            self._expect("=")
            self._types[self._qualified(name)] = (self._namespace, self._type())
        elif self._accept("action"):
            self._action()
        else:
            raise self._syntax(self._peek(), "`entity`, `type`, `action` or `namespace`")
        self._expect(";")

    def _entity(self) -> None:
        names = self._several(self._word)
        parents = tuple(Named(p) for p in self._types_listed()) if self._accept("in") else ()
        attributes, tags, ids = RawRecord({}), None, None
        if self._accept("enum"):
            ids = tuple(self._bracketed(self._string))
        else:
            if self._accept("=") or self._at("{"):
                attributes = self._record()
            if self._accept("tags"):
                tags = self._type()
        for name in names:
            made = _RawEntity(
                self._qualified(name), self._namespace, parents, attributes, tags, ids
            )
            self._entities.append(made)

    def _action(self) -> None:
        names = self._several(self._name)
        parents = tuple(self._groups()) if self._accept("in") else ()
        principals: tuple[Named, ...] = ()
        resources: tuple[Named, ...] = ()
        context: Raw = RawRecord({})
        if self._accept("appliesTo"):
            self._expect("{")
            while not self._accept("}"):
                label = self._word()
                self._expect(":")
                if label == "principal":
                    principals = tuple(Named(n) for n in self._types_listed())
                elif label == "resource":
                    resources = tuple(Named(n) for n in self._types_listed())
                elif label == "context":
                    context = self._type()
                if not self._accept(","):
                    self._expect("}")
                    break
        if self._accept("attributes"):
            self._record()
        for name in names:
            made = _RawAction(name, self._namespace, parents, principals, resources, context)
            self._actions.append(made)

    def _groups(self) -> list[tuple[str, str]]:
        return self._bracketed(self._group) if self._at("[") else [self._group()]

    def _group(self) -> tuple[str, str]:
        """Return the type as written (empty: none was) and the id."""
        path = [self._name()]
        while self._accept("::"):
            path.append(self._name())
        return "::".join(path[:-1]), path[-1]

    def _types_listed(self) -> list[str]:
        if self._at("["):
            return self._bracketed(lambda: "::".join(self._path()))
        return ["::".join(self._path())]

    def _type(self) -> Raw:
        if self._at("{"):
            return self._record()
        path = self._path()
        if path != ("Set",) or not self._at("<"):
            return Named("::".join(path))
        self._deeper(self._expect("<"))
        item = self._type()
        self._expect(">")
        self._depth -= 1
        return RawSet(item)

    def _record(self) -> RawRecord:
        self._deeper(self._expect("{"))
        found = dict[str, tuple[Raw, bool]]()
        while not self._accept("}"):
            self._annotations()
            name = self._name()
            optional = self._accept("?")
            self._expect(":")
            found[name] = (self._type(), not optional)
            if not self._accept(","):
                self._expect("}")
                break
        self._depth -= 1
        return RawRecord(found)

    def _annotations(self) -> None:
        while self._accept("@"):
            self._word()
            if self._accept("("):
                self._string()
                self._expect(")")

    def _deeper(self, token: Token) -> None:
        self._depth += 1
        if self._depth > MAX_NESTING:
            message = f"types are nested more than {MAX_NESTING} deep"
            raise _refused(self._source, token, message)

    def _resolved(self) -> CedarActions:
        entities = frozenset(e.name for e in self._entities)
        self._declared = {(a.namespace, a.name) for a in self._actions}
        resolver = Resolver(self._source, self._types, entities)
        for name in self._types:
            resolver.type(Named(name), "")
        return CedarActions(
            [self._resolved_action(a, resolver) for a in self._actions],
            [self._resolved_entity(e, resolver) for e in self._entities],
        )

    def _resolved_action(self, raw: _RawAction, resolver: Resolver) -> Action:
        space = raw.namespace
        return Action(
            (f"{space}::Action" if space else "Action", raw.name),
            tuple(self._parent(space, kind, name) for kind, name in raw.parents),
            tuple(dict.fromkeys(resolver.entity(n, space) for n in raw.principals)),
            tuple(dict.fromkeys(resolver.entity(n, space) for n in raw.resources)),
            resolver.type(raw.context, space),
        )

    def _parent(self, namespace: str, kind: str, name: str) -> ActionKey:
        if kind not in {"", "Action"}:
            return kind, name
        own = f"{namespace}::Action" if namespace else "Action"
        return (own if (namespace, name) in self._declared else "Action"), name

    def _resolved_entity(self, raw: _RawEntity, resolver: Resolver) -> EntityType:
        return EntityType(
            raw.name,
            tuple(resolver.entity(n, raw.namespace) for n in raw.parents),
            resolver.type(raw.attributes, raw.namespace).attributes,
            None if raw.tags is None else resolver.type(raw.tags, raw.namespace),
            raw.ids,
        )

    def _qualified(self, name: str) -> str:
        return f"{self._namespace}::{name}" if self._namespace else name

    def _several(self, one: Callable[[], str]) -> list[str]:
        found = [one()]
        while self._accept(","):
            found.append(one())
        return found

    def _bracketed(self, one: Callable[[], _T]) -> list[_T]:
        self._expect("[")
        found = list[_T]()
        while not self._accept("]"):
            found.append(one())
            if not self._accept(","):
                self._expect("]")
                break
        return found

    def _path(self) -> _Path:
        path = [self._word()]
        while self._accept("::"):
            path.append(self._word())
        return tuple(path)

    def _name(self) -> str:
        return self._string() if self._peek().kind is Kind.STRING else self._word()

    def _word(self) -> str:
        token = self._take()
        if token.kind is not Kind.WORD:
            raise self._syntax(token, "a name")
        return token.text

    def _string(self) -> str:
        token = self._take()
        if token.kind is not Kind.STRING:
            raise self._syntax(token, "a string")
        return unescape(self._source, token)[0]

    def _peek(self) -> Token:
        return self._words[self._next] if self._next < len(self._words) else _END

    def _at(self, text: str) -> bool:
        return self._peek().text == text

    def _take(self) -> Token:
        if self._next >= len(self._words):
            raise _refused(self._source, None, "the Cedar schema ends too early")
        self._next += 1
        return self._words[self._next - 1]

    def _accept(self, text: str) -> bool:
        found = self._at(text)
        self._next += found
        return found

    def _expect(self, text: str) -> Token:
        token = self._take()
        if token.text != text:
            raise self._syntax(token, f"`{text}`")
        return token

    def _syntax(self, token: Token, wanted: str) -> LanguageError:
        shown = token.text if len(token.text) <= 40 else token.text[:37] + "…"
        return _refused(self._source, token, f"expected {wanted}, found `{shown}`")
