"""Where things are sent to and found: e-mail, URL, host, IBAN, phone, ids, each with one form.

Only printable ASCII has a normal form here: an address with any other character is compared as it
stands, so that no two letters that look alike make one address of two. Each function takes a whole
text and returns its form, or "" if it is not one; each form is its own.
"""

from __future__ import annotations

import ipaddress
import re
from string import ascii_letters, digits

from bridle.engine.detect.expression import octets
from bridle.engine.detect.structured import ibans

LONGEST = 2_048
"""Characters of the longest text that is one identifier."""

_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_DOMAIN = rf"(?:{_LABEL}\.)+[A-Za-z](?:[A-Za-z0-9-]{{0,61}}[A-Za-z0-9])"
_EMAIL = re.compile(rf"(?:mailto:)?([A-Za-z0-9._+'-]{{1,64}}@{_DOMAIN})", re.IGNORECASE)
_HOST = re.compile(_DOMAIN)
_URL = re.compile(
    r"(?:([A-Za-z][A-Za-z0-9+.-]{1,20})://)?([^\s/?#@]*@)?"
    r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::([0-9]{1,5}))?"
    r"(/[^?#]*)?(\?[^#]*)?(#.*)?"
)
_IN_URL = re.compile(r"[/?#]|^[Ww]{3}\.")
_NOT_IN_URL = frozenset('"<>\\^`{}| ')
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})?")
_UNRESERVED = frozenset(ascii_letters + digits + "-._~")
_PORTS = {"http": "80", "https": "443", "ftp": "21", "ws": "80", "wss": "443"}
# A file's name reads as a host; these are no top-level domains worth the confusion.
_FILES = frozenset(
    re.findall(
        "[a-z0-9]+",
        "bat bin bmp cfg class conf cpp css csv db dll doc docx eml exe gif go gz html htm ics ini "
        "ipynb jar java jpeg jpg js json key lock log lua md mp3 mp4 odt pdf pem php png ppt pptx "
        "ps1 py rar rb rs rst sh sql svg tar tex tgz toml ts tsv txt wav webp xls xlsx xml yaml "
        "yml zip",
    )
)
_IBAN = re.compile(r"[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]{4}){2,7}(?:[ -]?[A-Za-z0-9]{1,3})?")
_ABROAD = re.compile(r"\+ ?\(?[1-9][0-9]*(?:[ .\-/()]{1,3}[0-9]+){0,8}")
_LONGEST_PHONE = 32
_AT_HOME = re.compile(
    r"\(?[2-9][0-9]{2}\)?[ .-][0-9]{3}[ .-][0-9]{4}"  # North America
    r"|\(0[1-9][0-9]{0,4}\)(?:[ /-]?[0-9]{2,8}){1,4}"
    r"|0[1-9][0-9]{0,4}(?:[ /-][0-9]{2,8}){1,4}"
    r"|[0-9]{7,15}"
)
_IP = re.compile(r"[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,40}")
_DAY = re.compile(r"[0-9]{1,4}([/.-])[0-9]{1,2}\1[0-9]{1,4}")
_UUID = re.compile(
    r"(?:urn:uuid:)?(\{)?([0-9A-Fa-f]{8}(-?)[0-9A-Fa-f]{4}\3[0-9A-Fa-f]{4}\3[0-9A-Fa-f]{4}\3"
    r"[0-9A-Fa-f]{12})(?(1)\})"
)
_DIGEST = re.compile(r"[0-9a-f]{32,128}|[0-9A-F]{32,128}")
_HEX = re.compile(r"0[xX]([0-9a-f]+|[0-9A-F]+)")
_TAG = re.compile(r"[#@][A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")


def email(text: str) -> str:
    """An e-mail address (dot-atom, domain name) without `mailto:`, in lower case."""
    found = _EMAIL.fullmatch(text)
    return found[1].lower() if found else ""


def host(text: str) -> str:
    """A domain name in lower case, or an IP address in its shortest form (RFC 5952)."""
    if _HOST.fullmatch(text):
        name = text.lower()
        return "" if len(name) > 253 or name.rpartition(".")[2] in _FILES else name
    return _ip(text)


def url(text: str) -> str:
    """A URL as RFC 3986 (section 6.2.2 and 6.2.3) lets it be normalised without being asked.

    Lower-case scheme and host, no default port, `/` for an empty path, percent-encoding only where
    it is needed and in upper case. One with dot segments or with a broken escape has no form. An
    address without a scheme (`www.x.com/a`) is one too, and another than that with a scheme.
    """
    found = _URL.fullmatch(text) if _IN_URL.search(text) else None
    if not found or not text.isprintable() or not _NOT_IN_URL.isdisjoint(text):
        return ""
    scheme, user, name, port, path, query, fragment = (part or "" for part in found.groups())
    where = host(name.strip("[]")) or (name.lower() if scheme else "")
    if not where or (not scheme and (user or not (path or query or fragment or _is_www(where)))):
        return ""
    if name.startswith("[") or ":" in where:
        where = f"[{where}]"
    scheme = scheme.lower()
    port = str(int(port)) if port else ""
    path, query, fragment, user = map(_unescaped, (path or "/", query, fragment, user))
    if None in (path, query, fragment, user) or _climbs(path or ""):
        return ""
    shown = f":{port}" if port and port != _PORTS.get(scheme) else ""
    return f"{scheme}{'://' if scheme else ''}{user}{where}{shown}{path}{query}{fragment}"


def parts_of_url(form: str) -> tuple[str, str, str]:
    """Return the scheme and the host of a normal form, and the form as it stands without a scheme.

    The third is "" where a user is named: that is no address that people leave a scheme out of.
    """
    found = _URL.fullmatch(form)
    if not found:
        return "", "", ""
    scheme, name = found[1] or "", found[3].strip("[]")
    return scheme, name, "" if found[2] else form[len(scheme) + 3 if scheme else 0 :]


def iban(text: str) -> str:
    """An account number with a known country, its length and a valid check, without spaces."""
    if not _IBAN.fullmatch(text):
        return ""
    compact = text.replace(" ", "").replace("-", "").upper()
    # The check first: it is cheap, and what passes it by chance is rare.
    if int("".join(str(int(c, 36)) for c in compact[4:] + compact[:4])) % 97 != 1:
        return ""
    return compact if list(ibans(octets(compact))) == [(0, len(compact))] else ""


def phone(text: str) -> str:
    """A phone number as its digits, with `+` if it names its country. No guess at the country."""
    plus = text.startswith("+")
    if len(text) > _LONGEST_PHONE:
        return ""
    if not (_ABROAD if plus else _AT_HOME).fullmatch(text) or _DAY.fullmatch(text):
        return ""
    number = "".join(c for c in text if c in digits)
    # `(0)` is left out by those who dial from abroad: two numbers in one.
    ambiguous = "(0)" in text or text.count("(") != text.count(")")
    return "" if ambiguous or not 7 <= len(number) <= 15 else "+" * plus + number


def hexadecimal(text: str) -> str:
    """A UUID without hyphens, a digest, or a number after `0x`, in lower case."""
    uuid = _UUID.fullmatch(text)
    if uuid and uuid[2] in (uuid[2].lower(), uuid[2].upper()):
        return uuid[2].replace("-", "").lower()
    return text.lower() if _DIGEST.fullmatch(text) or _HEX.fullmatch(text) else ""


def tag(text: str) -> str:
    """A reference that starts with `#` or `@`, as it stands."""
    return text if _TAG.fullmatch(text) else ""


def _ip(text: str) -> str:
    if not _IP.fullmatch(text):
        return ""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return ""


def _is_www(name: str) -> bool:
    return name.startswith("www.")


def _climbs(path: str) -> bool:
    return any(segment in (".", "..") for segment in path.split("/"))


def _unescaped(part: str) -> str | None:
    """Return a part with needless escapes undone; None if one is broken."""
    if "%" not in part:
        return part
    broken = False

    def plain(escape: re.Match[str]) -> str:
        nonlocal broken
        if escape[1] is None:
            broken = True
            return ""
        character = chr(int(escape[1], 16))
        return character if character in _UNRESERVED else escape[0].upper()

    done = _ESCAPE.sub(plain, part)
    return None if broken else done
