"""Where the governor's side may send requests: URLs, names of hosts, checked as they are declared.

What they resolve to is looked at when a request is made (`bridle.brokers.performing`).
"""

from __future__ import annotations

import ipaddress
import re

from bridle.bundle.parse.table import Table

_LONGEST = 2_000
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9a-f:.]{2,45}\]|[a-z0-9.-]{1,253})"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?P<path>(?:/[A-Za-z0-9._~-]+)*)/?"
)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
_PORT = re.compile(r"(?P<host>\[[0-9a-f:.]{2,45}\]|[^:\[\]]*):(?P<port>[1-9][0-9]{0,4})")
_ALL_BELOW = "*."
_DOTS = {".", ".."}


def url(table: Table, key: str, *, private: bool, required: bool = False) -> str:
    """Read a URL without user, query and fragment; `http://` only where `private` says so.

    Return it without a slash at the end, empty where there is none or it is wrong.
    """
    text = table.text(key, required=required)
    if not text:
        if isinstance(table.data.get(key), str):
            table.bad(key, f"`{key}` is empty")
        return ""
    found = _URL.fullmatch(text) if len(text) <= _LONGEST else None
    if found is None or not _is_sound(found):
        table.bad(
            key,
            f"`{key}` is a URL such as https://api.example.com/v1",
            "lower case, names in punycode; no user, query, fragment or dot segments",
        )
        return ""
    if found["scheme"] == "http" and not private:
        table.findings.error(
            table.at(key),
            "plain_http",
            f"what goes to {found['host']} could be read and changed on the way",
            "use https://, or say `private = true` for a network or machine of your own",
        )
    return text.removesuffix("/")


def _is_sound(found: re.Match[str]) -> bool:
    segments = set(found["path"].split("/"))
    return int(found["port"] or 1) < 65_536 and not segments & _DOTS and _is_host(found["host"])


def hosts(table: Table, *, private: bool) -> tuple[str, ...]:
    """Read `hosts`: names, `*.` and a name for all below it, addresses where `private`.

    Each may end in a port; without one, that of `http://` or `https://` is meant.
    """
    found = table.texts("hosts")
    for index, whole in enumerate(found):
        text = _without_port(whole)
        name = text.removeprefix(_ALL_BELOW)
        if _is_name(name) and ("." in name or (private and name == text)):
            continue
        if private and name == text and _is_address(text):
            continue
        table.findings.error(
            table.at("hosts", index),
            "bad_host",
            f"{whole[:80]!r} is no name of a host",
            "write docs.example.com, or *.example.com for all below it, without scheme;"
            " addresses and single words need `private = true`",
        )
    return found


def _without_port(text: str) -> str:
    found = _PORT.fullmatch(text)
    if found is None or int(found["port"]) > 65_535:
        return text
    return (found["host"] or "").removeprefix("[").removesuffix("]")


def _is_host(text: str) -> bool:
    if text.startswith("["):
        return _is_address(text[1:-1]) and ":" in text
    return _is_name(text) or (":" not in text and _is_address(text))


def _is_name(text: str) -> bool:
    labels = text.split(".")
    # Whatever ends in a number is an address to some readers (WHATWG URL), in forms few expect.
    return (
        len(text) <= 253
        and not _NUMBER.fullmatch(labels[-1])
        and all(_LABEL.fullmatch(label) for label in labels)
    )


def _is_address(text: str) -> bool:
    try:
        return str(ipaddress.ip_address(text)) == text
    except ValueError:
        return False
