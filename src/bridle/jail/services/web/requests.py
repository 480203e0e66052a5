"""Requests to a proxy (RFC 9112), read in one strict form. One job: bytes in, request or refusal.

What two programs might read differently is refused: bare line feeds, folded lines, lengths that
are said twice, spaces before a colon. One request is read at a time.
"""

from __future__ import annotations

import re
import socket
import time
from typing import NoReturn

from msgspec import Struct

from bridle.model.errors import BridleError

LONGEST_HEAD = 65_536
"""Bytes of a request line and its headers."""

LONGEST_BODY = 1 << 20
"""Bytes of a request's body."""

MOST_HEADERS = 100

_CHUNK = 65_536
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
_TARGET = re.compile(r"[\x21-\x7e]{1,8000}")
_VALUE = re.compile(r"[\x20-\x7e\t\x80-\xff]*")
_LENGTH = re.compile(r"[0-9]{1,9}")
_SIZE = re.compile(r"[0-9A-Fa-f]{1,8}")
# What is said once or not at all.
_ONCE = frozenset(("content-length", "transfer-encoding", "host", "expect"))


class RequestError(BridleError):
    """Bytes that are no request to a proxy. `status` is what HTTP answers to them."""

    code = "request_malformed"

    def __init__(self, message: str, *, status: int = 400, code: str | None = None) -> None:
        super().__init__(message, code=code)
        self.status = status


class Request(Struct, frozen=True):
    """One request. `headers` are names in lower case and values, as they came."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    keep: bool = False

    def values(self, name: str) -> list[str]:
        """Return what a header (lower case) says, each time it stands there."""
        return [value for each, value in self.headers if each == name]


class Reader:
    """Reads requests from a connection. `seconds` is the time for each, once it has begun."""

    def __init__(self, connection: socket.socket, *, seconds: float) -> None:
        self._connection = connection
        self._seconds = seconds
        self._ahead = b""
        self._deadline = 0.0

    @property
    def ahead(self) -> bytes:
        """What has been received after the request that was read last."""
        return self._ahead

    def next(self) -> Request | None:
        """Return the next request; None when there is no more.

        Raises `RequestError`, and `OSError` (`TimeoutError` among them).
        """
        if not self._ahead:
            self._connection.settimeout(None)
            self._ahead = self._connection.recv(_CHUNK)
            if not self._ahead:
                return None
        self._deadline = time.monotonic() + self._seconds
        request = _head(self._until(b"\r\n\r\n", LONGEST_HEAD))
        return Request(
            request.method, request.target, request.headers, self._body(request), request.keep
        )

    def _body(self, request: Request) -> bytes:
        encoded, said = request.values("transfer-encoding"), request.values("content-length")
        if encoded and said:
            _refuse("a request says how long it is in one way")
        length = int(said[0]) if said else 0
        if length > LONGEST_BODY:
            raise RequestError("the body is too long", status=413, code="limit_exceeded")
        if (encoded or length) and request.values("expect"):
            self._connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self._chunks() if encoded else self._exactly(length)

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        whole = 0
        while True:
            line = self._until(b"\r\n", 256).decode("latin-1").partition(";")[0].rstrip(" \t")
            if not _SIZE.fullmatch(line):
                _refuse("a chunk begins with its size")
            size = int(line, 16)
            whole += size
            if whole > LONGEST_BODY:
                raise RequestError("the body is too long", status=413, code="limit_exceeded")
            if not size:
                break
            parts.append(self._exactly(size))
            if self._exactly(2) != b"\r\n":
                _refuse("a chunk ends with its line")
        # Trailers end with an empty line; what they say is not passed on.
        while self._until(b"\r\n", LONGEST_HEAD):
            pass
        return b"".join(parts)

    def _until(self, end: bytes, most: int) -> bytes:
        while (at := self._ahead.find(end)) < 0:
            if len(self._ahead) > most:
                raise RequestError("the head is too long", status=431, code="limit_exceeded")
            self._more()
        if at > most:
            raise RequestError("the head is too long", status=431, code="limit_exceeded")
        found, self._ahead = self._ahead[:at], self._ahead[at + len(end) :]
        return found

    def _exactly(self, length: int) -> bytes:
        parts, missing = [self._ahead], length - len(self._ahead)
        while missing > 0:
            self._ahead = b""
            self._more()
            parts.append(self._ahead)
            missing -= len(self._ahead)
        arrived = b"".join(parts)
        self._ahead = arrived[length:]
        return arrived[:length]

    def _more(self) -> None:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._connection.settimeout(left)
        part = self._connection.recv(_CHUNK)
        if not part:
            _refuse("the connection ended within a request")
        self._ahead += part


def _head(raw: bytes) -> Request:
    first, *lines = raw.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3:
        _refuse("a request line is a method, a URL and a version")
    method, target, version = words
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise RequestError("this proxy speaks HTTP/1.1", status=505)
    if not _TOKEN.fullmatch(method) or not _TARGET.fullmatch(target):
        _refuse("the method is no token, or the URL no ASCII text")
    if len(lines) > MOST_HEADERS:
        raise RequestError("there are too many headers", status=431, code="limit_exceeded")
    headers = tuple(_header(line) for line in lines)
    request = Request(method, target, headers)
    _check(request, version)
    wishes = ",".join([*request.values("connection"), *request.values("proxy-connection")]).lower()
    return Request(method, target, headers, keep=version == "HTTP/1.1" and "close" not in wishes)


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    value = value.strip(" \t")
    if not colon or not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
        _refuse("a header is a name, a colon and a value, on one line")
    return name.lower(), value


def _check(request: Request, version: str) -> None:
    for name in _ONCE:
        if len(request.values(name)) > 1:
            _refuse(f"the header {name} stands there twice")
    encoded, said = request.values("transfer-encoding"), request.values("content-length")
    if encoded and (encoded[0].lower() != "chunked" or version == "HTTP/1.0"):
        raise RequestError("the only transfer coding is chunked", status=501)
    if said and not _LENGTH.fullmatch(said[0]):
        _refuse("a length is a whole number")


def _refuse(why: str) -> NoReturn:
    raise RequestError(why)
