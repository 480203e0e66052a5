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
from bridle.ledger.cosignature import Cosignature
from bridle.ledger.errors import LedgerError
from bridle.ledger.note import Key, Note, Signer
from bridle.ledger.tree import EMPTY_ROOT, HASH_BYTES

MOST_SIZE = (1 << 63) - 1
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
    """A checkpoint, who of the keys asked about signed it, and the note as it was read.

    `cosigned` is there only where witnesses were asked about (`bridle.ledger.trustfile`).
    """

    checkpoint: Checkpoint
    keys: tuple[Key, ...]
    note: Note
    cosigned: tuple[Cosignature, ...] = ()


def sign(checkpoint: Checkpoint, signers: Iterable[Signer]) -> bytes:
    """Write the note of a checkpoint, a signature line for each signer.

    Raises `LedgerError` for a checkpoint or a note that could not be read back.
    """
    text = checkpoint.text
    if parse(text) != checkpoint:
        raise _invalid()
    return note.render(text, [each.sign(text) for each in signers])


def parse(text: str) -> Checkpoint:
    """Read the text of a checkpoint's note. Raises `LedgerError` (`checkpoint_invalid`)."""
    lines = text.split("\n", _LINES)
    rest = lines.pop()
    if len(lines) != _LINES or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise _invalid()
    if rest and (rest.startswith("\n") or "\n\n" in rest or not rest.endswith("\n")):
        raise _invalid()
    try:
        found = Checkpoint(lines[0], int(lines[1]), note.decoded(lines[2]))
    except LedgerError:
        raise _invalid() from None
    empty_differs = found.size == 0 and found.root != EMPTY_ROOT
    if len(found.root) != HASH_BYTES or found.size > MOST_SIZE or empty_differs:
        raise _invalid()
    return found


def read(data: bytes, keys: Iterable[Key]) -> Signed:
    """Read a checkpoint that at least one of `keys` signed.

    A key signs for the log it is named after, and for no other: lines by keys of other logs say
    nothing. Raises `LedgerError` (`note_invalid`, `checkpoint_invalid`, `note_unverified`,
    `key_ambiguous`).
    """
    found = note.parse(data)
    checkpoint = parse(found.text)
    # INVARIANT: the origin, which nobody vouches for yet, only narrows down who may vouch for it.
    signed = note.verify(found, [each for each in keys if each.name == checkpoint.origin])
    return Signed(checkpoint, signed, found)


def _invalid() -> LedgerError:
    return LedgerError("not a checkpoint", code="checkpoint_invalid")
