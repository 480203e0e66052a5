"""Remembers on disk how far one receiver has been told: the next record, and the last one told."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
from msgspec import Struct

from bridle.emit.errors import EmitError
from bridle.store import folders
from bridle.store.failures import of_system

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_HASH = re.compile(r"([0-9a-f]{64})?")
_MOST_BYTES = 4096


class Position(Struct, frozen=True, forbid_unknown_fields=True):
    """`next` is the index of the record to tell next, `told` the leaf hash (hex) of the one before.

    `target` says whose position it is, for whoever looks into the file.
    """

    next: int = 0
    told: str = ""
    target: str = ""


class Cursor:
    """One file of a store's folder `emit`, for the governor's user alone."""

    def __init__(self, folder: Path, name: str) -> None:
        assert _NAME.fullmatch(name), name
        self.path = folder / f"{name}.cursor"

    def read(self) -> Position:
        """Return the position; the beginning where there is none.

        Raises `EmitError` (`emit_cursor`) for a file that is none of ours: starting over would
        tell everything again.
        """
        try:
            with self.path.open("rb") as file:
                data = file.read(_MOST_BYTES)
        except FileNotFoundError:
            return Position()
        except OSError as problem:
            raise of_system(problem, self.path) from problem
        try:
            found = msgspec.json.decode(data, type=Position)
        except (msgspec.MsgspecError, UnicodeDecodeError) as problem:
            raise self._unreadable() from problem
        if (
            found.next < 0
            or not _HASH.fullmatch(found.told)
            or bool(found.told) != bool(found.next)
        ):
            raise self._unreadable()
        return found

    def write(self, position: Position) -> None:
        """Replace the position: readers and crashes see the old one or the new one, no part.

        Raises `StoreError`.
        """
        try:
            folders.make(self.path.parent)
            folders.replace(self.path, msgspec.json.encode(position))
        except OSError as problem:
            raise of_system(problem, self.path) from problem

    def _unreadable(self) -> EmitError:
        return EmitError(
            f"{self.path} is no cursor",
            code="emit_cursor",
            hint="Remove it to have every record told again.",
        )
