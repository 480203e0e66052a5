"""The proof that a log has only grown since a checkpoint that an auditor kept: a file of its own.

It is the body of the request that asks a C2SP witness to cosign (`tlog-witness`, `add-checkpoint`):
`old <size>`, the hashes of the consistency proof in base64, an empty line, the newer checkpoint.
"""

from __future__ import annotations

import re

from msgspec import Struct

from bridle.ledger import note
from bridle.ledger.checkpoint import Signed
from bridle.ledger.errors import LedgerError
from bridle.ledger.tree import HASH_BYTES, consistent
from bridle.ledger.trustfile import Trust

MOST_BYTES = 1 << 20
MOST_HASHES = 63
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


class Growth(Struct, frozen=True):
    """A proof as read: size of the older tree, hashes of 32 bytes, the newer checkpoint's note."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes


def render(growth: Growth) -> bytes:
    """Write a proof."""
    lines = [f"old {growth.old}", *map(note.encoded, growth.proof), "", ""]
    return "\n".join(lines).encode() + growth.checkpoint


def parse(data: bytes) -> Growth:
    """Read a proof. Raises `LedgerError` (`growth_invalid`)."""
    above, gap, below = data.partition(b"\n\n")
    if len(data) > MOST_BYTES or not gap:
        raise _invalid()
    try:
        first, *hashes = above.decode("ascii").split("\n")
        proof = tuple(map(note.decoded, hashes))
    except (UnicodeDecodeError, LedgerError):
        raise _invalid() from None
    old = _OLD.fullmatch(first)
    if old is None or len(proof) > MOST_HASHES or any(len(each) != HASH_BYTES for each in proof):
        raise _invalid()
    return Growth(int(old[1]), proof, below)


def verify(growth: Growth, kept: bytes, trust: Trust) -> tuple[Signed, Signed]:
    """Show that the log of the checkpoint `kept` is the beginning of the newer one.

    Returns both. Raises `LedgerError`: `growth_unproven`, and as reading a checkpoint does.
    """
    old, new = trust.read(kept), trust.read(growth.checkpoint)
    before, after = old.checkpoint, new.checkpoint
    sizes = growth.old == before.size and before.origin == after.origin
    holds = (
        not growth.proof
        if before.size == 0
        else consistent(before.size, after.size, before.root, after.root, growth.proof)
    )
    if not (sizes and holds):
        raise LedgerError(
            "the newer checkpoint is not proved to continue the one you kept",
            code="growth_unproven",
        )
    return old, new


def _invalid() -> LedgerError:
    return LedgerError("not a proof of growth", code="growth_invalid")
