"""Answers of the proxy: what a tool answered as HTTP again, and refusals that say why.

A refusal has `Bridle-Verdict` (`deny`, `hold`, or `failed` where it was let through and came to
nothing) and a JSON body: `code`, `reason`, and `approval` for a hold.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, cast

from bridle.client.errors import Denied, Held, PerformedError
from bridle.jail.services.web.requests import RequestError
from bridle.model.errors import BridleError, UnreachableError

_BODILESS = (204, 304)
# What the connection between proxy and program says itself.
_OURS = frozenset(("connection", "content-length", "keep-alive", "transfer-encoding", "upgrade"))


def passed(result: Any, *, head: bool, keep: bool) -> bytes:
    """Return what a tool answered (`status`, `headers`, `body`) as HTTP.

    Something else, such as what a policy put in its place, is a body of JSON.
    """
    found = cast("dict[str, Any]", result) if isinstance(result, dict) else {"body": result}
    status, headers = found.get("status", 200), found.get("headers", {})
    if not isinstance(status, int) or not 200 <= status <= 599:
        status = 200
    named = _headers(headers)
    kind = named.get("content-type", "").partition(";")[0].strip().lower()
    body = _body(found, kind)
    return _message(status, named, body, head=head, keep=keep)


def refusal(problem: BridleError, *, head: bool = False, keep: bool = False) -> bytes:
    """Return the answer to a request that was not let through, or came to nothing."""
    status, verdict = _judged(problem)
    told = {"code": problem.code, "reason": problem.message}
    if problem.hint:
        told["hint"] = problem.hint
    headers = {"content-type": "application/json", "bridle-verdict": verdict}
    if isinstance(problem, Held):
        told["approval"] = problem.approval_id
    body = json.dumps(told).encode()
    return _message(status, headers, body, head=head, keep=keep)


def _judged(problem: BridleError) -> tuple[int, str]:
    if isinstance(problem, RequestError):
        return problem.status, "deny"
    if isinstance(problem, Held):
        return 403, "hold"
    if isinstance(problem, PerformedError):
        return 502, "failed"
    if isinstance(problem, UnreachableError):
        return 503, "failed"
    if isinstance(problem, Denied):
        return 403, "deny"
    return 500, "deny"


def _headers(headers: object) -> dict[str, str]:
    if not isinstance(headers, Mapping):
        return {}
    pairs = cast("Mapping[object, object]", headers).items()
    return {
        str(name).lower(): str(value)
        for name, value in pairs
        if _plain(name) and _plain(value) and str(name).lower() not in _OURS
    }


def _plain(text: object) -> bool:
    """Whether a text ends no line, whatever a policy or a server has made of it."""
    return isinstance(text, str) and text.isascii() and text.isprintable()


def _body(found: Mapping[str, Any], kind: str) -> bytes:
    body = found.get("body", "")
    if found.get("encoding") == "base64" and isinstance(body, str):
        try:
            return base64.b64decode(body, validate=True)
        except binascii.Error:
            return body.encode()
    if isinstance(body, str) and not _is_json_text(body, kind):
        return body.encode("utf-8", "replace")
    return json.dumps(body).encode()


def _is_json_text(body: str, kind: str) -> bool:
    """Whether a text is what a JSON body held, rather than the body that was no JSON."""
    if kind != "application/json" and not kind.endswith("+json"):
        return False
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return bool(body)
    # A body that parses would not have been left as text.
    return True


def _message(
    status: int, headers: Mapping[str, str], body: bytes, *, head: bool, keep: bool
) -> bytes:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    lines = [f"HTTP/1.1 {status} {phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if status not in _BODILESS:
        lines.append(f"content-length: {len(body)}")
    lines.append(f"connection: {'keep-alive' if keep else 'close'}")
    text = "\r\n".join([*lines, "", ""]).encode("ascii")
    return text if head or status in _BODILESS else text + body
