"""Checkpoints (C2SP `tlog-checkpoint`): the log's own signed word on its size and root.

Text of the note: origin, size in decimal, root in base64, a line each; then extensions, which are
read over and never written. Format: <https://c2sp.org/tlog-checkpoint>. That a log never signs two
checkpoints that contradict each other is for `bridle.governor.publishing` to keep.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from bridle.ledger import note
from bridle.ledger.errors import LedgerError
from bridle.ledger.note import Key, Note, Signer
from bridle.ledger.tree import EMPTY_ROOT, HASH_BYTES

_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")
_LINES = 3


class Checkpoint(Struct, frozen=True):
    """Name of the log, number of its leaves, and the root over them (32 bytes)."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{self.origin}\n{self.size}\n{note.encoded(self.root)}\n"


class Signed(Struct, frozen=True):
    """A checkpoint, who of the keys asked about signed it, and the note as it was read."""

    checkpoint: Checkpoint
    keys: tuple[Key, ...]
    note: Note


def sign(checkpoint: Checkpoint, signers: Iterable[Signer]) -> bytes:
    """Write the note of a checkpoint, a signature line for each signer."""
    text = checkpoint.text
    return note.render(text, [each.sign(text) for each in signers])


def parse(text: str) -> Checkpoint:
    """Read the text of a checkpoint's note. Raises `LedgerError` (`checkpoint_invalid`)."""
    lines = text.split("\n")
    if len(lines) <= _LINES or not all(lines[:-1]) or not _SIZE.fullmatch(lines[1]):
        raise _invalid()
    try:
        found = Checkpoint(lines[0], int(lines[1]), note.decoded(lines[2]))
    except LedgerError:
        raise _invalid() from None
    empty_differs = found.size == 0 and found.root != EMPTY_ROOT
    if len(found.root) != HASH_BYTES or found.size >= 1 << 63 or empty_differs:
        raise _invalid()
    return found


def read(data: bytes, keys: Iterable[Key]) -> Signed:
    """Read a checkpoint that at least one of `keys` signed.

    A key signs for the log it is named after: another origin is refused. Raises `LedgerError`
    (`note_invalid`, `note_unverified`, `checkpoint_invalid`).
    """
    found = note.parse(data)
    signed = note.verify(found, keys)
    checkpoint = parse(found.text)
    if any(each.name != checkpoint.origin for each in signed):
        raise LedgerError(
            f"it is of the log {checkpoint.origin!r}, not of the one its key is named after",
            code="note_unverified",
        )
    return Signed(checkpoint, signed, found)


def _invalid() -> LedgerError:
    return LedgerError("not a checkpoint", code="checkpoint_invalid")
