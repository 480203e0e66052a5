"""The README.md of an export: how to verify it with programs that nobody of Bridle wrote.

It follows from origin, size, keys and whether payloads are included, so a verifier writes it anew
and compares. Its wording is part of the format: what was once released stays readable, as
`guides/<version>.md`; the newest is written.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources

from bridle.ledger.note import Key

_VERSIONS = ("1",)
_MARK = re.compile("@[A-Z]+@")


def written(origin: str, size: int, keys: Iterable[Key], *, opened: bool) -> bytes:
    """Return the guide as it is written now. `opened` says that payloads are included."""
    return _filled(_VERSIONS[-1], origin, size, tuple(keys), opened=opened)


def known(origin: str, size: int, keys: Iterable[Key], *, opened: bool) -> Iterator[bytes]:
    """Yield the guide in every wording that was ever released."""
    for version in _VERSIONS:
        yield _filled(version, origin, size, tuple(keys), opened=opened)


def _filled(version: str, origin: str, size: int, keys: tuple[Key, ...], *, opened: bool) -> bytes:
    filling = {
        "@ORIGIN@": origin,
        "@SIZE@": str(size),
        "@PAYLOADS@": "included" if opened else "left out",
        "@KEYS@": "\n".join(map(str, keys)),
    }
    # In one pass: a name is free text, and nothing in it is to be filled in again.
    return _MARK.sub(lambda found: filling[found[0]], _template(version)).encode()


@cache
def _template(version: str) -> str:
    folder = resources.files("bridle.audit.exports") / "guides"
    return (folder / f"{version}.md").read_text("utf-8")
