"""Keeps the sources of a mission as rows: adds one, lets go of the oldest, drops all at its end.

As an index keeps them (`bridle.engine.flow.index`): what somebody vouches for is never let go of,
and once there is no more room for it, nobody vouches for what comes after. Of the rest the oldest
go, a part of all there is at once.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct, structs

from bridle.engine.flow import index
from bridle.engine.flow.half import weight
from bridle.engine.flow.source import Imprint, Source, SourceKind
from bridle.governor.ground.core import tampered
from bridle.governor.ground.turn import Turn
from bridle.governor.provenance import chain, told
from bridle.store.rows import MissionRow, ReadRow, SourceRow

# Sources of a half that a new one is compared with, and all that its origin and its words are.
_LAST = 8
_SAYING = ("imprint", "kind", "tool", "system", "domain", "labels", "sink", "toward", "trusted")

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Imprint).decode


class Kept(Struct, frozen=True):
    """What became of a source: its row (None: there was no room), and those that made room.

    `again`: the row is that of an earlier source which said the same.
    """

    row: SourceRow | None
    gone: tuple[SourceRow, ...] = ()
    again: bool = False


def add(turn: Turn, mission: str, source: Source, said: Imprint) -> Kept:
    """Keep a source, if there is room. One that says what another has just said takes none."""
    before = read_of(turn, mission)
    row = _row(turn, before.count + 1, source, said)
    same = _said_before(turn, before, row)
    if same is not None:
        return Kept(same, again=True)
    if row.trusted and (before.full or before.trusted_size + row.weight > index.TRUSTED_MOST):
        if not before.full:
            turn.tx.put(structs.replace(before, full=True))
        return Kept(None)
    after = structs.replace(_put(turn, before, row), count=row.number)
    left, gone = _let_go(turn, after)
    turn.tx.put(left)
    return Kept(row, gone)


def _said_before(turn: Turn, read: ReadRow, row: SourceRow) -> SourceRow | None:
    """Return a source of the last ones in a row's half that said the very same, if there is one.

    An agent that asks again and again whether something is done fills no half with the answers.
    """
    half = chain.TRUSTED if row.trusted else chain.OTHERS
    first, last = (1, read.trusted) if row.trusted else (read.first, read.others)
    for number in range(last, max(first, last - _LAST + 1) - 1, -1):
        found = chain.source(turn, read.mission, half, number)
        if all(getattr(found, name) == getattr(row, name) for name in _SAYING):
            return found
    return None


def read_of(turn: Turn, mission: str) -> ReadRow:
    """Return what is kept of what a mission has read; of one that has read nothing, too."""
    return turn.tx.get(ReadRow, mission) or ReadRow(mission=mission)


def state(mission: MissionRow, row: ReadRow) -> str:
    """Return what differs whenever something was read, missed or let go of."""
    kept = f"{row.count}|{row.full}|{row.trusted_head}|{row.others_head}|{row.first}"
    return f"{kept}|{mission.imprinted}|{sorted(mission.missed.items())}"


def source_of(row: SourceRow) -> Source:
    """Return the source that a row is of, under a name that tells its record."""
    return Source(
        id=told.name(row.about, row.record),
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


def distrust(turn: Turn, mission: str) -> tuple[bool, tuple[SourceRow, ...]]:
    """Vouch no longer for any prompt of a mission.

    Returns whether anybody did, and what had to make room for them among the rest.
    """
    before = turn.tx.get(ReadRow, mission)
    rows = chain.kept(turn, before) if before is not None else []
    moved = [row for row in rows if row.trusted and row.kind == SourceKind.PROMPT]
    if before is None or not moved:
        return False, ()
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
    left, gone = _let_go(turn, after)
    turn.tx.put(left)
    turn.core.indexes.drop(mission)
    return True, gone


def drop(turn: Turn, mission: str) -> int:
    """Delete all that is kept of what a mission has read. Returns how many sources that were."""
    turn.core.indexes.drop(mission)
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
        head, size = chain.link(turn.core, before, placed), read.trusted_size + row.weight
        after = structs.replace(read, trusted=number, trusted_head=head, trusted_size=size)
    else:
        number, before = read.others + 1, read.others_head
        placed = structs.replace(row, id=chain.key(read.mission, chain.OTHERS, number))
        head, size = chain.link(turn.core, before, placed), read.others_size + row.weight
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
        weight=weight(said),
        salt=turn.vault.nonce().hex(),
    )


def _let_go(turn: Turn, row: ReadRow) -> tuple[ReadRow, tuple[SourceRow, ...]]:
    """Delete the oldest sources that nobody vouches for, where they are too much."""
    if row.others_size <= index.OTHERS_MOST:
        return row, ()
    part, of = index.LEFT
    base, size, gone = row.base, row.others_size, list[SourceRow]()
    while size > index.OTHERS_MOST * part // of:
        found = chain.source(turn, row.mission, chain.OTHERS, row.first + len(gone))
        turn.tx.delete(SourceRow, found.id)
        base, size = chain.link(turn.core, base, found), size - found.weight
        gone.append(found)
    first = row.first + len(gone)
    return structs.replace(row, first=first, base=base, others_size=size), tuple(gone)
