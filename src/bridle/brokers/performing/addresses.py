"""Which addresses the governor's side connects to, and connections to exactly those.

A name is resolved once, what it names is checked, and the connection goes to what was checked: a
name that points elsewhere a moment later moves nothing.
"""

from __future__ import annotations

import contextlib
import ipaddress
import queue
import socket
import threading
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from bridle.brokers.performing.failures import UnreachedError
from bridle.brokers.performing.stopping import Stop

Address = IPv4Address | IPv6Address

# Seconds for one address, of those that a name has.
_CONNECT = 10.0
_MOST_ADDRESSES = 8

# Never, private or not: these name no host of anybody's, or the machine's own metadata service.
_NEVER = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "192.0.0.192/32",
        "100.100.100.200/32",
        "fe80::/10",
        "fec0::/10",
        "ff00::/8",
        "fd00:ec2::254/128",
        "100::/64",
    )
)
# An IPv6 address that carries an IPv4 address goes where that one says, whatever it looks like.
_CARRIERS = tuple(
    ipaddress.ip_network(text)
    for text in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48")
)
_TUNNELS = tuple(ipaddress.ip_network(text) for text in ("2001::/32", "2002::/16"))
# Special-purpose (RFC 6890), whatever the Python at hand knows of them.
_SPECIAL = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "::1/128",
        "2001:db8::/32",
        "2001:2::/48",
        "2001:10::/28",
        "2001:20::/28",
        "3fff::/20",
        "5f00::/16",
        "fc00::/7",
    )
)


def allowed(address: Address, *, private: bool) -> bool:
    """Whether the governor's side may connect to an address.

    With `private`, that of a private network or of this machine too; never a metadata service, a
    group of hosts, or an IPv6 address that only carries an IPv4 one (but `::ffff:…`, which is it).
    """
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return allowed(address.ipv4_mapped, private=private)
        if address.is_loopback:
            return private
        if address.scope_id or _in(address, _CARRIERS) or _in(address, _TUNNELS):
            return False
    if _in(address, _NEVER) or address.is_multicast or address.is_unspecified:
        return False
    return private or (address.is_global and not _in(address, _SPECIAL))


def resolved(host: str, port: int, stop: Stop, *, private: bool) -> list[Address]:
    """Return the addresses of a host, all of them checked. Raises `UnreachedError`.

    Where one of them is refused, all are: a name that points inside as well is not to be trusted.
    """
    found = _literal(host)
    addresses = [found] if found is not None else _looked_up(host, port, stop)
    for address in addresses:
        if not allowed(address, private=private):
            raise UnreachedError(
                "the host lies at an address that the governor's side does not connect to",
                code="address_refused",
                hint="private = true, in the system's table, is for private networks",
            )
    return addresses


def connected(host: str, port: int, stop: Stop, *, private: bool) -> socket.socket:
    """Return a connection to a host, at an address that was checked. Raises `UnreachedError`."""
    for address in resolved(host, port, stop, private=private):
        connection = _tried(address, port, stop)
        if connection is not None:
            return connection
    stop.left(UnreachedError)
    raise UnreachedError("the host takes no connection", code="connection_refused")


def hang_up(connection: socket.socket) -> None:
    """End a connection under whoever waits on it. It still has to be closed."""
    # The base class's own: that of a TLS connection takes its state from under a reader.
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _tried(address: Address, port: int, stop: Stop) -> socket.socket | None:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    connection = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        with stop.closing(lambda: hang_up(connection)):
            connection.settimeout(min(_CONNECT, stop.left(UnreachedError)))
            connection.connect((str(address), port))
    except OSError:
        connection.close()
        return None
    except BaseException:
        connection.close()
        raise
    return connection


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _looked_up(host: str, port: int, stop: Stop) -> list[Address]:
    """Ask the system's resolver, which cannot be hurried, in a thread that can be left."""
    answers: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            answers.put([str(entry[4][0]) for entry in found])
        except (OSError, UnicodeError) as problem:
            answers.put(problem if isinstance(problem, OSError) else OSError())

    threading.Thread(target=ask, name="bridle-resolve", daemon=True).start()
    try:
        answer = answers.get(timeout=stop.left(UnreachedError))
    except queue.Empty:
        answer = OSError()
    stop.left(UnreachedError)
    if isinstance(answer, OSError) or not answer:
        raise UnreachedError("the host's name leads nowhere", code="name_unknown")
    return [ipaddress.ip_address(text) for text in dict.fromkeys(answer)][:_MOST_ADDRESSES]


def _in(address: Address, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    return any(address.version == each.version and address in each for each in networks)
