"""Strict readings of texts: a URL's host, a POSIX path, an IP address. One reading, or none.

Programs differ in how they read what is not plain: where the authority of a URL ends, what a
backslash, a control character or a number as a host means, where `..` leads, which network a
mapped address is in. Whatever two of them could read differently has no reading here.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

LONGEST_HOST = 253
_LONGEST_ADDRESS = 45

# All of a URL is ASCII that prints, without a backslash (RFC 3986; WHATWG takes it for a slash).
# What follows the authority is nothing or a path: some programs split at `/` first and at `@`
# then, and so read another host in `https://a.example?@b.example/`.
_URL = re.compile(r"https?://([a-z0-9.-]{1,253})(?::([1-9][0-9]{0,4}))?(?:/[!-\[\]-~]*)?")
_LAST_PORT = 65_535
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# What WHATWG takes for a number, and so the whole host for an IPv4 address.
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_OCTET = re.compile(r"0|[1-9][0-9]{0,2}")

# A slash and no other separator, no control character, nothing that is no character.
_PATH = re.compile(r"(?:/[^/\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+)+")

_MAPPED = ipaddress.IPv6Network("::ffff:0:0/96")


def host_of(text: str) -> str:
    """Return the host of an `http:` or `https:` URL, or nothing if it has no plain one.

    Scheme and host are in lower case. There is no user information, the port is a number from 1
    to 65535 or not given, and a path follows or nothing. A host is a name of letters, digits and
    hyphens, or a dotted IPv4 address; never one in brackets, and without a dot at its end.
    """
    found = _URL.fullmatch(text)
    if found is None or int(found[2] or 0) > _LAST_PORT:
        return ""
    return found[1] if is_host(found[1]) else ""


def is_host(name: str) -> bool:
    """Whether this is a host's name in lower case (RFC 1123), or a dotted IPv4 address."""
    if len(name) > LONGEST_HOST:
        return False
    labels = name.split(".")
    if not all(map(_LABEL.fullmatch, labels)):
        return False
    return _is_dotted(labels) if _NUMBER.fullmatch(labels[-1]) else True


def _is_dotted(labels: list[str]) -> bool:
    return len(labels) == 4 and all(_OCTET.fullmatch(each) and int(each) <= 255 for each in labels)


def is_path(text: str) -> bool:
    """Whether this is an absolute POSIX path without `.`, `..`, empty segment or odd character.

    Only the text is read: where a symbolic link leads is not seen.
    """
    if text == "/":
        return True
    if _PATH.fullmatch(text) is None:
        return False
    whole = text + "/"
    return "/./" not in whole and "/../" not in whole


def address_of(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text is (RFC 4291; IPv4 dotted, no leading zeros), or nothing.

    An IPv6 address has no zone, is not written with a dotted part, and is no mapped IPv4 one
    (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2): a connection to that goes to the IPv4 address, so that
    neither the networks of the one nor of the other kind would say the truth of it.
    """
    if len(text) > _LONGEST_ADDRESS or not text.isascii() or "%" in text:
        return None
    if ":" in text and "." in text:
        return None
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return None if found.version == 6 and found in _MAPPED else found


@lru_cache(maxsize=1_024)
def network_of(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network that `address/length` is, in its one text without host bits, or nothing.

    No network of mapped IPv4 addresses is one, and none in a zone.
    """
    if len(text) > _LONGEST_ADDRESS + 4 or "/" not in text or "%" in text:
        return None
    try:
        found = ipaddress.ip_network(text)
    except ValueError:
        return None
    if str(found) != text:
        return None
    return None if found.version == 6 and found.subnet_of(_MAPPED) else found
