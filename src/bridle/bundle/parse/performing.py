"""`http`, `egress`, `sql` of a tool → how the governor's side carries it out itself."""

from __future__ import annotations

import re
from typing import Any

from bridle.bundle.parse.table import Table
from bridle.bundle.schema.paths import Place, find
from bridle.model.credential import ExchangeCredential, HeaderCredential, PostgresCredential, Use
from bridle.model.performing import EGRESS_METHODS, Egress, HttpCall, Performance, SqlCall
from bridle.model.tool import Argument, EffectClass, System

WAYS = ("http", "egress", "sql")
CONNECT = "CONNECT"
MOST_BYTES = 16 * 1024 * 1024
MOST_ROWS = 100_000

_LONGEST_STATEMENT = 64 * 1024
_IN_PATH = re.compile(r"\{([^{}]*)\}")
_PLAIN_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/-]*")
_IN_STATEMENT = re.compile(r"%(?:%|\(([^()%]{1,128})\)s)?")
_BODILESS = ("GET", "HEAD")
_SCALARS = {"string", "integer", "number", "boolean"}

Schema = dict[str, Any]


def generated(tool: Table) -> Schema | None:
    """Return the schema of an egress tool's arguments, for one that declares none of its own."""
    if not tool.has("egress"):
        return None
    raw = tool.raw("egress")
    given = raw.get("methods") if isinstance(raw, dict) else None  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    known = (*EGRESS_METHODS, CONNECT)
    allowed: list[str] = [m for m in known if m in given] if isinstance(given, list) else []  # pyright: ignore[reportUnknownArgumentType]
    return {
        "type": "object",
        "required": ["method", "url"],
        "properties": {
            "method": {"enum": allowed or list(Egress().methods)},
            "url": {"type": "string", "pattern": r"^https?://[!-~]{1,8000}$"},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}},
            "body": {"type": "string"},
        },
        "additionalProperties": False,
    }


MEANINGS = (Argument("url", "locator"), Argument("body", "content"))
"""What the generated arguments mean, where the tool says nothing else of them."""


def read(
    tool: Table, system: System | None, schema: Schema | None, effect: EffectClass
) -> Performance | None:
    """Read how a tool is performed; None where it is not, or its declaration is wrong."""
    ways = [way for way in WAYS if tool.has(way)]
    for way in ways[1:]:
        _fault(tool, way, f"a tool is carried out in one way, and this one has `{ways[0]}` too")
    if not ways:
        return None
    way = ways[0]
    if system is not None:
        _reachable(tool, way, system)
    reader = _Reader(tool.table(way), schema or {}, effect)
    found = {"http": reader.http, "egress": reader.egress, "sql": reader.sql}[way]()
    for each in ways:
        tool.table(each)  # those that are too many are known keys all the same
    reader.table.close()
    return found


def _reachable(tool: Table, way: str, system: System) -> None:
    """A system has what its tools are performed by."""
    credential = system.credential
    if system.protocol:
        _fault(tool, way, f"{system.id} is reached through its {system.protocol} server")
    elif way == "http" and not system.url:
        _fault(tool, way, f"the system {system.id} has no `url`")
    elif way == "egress" and not system.hosts:
        _fault(tool, way, f"the system {system.id} has no `hosts`")
    elif way == "sql" and not isinstance(credential, PostgresCredential):
        _fault(tool, way, f"the system {system.id} has no credential of the broker `postgres`")
    elif credential is not None and credential.use is not Use.GOVERNOR:
        _fault(
            tool, way, f"the credential of {system.id} is for {credential.use}, not the governor"
        )
    elif way != "sql" and not isinstance(credential, HeaderCredential | ExchangeCredential | None):
        _fault(tool, way, f"the credential of {system.id} cannot stand in a header")


def _fault(tool: Table, way: str, message: str) -> None:
    tool.findings.error(
        tool.at(way),
        "not_performable",
        message,
        "`http` needs the system's `url`, `egress` its `hosts`, `sql` a postgres credential;"
        " what a tool's governor performs is opened by a credential for the `governor`",
    )


class _Reader:
    """Reads one way, against the schema of the tool's arguments."""

    def __init__(self, table: Table, schema: Schema, effect: EffectClass) -> None:
        self.table, self.schema, self.effect = table, schema, effect

    def http(self) -> Performance:
        """One request to the system's `url`."""
        method = self.table.choice("method", EGRESS_METHODS)
        path = self.table.text("path")
        query = self.table.texts("query")
        named = self._path(path) if path else []
        for index, name in enumerate(query):
            at = ("query", index)
            if name in named:
                self._bad(at, f"`{name[:80]}` stands in the path already")
            else:
                self._in_query(at, name)
        if method in _BODILESS:
            properties: dict[str, Any] = self.schema.get("properties", {})
            for name in properties:
                if name not in named and name not in query:
                    self._in_query(("method",), name)
        return HttpCall(method=method, path=path, query=query, answer_bytes=self._bytes())

    def egress(self) -> Performance:
        """Any request to the system's `hosts`."""
        known = (*EGRESS_METHODS, CONNECT)
        methods = self.table.texts("methods", Egress().methods)
        for index, method in enumerate(methods):
            if method not in known:
                self._bad(("methods", index), f"a method is one of {', '.join(known)}")
        if not methods:
            self._bad(("methods",), "`methods` names at least one")
        for name in ("method", "url"):
            self._argument((), name, {"string"}, required=True)
        return Egress(methods=methods, answer_bytes=self._bytes())

    def sql(self) -> Performance:
        """One statement in the system's database."""
        table = self.table
        statement, argument = table.text("statement"), table.text("argument")
        if bool(statement) == bool(argument):
            self._bad((), "say either `statement` or `argument`")
        elif statement:
            self._statement(statement)
        else:
            self._argument(("argument",), argument, {"string"}, required=True)
        reads = self.effect is EffectClass.READ
        readonly = table.flag("readonly", default=reads)
        if reads and not readonly:
            self._bad(("readonly",), "the tool has the effect `read`, so its statements only read")
        rows = table.integer("rows", 1_000, 1, MOST_ROWS)
        return SqlCall(statement=statement, argument=argument, readonly=readonly, rows=rows)

    def _bytes(self) -> int:
        return self.table.integer("answer_bytes", 1_000_000, 1, MOST_BYTES)

    def _path(self, path: str) -> list[str]:
        """Check a path; return the arguments in it."""
        plain = _IN_PATH.sub("x", path)
        segments = plain.split("/")
        if (
            len(path) > 2_000
            or not path.startswith("/")
            or not _PLAIN_PATH.fullmatch(plain)
            or "" in segments[1:-1]
            or {".", ".."} & set(segments)
        ):
            self._bad(("path",), "`path` is like /repos/{owner}/issues: no query, no dot segments")
        elif "}{" in path:
            self._bad(("path",), "between two arguments in `path` stands something")
        named = _IN_PATH.findall(path)
        for name in named:
            self._argument(("path",), name, {"string", "integer"}, required=True)
        return named

    def _statement(self, text: str) -> None:
        if len(text) > _LONGEST_STATEMENT or "\0" in text:
            self._bad(("statement",), f"a statement has at most {_LONGEST_STATEMENT} characters")
        for found in _IN_STATEMENT.finditer(text):
            if found[0] == "%":
                self._bad(("statement",), "`%` is written `%%`, an argument `%(name)s`")
            elif found[1]:
                self._argument(("statement",), found[1], None, required=False)

    def _in_query(self, at: tuple[str | int, ...], name: str) -> None:
        place = self._argument(at, name, _SCALARS | {"array"}, required=False)
        if place is not None and "array" in place.types:
            items = find(self.schema, (name, "[]"))
            if items is not None and not items.types <= _SCALARS:
                self._bad(at, f"`{name[:80]}` has items that a query cannot carry")

    def _argument(
        self, at: tuple[str | int, ...], name: str, types: set[str] | None, *, required: bool
    ) -> Place | None:
        """Check that an argument is declared, of these types, and there whenever it must be."""
        if not self.schema:
            return None  # reported where it is missing
        place = find(self.schema, (name,))
        if place is None:
            self.table.findings.error(
                self.table.at(*at),
                "unknown_argument",
                f"the tool has no argument `{name[:80]}`",
                "name a property of its `input`",
            )
        elif types is not None and not place.types <= types:
            allowed = ", ".join(sorted(types))
            self._bad(at, f"`{name[:80]}` may only be of these types here: {allowed}")
        elif required and place.removable:
            self._bad(
                at, f"`{name[:80]}` may be absent, and is needed here", "list it in `required`"
            )
        return place

    def _bad(self, at: tuple[str | int, ...], message: str, hint: str = "") -> None:
        self.table.findings.error(self.table.at(*at), "bad_value", message, hint)
