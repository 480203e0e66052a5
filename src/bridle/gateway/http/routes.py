"""What a request through a reverse proxy is as a call of a tool, or that it is none.

A path that the proxy, its upstream and this could read in different ways is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from bridle.gateway.http.messages import RequestError
from bridle.model.errors import UsageError

_METHOD = re.compile(r"[A-Z]{1,16}")
_LITERAL = re.compile(r"[A-Za-z0-9_.~@:+-]+")
_PLACE = re.compile(r"\{([a-z_][a-z0-9_]{0,63})(?::(integer))?\}")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,17}")
_LONGEST = 2_048
# What RFC 3986 lets stand in a path as it is, and escapes; no backslash, no control, no fragment.
_PATH = re.compile(r"/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*")
_QUERY = re.compile(r"(?:[A-Za-z0-9._~!$'()*,:@/?-]|%[0-9A-Fa-f]{2}|[&=+])*")


class RouteError(UsageError):
    """A route that cannot be one."""


class Route(Struct, frozen=True):
    """Requests with this method and path are calls of `tool`.

    `parts` are the path's: a text, or the name of an argument and whether it is an integer.
    `query` are the names of the parameters that may follow it, each an argument too.
    """

    method: str
    parts: tuple[str | tuple[str, bool], ...]
    tool: str
    query: frozenset[str] = frozenset()

    @property
    def shape(self) -> str:
        """The path with its arguments' names left out: no two routes have the same."""
        return "/".join(part if isinstance(part, str) else "{}" for part in self.parts)


def route(method: str, path: str, tool: str, query: Iterable[str] = ()) -> Route:
    """Return the route of a path such as `/orders/{id:integer}`. Raises `RouteError`."""
    if not _METHOD.fullmatch(method):
        raise RouteError(f"{method[:40]!r} is no method", hint="write it in capitals: GET")
    if not path.startswith("/"):
        raise RouteError("a path begins with /")
    parts = tuple(_part(each) for each in path[1:].split("/"))
    names = [part[0] for part in parts if not isinstance(part, str)] + list(query)
    if len(set(names)) != len(names):
        raise RouteError("an argument is named twice")
    return Route(method, parts, tool, frozenset(query))


def _part(text: str) -> str | tuple[str, bool]:
    if found := _PLACE.fullmatch(text):
        return found[1], bool(found[2])
    if text in (".", "..") or (text and not _LITERAL.fullmatch(text)):
        raise RouteError(
            f"{text[:40]!r} is no part of a path",
            hint="parts are plain text, {name} or {name:integer}",
        )
    return text


def call_of(routes: Iterable[Route], method: str, uri: str) -> tuple[str, dict[str, Any]]:
    """Return the tool and the arguments of a request. Raises `RequestError` (`no_route`)."""
    path, asks, query = uri.partition("?")
    parts = _parts(path)
    found = list[tuple[Route, dict[str, Any]]]()
    for each in routes:
        if each.method == method and (arguments := _matched(each, parts)) is not None:
            found.append((each, arguments))
    if not found:
        raise _none("no route of http.toml is about this method and path")
    # A part that is written out is more than one that takes any.
    most, arguments = min(
        found, key=lambda one: [not isinstance(part, str) for part in one[0].parts]
    )
    return most.tool, {**arguments, **(_queried(most, query) if asks else {})}


def _parts(path: str) -> list[str]:
    """Split a path that can be read in one way only. Raises `RequestError`."""
    if len(path) > _LONGEST or not _PATH.fullmatch(path):
        raise _none("the path is no plain one")
    parts = path[1:].split("/")
    read = [_read(part) for part in parts]
    odd = any(part in (".", "..") or ";" in part for part in read)
    # Empty parts are merged by some servers and kept by others; the last may be one.
    if odd or "" in read[:-1]:
        raise _none("the path can be read in more than one way")
    return read


def _read(part: str) -> str:
    try:
        text = unquote_to_bytes(part).decode()
    except UnicodeDecodeError:
        raise _none("the path is no UTF-8") from None
    # What is escaped twice is read twice by somebody.
    if re.search(r"[/\\%\x00-\x1f\x7f]", text):
        raise _none("the path can be read in more than one way")
    return text


def _matched(route: Route, parts: list[str]) -> dict[str, Any] | None:
    if len(route.parts) != len(parts):
        return None
    found = dict[str, Any]()
    for wanted, part in zip(route.parts, parts, strict=True):
        if isinstance(wanted, str):
            if wanted != part:
                return None
            continue
        name, whole = wanted
        if not part or (whole and not _INTEGER.fullmatch(part)):
            return None
        found[name] = int(part) if whole else part
    return found


def _queried(route: Route, query: str) -> dict[str, Any]:
    if len(query) > _LONGEST or not _QUERY.fullmatch(query):
        raise _none("the query is no plain one")
    found = dict[str, Any]()
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name not in route.query or name in found:
            raise _none(f"no route lets a query say {name[:80]!r} here, or it says it twice")
        try:
            found[name] = unquote_to_bytes(value.replace("+", " ")).decode()
        except UnicodeDecodeError:
            raise _none("the query is no UTF-8") from None
    return found


def _none(message: str) -> RequestError:
    return RequestError(403, message, code="no_route")
