"""`http.toml`: who may ask over HTTP, and what foreign requests mean as calls of tools.

format = 1

[points.flows]                  # an enforcement point: `bridle http token` makes its token
token = "sha256:…"
may = ["act"]                   # act: /v1/…, token: /v1/token, evaluate: /access/v1/…
expires = "2027-01-31T00:00:00Z"

[[routes]]                      # what a request through nginx is
method = "GET"
path = "/orders/{id:integer}"
query = ["page"]
tool = "order.read"

[authzen]                       # who decides what other enforcement points ask
mission = "desk"
agent = "gatekeeper"
[authzen.subjects.user]         # by type: the id that they say = the user of agents.toml
"u-4711" = "ana"
[authzen.tools]                 # resource type/action name = tool
"order/read" = "order.read"
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from msgspec import Struct

from bridle.bundle.parse import toml
from bridle.bundle.parse.table import Findings, Table, named
from bridle.gateway.http.routes import Route, RouteError, route
from bridle.language.errors import LanguageError
from bridle.model.errors import BundleError

MAY = ("act", "token", "evaluate")
"""What a point may do: act for what was handed to the workload, have tokens made, evaluate."""

_FORMAT = 1
_LONGEST = 1 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class Point(Struct, frozen=True):
    """An enforcement point: the digest (hex) of its token, what it may, until when (Unix time)."""

    name: str
    digest: str
    may: frozenset[str]
    expires: float | None = None


class Evaluating(Struct, frozen=True):
    """Who decides what AuthZEN's enforcement points ask, and what their words mean here."""

    mission: str
    agent: str
    subjects: Mapping[tuple[str, str], str]
    tools: Mapping[str, str]


class Config(Struct, frozen=True):
    """All of `http.toml`."""

    points: tuple[Point, ...] = ()
    routes: tuple[Route, ...] = ()
    authzen: Evaluating | None = None


def read(path: Path) -> Config:
    """Read the file. Raises `BundleError` with every finding."""
    findings = Findings()
    try:
        with path.open("rb") as file:
            data = file.read(_LONGEST + 1)
        if len(data) > _LONGEST:
            raise BundleError(f"{path} is longer than {_LONGEST:,} bytes", code="http_invalid")
        table = Table(document := toml.parse(path.name, data.decode()), findings, document.data)
    except OSError as problem:
        message = f"{path} cannot be read: {problem.strerror}"
        raise BundleError(message, code="http_invalid") from problem
    except UnicodeDecodeError as problem:
        raise BundleError(f"{path} is no UTF-8", code="http_invalid") from problem
    except LanguageError as problem:
        message = f"{path} is no TOML"
        raise BundleError(message, (problem.finding,), code="http_invalid") from problem
    config = _config(table)
    if findings.broken:
        message = f"{path} cannot be used"
        raise BundleError(message, tuple(findings.found), code="http_invalid")
    return config


def _config(table: Table) -> Config:
    if table.integer("format", 0) != _FORMAT:
        table.bad("format", f"`format` is {_FORMAT}")
    config = Config(
        points=tuple(_point(each, name) for name, each in table.tables("points")),
        routes=tuple(_routes(table)),
        authzen=_evaluating(table.table("authzen")) if table.has("authzen") else None,
    )
    digests = [point.digest for point in config.points]
    for point in config.points:
        if digests.count(point.digest) > 1:
            table.bad("points", f"{point.name!r} has the token of another point")
    table.close()
    return config


def _point(table: Table, name: str) -> Point:
    digest = table.text("token", required=True)
    if table.has("token") and not _DIGEST.fullmatch(digest):
        table.bad("token", "`token` is the digest that `bridle http token` printed, sha256:…")
    may = table.texts("may")
    if not may or not set(may) <= set(MAY):
        table.bad("may", f"`may` lists some of {', '.join(MAY)}")
    point = Point(
        named(table, name, "an enforcement point"),
        digest.removeprefix("sha256:"),
        frozenset(may),
        _time(table, "expires"),
    )
    table.close()
    return point


def _time(table: Table, key: str) -> float | None:
    if not table.has(key):
        return None
    try:
        found = datetime.fromisoformat(table.text(key))
    except ValueError:
        table.bad(key, f"`{key}` is a time such as 2027-01-31T00:00:00Z")
        return 0.0
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def _routes(table: Table) -> Iterator[Route]:
    seen = set[tuple[str, str]]()
    for each in table.array("routes"):
        method, path = each.text("method", required=True), each.text("path", required=True)
        tool, query = each.text("tool", required=True), each.texts("query")
        try:
            found = route(method, path, tool, query)
        except RouteError as problem:
            each.bad("path", problem.message, problem.hint)
        else:
            if (method, found.shape) in seen:
                each.bad("path", "another route has the same method and path")
            seen.add((method, found.shape))
            yield found
        each.close()


def _evaluating(table: Table) -> Evaluating:
    subjects = dict[tuple[str, str], str]()
    for kind, each in table.tables("subjects"):
        subjects |= {(kind, name): user for name, user in _texts(each).items()}
    tools = _texts(table.table("tools"))
    for name in tools:
        if name.count("/") != 1:
            table.bad("tools", f"{name[:80]!r} is not written resource type/action name")
    table.raw("tools")
    found = Evaluating(
        mission=table.text("mission", required=True),
        agent=table.text("agent", required=True),
        subjects=subjects,
        tools=tools,
    )
    table.close()
    return found


def _texts(table: Table) -> dict[str, str]:
    """Read a table of strings under names of any kind."""
    return {name: table.text(name) for name in table.data}
