"""The proxy of a jail: each request becomes one action of the agent, carried out by the governor.

Nothing is sent from here. Tunnels (`CONNECT`) are refused, unless a tool declares that method for
the host: then what goes through is judged once, as a whole, and not seen.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from typing import Any

from bridle.brokers.performing.failures import UnreachedError
from bridle.brokers.performing.places import Place, read
from bridle.client.agent import Agent
from bridle.client.errors import Denied, Held, PerformedError
from bridle.jail.services.web import answers, tunnels
from bridle.jail.services.web.requests import Reader, Request, RequestError
from bridle.jail.services.web.routes import tool_for
from bridle.jail.tally import Tally
from bridle.model.errors import BridleError, ProtocolError
from bridle.model.verdict import Effect

_log = logging.getLogger("bridle.jail")

_SECONDS = 30.0
_CONNECT = "CONNECT"
# What is between the program and this proxy.
_HOP = frozenset(
    ("connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization",
     "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade")
)  # fmt: skip


class WebService:
    """Serves HTTP/1.1 as a proxy for `agent`.

    `wait` is the seconds that a held request waits for its approval before it is answered.
    """

    def __init__(self, agent: Agent, tally: Tally, *, wait: float = 0.0) -> None:
        self._agent = agent
        self._tally = tally
        self._wait = wait

    def __call__(self, connection: socket.socket) -> None:
        """Answer requests, one after the other, until either side has had enough."""
        reader = Reader(connection, seconds=_SECONDS)
        try:
            while (request := reader.next()) is not None:
                if request.method == _CONNECT:
                    self._connect(connection, reader, request)
                    return
                _send(connection, self._answer(request))
                if not request.keep:
                    return
        except RequestError as problem:
            with contextlib.suppress(OSError):
                _send(connection, answers.refusal(problem))

    def _answer(self, request: Request) -> bytes:
        head = request.method == "HEAD"
        try:
            place, url = _named(request)
            result = self._act(place, _arguments(request, url))
        except BridleError as problem:
            return answers.refusal(problem, head=head, keep=request.keep)
        except Exception:
            # INVARIANT: I2 — what fails here is a refusal.
            _log.exception("a request of the jail failed")
            failed = ProtocolError("the request could not be passed on", code="internal")
            return answers.refusal(failed, head=head)
        return answers.passed(result, head=head, keep=request.keep)

    def _act(self, place: Place, arguments: dict[str, Any]) -> Any:
        """Have the governor judge a request and carry it out. Raises `BridleError`."""
        tool = tool_for(self._agent.tools(), arguments["method"], place)
        if not tool:
            self._tally.count(Effect.DENY.value)
            raise Denied(
                "no tool of this mission reaches this host",
                code="host_refused",
                hint="a tool with `egress`, of a system that declares the host in `hosts`, does",
            )
        try:
            result = self._agent.call(tool, arguments)
        except Held as held:
            self._tally.count(Effect.HOLD.value)
            return self._approved(held)
        except Denied:
            self._tally.count(Effect.DENY.value)
            raise
        except PerformedError:
            self._tally.count(Effect.ALLOW.value)
            raise
        self._tally.count(Effect.ALLOW.value)
        return result

    def _approved(self, held: Held) -> Any:
        """Wait for a human as long as was said, and go on if they approve."""
        if not self._wait or held.wait(self._wait) == "pending":
            raise held
        return held.resume()

    def _connect(self, connection: socket.socket, reader: Reader, request: Request) -> None:
        try:
            place = _tunnelled(request.target)
            where = self._act(place, {"method": _CONNECT, "url": f"https://{place.authority}/"})
            far = tunnels.opened(where)
        except BridleError as problem:
            if problem.code in ("host_refused", "schema_mismatch", "argument_refused"):
                problem = _no_tunnels(problem)
            _send(connection, answers.refusal(problem))
            return
        with far:
            _send(connection, b"HTTP/1.1 200 Connected\r\n\r\n")
            tunnels.pumped(connection, far, reader.ahead)


def _no_tunnels(problem: BridleError) -> BridleError:
    return RequestError(
        f"a tunnel hides what is asked for, so it is refused ({problem.code}): ask for the whole "
        "URL instead, https:// included",
        status=403,
        code="connect_refused",
    )


def _named(request: Request) -> tuple[Place, str]:
    try:
        place = read(request.target)
    except UnreachedError as problem:
        raise RequestError(f"a proxy is asked for a whole URL: {problem.message}") from problem
    # Rules see one spelling of what is meant.
    return place, place.url


def _tunnelled(target: str) -> Place:
    try:
        return read(f"https://{target}/")
    except UnreachedError as problem:
        raise RequestError("a tunnel is asked for as host:port") from problem


def _arguments(request: Request, url: str) -> dict[str, Any]:
    """Return what the tool is called with."""
    wished = {name.strip().lower() for each in request.values("connection")
              for name in each.split(",")}  # fmt: skip
    headers: dict[str, str] = {}
    for name, value in request.headers:
        if name in _HOP or name in wished:
            continue
        joint = "; " if name == "cookie" else ", "
        headers[name] = f"{headers[name]}{joint}{value}" if name in headers else value
    found: dict[str, Any] = {"method": request.method, "url": url}
    if headers:
        found["headers"] = headers
    if request.body:
        try:
            found["body"] = request.body.decode("utf-8")
        except UnicodeDecodeError as problem:
            raise RequestError("a body is text in UTF-8", status=415) from problem
    return found


def _send(connection: socket.socket, data: bytes) -> None:
    deadline = time.monotonic() + _SECONDS
    rest = memoryview(data)
    while rest:
        connection.settimeout(max(deadline - time.monotonic(), 0.001))
        rest = rest[connection.send(rest) :]
    connection.settimeout(None)
