"""`schema/extra.cedarschema` → attributes of User, Agent and System that the bundle adds.

Only `entity NAME = { … };` is read, with attributes of Cedar's own types or of these entities. The
declarations are pasted into the generated schema, so nothing else may stand in the file.
"""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from bridle.bundle.parse.table import Findings
from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Kind, Source, Token, tokens, unescape
from bridle.language.plain import is_array, is_object
from bridle.model.finding import Location

FILE = "schema/extra.cedarschema"
OWN = {
    "User": {"name"},
    "Agent": {"owner", "team", "version", "author"},
    "System": {"owner", "environment", "labels"},
}
"""Attributes that Bridle itself declares."""

MAX_NESTING = 8
_DECIMAL = re.compile(r"-?[0-9]{1,14}\.[0-9]{1,4}")
_PRIMITIVE = {"String": "String", "Long": "Long", "Bool": "Bool", "Boolean": "Bool",
              "decimal": "decimal"}  # fmt: skip
_HINT = "only `entity User|Agent|System = { name: Type, … };` may stand here"


class Type(Struct, frozen=True):
    """A type: `name` is String, Long, Bool, decimal, Set (of `inner[""]`), Record (of `inner`)."""

    name: str
    inner: dict[str, Type] = {}
    optional: bool = False


class Extra(Struct, frozen=True):
    """Entity → the text of its further attributes, and → their types."""

    attributes: dict[str, str] = {}
    types: dict[str, dict[str, Type]] = {}


def read(text: str, findings: Findings) -> Extra:
    """Read the file. A mistake yields a finding and no attributes."""
    source = Source(FILE, text)
    try:
        parsed = _Parser(source, tokens(source)).run()
    except LanguageError as error:
        findings.found.append(error.finding)
        return Extra()
    return Extra({name: _pasted(types) for name, types in parsed.items()}, parsed)


def types(text: str | None) -> dict[str, dict[str, Type]]:
    """Return the declared types by entity and attribute, of a file that has been checked."""
    return read(text, Findings()).types if text is not None else {}


def check_attributes(
    extra: Extra, entity: str, given: dict[str, Any], at: Location, findings: Findings
) -> None:
    """Check the `attributes` of one user, agent or system against what the file declares."""
    declared = extra.types.get(entity, {})
    for name in given.keys() - declared.keys():
        findings.error(
            at,
            "unknown_attribute",
            f"no attribute {name[:80]!r} is declared for {entity}",
            f"declare it in {FILE}",
        )
    for name, wanted in declared.items():
        if name not in given:
            if not wanted.optional:
                findings.error(
                    at, "missing_attribute", f"the attribute {name!r} of {entity} is missing"
                )
        elif not _fits(given[name], wanted):
            findings.error(
                at, "attribute_type", f"the attribute {name!r} does not fit {_type_text(wanted)}"
            )


def _fits(value: Any, wanted: Type) -> bool:
    match wanted.name:
        case "String":
            return isinstance(value, str)
        case "Bool":
            return isinstance(value, bool)
        case "Long":
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
        case "decimal":
            return isinstance(value, str) and _DECIMAL.fullmatch(value) is not None
        case "Set":
            return is_array(value) and all(_fits(v, wanted.inner[""]) for v in value)
        case _:
            return is_object(value) and _record_fits(value, wanted)


def _record_fits(value: dict[str, Any], wanted: Type) -> bool:
    if value.keys() - wanted.inner.keys():
        return False
    return all(
        _fits(value[name], inner) if name in value else inner.optional
        for name, inner in wanted.inner.items()
    )


def _pasted(types: dict[str, Type]) -> str:
    return ", ".join(
        f"{_name(name)}{'?' if kind.optional else ''}: {_type_text(kind)}"
        for name, kind in types.items()
    )


def _type_text(kind: Type) -> str:
    if kind.name == "Set":
        return f"Set<{_type_text(kind.inner[''])}>"
    return f"{{{_pasted(kind.inner)}}}" if kind.name == "Record" else kind.name


def _name(name: str) -> str:
    return f'"{name}"'


class _Parser:
    def __init__(self, source: Source, words: list[Token]) -> None:
        self.source, self.words, self.next = source, words, 0

    def run(self) -> dict[str, dict[str, Type]]:
        found = dict[str, dict[str, Type]]()
        while self.next < len(self.words):
            self.expect("entity")
            name = self.take()
            if name.text not in OWN or name.text in found:
                raise self.fault(name, f"`{name.text[:40]}` cannot be declared here")
            self.expect("=")
            found[name.text] = self.record(1)
            for own in found[name.text].keys() & OWN[name.text]:
                raise self.fault(name, f"`{own}` of {name.text} is declared by Bridle")
            self.expect(";")
        return found

    def record(self, depth: int) -> dict[str, Type]:
        self.expect("{")
        found = dict[str, Type]()
        while not self.accept("}"):
            token = self.take()
            name = self.name(token)
            if name in found:
                raise self.fault(token, f"`{name[:40]}` stands twice here")
            optional = self.accept("?")
            self.expect(":")
            kind = self.type(depth + 1)
            found[name] = Type(kind.name, kind.inner, optional)
            if not self.accept(","):
                self.expect("}")
                break
        return found

    def type(self, depth: int) -> Type:
        token = self.take()
        if depth > MAX_NESTING:
            raise self.fault(token, "types are nested too deeply")
        if token.text == "{":
            self.next -= 1
            return Type("Record", self.record(depth))
        if token.text == "Set":
            self.expect("<")
            inner = self.type(depth + 1)
            self.expect(">")
            return Type("Set", {"": inner})
        if token.text not in _PRIMITIVE:
            raise self.fault(token, f"`{token.text[:40]}` is no type that may stand here")
        return Type(_PRIMITIVE[token.text])

    def name(self, token: Token) -> str:
        if token.kind is Kind.WORD:
            return token.text
        name = unescape(self.source, token)[0] if token.kind is Kind.STRING else "\0"
        if name.isprintable() and not set(name) & {'"', "\\"}:
            return name
        raise self.fault(token, "an attribute's name is printable, without quotes")

    def take(self) -> Token:
        if self.next >= len(self.words):
            last = self.words[-1]
            raise self.fault(last, "the file ends in the middle of a declaration")
        self.next += 1
        return self.words[self.next - 1]

    def accept(self, text: str) -> bool:
        found = self.next < len(self.words) and self.words[self.next].text == text
        self.next += found
        return found

    def expect(self, text: str) -> None:
        token = self.take()
        if token.text != text:
            raise self.fault(token, f"expected `{text}`, found `{token.text[:40]}`")

    def fault(self, token: Token, message: str) -> LanguageError:
        return fault(self.source.at(token.start), "extra_schema", message, _HINT)
