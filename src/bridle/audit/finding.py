"""Finds the records that somebody means: by index, leaf hash, or an id that stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from bridle.audit import openers
from bridle.governor.audit.witness import Marker
from bridle.model.errors import NotFoundError
from bridle.store.base import StoredLeaf, Tx
from bridle.store.place import Place

MOST = 1_000
_PAGE = 4_096
_INDEX = re.compile(r"0|[1-9][0-9]{0,17}")
_HASH = re.compile(r"[0-9a-f]{64}")


class Candidate(Struct, frozen=True):
    """A record that may be meant. `time` is in milliseconds since the epoch."""

    index: int
    hash: str
    kind: str
    chain: str
    time: int


class _Body(Struct, frozen=True):
    approval: str = ""


class _Leaf(Struct, frozen=True):
    kind: str = ""
    time: int = 0
    ids: dict[str, str] = {}
    body: _Body = _Body()


_decode = msgspec.json.Decoder(_Leaf).decode


def candidates(tx: Tx, where: Place, what: str, kind: str = "") -> list[Candidate]:
    """Return the records that `what` means: one by index or hash, all that name it as an id.

    An action's id is looked for under its pseudonym, too, where the store's digest key is there.
    `kind` narrows them down. An index is read at once, anything else looked for in order. At most
    a thousand. Raises `NotFoundError`.
    """
    found: list[Candidate] = []
    for leaf in _leaves(tx, where, what) if what else ():
        candidate = _candidate(leaf)
        if not kind or candidate.kind == kind:
            found.append(candidate)
        if len(found) == MOST:
            break
    if not found:
        raise NotFoundError(
            f"no record of the log is or names {what!r}",
            hint="Name an index, a receipt's hash, or the id of an action, attempt, approval, "
            "mission or session.",
        )
    return found


def _leaves(tx: Tx, where: Place, what: str) -> Iterator[StoredLeaf]:
    size = tx.frontier().size
    if _INDEX.fullmatch(what):
        yield from tx.leaves(int(what), min(int(what) + 1, size))
    elif _HASH.fullmatch(what) and (index := _hashed(tx, bytes.fromhex(what), size)) is not None:
        yield from tx.leaves(index, index + 1)
    else:
        yield from _naming(tx, _names(where, what))


def _hashed(tx: Tx, digest: bytes, size: int) -> int | None:
    for start in range(0, size, _PAGE):
        page = tx.hashes(0, start, min(start + _PAGE, size))
        if digest in page:
            return start + page.index(digest)
    return None


def _names(where: Place, what: str) -> frozenset[str]:
    """Return what an id is called in the ledger."""
    key = openers.secret(where, "digest.key")
    if key is None:
        return frozenset({what})
    return frozenset({what, Marker(key).action(what)})


def _naming(tx: Tx, names: frozenset[str]) -> Iterator[StoredLeaf]:
    for stored in tx.leaves():
        leaf = _read(stored)
        if (
            stored.chain in names
            or leaf.body.approval in names
            or not names.isdisjoint(leaf.ids.values())
        ):
            yield stored


def _candidate(stored: StoredLeaf) -> Candidate:
    leaf = _read(stored)
    return Candidate(stored.index, stored.hash.hex(), leaf.kind, stored.chain, leaf.time)


def _read(stored: StoredLeaf) -> _Leaf:
    try:
        return _decode(stored.data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return _Leaf()
