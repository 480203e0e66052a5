"""URLs that requests go to: read strictly, compared in parts, written again from what was read.

What an agent writes is taken in one form only. Whatever two programs might read differently (user
names, backslashes, odd numbers for addresses, dot segments however they are encoded) is refused.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote

from msgspec import Struct

from bridle.brokers.performing.failures import UnreachedError

_LONGEST = 8_000
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})"
    r"(?::(?P<port>[0-9]{1,5}))?(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
# What may stand in a path and a query as it is (RFC 3986), and whole percent-encodings.
_PLAIN = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/?]|%[0-9A-Fa-f]{2})*")
# Letters, digits, `-._~`: a rule that names a path could not see them encoded (RFC 3986, 6.2.2.2).
_NEEDLESS = re.compile(r"%(?:2[DE]|3[0-9]|4[1-9A-F]|5[0-9AF]|6[1-9A-F]|7[0-9AE])", re.IGNORECASE)
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")
_DOTS = (".", "..")
_DECODINGS = 5

PORTS = {"http": 80, "https": 443}


class Place(Struct, frozen=True):
    """An absolute URL in parts. `target` is its path and query as they are sent.

    `host` is in lower case, without brackets; an address is in its one canonical form.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """Scheme, host and port (RFC 6454): what a credential is for."""
        return self.scheme, self.host, self.port

    @property
    def authority(self) -> str:
        """What the header `Host` says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The one text that stands for it: what rules about URLs are to see."""
        return f"{self.scheme}://{self.authority}{self.target}"


def read(url: object) -> Place:
    """Return what an absolute URL names. Raises `UnreachedError` (`url_refused`)."""
    if not isinstance(url, str) or len(url) > _LONGEST or not url.isascii():
        raise _refused("a URL is ASCII text (names of hosts in punycode), of 8,000 at most")
    match = _URL.fullmatch(url)
    if match is None:
        raise _refused("a URL is http(s)://host[:port]/path?query, without user and fragment")
    scheme, path, query = match["scheme"], match["path"] or "/", match["query"]
    port = int(match["port"]) if match["port"] else PORTS[scheme]
    if not 0 < port < 65_536:
        raise _refused("a port is a number from 1 to 65535")
    target = path if query is None else f"{path}?{query}"
    if not _PLAIN.fullmatch(target):
        raise _refused("what has a meaning of its own in a URL is percent-encoded")
    if _NEEDLESS.search(target):
        raise _refused("letters, digits and -._~ stand as they are, not percent-encoded")
    check_path(path)
    target = _ENCODED.sub(lambda found: found[0].upper(), target)
    return Place(scheme, _host(match["host"].lower()), port, target)


def written(url: object) -> Place:
    """Return what an absolute URL names that is written in its one form. Raises `UnreachedError`.

    A rule has judged the text, so there is one text for each place.
    """
    place = read(url)
    if place.url != url:
        raise _refused(
            "a URL is written in its one form: the host in lower case, a port only where it is not"
            " the usual one, a path, encodings in capitals"
        )
    return place


def check_path(path: str) -> None:
    """Refuse a path that leads elsewhere than it says. Raises `UnreachedError`."""
    if path.startswith("//") or not dotless(path):
        raise _refused("a path has no dot segments, encoded or not, and no empty first segment")


def dotless(text: str) -> bool:
    """Whether no reader, however often it decodes, finds `.` or `..` between slashes."""
    forms = decodings(text)
    dots = (part for form in forms for part in re.split(r"[/\\]", form))
    return bool(forms) and not any(part.split(";")[0] in _DOTS for part in dots)


def decodings(text: str) -> list[str]:
    """Return the text and what it is once, twice, … decoded; none where that is no plain text."""
    forms = [text]
    while (decoded := unquote(forms[-1])) != forms[-1]:
        forms.append(decoded)
    fit = len(forms) <= _DECODINGS and all(map(_clean, forms))
    return forms if fit else []


def _clean(text: str) -> bool:
    return all(character.isprintable() for character in text) and "\ufffd" not in text


def _host(text: str) -> str:
    if text.startswith("["):
        return _address(text[1:-1])
    labels = text.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # Whatever ends in a number is an address (WHATWG URL): only as four plain numbers.
        return _address(text)
    if not all(_LABEL.fullmatch(label) for label in labels):
        raise _refused("this is no name of a host")
    return text


def _address(text: str) -> str:
    try:
        found = ipaddress.ip_address(text)
    except ValueError as odd:
        raise _refused("this is no address in its plain form") from odd
    return str(found)


def _refused(why: str) -> UnreachedError:
    return UnreachedError(why, code="url_refused")
