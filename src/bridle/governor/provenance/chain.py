"""The chains over what a mission has read: whoever changes, drops or adds a source breaks one.

One runs over the sources that somebody vouches for and one over the rest, of which the oldest are
let go of. Each value is keyed and covers the one before. Rows are witnessed by the ledger besides.
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from bridle.governor.ground.core import Core, tampered
from bridle.governor.ground.turn import Turn
from bridle.store.rows import ReadRow, SourceRow

TRUSTED, OTHERS = "t", "o"
"""The two halves."""

_DIGITS = 32
_encode = msgspec.json.Encoder().encode


def key(mission: str, half: str, number: int) -> str:
    """Return the key of a source's row."""
    return f"{mission}#{half}{number:012d}"


def link(core: Core, before: str, row: SourceRow) -> str:
    """Return the value of a chain after a source."""
    return core.keyed(f"source|{before}|{_encode(row).decode()}")[:_DIGITS]


def kept(turn: Turn, row: ReadRow) -> list[SourceRow]:
    """Return all that is kept of what a mission has read, in the order in which it was read.

    Raises `StoreError` (`store_tampered`) where it is not what was written.
    """
    found = [*_half(turn, row, TRUSTED), *_half(turn, row, OTHERS)]
    return sorted(found, key=lambda source: source.number)


def source(turn: Turn, mission: str, half: str, number: int) -> SourceRow:
    """Return a kept source. Raises `StoreError` (`store_tampered`) if it is missing."""
    found = turn.tx.get(SourceRow, key(mission, half, number))
    if found is None:
        raise tampered(f"source {number} of mission {mission} is missing")
    return found


def _half(turn: Turn, row: ReadRow, half: str) -> Iterator[SourceRow]:
    if half == TRUSTED:
        first, value, last, head = 1, "", row.trusted, row.trusted_head
    else:
        first, value, last, head = row.first, row.base, row.others, row.others_head
    for number in range(first, last + 1):
        found = source(turn, row.mission, half, number)
        value = link(turn.core, value, found)
        # INVARIANT: I2, I9 — nobody vouches for a source by where its row lies.
        if found.trusted is not (half == TRUSTED):
            raise tampered(f"source {number} of mission {row.mission} lies in the wrong half")
        yield found
    # INVARIANT: I2, I9 — no value is judged by what no governor has put on record.
    later = turn.tx.get(SourceRow, key(row.mission, half, last + 1))
    if value != head or later is not None:
        raise tampered(f"what mission {row.mission} has read is not what was written")
