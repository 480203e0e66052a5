"""What an agent is told of an HTTP answer: status, headers and body, and no secret."""

from __future__ import annotations

import base64
import json
from typing import Any, NoReturn

from bridle.brokers.performing.wire import Answer
from bridle.brokers.scrubbing import Scrubber

# What belongs to the connection; and what would let an agent go on as whom the credential is.
_LEFT_OUT = frozenset(
    (
        "authentication-info",
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "set-cookie",
        "set-cookie2",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)


def told(answer: Answer, scrubber: Scrubber) -> dict[str, Any]:
    """Return `{"status", "headers", "body"}`, with `"encoding": "base64"` where it is no text.

    Names of headers are in lower case, those that stand twice joined by commas. A JSON body is
    parsed. A redirect is an answer like any other.
    """
    headers: dict[str, str] = {}
    for name, value in answer.headers:
        plain = scrubber.text(_ascii(name).lower())
        if plain not in _LEFT_OUT:
            text = scrubber.text(_ascii(value))
            headers[plain] = f"{headers[plain]}, {text}" if plain in headers else text
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return {"status": answer.status, "headers": headers, **_body(answer.body, kind, scrubber)}


def _body(body: bytes, kind: str, scrubber: Scrubber) -> dict[str, Any]:
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        return {"body": base64.b64encode(scrubber.raw(body)).decode(), "encoding": "base64"}
    if kind == "application/json" or kind.endswith("+json"):
        try:
            return {"body": scrubber.value(json.loads(text, parse_constant=_refuse))}
        except (ValueError, RecursionError):
            pass  # it says that it is JSON, and is not: then it is text
    return {"body": scrubber.text(text)}


def _ascii(text: str) -> str:
    """What came as bytes of no known encoding, as text that can go anywhere."""
    return text.encode("ascii", "backslashreplace").decode()


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)
