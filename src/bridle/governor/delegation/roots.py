"""The governor's own keys for grants: their files, their rows, and who trusts them until when.

Every chain begins with a link that one of these signed. A key's file is durable before its row is:
no row names a key that nobody has. The newest key that counts signs; after a rotation the old one
verifies until its time is over.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from bridle.governor.ground.records import Entry
from bridle.model import public_key
from bridle.model.errors import NotFoundError, RefusedError, StoreError
from bridle.model.record import SYSTEM_CHAIN, LeafKind
from bridle.store import keys
from bridle.store.failures import of_system
from bridle.store.rows import IdentityKeyRow, RevokedRow
from bridle.trust.grants.roots import RootKey, Roots

if TYPE_CHECKING:
    from bridle.governor.ground.turn import Turn

GOVERNOR = "governor"
OWNER = f"{GOVERNOR}:"

_EVERY = 1_000
_NAMED = 16


class GrantKeys:
    """The private keys that a governor holds, by fingerprint. Safe for threads.

    `folder` is that of the store's keys; without one they live in memory, as does their store.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._held: dict[str, Ed25519PrivateKey] = {}
        self._lock = threading.Lock()

    def make(self) -> str:
        """Make a key: durable, but it signs once a row names it. Returns the public key."""
        seed = os.urandom(keys.KEY_BYTES)
        private = Ed25519PrivateKey.from_private_bytes(seed)
        public = public_key.written(private.public_key().public_bytes_raw())
        fingerprint = public_key.fingerprint(public)
        if self._folder is not None:
            keys.keep(self._path(fingerprint), seed)
        with self._lock:
            self._held[fingerprint] = private
        return public

    def private(self, row: IdentityKeyRow) -> Ed25519PrivateKey:
        """Return the private half of a row's key. Raises `StoreError` (`grant_key_missing`)."""
        with self._lock:
            known = self._held.get(row.id)
        if known is None:
            known = self._read(row)
            with self._lock:
                self._held[row.id] = known
        return known

    def lasts(self, row: IdentityKeyRow) -> bool:
        """Whether a row's key can be had at all: one in memory went with its process."""
        with self._lock:
            return self._folder is not None or row.id in self._held

    def forget(self, fingerprint: str) -> None:
        """Delete the file of a key that signs no more. Raises `OSError`."""
        with self._lock:
            self._held.pop(fingerprint, None)
        if self._folder is not None:
            self._path(fingerprint).unlink(missing_ok=True)

    def _read(self, row: IdentityKeyRow) -> Ed25519PrivateKey:
        seed = b""
        if self._folder is not None:
            path = self._path(row.id)
            try:
                seed = keys.load(path)
            except FileNotFoundError:
                seed = b""
            except OSError as problem:
                raise of_system(problem, path) from problem
        private = Ed25519PrivateKey.from_private_bytes(seed) if seed else None
        if private is None or _fingerprint(private) != row.id:
            raise StoreError(
                f"the key {row.id[:_NAMED]}, with which grants are signed, is not here",
                code="grant_key_missing",
                hint="restore the folder `keys`, or rotate it: `bridle keys rotate governor`",
            )
        return private

    def _path(self, fingerprint: str) -> Path:
        if self._folder is None:
            raise StoreError("these keys have no files", code="grant_key_missing")
        return self._folder / f"grant-{fingerprint[:_NAMED]}.key"


def name_of(turn: Turn) -> str:
    """Return the governor's name in grants, as issuer and as audience."""
    return f"bridle:{turn.core.store_id}"


def rows(turn: Turn) -> list[IdentityKeyRow]:
    """All keys that ever signed grants, in order of adding."""
    found = turn.tx.find(IdentityKeyRow, owner=OWNER, limit=_EVERY)
    return sorted(found, key=lambda row: (row.since, row.id))


def trusted(turn: Turn) -> Roots:
    """Return the keys that grants may begin with, each with its window. Revoked ones are none."""
    return Roots(
        tuple(
            RootKey(key=row.key, since_s=row.since // 1_000, until_s=_until_s(row))
            for row in rows(turn)
            if not _revoked(turn, row.id)
        )
    )


def counts(turn: Turn, fingerprint: str) -> bool:
    """Whether chains that begin with this key hold at this moment. Two look-ups."""
    row = turn.tx.get(IdentityKeyRow, fingerprint)
    return row is not None and row.kind == GOVERNOR and _in_force(turn, row)


def signer(turn: Turn) -> Ed25519PrivateKey:
    """Return the newest key that counts, made now if there is none. Raises `StoreError`."""
    held = turn.core.grant_keys
    found = [r for r in rows(turn) if not r.until and _in_force(turn, r) and held.lasts(r)]
    row = found[-1] if found else _added(turn, by="", method="first-grant")
    return turn.core.grant_keys.private(row)


def rotate(turn: Turn, *, overlap_ms: int, by: str, method: str) -> IdentityKeyRow:
    """Sign with a new key from now on; chains of the older ones hold for `overlap_ms` longer."""
    for row in rows(turn):
        if _in_force(turn, row):
            until = turn.now + overlap_ms
            turn.tx.put(structs.replace(row, until=min(row.until or until, until)))
    _advance(turn)
    return _added(turn, by=by, method=method)


def retire(turn: Turn, named: str, *, by: str, method: str) -> IdentityKeyRow:
    """End a key (as written, or 16 or more digits of its fingerprint) and all its chains, at once.

    Raises `NotFoundError`.
    """
    found = [row for row in rows(turn) if named and _is_named(row, named)]
    if len(found) != 1:
        raise NotFoundError(
            "no such key of this governor", hint="`bridle keys list --kind governor`"
        )
    row = found[0]
    if row.until and row.until <= turn.now:
        raise RefusedError("this key has ended already", code="key_ended")
    ended = structs.replace(row, until=turn.now)
    turn.tx.put(ended)
    # INVARIANT: I4 — whoever was found in order before asks anew.
    _advance(turn)
    _record(turn, "key_retire", row.id, by, method)
    return ended


def _is_named(row: IdentityKeyRow, named: str) -> bool:
    return row.key == named or (len(named) >= _NAMED and row.id.startswith(named))


def _added(turn: Turn, *, by: str, method: str) -> IdentityKeyRow:
    public = turn.core.grant_keys.make()
    row = IdentityKeyRow(
        id=public_key.fingerprint(public),
        owner=OWNER,
        kind=GOVERNOR,
        name="",
        key=public,
        since=turn.now,
        by=by,
    )
    turn.tx.put(row)
    _record(turn, "key_add", row.id, by, method)
    return row


def _advance(turn: Turn) -> None:
    state = turn.globals
    turn.tx.put(structs.replace(state, epoch=state.epoch + 1))


def _in_force(turn: Turn, row: IdentityKeyRow) -> bool:
    ended = row.until and row.until <= turn.now
    return row.since <= turn.now and not ended and not _revoked(turn, row.id)


def _revoked(turn: Turn, fingerprint: str) -> bool:
    return turn.tx.get(RevokedRow, f"key:{fingerprint}") is not None


def _until_s(row: IdentityKeyRow) -> int:
    # A second that has begun is over: 0 would mean without end.
    return max(1, row.until // 1_000) if row.until else 0


def _fingerprint(private: Ed25519PrivateKey) -> str:
    return public_key.fingerprint(public_key.written(private.public_key().public_bytes_raw()))


def _record(turn: Turn, what: str, fingerprint: str, by: str, method: str) -> None:
    turn.record(
        Entry(
            kind=LeafKind.IDENTITY,
            chain=SYSTEM_CHAIN,
            ids={"by": by, "method": method, "level": turn.level},
            body={"what": what, "kind": GOVERNOR, "id": "", "key": fingerprint},
        )
    )
