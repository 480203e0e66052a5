"""One connection: requests and answers in turn, each within its time, its size and the standard.

`h11` reads HTTP. What two readers could read in two ways is refused: a body is as long as its one
`Content-Length` says, and a header that decides something stands once.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable

import h11

from bridle.gateway.http.messages import Answer, Request, RequestError, refusal
from bridle.model.errors import BridleError

LONGEST_BODY = 1 << 20
_LONGEST_HEAD = 16 * 1024
_MOST_HEADERS = 64
_CHUNK = 64 * 1024

_log = logging.getLogger("bridle.http")

Handler = Callable[[Request], Answer]


class _GoneError(Exception):
    """The other side has left, or takes too long."""


class Connection:
    """Serves one peer: `serve` blocks until it is over, `stop` ends it between two requests.

    `patience` is the seconds that a request has to arrive, and an answer to leave; `idle` those
    that may pass before another request begins.
    """

    def __init__(
        self, connection: socket.socket, handler: Handler, *, patience: float, idle: float
    ) -> None:
        self._socket = connection
        self._handler = handler
        self._patience = patience
        self._idle = idle
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST_HEAD)
        self._stopping = threading.Event()
        self._busy = threading.Lock()

    def serve(self) -> None:
        """Answer until the peer leaves, errs, or `stop` is called."""
        try:
            while not self._stopping.is_set() and self._one():
                self._http.start_next_cycle()
        except (OSError, _GoneError):
            pass
        except Exception:
            _log.exception("a connection failed")
        finally:
            self._socket.close()

    def stop(self) -> None:
        """Let the request under way be answered, and take no other."""
        self._stopping.set()
        if self._busy.acquire(blocking=False):
            # Nobody is being answered: what waits for a request waits no longer.
            with contextlib.suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
            self._busy.release()

    def _one(self) -> bool:
        """Answer one request. Whether there may be another."""
        try:
            request = self._request()
        except h11.RemoteProtocolError as problem:
            # In words of our own: its words repeat what came in.
            status = problem.error_status_hint
            self._refuse(RequestError(status, "this is no plain request", code="bad_request"))
            return False
        except RequestError as problem:
            self._refuse(problem)
            return False
        if request is None:
            return False
        with self._busy:
            if self._stopping.is_set():
                return False
            answer = self._handled(request)
            self._send(answer, bare=request.method == "HEAD")
        states = self._http.our_state, self._http.their_state
        return states == (h11.DONE, h11.DONE)

    def _handled(self, request: Request) -> Answer:
        try:
            return self._handler(request)
        except BridleError as problem:
            return refusal(problem)
        except Exception:
            # INVARIANT: I2 — an answer that fails is a refusal.
            _log.exception("a request failed: %s", request.path)
            return refusal(BridleError("the gateway failed; its log says how"))

    # --- reading --------------------------------------------------------------------------------

    def _request(self) -> Request | None:
        deadline = time.monotonic() + self._idle
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                if not self._receive(deadline):
                    return None
                # It has begun: from here on it has to come.
                deadline = min(deadline, time.monotonic() + self._patience)
            elif isinstance(event, h11.Request):
                return self._whole(event, min(deadline, time.monotonic() + self._patience))
            else:
                return None

    def _receive(self, deadline: float) -> bool:
        """Take in what comes next. False at the end of what comes."""
        left = deadline - time.monotonic()
        if left <= 0:
            raise _GoneError
        self._socket.settimeout(left)
        data = self._socket.recv(_CHUNK)
        self._http.receive_data(data)
        return bool(data)

    def _whole(self, head: h11.Request, deadline: float) -> Request:
        headers = _headers(head)
        length = _length(headers)
        if self._http.they_are_waiting_for_100_continue:
            self._write(
                self._http.send(h11.InformationalResponse(status_code=100, headers=[])), deadline
            )
        body = bytearray()
        while not isinstance(event := self._http.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                if not self._receive(deadline):
                    raise _GoneError
            elif isinstance(event, h11.Data):
                body += event.data
            else:
                raise _GoneError
        if len(body) != length:
            raise RequestError(400, "the body has another length", code="bad_request")
        path, _, query = head.target.decode("ascii").partition("?")
        return Request(head.method.decode("ascii"), path, query, headers, bytes(body))

    # --- answering ------------------------------------------------------------------------------

    def _refuse(self, problem: RequestError) -> None:
        """Say what was wrong with a request, and hang up: nobody knows where the next begins."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            with contextlib.suppress(OSError, h11.LocalProtocolError):
                self._send(refusal(problem), close=True)

    def _send(self, answer: Answer, *, close: bool = False, bare: bool = False) -> None:
        """Send an answer; `close` says that it is the last, `bare` that its body is not wanted."""
        headers = [
            ("Content-Length", str(len(answer.body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *answer.headers,
        ]
        if answer.body:
            headers.append(("Content-Type", "application/json"))
        if close or self._stopping.is_set():
            headers.append(("Connection", "close"))
        data = self._http.send(h11.Response(status_code=answer.status, headers=headers))
        body = b"" if bare else self._http.send(h11.Data(data=answer.body))
        data = (data or b"") + (body or b"") + (self._http.send(h11.EndOfMessage()) or b"")
        self._write(data, time.monotonic() + self._patience)

    def _write(self, data: bytes | None, deadline: float) -> None:
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        self._socket.sendall(data or b"")


def _headers(head: h11.Request) -> dict[str, str]:
    """Return the headers by name. Raises `RequestError` for what has no single meaning."""
    found: dict[str, str] = {}
    if head.http_version not in (b"1.0", b"1.1"):
        raise RequestError(505, "another version of HTTP", code="bad_request")
    size = sum(len(name) + len(value) for name, value in head.headers) + len(head.target)
    if len(head.headers) > _MOST_HEADERS or size > _LONGEST_HEAD:
        raise RequestError(431, "the headers are too many or too long", code="limit_exceeded")
    for raw, value in head.headers:
        name = raw.decode("ascii")
        if name in found and name not in _LISTS:
            raise RequestError(400, f"the header {name!r} stands twice", code="bad_request")
        text = value.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found


# What proxies add to, and nothing here depends on.
_LISTS = frozenset(
    (
        *("accept", "accept-encoding", "accept-language", "cache-control", "connection", "cookie"),
        *("forwarded", "via", "x-forwarded-for", "x-forwarded-proto"),
    )
)


def _length(headers: dict[str, str]) -> int:
    """Return the length of the body. Raises `RequestError`."""
    if "transfer-encoding" in headers:
        raise RequestError(
            411, "a body is sent as a whole, with its Content-Length", code="length_required"
        )
    length = int(headers.get("content-length", "0"))
    if length > LONGEST_BODY:
        raise RequestError(
            413, f"the body is longer than {LONGEST_BODY:,} bytes", code="limit_exceeded"
        )
    return length
