"""The broker of access tokens: a sealed token exchanged for one of this action (RFC 8693).

Taken back at the server's revocation endpoint (RFC 7009). Without one a token ends by expiring, no
later than the declaration's `lease` after it was made; so does, within an hour, one whose making
nobody was left to note down.
"""

from __future__ import annotations

import re
import time
from base64 import b64encode
from contextlib import suppress
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec import Struct

from bridle.brokers import endpoints
from bridle.brokers.broker import BrokerError, Made, Order, Secret
from bridle.brokers.endpoints import Answer
from bridle.brokers.sealed_file import SealedFile
from bridle.engine import strict_json
from bridle.engine.case import Refusal
from bridle.language.plain import is_object
from bridle.model.credential import AnyCredential, ExchangeCredential

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105 - the name of a type

LONGEST_TOKEN = 16 * 1024
MOST_SECONDS = 3_600
"""The longest life of a token, even where it can be taken back: that may fail for a while."""

# RFC 6749, appendix A.12, but without spaces: what can stand in a header.
_TOKEN = re.compile(r"[\x21-\x7e]+")
_JSON = "application/json"
_DEPTH = 16
# RFC 6749 §5.2, RFC 8693 §2.2.2, RFC 7009 §2.2.1. What else a server says stays with it.
_ERRORS = frozenset(
    {
        "invalid_client",
        "invalid_grant",
        "invalid_request",
        "invalid_scope",
        "invalid_target",
        "unauthorized_client",
        "unsupported_grant_type",
        "unsupported_token_type",
    }
)


class _Handle(Struct, frozen=True, forbid_unknown_fields=True):
    """What taking a token back needs. `until`: it has expired by then (milliseconds)."""

    token: str
    until: int


class TokenExchangeBroker:
    """Gets an access token for each action. The secret has one field, `secret`: the token."""

    def __init__(self, secrets: SealedFile) -> None:
        self._secrets = secrets

    def vend(self, order: Order) -> Made:
        """Exchange the subject token. Raises `BrokerError`."""
        credential = order.credential
        if not isinstance(credential, ExchangeCredential):
            raise BrokerError("this is no order for a token")
        subject = self._secrets.get(credential.secret)
        sent = _now()
        answer = self._post(credential, credential.endpoint, _request(credential, subject))
        fields = _fields(answer, "exchange")
        token = _token(fields)
        why = _fault(fields, credential) or ("it is the subject token" if token == subject else "")
        if why:
            self._discard(credential, fields)
            raise BrokerError(f"the authorization server gave another token than asked: {why}")
        seconds: int = fields["expires_in"]
        # It began to live at some time while we waited: it is used for less, and ended by more.
        handle = _Handle(token, _now() + seconds * 1_000)
        return Made(
            secret=Secret(secret=token),
            handle=msgspec.json.encode(handle),
            expires=min(order.expires, sent + seconds * 1_000),
        )

    def revoke(self, credential: AnyCredential, handle: bytes) -> None:
        """Return once the token has been revoked, or has expired. Raises `BrokerError`.

        `not_expired` where the server takes nothing back. Of a lease without a token nothing is
        known, and nothing done.
        """
        if not isinstance(credential, ExchangeCredential):
            raise BrokerError("this is no declaration of a token")
        try:
            known = msgspec.json.decode(handle, type=_Handle)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return
        if known.until <= _now():
            return
        if not credential.revocation:
            raise BrokerError(
                "the token cannot be taken back: it ends by expiring",
                code="not_expired",
                hint="declare the server's `revocation` endpoint, if it has one",
            )
        self._take_back(credential, known.token, "access_token")

    def close(self) -> None:
        """Hold nothing."""

    def _take_back(self, credential: ExchangeCredential, token: str, hint: str) -> None:
        form = {"token": token, "token_type_hint": hint}
        answer = self._post(credential, credential.revocation, form)
        if answer.status != 200:  # RFC 7009 §2.2: also for a token that is none any more.
            raise _refused(answer, "revocation")

    def _discard(self, credential: ExchangeCredential, fields: dict[str, Any]) -> None:
        """Take back what is not used. If that fails it expires: nobody has had it."""
        for name in ("refresh_token", "access_token"):
            token = fields.get(name)
            if credential.revocation and isinstance(token, str) and 0 < len(token) <= LONGEST_TOKEN:
                with suppress(BrokerError):
                    self._take_back(credential, token, name)

    def _post(self, credential: ExchangeCredential, url: str, form: dict[str, str]) -> Answer:
        authorization = self._client(credential)
        if credential.client_id and not authorization:
            form = {**form, "client_id": credential.client_id}
        return endpoints.post(
            url,
            form,
            seconds=credential.wait_ms / 1_000,
            private=credential.private,
            authorization=authorization,
        )

    def _client(self, credential: ExchangeCredential) -> str:
        """Return the client's password as RFC 6749 §2.3.1 has it; nothing where it has none."""
        if not credential.client_secret:
            return ""
        password = self._secrets.get(credential.client_secret)
        # A space is %20 and not `+`: every server reads that, whichever decoder it has.
        pair = f"{quote(credential.client_id, safe='')}:{quote(password, safe='')}"
        return "Basic " + b64encode(pair.encode()).decode()


def _request(credential: ExchangeCredential, subject: str) -> dict[str, str]:
    form = {
        "grant_type": GRANT_TYPE,
        "subject_token": subject,
        "subject_token_type": credential.subject_type,
        "requested_token_type": ACCESS_TOKEN,
        "audience": credential.audience,
        "resource": credential.resource,
        "scope": credential.scope,
    }
    return {name: value for name, value in form.items() if value}


def _fields(answer: Answer, what: str) -> dict[str, Any]:
    if answer.status != 200:
        raise _refused(answer, what)
    fields = _object(answer)
    if fields is None:
        raise BrokerError("the authorization server answered something else than a token")
    return fields


def _token(fields: dict[str, Any]) -> str:
    token = fields.get("access_token")
    if not isinstance(token, str) or len(token) > LONGEST_TOKEN or not _TOKEN.fullmatch(token):
        raise BrokerError("the authorization server answered something else than a token")
    return token


def _fault(fields: dict[str, Any], credential: ExchangeCredential) -> str:
    """Say in what a token is not the one that was asked for, if in anything."""
    kind, life = fields.get("token_type"), fields.get("expires_in")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        return "it is no bearer token"
    if fields.get("issued_token_type") != ACCESS_TOKEN:
        return "it is no access token"
    if type(life) is not int or life <= 0:
        return "it does not say how long it lives"
    if life * 1_000 > (MOST_SECONDS * 1_000 if credential.revocation else credential.lease_ms):
        return "it lives too long"
    if fields.get("refresh_token") is not None:
        return "another one comes with it, that makes more"
    return _scope_fault(fields.get("scope"), credential.scope)


def _scope_fault(granted: object, asked: str) -> str:
    # RFC 6749 §5.1: left out where it is what was asked for.
    if granted is None:
        return ""
    if not isinstance(granted, str):
        return "its scope is no text"
    wider = asked and not set(granted.split(" ")) <= set(asked.split(" "))
    return "its scope is wider" if wider else ""


def _refused(answer: Answer, what: str) -> BrokerError:
    if answer.status >= 500 or answer.status == 429:
        text = f"the authorization server cannot answer now (status {answer.status})"
        return BrokerError(text, code="broker_unreachable")
    # INVARIANT: I9 — of what it says only a code that the standards have; the rest may be an echo.
    said = (_object(answer) or {}).get("error")
    code = said if isinstance(said, str) and said in _ERRORS else f"status {answer.status}"
    return BrokerError(f"the authorization server refused the {what} ({code})")


def _object(answer: Answer) -> dict[str, Any] | None:
    if answer.kind != _JSON:
        return None
    try:
        text = answer.body.decode("utf-8")
    except UnicodeDecodeError:
        return None
    value = strict_json.parse_result(text, size=endpoints.LONGEST, depth=_DEPTH)
    return value if not isinstance(value, Refusal) and is_object(value) else None


def _now() -> int:
    return int(time.time() * 1_000)
