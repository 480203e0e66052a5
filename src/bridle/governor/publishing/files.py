"""Where the newest signed checkpoint is put: beside the store, and in copies that others hold.

A copy that lies where the store's own folder does not, on another disk or host, is what shows that
the whole folder was put back to an earlier state. A file that holds anything but a checkpoint is
never written over.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from bridle.ledger import checkpoint
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.errors import LedgerError
from bridle.ledger.note import MOST_BYTES, Key
from bridle.model.errors import StoreError
from bridle.store import folders
from bridle.store.failures import failure

_log = logging.getLogger("bridle.governor")

# Anyone may read a copy: it says how many records there are, and a hash.
_PUBLIC = 0o644


class Files:
    """The file beside the store, and copies. `put` is for one thread at a time."""

    def __init__(self, own: Path, copies: Sequence[Path] = ()) -> None:
        self._own = own
        self._paths = (own, *(each for each in copies if each != own))
        self._put: dict[Path, bytes] = {}
        self._failing: set[Path] = set()

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them, the one beside the store first."""
        return self._paths

    def noted(self) -> dict[Path, bytes]:
        """Return what they hold; those that are not there are left out. Raises `StoreError`."""
        found = {path: read(path) for path in self._paths}
        return {path: data for path, data in found.items() if data is not None}

    def put(self, note: bytes) -> bool:
        """Replace each file by this note. Returns whether all hold it now."""
        for path in self._paths:
            if self._put.get(path) != note:
                self._replace(path, note)
        return all(self._put.get(path) == note for path in self._paths)

    def _replace(self, path: Path, note: bytes) -> None:
        try:
            folders.replace(path, note, mode=0o600 if path == self._own else _PUBLIC)
        except OSError as problem:
            if path not in self._failing:
                _log.error("the checkpoint cannot be put at %s: %s", path, problem.strerror)
            self._failing.add(path)
            return
        if path in self._failing:
            _log.warning("the checkpoint is put at %s again", path)
        self._failing.discard(path)
        self._put[path] = note


def read(path: Path) -> bytes | None:
    """Return what a file holds, None where there is none. Raises `StoreError`."""
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise _unusable(path, problem.strerror or str(problem)) from problem
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _unusable(path, "it is no plain file")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as problem:
        raise _unusable(path, problem.strerror or str(problem)) from problem
    finally:
        os.close(descriptor)


def signed(path: Path, data: bytes, keys: Iterable[Key]) -> Checkpoint:
    """Return the checkpoint that a file holds. Raises `StoreError` unless one of `keys` signed."""
    try:
        return checkpoint.read(data, keys).checkpoint
    except LedgerError as problem:
        raise failure(
            "store_tampered", f"{path} is no checkpoint of this log: {problem.message}"
        ) from problem


def _unusable(path: Path, why: str) -> StoreError:
    return StoreError(
        f"the checkpoint at {path} cannot be read: {why}",
        code="checkpoint_unreadable",
        hint="Mend it, or name another file with --checkpoint-copy.",
    )
