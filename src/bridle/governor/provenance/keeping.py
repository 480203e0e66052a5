"""Keeps the sources of a mission as rows: adds one, lets go of the oldest, drops all at its end.

What somebody vouches for is never let go of: once there is no more room for it, nobody vouches for
what comes after. Of the rest the oldest go, a part of all there is at once.
"""

from __future__ import annotations

import msgspec
from msgspec import structs

from bridle.engine.flow.source import Imprint, Source, SourceKind
from bridle.governor.ground.core import tampered
from bridle.governor.ground.turn import Turn
from bridle.governor.provenance import chain
from bridle.store.rows import ReadRow, SourceRow

TRUSTED_MOST, OTHERS_MOST = 768 * 1_024, 2 * 1_024 * 1_024
"""Octets of imprints (and `ROW` each) that are kept of what is vouched for, and of the rest."""

ROW = 512
"""Octets that a source counts for beside its imprint."""

_LEFT = 3, 4  # of the rest, where it becomes too much

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Imprint).decode


def add(turn: Turn, mission: str, source: Source, said: Imprint) -> bool:
    """Keep a source. Returns False where there was no room for it, or something else made room."""
    before = turn.tx.get(ReadRow, mission) or ReadRow(mission=mission)
    row = _row(turn, before.count + 1, source, said)
    if row.trusted and before.trusted_size + _size(row) > TRUSTED_MOST:
        return False
    after = structs.replace(_put(turn, before, row), count=row.number)
    left = _let_go(turn, after)
    turn.tx.put(left)
    return left is after


def source_of(row: SourceRow) -> Source:
    """Return the source that a row is of."""
    return Source(
        id=row.about,
        kind=SourceKind(row.kind),
        record=row.record,
        tool=row.tool,
        system=row.system,
        domain=row.domain,
        labels=tuple(row.labels),
        trusted=row.trusted,
        sink=row.sink,
        toward=row.toward,
    )


def imprint_of(row: SourceRow) -> Imprint:
    """Return what a source said. Raises `StoreError` (`store_tampered`)."""
    try:
        return _decode(row.imprint)
    except msgspec.MsgspecError as problem:
        raise tampered(f"the imprint of source {row.id} is none") from problem


def distrust(turn: Turn, mission: str) -> bool:
    """Vouch no longer for any prompt of a mission. Returns whether anybody did."""
    before = turn.tx.get(ReadRow, mission)
    rows = chain.kept(turn, before) if before is not None else []
    moved = [row for row in rows if row.trusted and row.kind == SourceKind.PROMPT]
    if before is None or not moved:
        return False
    for number in range(1, before.trusted + 1):
        turn.tx.delete(SourceRow, chain.key(mission, chain.TRUSTED, number))
    after = structs.replace(before, trusted=0, trusted_head="", trusted_size=0)
    for row in rows:
        if row.trusted and row not in moved:
            after = _put(turn, after, row)
    for row in moved:
        number = after.count + 1
        moving = structs.replace(row, trusted=False, number=number)
        after = structs.replace(_put(turn, after, moving), count=number)
    turn.tx.put(_let_go(turn, after))
    return True


def drop(turn: Turn, mission: str) -> int:
    """Delete all that is kept of what a mission has read. Returns how many sources that were."""
    row = turn.tx.get(ReadRow, mission)
    if row is None:
        return 0
    halves = (chain.TRUSTED, 1, row.trusted), (chain.OTHERS, row.first, row.others)
    for half, first, last in halves:
        for number in range(first, last + 1):
            turn.tx.delete(SourceRow, chain.key(mission, half, number))
    turn.tx.delete(ReadRow, mission)
    return sum(last - first + 1 for _, first, last in halves)


def _put(turn: Turn, read: ReadRow, row: SourceRow) -> ReadRow:
    """Put a source at the end of its half."""
    if row.trusted:
        number, before = read.trusted + 1, read.trusted_head
        placed = structs.replace(row, id=chain.key(read.mission, chain.TRUSTED, number))
        head, size = chain.link(turn.core, before, placed), read.trusted_size + _size(row)
        after = structs.replace(read, trusted=number, trusted_head=head, trusted_size=size)
    else:
        number, before = read.others + 1, read.others_head
        placed = structs.replace(row, id=chain.key(read.mission, chain.OTHERS, number))
        head, size = chain.link(turn.core, before, placed), read.others_size + _size(row)
        after = structs.replace(read, others=number, others_head=head, others_size=size)
    turn.tx.put(placed)
    return after


def _row(turn: Turn, number: int, source: Source, said: Imprint) -> SourceRow:
    return SourceRow(
        id="",
        number=number,
        about=source.id,
        kind=source.kind.value,
        record=source.record,
        tool=source.tool,
        system=source.system,
        domain=source.domain,
        labels=list(source.labels),
        trusted=source.trusted,
        sink=source.sink,
        toward=source.toward,
        imprint=_encode(said),
        salt=turn.vault.nonce().hex(),
    )


def _size(row: SourceRow) -> int:
    return len(row.imprint) + ROW


def _let_go(turn: Turn, row: ReadRow) -> ReadRow:
    """Delete the oldest sources that nobody vouches for, where they are too much."""
    if row.others_size <= OTHERS_MOST:
        return row
    first, base, size = row.first, row.base, row.others_size
    while first <= row.others and size > OTHERS_MOST * _LEFT[0] // _LEFT[1]:
        found = chain.source(turn, row.mission, chain.OTHERS, first)
        turn.tx.delete(SourceRow, found.id)
        base, size, first = chain.link(turn.core, base, found), size - _size(found), first + 1
    return structs.replace(row, first=first, base=base, others_size=size)
