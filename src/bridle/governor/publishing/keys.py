"""The keys that sign a log: their files, their rows, and the name they sign under.

A key's file is durable before its row is, and is deleted after the row says that it is retired: so
there is no moment at which a row names a key that signs and that nobody has.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable
from pathlib import Path

from bridle.ledger import note
from bridle.ledger.note import SEED_BYTES, Key, Signer
from bridle.model.errors import StoreError
from bridle.store import folders, keys
from bridle.store.base import Tx
from bridle.store.failures import of_system
from bridle.store.rows import LogKeyRow

_FILE = re.compile(r"log-[0-9a-f]{8}\.key")
# What a crash leaves of making one (`bridle.store.keys`): it holds the same seed.
_DRAFT = re.compile(r"\.log-[0-9a-f]{8}\.key\.")
_ODD = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST = 64
_EVERY = 1_000_000


def rows(tx: Tx) -> list[LogKeyRow]:
    """All keys of the log, in order of adding."""
    return sorted(tx.find(LogKeyRow, limit=_EVERY), key=lambda row: (row.added, row.id))


def verifiers(tx: Tx) -> list[Key]:
    """The public halves of all keys of the log, in order of adding, retired ones too."""
    return [note.key(row.key) for row in rows(tx)]


def signing(tx: Tx) -> list[LogKeyRow]:
    """Those of the keys that sign."""
    return [row for row in rows(tx) if not row.retired]


def origin(tx: Tx) -> str:
    """The name of the log, which its first key fixed. Empty while there is none."""
    found = rows(tx)
    return note.key(found[0].key).name if found else ""


def fresh_origin(bundle: str) -> str:
    """Return a name for the log of a bundle that gives it none: nobody else's, and no secret."""
    name = _ODD.sub("-", bundle)[:_LONGEST].strip("-.") or "bundle"
    return f"localhost/{name}/{os.urandom(8).hex()}"


class LogKeys:
    """The private keys that a governor holds, by key ID (hex). Not safe for threads.

    `folder` is that of the store's keys. What signs is what the rows say, never what lies there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[str, Signer] = {}

    def path(self, key: str) -> Path:
        """Return the file of a key, given its ID."""
        return self._folder / f"log-{key}.key"

    def make(self, name: str, taken: Container[str] = ()) -> Signer:
        """Make a key for the log of this name: durable, but it signs once a row names it."""
        while True:
            seed = os.urandom(SEED_BYTES)
            signer = Signer(name, seed)
            key = signer.key.id.hex()
            if key not in taken:  # an ID has four bytes: two keys may have the same
                break
        keys.keep(self.path(key), seed)
        self._held[key] = signer
        return signer

    def load(self, found: Iterable[LogKeyRow]) -> None:
        """Read the keys of rows that sign. Raises `StoreError` (`log_key_missing`, …)."""
        for row in found:
            if not row.retired:
                self._held[row.id] = self._signer(row)

    def signers(self, found: Iterable[LogKeyRow]) -> list[Signer]:
        """Return who signs by these rows."""
        return [self._held.get(row.id) or self._signer(row) for row in found]

    def forget(self, found: Iterable[LogKeyRow]) -> None:
        """Delete the files of keys that sign no more, and of those that never came to sign.

        The file is only unlinked: what a disk keeps of overwritten blocks is not up to us. Raises
        `OSError`.
        """
        kept = {self.path(row.id).name for row in found if not row.retired}
        self._held = {key: each for key, each in self._held.items() if self.path(key).name in kept}
        gone = [
            each
            for each in self._folder.iterdir()
            if each.name not in kept and (_FILE.fullmatch(each.name) or _DRAFT.match(each.name))
        ]
        for each in gone:
            each.unlink()
        if gone:
            folders.sync(self._folder)

    def _signer(self, row: LogKeyRow) -> Signer:
        path, public = self.path(row.id), note.key(row.key)
        try:
            signer = Signer(public.name, keys.load(path))
        except FileNotFoundError:
            signer = None
        except OSError as problem:
            raise of_system(problem, path) from problem
        if signer is None or signer.key != public:
            raise StoreError(
                f"{path} does not hold the key {row.id}, with which this log is signed",
                code="log_key_missing",
                hint="Restore the folder `keys`; without it this store can only be audited.",
            )
        return signer
