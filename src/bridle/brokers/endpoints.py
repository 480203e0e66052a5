"""One form posted to an endpoint of a server, and its answer: bounded in size and in time.

Nothing is followed, kept or taken from the environment: no redirects, cookies or proxies.
"""

from __future__ import annotations

import http.client
import io
import ssl
from collections.abc import Mapping
from functools import cache
from socket import socket
from typing import Any, cast
from urllib.parse import urlencode

from msgspec import Struct

from bridle.brokers.broker import BrokerError
from bridle.brokers.performing import addresses, places
from bridle.brokers.performing.failures import PerformError
from bridle.brokers.performing.places import Place
from bridle.brokers.performing.stopping import Stop

LONGEST = 64 * 1024
"""Bytes of an answer's body."""

_FORM = "application/x-www-form-urlencoded"


class Answer(Struct, frozen=True):
    """What a server answered. `kind` is the media type, in lower case and without parameters."""

    status: int
    kind: str
    body: bytes

    def __repr__(self) -> str:
        # Bodies hold tokens.
        return f"Answer(status={self.status})"


def post(
    url: str, form: Mapping[str, str], *, seconds: float, private: bool, authorization: str = ""
) -> Answer:
    """Send a form to `url` and return the answer, whatever its status, within so many seconds.

    `private` lets the endpoint lie in a private network, and be plain HTTP. Raises `BrokerError`
    (`broker_unreachable`, `broker_slow`, `broker_refused`), which says nothing of form or answer.
    """
    # Raised outside of the handlers: what was caught may hold what was sent, and would hang on.
    try:
        return _post(url, form, Stop(seconds), private=private, authorization=authorization)
    except BrokerError as known:
        problem = known
    except PerformError as failed:
        problem = _slow() if failed.code == "timed_out" else _unreachable(failed.code)
    except TimeoutError:
        problem = _slow()
    except ssl.SSLError:
        problem = _unreachable("tls_failed")
    except (OSError, http.client.HTTPException, ValueError):
        problem = _unreachable("connection_broken")
    raise problem from None


def _post(
    url: str, form: Mapping[str, str], stop: Stop, *, private: bool, authorization: str
) -> Answer:
    place = places.read(url)
    if place.scheme != "https" and not private:
        raise _unreachable("url_refused")
    body = urlencode(form).encode("ascii")
    headers = {"Host": place.authority, "Accept": "application/json", "Connection": "close"}
    headers |= {"Accept-Encoding": "identity", "Content-Type": _FORM}
    if authorization:
        headers["Authorization"] = authorization
    opened = _opened(place, stop, private=private)
    connection = http.client.HTTPConnection(place.host, place.port)
    connection.auto_open = 0
    connection.sock = cast("Any", _Wire(opened, stop))
    try:
        connection.request("POST", place.target, body, headers)
        with connection.getresponse() as response:
            return _read(response)
    finally:
        opened.close()


def _read(response: http.client.HTTPResponse) -> Answer:
    body = response.read(LONGEST + 1)
    if len(body) > LONGEST:
        raise BrokerError("the server's answer is too large")
    if response.length:
        raise http.client.IncompleteRead(b"")
    kind = response.getheader("Content-Type") or ""
    return Answer(response.status, kind.split(";")[0].strip().lower(), body)


def _opened(place: Place, stop: Stop, *, private: bool) -> socket:
    plain = addresses.connected(place.host, place.port, stop, private=private)
    if place.scheme != "https":
        return plain
    try:
        plain.settimeout(stop.left())
        return _tls().wrap_socket(plain, server_hostname=place.host)
    except BaseException:
        plain.close()
        raise


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


class _Wire:
    """A connection whose every read and write ends at the deadline: what drips is cut off, too."""

    def __init__(self, connection: socket, stop: Stop) -> None:
        self._connection = connection
        self._stop = stop

    def sendall(self, data: bytes) -> None:
        self._connection.settimeout(self._stop.left())
        self._connection.sendall(data)

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode
        return io.BufferedReader(_Reading(self._connection, self._stop))

    def close(self) -> None:
        """Do nothing: called before the body is read. Who has opened the connection closes it."""


class _Reading(io.RawIOBase):
    def __init__(self, connection: socket, stop: Stop) -> None:
        self._connection = connection
        self._stop = stop

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any, /) -> int:
        self._connection.settimeout(self._stop.left())
        return self._connection.recv_into(buffer)


def _slow() -> BrokerError:
    return BrokerError("the server did not answer in time", code="broker_slow")


def _unreachable(why: str) -> BrokerError:
    return BrokerError(f"the server cannot be reached ({why})", code="broker_unreachable")
