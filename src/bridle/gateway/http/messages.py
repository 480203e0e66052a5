"""One request and one answer, and how a refusal looks: a status that no client takes for a yes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from bridle.client.errors import Held
from bridle.model.errors import BridleError, NotFoundError, UnreachableError, UsageError
from bridle.model.reason import ReasonCode
from bridle.model.verdict import Effect, Release, Verdict

OK, REFUSED, HELD, DONE, SILENT = 200, 403, 423, 409, 503
"""What a verdict is as a status: it may run, it may not, a human is asked, it has been done
before, nobody could be asked. Only the first is a success for an HTTP client."""

_SILENT = (UnreachableError.code, ReasonCode.STORE_UNAVAILABLE.value)


class Request(Struct, frozen=True):
    """What came in. `headers` are in lower case, each name once; `path` and `query` as written."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""

    def __repr__(self) -> str:
        # Headers hold tokens.
        return f"Request({self.method!r}, {self.path!r})"


class Answer(Struct, frozen=True):
    """What goes out: JSON, or nothing but headers."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


class RequestError(BridleError):
    """A request that is refused before the governor hears of it."""

    code = "bad_request"

    def __init__(self, status: int, message: str, *, code: str, hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)
        self.status = status


def is_silent(code: str) -> bool:
    """Whether nothing was decided, so that whoever asks again may get another answer."""
    return code in _SILENT


def answer(status: int, value: Any) -> Answer:
    """Return an answer whose body is `value` as JSON."""
    return Answer(status, msgspec.json.encode(value))


def refusal(problem: BridleError) -> Answer:
    """Return what says that it is not to be done, and why."""
    status = _status(problem)
    headers = (("WWW-Authenticate", "Bearer"),) if status == 401 else ()
    told = {"code": problem.code, "message": problem.message}
    if problem.hint:
        told["hint"] = problem.hint
    if isinstance(problem, Held):
        told["approval"] = problem.approval_id
    return Answer(status, msgspec.json.encode({"error": told}), headers)


def _status(problem: BridleError) -> int:
    if isinstance(problem, RequestError):
        return problem.status
    if isinstance(problem, Held):
        return HELD
    if isinstance(problem, UnreachableError) or is_silent(problem.code):
        return SILENT
    if isinstance(problem, UsageError | NotFoundError):
        return 400
    return 500 if problem.code == BridleError.code else REFUSED


def of_verdict(verdict: Verdict) -> int:
    """Return the status that says what `verdict` says."""
    if verdict.effect.runs:
        return OK if verdict.outcome is None else DONE
    return _stopped(verdict)


def of_release(release: Release) -> int:
    """Return the status that says what `release` says."""
    return OK if release.effect.runs else _stopped(release)


def _stopped(found: Verdict | Release) -> int:
    if found.effect is Effect.HOLD:
        return HELD
    silent = any(is_silent(reason.code.value) for reason in found.reasons)
    return SILENT if silent else REFUSED
