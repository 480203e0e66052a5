"""Carries out `http` and `egress` tools: one request, with the system's credential put in.

The credential goes to the system's own `url`, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bridle.brokers.broker import Secret
from bridle.brokers.performing import addresses, answers, places, requests, wire
from bridle.brokers.performing.failures import UnreachedError
from bridle.brokers.performing.places import PORTS, Place
from bridle.brokers.performing.requests import CONNECT, Request
from bridle.brokers.performing.stopping import Stop
from bridle.brokers.scrubbing import Scrubber
from bridle.model.credential import AnyCredential, ExchangeCredential, HeaderCredential
from bridle.model.performing import Egress, HttpCall
from bridle.model.tool import System

_PLACEHOLDER = "{secret}"


def call(
    how: HttpCall, system: System, arguments: Mapping[str, Any], secret: Secret | None, stop: Stop
) -> dict[str, Any]:
    """Make the request that the tool declares. Raises `PerformError`."""
    request = requests.of_tool(how, system.url, arguments)
    return _exchanged(request, system, secret, stop, how.answer_bytes)


def egress(
    how: Egress, system: System, arguments: Mapping[str, Any], secret: Secret | None, stop: Stop
) -> dict[str, Any]:
    """Make the request that the agent wrote, to a host that the system declares.

    For `CONNECT` nothing is sent: the answer is where a tunnel may lead, addresses and port.
    """
    request = requests.of_agent(arguments, opened=opening_header(system.credential))
    if request.method not in how.methods:
        raise UnreachedError("this tool does not use this method", code="argument_refused")
    if not within(request.place, system):
        raise UnreachedError("the system does not declare this host", code="host_refused")
    if request.method == CONNECT:
        return _tunnel(request.place, system, stop)
    return _exchanged(request, system, secret, stop, how.answer_bytes)


def within(place: Place, system: System) -> bool:
    """Whether an egress tool of the system may reach a place: by the most exact of its `hosts`."""
    return any(matches(host, place) for host in system.hosts) or (
        bool(system.url) and place.origin == places.read(system.url).origin
    )


def matches(pattern: str, place: Place) -> bool:
    """Whether a declared host is that of a place.

    `*.example.com` is every host below it. Without a port, the scheme's own is meant.
    """
    host, port = _declared(pattern.lower())
    if place.port != (port or PORTS[place.scheme]):
        return False
    if host.startswith("*."):
        # An address has no hosts below it.
        return place.host.endswith(host[1:]) and not place.host[-1].isdigit()
    return place.host == host


def opening_header(credential: AnyCredential | None) -> str:
    """Return the name of the header that a credential goes into; empty for other kinds."""
    if isinstance(credential, HeaderCredential | ExchangeCredential):
        return credential.header
    return ""


def _declared(pattern: str) -> tuple[str, int]:
    """Return host and port (0: none said) of one of a system's `hosts`."""
    if pattern.startswith("["):
        host, _, port = pattern[1:].partition("]")
        port = port.removeprefix(":")
    elif pattern.count(":") > 1:
        host, port = pattern, ""
    else:
        host, _, port = pattern.partition(":")
    return host, int(port) if port.isdecimal() else 0


def _exchanged(
    request: Request, system: System, secret: Secret | None, stop: Stop, most: int
) -> dict[str, Any]:
    extra = _credential(request.place, system, secret)
    answer = wire.exchange(
        request.place,
        request.lines(extra),
        request.method,
        stop,
        private=system.private,
        most=most,
    )
    return answers.told(answer, Scrubber(_spelt(secret, extra.values())))


def _credential(place: Place, system: System, secret: Secret | None) -> dict[str, str]:
    """Return the header that opens the system, for a request to the system itself."""
    declared = system.credential
    if secret is None or not isinstance(declared, HeaderCredential | ExchangeCredential):
        return {}
    # INVARIANT: I9 — what opens one system is shown to no other, whoever wrote the URL.
    if not system.url or place.origin != places.read(system.url).origin:
        return {}
    if place.scheme != "https" and not system.private:
        return {}
    value = declared.form.replace(_PLACEHOLDER, secret.reveal().get("secret", ""))
    try:
        name, value = requests.header(declared.header, value)
    except UnreachedError:
        why = "the credential does not fit into a header"
        raise UnreachedError(why, code="credential_unusable") from None
    return {name: value}


def _spelt(secret: Secret | None, headers: Iterable[str]) -> list[str]:
    return [*(secret.reveal().values() if secret is not None else ()), *headers]


def _tunnel(place: Place, system: System, stop: Stop) -> dict[str, Any]:
    found = addresses.resolved(place.host, place.port, stop, private=system.private)
    where = {"addresses": [str(address) for address in found], "port": place.port}
    return {"status": 200, "headers": {}, "body": where}
