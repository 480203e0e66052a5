"""Receipts (C2SP `tlog-proof`): one file that shows that one record is in the log.

It holds the leaf's index, its inclusion proof, and the signed checkpoint it leads to. `extra` is
not authenticated: Bridle puts the leaf itself there, which counts only once the proof says so.
Format: <https://c2sp.org/tlog-proof>.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from msgspec import Struct

from bridle.ledger import checkpoint, note
from bridle.ledger.checkpoint import Signed
from bridle.ledger.errors import LedgerError
from bridle.ledger.note import Key
from bridle.ledger.tree import HASH_BYTES, includes, leaf_hash

HEAD = "c2sp.org/tlog-proof@v1"
MOST_HASHES = 63
MOST_BYTES = 1 << 20
_MOST_LINES = 3 + MOST_HASHES
_INDEX = re.compile(r"0|[1-9][0-9]{0,18}")


class Receipt(Struct, frozen=True):
    """A receipt as read; `verify` says whether it holds. `checkpoint` is the note as it lay there.

    `proof` holds at most 63 hashes of 32 bytes, the leaf's sibling first.
    """

    index: int
    proof: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes = b""


def render(receipt: Receipt) -> bytes:
    """Write a receipt. Raises `LedgerError` (`receipt_invalid`) if it could not be read back."""
    lines = [HEAD]
    if receipt.extra:
        lines.append(f"extra {note.encoded(receipt.extra)}")
    lines.append(f"index {receipt.index}")
    lines += map(note.encoded, receipt.proof)
    data = "\n".join([*lines, "", ""]).encode() + receipt.checkpoint
    if parse(data) != receipt:
        raise _invalid()
    return data


def parse(data: bytes) -> Receipt:
    """Read a receipt of at most 1 MiB. Raises `LedgerError` (`receipt_invalid`).

    The checkpoint in it is taken as it lies there; `verify` reads it. What this returns renders
    back to the very bytes.
    """
    if len(data) > MOST_BYTES:
        raise _invalid()
    above, gap, below = data.partition(b"\n\n")
    lines = above.decode("latin-1").split("\n", _MOST_LINES)
    if not gap or len(lines) > _MOST_LINES:
        raise _invalid()
    try:
        return _receipt(lines, below)
    except LedgerError:
        raise _invalid() from None


def verify(receipt: Receipt, leaf: bytes, keys: Iterable[Key]) -> Signed:
    """Show that `leaf` is the record at the receipt's index, in a log that one of `keys` signed.

    Raises `LedgerError`: `receipt_unproven` when the proof does not lead to the checkpoint, and as
    `bridle.ledger.checkpoint.read`. Costs one hash for each level of the tree.
    """
    signed = checkpoint.read(receipt.checkpoint, keys)
    size, root = signed.checkpoint.size, signed.checkpoint.root
    if not includes(receipt.index, size, leaf_hash(leaf), receipt.proof, root):
        raise LedgerError("the record is not in the log it names", code="receipt_unproven")
    return signed


def _receipt(lines: list[str], below: bytes) -> Receipt:
    rest = iter(lines)
    if next(rest) != HEAD:
        raise _invalid()
    line, extra = next(rest, ""), b""
    if line.startswith("extra "):
        extra, line = note.decoded(line.removeprefix("extra ")), next(rest, "")
        if not extra:
            raise _invalid()
    index = line.removeprefix("index ")
    if not line.startswith("index ") or not _INDEX.fullmatch(index) or int(index) >= 1 << 63:
        raise _invalid()
    proof = tuple(map(note.decoded, rest))
    if len(proof) > MOST_HASHES or any(len(each) != HASH_BYTES for each in proof):
        raise _invalid()
    return Receipt(int(index), proof, below, extra)


def _invalid() -> LedgerError:
    return LedgerError("not a receipt", code="receipt_invalid")
