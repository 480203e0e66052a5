"""`/authz`: whether a request may pass a reverse proxy, for nginx's `auth_request`.

Not fenced and cannot modify: the proxy sees headers only, says nothing of what came of a request,
and nothing can stop one that has passed. So what would be rewritten is refused, and what passes is
on record as begun, with an outcome that nobody knows.
"""

from __future__ import annotations

import os

from msgspec import Struct

from bridle.gateway.http import routes
from bridle.gateway.http.acting import body
from bridle.gateway.http.messages import Answer, Request, RequestError, answer, is_silent
from bridle.gateway.http.points import Passes, Points
from bridle.gateway.http.taking import Takings
from bridle.model.errors import UnreachableError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.verdict import Effect, Verdict

_LONGEST = 86_400
_PASSED = "it passed a proxy, which says nothing of what came of it"


class Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    """Ask for a token of the agent who dispatched under `reference`, for so many seconds."""

    reference: str
    seconds: int = 900


def token(takings: Takings, passes: Passes, request: Request, point: str) -> Answer:
    """Make a token with which an agent is known at a proxy. It is no more than its reference is."""
    wanted = body(request, Wanted)
    if not 1 <= wanted.seconds <= _LONGEST:
        raise RequestError(400, f"`seconds` is 1 to {_LONGEST:,}", code="bad_request")
    takings.agent(wanted.reference)  # whoever cannot be taken up gets none
    made, expires = passes.make(wanted.reference, point, wanted.seconds)
    return answer(200, {"token": made, "expires": int(expires)})


def authz(takings: Takings, passes: Passes, points: Points, request: Request) -> Answer:
    """Say whether a request may pass: 204, or a refusal."""
    known = points.config()
    holder = passes.of(request.headers, known)
    method, uri = _original(request)
    tool, arguments = routes.call_of(known.routes, method, uri)
    key = os.urandom(16).hex()
    verdict = takings.asked(holder.reference, lambda agent: agent.decide(tool, arguments, key=key))
    if verdict.effect is Effect.MODIFY:
        raise RequestError(
            403, "it would have to be changed, and a proxy cannot", code="not_applied"
        )
    if verdict.effect is not Effect.ALLOW:
        raise _refused(verdict)
    agent = takings.agent(holder.reference)
    started = agent.begin(verdict)
    agent.observe(started, Outcome(OutcomeKind.UNKNOWN, message=_PASSED))
    names = (
        ("Bridle-Agent", agent.name),
        ("Bridle-Mission", agent.mission.id),
        ("Bridle-Action", verdict.action),
    )
    return Answer(204, headers=names)


def _original(request: Request) -> tuple[str, str]:
    """Return method and target of the request at the proxy. Raises `RequestError`."""
    method = request.headers.get("x-original-method", "")
    uri = request.headers.get("x-original-uri", "")
    if not method or not uri:
        raise RequestError(
            403,
            "the proxy does not say what the request is",
            code="no_route",
            hint="proxy_set_header X-Original-Method and X-Original-URI",
        )
    return method, uri


def _refused(verdict: Verdict) -> Exception:
    codes = [reason.code.value for reason in verdict.reasons]
    code = codes[0] if codes else "refused"
    if is_silent(code):
        return UnreachableError(verdict.text, code=code)
    # nginx passes on 401 and 403 alone; all else is an error to it, and closed as well.
    return RequestError(403, verdict.text or "refused", code=code)
