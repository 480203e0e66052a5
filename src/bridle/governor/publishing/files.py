"""Where the newest signed checkpoint is put: beside the store, and in copies that others hold.

A copy that lies where the store's own folder does not, on another disk or host, is what shows that
the whole folder was put back to an earlier state. A file that holds anything but a checkpoint is
never written over.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from bridle.governor.publishing.copies import Copy, each_of, read
from bridle.ledger import checkpoint
from bridle.ledger.checkpoint import Checkpoint
from bridle.ledger.errors import LedgerError
from bridle.ledger.note import Key
from bridle.store import folders
from bridle.store.failures import failure

_log = logging.getLogger("bridle.governor")


class Files:
    """The file beside the store, and copies. For one thread at a time."""

    def __init__(self, own: Path, copies: Sequence[Path] = ()) -> None:
        self._own = own
        self._copies = [Copy(each) for each in dict.fromkeys(copies) if each != own]
        self._put = b""
        self._failing = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """All of them, the one beside the store first."""
        return (self._own, *(each.path for each in self._copies))

    def noted(self) -> dict[Path, bytes]:
        """Return what they hold; those that are not there are left out. Raises `StoreError`.

        Whoever asks makes sure that the log holds it before anything is put.
        """
        held = {self._own: read(self._own), **{copy.path: copy.found() for copy in self._copies}}
        found = {path: data for path, data in held.items() if data is not None}
        for copy in self._copies:
            copy.known(found.get(copy.path, b""))
        return found

    def strange(self) -> dict[Path, bytes]:
        """Return what copies hold by now that this governor did not put there."""
        each_of(self._copies, lambda copy: copy.ask(None))
        return {copy.path: data for copy in self._copies if (data := copy.strange())}

    def accept(self, path: Path) -> None:
        """Have a copy that holds something strange be replaced: the log holds it too."""
        for copy in self._copies:
            if copy.path == path and (data := copy.strange()):
                copy.known(data)

    def put(self, note: bytes) -> bool:
        """Replace each file by this note. Returns whether all hold it now."""
        if self._put != note:
            self._replace(note)
        each_of([each for each in self._copies if each.holds != note], lambda copy: copy.ask(note))
        return self._put == note and all(each.holds == note for each in self._copies)

    def _replace(self, note: bytes) -> None:
        try:
            folders.replace(self._own, note)
        except OSError as problem:
            if not self._failing:
                _log.error("the checkpoint cannot be put at %s: %s", self._own, problem.strerror)
            self._failing = True
            return
        if self._failing:
            _log.warning("the checkpoint is put at %s again", self._own)
        self._failing, self._put = False, note


def signed(path: Path, data: bytes, keys: Iterable[Key]) -> Checkpoint:
    """Return the checkpoint that a file holds. Raises `StoreError` unless one of `keys` signed."""
    try:
        return checkpoint.read(data, keys).checkpoint
    except LedgerError as problem:
        raise failure(
            "store_tampered", f"{path} is no checkpoint of this log: {problem.message}"
        ) from problem
