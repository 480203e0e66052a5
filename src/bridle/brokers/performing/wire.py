"""One request over one connection, and its answer read within bounds of size and time.

No redirect is followed, no proxy of the environment used, no cookie kept, no answer decompressed.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import ssl
from functools import cache
from typing import Any

from msgspec import Struct

from bridle.brokers.performing import addresses
from bridle.brokers.performing.failures import PerformError, UnreachedError
from bridle.brokers.performing.places import Place
from bridle.brokers.performing.stopping import Stop

# Beside the answer itself: lines of status and headers, and what chunks are wrapped in.
_OVERHEAD = 1_000_000
_WRAPPING = 8
_MOST_INTERIM = 10
_PART = 65_536


class Answer(Struct, frozen=True):
    """What a server answered: status, headers as they came, and the whole body."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


def exchange(  # noqa: PLR0913 - bounds by name
    place: Place, request: bytes, method: str, stop: Stop, *, private: bool, most: int
) -> Answer:
    """Send a request and return the answer, of at most `most` bytes.

    Raises `UnreachedError` while nothing was sent, `PerformError` from then on.
    """
    connection = opened(place, stop, private=private)
    try:
        with stop.closing(lambda: addresses.hang_up(connection)):
            return _exchanged(connection, request, method, stop, most)
    finally:
        connection.close()


def opened(place: Place, stop: Stop, *, private: bool) -> socket.socket:
    """Return a connection to where a URL points, TLS for `https`. Raises `UnreachedError`."""
    plain = addresses.connected(place.host, place.port, stop, private=private)
    if place.scheme != "https":
        return plain
    try:
        plain.settimeout(stop.left(UnreachedError))
        with stop.closing(lambda: addresses.hang_up(plain)):
            return _trusting().wrap_socket(plain, server_hostname=place.host)
    except (OSError, ValueError) as problem:
        plain.close()
        stop.left(UnreachedError)
        why = "the host has not shown a certificate that this machine trusts for its name"
        raise UnreachedError(why, code="tls_failed") from problem
    except BaseException:
        plain.close()
        raise


def _exchanged(
    connection: socket.socket, request: bytes, method: str, stop: Stop, most: int
) -> Answer:
    try:
        connection.settimeout(stop.left(UnreachedError))
        connection.sendall(request)
        wire = _Wire(connection, stop, _WRAPPING * most + _OVERHEAD)
        answer = _final(wire, method)
        body = _body(answer, most)
    except PerformError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as problem:
        # Where it was stopped, or took too long, that is the reason.
        stop.left()
        raise _failure(problem) from None
    return Answer(answer.status, tuple(answer.getheaders()), body)


def _failure(problem: Exception) -> PerformError:
    if isinstance(problem, http.client.IncompleteRead):
        return PerformError("the answer ends before its end", code="answer_truncated")
    if isinstance(problem, OSError):
        return PerformError("the connection broke", code="connection_broken")
    return PerformError("the answer is not HTTP", code="answer_invalid")


def _final(wire: _Wire, method: str) -> http.client.HTTPResponse:
    """Return the answer that is one, after those that only say that it is coming."""
    source = io.BufferedReader(wire, _PART)
    for _ in range(_MOST_INTERIM):
        answer = http.client.HTTPResponse(_Source(source), method=method)  # type: ignore[arg-type]
        answer.begin()
        if answer.status == 101 or answer.status >= 200:
            break
    else:
        raise PerformError("the server does not come to its answer", code="answer_invalid")
    if answer.status == 101:
        raise PerformError("the server changes to another protocol", code="answer_invalid")
    if answer.getheader("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise PerformError(
            "the answer is compressed, which was not asked for", code="answer_encoded"
        )
    return answer


def _body(answer: http.client.HTTPResponse, most: int) -> bytes:
    parts: list[bytes] = []
    left = most + 1
    while left > 0:
        part = answer.read(min(left, _PART))
        if not part:
            break
        parts.append(part)
        left -= len(part)
    if left <= 0:
        raise PerformError("the answer has more bytes than may be", code="answer_too_large")
    if answer.length:
        raise PerformError("the answer ends before its end", code="answer_truncated")
    return b"".join(parts)


class _Wire(io.RawIOBase):
    """What arrives, so many bytes at most and none after the end."""

    def __init__(self, connection: socket.socket, stop: Stop, most: int) -> None:
        self._connection = connection
        self._stop = stop
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what there is. Raises `PerformError` past the bounds."""
        self._connection.settimeout(self._stop.left())
        count = self._connection.recv_into(buffer)
        self._left -= count
        if self._left < 0:
            raise PerformError("the answer has more bytes than may be", code="answer_too_large")
        return count


class _Source:
    """Hands the one reader to each answer that is read from it, and keeps it open."""

    def __init__(self, reader: io.BufferedReader) -> None:
        self._reader = reader

    def makefile(self, mode: str) -> _Kept:
        del mode
        return _Kept(self._reader)


class _Kept:
    """A reader that an answer may close without closing what the next one is read from."""

    def __init__(self, reader: io.BufferedReader) -> None:
        self._reader = reader

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reader, name)

    def close(self) -> None:
        """Leave it open."""


@cache
def _trusting() -> ssl.SSLContext:
    """Return what this machine trusts. No log of session keys, whatever the environment says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_default_certs()
    with contextlib.suppress(NotImplementedError):
        context.set_alpn_protocols(["http/1.1"])
    return context
