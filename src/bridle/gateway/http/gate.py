"""What each address of the gateway does, and what is refused before it does anything."""

from __future__ import annotations

import threading
from collections.abc import Callable

from bridle.client.worker import Worker
from bridle.gateway.http import acting, authzen, passing
from bridle.gateway.http.config import Evaluating
from bridle.gateway.http.messages import Answer, Request, RequestError
from bridle.gateway.http.points import Passes, Points
from bridle.gateway.http.taking import Takings, takings

# Requests that are being answered at a time: the governor's connections are for others, too.
_MOST_ASKING = 32

_ACTING: dict[str, Callable[[Takings, Request], Answer]] = {
    "/v1/decide": acting.decide,
    "/v1/begin": acting.begin,
    "/v1/beat": acting.beat,
    "/v1/observe": acting.observe,
}

_EVALUATING = {
    authzen.SINGLE: authzen.evaluation,
    authzen.BATCH: authzen.evaluations,
}
_POSTED = (*_ACTING, *_EVALUATING, "/v1/token")


class Gate:
    """Answers requests for `worker`, under the names that it is told to answer to."""

    def __init__(self, worker: Worker, points: Points) -> None:
        self._points = points
        self._hosts: frozenset[str] = frozenset()
        self._users = authzen.users(worker)
        self._takings = takings(worker)
        self._passes = Passes()
        self._asking = threading.BoundedSemaphore(_MOST_ASKING)

    def answer_to(self, *hosts: str) -> None:
        """Answer what is sent to these, each with its port where there is one."""
        self._hosts |= {host.lower() for host in hosts}

    def handle(self, request: Request) -> Answer:
        """Answer a request. Raises `BridleError` for what is refused."""
        # A page that had its own name resolve to this machine would send that name.
        if request.headers.get("host", "").lower() not in self._hosts:
            raise RequestError(421, "this is not called so", code="wrong_host", hint="see --host")
        answer = self._named(request)
        if not self._asking.acquire(blocking=False):
            raise RequestError(503, "too much is asked at once", code="limit_exceeded")
        try:
            return answer(request)
        finally:
            self._asking.release()

    def _named(self, request: Request) -> Callable[[Request], Answer]:
        if request.path == "/authz":
            _require(request, "GET", "HEAD")
            return self._authz
        if request.path == authzen.METADATA:
            _require(request, "GET", "HEAD")
            return self._metadata
        if request.path not in _POSTED:
            raise RequestError(404, "there is nothing here", code="not_found")
        _require(request, "POST")
        if "origin" in request.headers:
            raise RequestError(403, "this is nothing for browsers", code="origin_refused")
        if request.query:
            raise RequestError(400, "there is nothing to say in a query", code="bad_request")
        if request.path in _EVALUATING:
            return self._evaluate
        return self._token if request.path == "/v1/token" else self._act

    def _act(self, request: Request) -> Answer:
        self._points.asked_by(request.headers, "act")
        return _ACTING[request.path](self._takings, request)

    def _token(self, request: Request) -> Answer:
        point = self._points.asked_by(request.headers, "token")
        return passing.token(self._takings, self._passes, request, point.name)

    def _evaluate(self, request: Request) -> Answer:
        self._points.asked_by(request.headers, "evaluate")
        return _EVALUATING[request.path](self._users, self._evaluating(), request)

    def _metadata(self, request: Request) -> Answer:
        self._evaluating()
        # The scheme is only told back to whoever asks: a proxy that speaks TLS knows it.
        scheme = "https" if request.headers.get("x-forwarded-proto") == "https" else "http"
        return authzen.metadata(f"{scheme}://{request.headers['host']}")

    def _evaluating(self) -> Evaluating:
        known = self._points.config().authzen
        if known is None:
            raise RequestError(404, "http.toml has no [authzen]", code="not_found")
        return known

    def _authz(self, request: Request) -> Answer:
        return passing.authz(self._takings, self._passes, self._points, request)


def _require(request: Request, *methods: str) -> None:
    if request.method not in methods:
        raise RequestError(405, f"here one says {' or '.join(methods)}", code="bad_method")
