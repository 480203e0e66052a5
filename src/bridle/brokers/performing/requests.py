"""Requests as they are sent: headers checked, and what the tool's arguments become in them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, TypeGuard, cast
from urllib.parse import quote, urlencode

from msgspec import Struct

from bridle.brokers.performing import places
from bridle.brokers.performing.failures import UnreachedError
from bridle.brokers.performing.places import Place
from bridle.model.performing import EGRESS_METHODS, HttpCall

CONNECT = "CONNECT"

_BODYLESS = ("GET", "HEAD")
_MOST_HEADERS = 64
_LONGEST_HEADER = 8_192
# RFC 9110, field names; an underscore is a dash to some programs (CGI), so it is none here.
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^`|~-]{1,128}")
_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?|")
_PLACEHOLDER = re.compile(r"\{([A-Za-z0-9_.-]+)\}")

# What belongs to one connection, or is ours to say: left out.
_OURS = frozenset(
    (
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "upgrade",
    )
)
# What would say who asks, or where a message ends: refused. So is what has some servers take
# another method, path or host than those that rules have judged.
_REFUSED = frozenset(
    (
        "authorization",
        "forwarded",
        "transfer-encoding",
        "via",
        "x-host",
        "x-http-host-override",
        "x-http-method",
        "x-http-method-override",
        "x-method-override",
        "x-original-host",
        "x-original-method",
        "x-original-uri",
        "x-original-url",
        "x-real-ip",
        "x-rewrite-url",
    )
)
_REFUSED_FAMILY = "x-forwarded"


class Request(Struct, frozen=True, kw_only=True):
    """One request. `headers` are those beside what every request has; `body` empty: none."""

    method: str
    place: Place
    headers: dict[str, str] = {}
    body: bytes = b""

    def lines(self, extra: Mapping[str, str]) -> bytes:
        """Return it as it is sent, with `extra` headers, which replace others."""
        base = {"Host": self.place.authority, "User-Agent": "bridle", "Accept": "*/*"}
        named = {"accept-encoding": ("Accept-Encoding", "identity")}
        named["connection"] = ("Connection", "close")
        for headers in (base, self.headers, extra):
            named |= {name.lower(): (name, value) for name, value in headers.items()}
        if self.body or self.method not in _BODYLESS:
            named["content-length"] = ("Content-Length", str(len(self.body)))
        lines = [f"{self.method} {self.place.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in named.values()]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + self.body


def header(name: object, value: object) -> tuple[str, str]:
    """Return a header that may be sent. Raises `UnreachedError` (`header_refused`)."""
    # INVARIANT: no text of an agent's ends a line of a request.
    good = isinstance(name, str) and isinstance(value, str)
    if not good or not _NAME.fullmatch(cast("str", name)):
        raise _odd_header()
    if len(cast("str", value)) > _LONGEST_HEADER or not _VALUE.fullmatch(cast("str", value)):
        raise _odd_header()
    return cast("str", name), cast("str", value)


def of_tool(call: HttpCall, url: str, arguments: Mapping[str, Any]) -> Request:
    """Return the request that a tool's declaration makes of its arguments.

    Raises `UnreachedError` for an argument that cannot stand where it is to go.
    """
    base, left = places.read(url), dict(arguments)

    def segment(match: re.Match[str]) -> str:
        return _segment(arguments.get(match[1]), left, match[1])

    path = base.target.partition("?")[0].rstrip("/") + _PLACEHOLDER.sub(segment, call.path)
    places.check_path(path or "/")
    bodyless = call.method in _BODYLESS
    asked = {name: left.pop(name) for name in tuple(left) if bodyless or name in call.query}
    query = urlencode(_pairs(asked), quote_via=quote)
    target = (path or "/") + (f"?{query}" if query else "")
    headers, body = ({}, b"") if bodyless or not left else _json(left)
    place = Place(base.scheme, base.host, base.port, target)
    return Request(method=call.method, place=place, headers=headers, body=body)


def of_agent(arguments: Mapping[str, Any], *, opened: str = "") -> Request:
    """Return the request that an agent has written: `method`, `url`, `headers`, `body`.

    `opened` is the header of the system's credential, which nobody else may set. Raises
    `UnreachedError`.
    """
    method, body = arguments.get("method"), arguments.get("body", "")
    if method not in (*EGRESS_METHODS, CONNECT):
        raise UnreachedError("this method is not carried out", code="argument_refused")
    if not isinstance(body, str):
        raise UnreachedError("a body is text", code="argument_refused")
    headers: object = arguments.get("headers") or {}
    if not _is_object(headers) or len(headers) > _MOST_HEADERS:
        raise _odd_header()
    kept = _own(headers, opened.lower())
    return Request(
        method=method,
        place=places.written(arguments.get("url")),
        headers=kept,
        body=body.encode("utf-8", "backslashreplace"),
    )


def _own(headers: dict[str, Any], opened: str) -> dict[str, str]:
    kept: dict[str, str] = {}
    for name, value in (header(*each) for each in headers.items()):
        plain = name.lower()
        # INVARIANT: I9 — an agent brings no authority of its own, and none beside the system's.
        refused = plain in _REFUSED or plain.startswith(_REFUSED_FAMILY)
        if refused or plain == opened or (opened and plain == "cookie"):
            raise UnreachedError("this header is not an agent's to set", code="header_refused")
        if plain in (known.lower() for known in kept):
            raise _odd_header()
        if plain not in _OURS:
            kept[name] = value
    return kept


def _segment(value: Any, left: dict[str, Any], name: str) -> str:
    """Return an argument as one segment of a path, however often it is decoded on its way."""
    left.pop(name, None)
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _odd_argument(name)
    text = str(value)
    read = places.decodings(text)[-1:]
    if not text or not read or not places.dotless(text) or "/" in read[0] or "\\" in read[0]:
        raise _odd_argument(name)
    return quote(text, safe="")


def _pairs(asked: dict[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in asked.items():
        if value is None:
            continue
        values = value if _is_list(value) else [value]
        for each in values:
            if not isinstance(each, str | bool | int | float):
                raise _odd_argument(name)
            pairs.append((name, each if isinstance(each, str) else json.dumps(each)))
    return pairs


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)


def _is_list(value: Any) -> TypeGuard[list[Any]]:
    return isinstance(value, list)


def _json(values: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    text = json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return {"Content-Type": "application/json"}, text.encode("utf-8", "backslashreplace")


def _odd_argument(name: str) -> UnreachedError:
    return UnreachedError(
        f"the argument {name!r} cannot stand where the request has it", code="argument_refused"
    )


def _odd_header() -> UnreachedError:
    return UnreachedError("a header is a name and a line of ASCII text", code="header_refused")
