"""Writes events into the partitions they enter, and lets go of those that no window reaches.

Everything happens in the turn of the record that tells of the event, right before it is written.
"""

from __future__ import annotations

from msgspec import structs

from bridle.engine.temporal.event import Event
from bridle.governor.ground.turn import Turn
from bridle.governor.history import chain, partitions, whose
from bridle.governor.history.whose import Whose
from bridle.store.rows import EventRow, HistoryRow, PartitionRow, SnapshotRow

# Events that are let go of as one comes in, at most: so that no turn is held up.
_AT_ONCE = 64
# And of each partition in a sweep, of which there is one in ten minutes at most.
SWEPT = 1_024
_EVERY_MS = 600_000
_EVERY = 100_000_000


def add(turn: Turn, event: Event, of: Whose) -> dict[str, int]:
    """Add an event to every live partition it enters. Returns its number in each of them.

    The next record of this turn has to be the one that tells of it.
    """
    record = turn.tx.frontier().size
    return {
        partition: _enter(turn, scope, partition, event, record)
        for scope in turn.engine.programs
        for partition in entered(turn, scope, of)
    }


def entered(turn: Turn, scope: str, of: Whose) -> tuple[str, ...]:
    """Return the partitions of a live scope that an event enters."""
    if scope == whose.MISSION and partitions.is_over(turn, of.mission):
        return ()
    return whose.partitions(turn.core, scope, of)


def _enter(turn: Turn, scope: str, partition: str, event: Event, record: int) -> int:
    before = partitions.find(turn, scope, partition)
    after, row = appended(turn, before, event, record)
    turn.tx.put(row)
    turn.core.shelf.follow(before.id, before.head, after.head, chain.event_of(row))
    turn.tx.put(_pruned(turn, after))
    return after.seq


def appended(
    turn: Turn, before: PartitionRow, event: Event, record: int
) -> tuple[PartitionRow, EventRow]:
    """Return a partition's row with one event more, and that event's row."""
    seq = before.seq + 1
    # INVARIANT: within a partition time never goes back, whatever clock a governor started with.
    time = max(event.time, before.clock)
    namespace, tool = event.action
    row = EventRow(
        id=chain.key(before.id, seq),
        time=time,
        tool=tool,
        kind=event.kind,
        fields=event.fields,
        mission=event.mission,
        record=record,
        namespace=namespace,
        salt=turn.vault.nonce().hex(),
    )
    head = chain.link(turn.core, before.head, row)
    return structs.replace(before, seq=seq, clock=time, head=head), row


def sweep(turn: Turn) -> int:
    """Let go of what no window reaches any more, also where nothing comes in. Now and then.

    Returns how many events went.
    """
    core = turn.core
    if turn.now - core.swept < _EVERY_MS:
        return 0
    core.swept, gone = turn.now, 0
    for row in turn.tx.find(PartitionRow, limit=_EVERY):
        if _is_over(turn, row):
            drop(turn, row.id, SWEPT)
            continue
        left = _pruned(turn, row, turn.now, SWEPT)
        if left != row:
            turn.tx.put(left)
            gone += left.first - row.first
            _forget_snapshot(turn, left)
    return gone


def _is_over(turn: Turn, row: PartitionRow) -> bool:
    mission = row.id.removeprefix(f"{whose.MISSION}:")
    return row.scope == whose.MISSION and partitions.is_over(turn, mission)


def _forget_snapshot(turn: Turn, row: PartitionRow) -> None:
    """Delete a snapshot of events that are all gone: it is of no use."""
    found = turn.tx.get(SnapshotRow, row.id)
    if found is not None and found.seq < row.first:
        turn.tx.delete(SnapshotRow, row.id)


def _pruned(turn: Turn, row: PartitionRow, now: int = 0, most: int = _AT_ONCE) -> PartitionRow:
    """Delete the oldest events where they are older than what is kept."""
    history = turn.tx.get(HistoryRow, row.scope)
    until = max(now, row.clock) - history.keeps if history is not None else 0
    return _shortened(turn, row, until, most)


def _shortened(turn: Turn, row: PartitionRow, until: int, most: int) -> PartitionRow:
    """Delete the oldest events, those before a moment and so many at most."""
    first, base, complete = row.first, row.base, row.complete
    while first <= row.seq and first - row.first < most:
        found = turn.tx.get(EventRow, chain.key(row.id, first))
        if found is None or found.time >= until:
            break
        turn.tx.delete(EventRow, found.id)
        base = chain.link(turn.core, base, found)
        # INVARIANT: what was let go of is never taken for what did not happen.
        first, complete = first + 1, max(complete, found.time + 1)
    return structs.replace(row, first=first, base=base, complete=complete)


def drop(turn: Turn, partition: str, most: int = _EVERY) -> bool:
    """Delete a partition with all that it keeps, or its oldest events. Returns whether it is gone.

    What is left of a mission's goes with the next sweeps.
    """
    row = turn.tx.get(PartitionRow, partition)
    if row is None:
        return True
    turn.core.shelf.drop(partition)
    if turn.tx.get(SnapshotRow, partition) is not None:
        turn.tx.delete(SnapshotRow, partition)
    left = _shortened(turn, row, row.clock + 1, most)
    if left.first <= left.seq and left.first - row.first == most:
        turn.tx.put(left)
        turn.core.swept = 0
        return False
    turn.tx.delete(PartitionRow, partition)
    return True
