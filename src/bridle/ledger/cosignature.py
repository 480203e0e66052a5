"""Cosignatures (C2SP `tlog-cosignature`, Ed25519, type 04): a witness's word on a checkpoint.

It says that at that time this was the largest tree of this log that the witness had seen, and that
it followed from all it had seen before; nothing of what the leaves say. So a log that shows one
history to some and another to others needs the witness's help. Clocks are not judged here.
Format: <https://c2sp.org/tlog-cosignature>.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from bridle.ledger import note
from bridle.ledger.errors import LedgerError
from bridle.ledger.note import COSIGNATURE, SIGNATURE_BYTES, Key, Note, Signature, Signer

MOST_TIME = (1 << 63) - 1
_TIME_BYTES = 8


class Cosignature(Struct, frozen=True):
    """Who cosigned, and when by their clock, in seconds since the epoch."""

    key: Key
    time: int


def sign(signer: Signer, text: str, time: int) -> Signature:
    """Cosign the text of a checkpoint, as a witness does who has checked it, at `time` (seconds).

    Raises `LedgerError` (`note_invalid`) for a key that is no witness's, or a time out of range.
    """
    if signer.key.kind != COSIGNATURE or not 0 <= time <= MOST_TIME:
        raise LedgerError("only a key of type 04 cosigns, at a time", code="note_invalid")
    signature = signer.raw(_message(text.encode(), time))
    return signer.line(time.to_bytes(_TIME_BYTES, "big") + signature)


def verify(found: Note, keys: Iterable[Key]) -> tuple[Cosignature, ...]:
    """Return the cosignatures by those of `keys` that are of type 04, in order of their lines.

    There may be none, and a witness may have cosigned more than once, at several times. Raises
    `LedgerError`: `note_unverified` when a line that claims to be by one of them is wrong or stands
    twice; `key_ambiguous` when two of them share name and key ID.
    """
    known = note.by_line(keys, COSIGNATURE)
    signed: list[Cosignature] = []
    text = found.text.encode()
    for line in found.signatures:
        by = known.get((line.name, line.id))
        if by is None:
            continue
        cosignature = Cosignature(by, int.from_bytes(line.payload[:_TIME_BYTES], "big"))
        if cosignature in signed or not _holds(line, cosignature, text):
            raise note.wrong(line)
        signed.append(cosignature)
    return tuple(signed)


def _holds(line: Signature, cosignature: Cosignature, text: bytes) -> bool:
    if len(line.payload) != _TIME_BYTES + SIGNATURE_BYTES or cosignature.time > MOST_TIME:
        return False
    message = _message(text, cosignature.time)
    return cosignature.key.verifies(line.payload[_TIME_BYTES:], message)


def _message(text: bytes, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n".encode() + text
