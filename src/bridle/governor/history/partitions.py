"""Partitions brought to where their rows say they are: from memory, a snapshot, or all events."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import structs

from bridle.engine.temporal.event import Event
from bridle.engine.temporal.partition import Partition, StateError
from bridle.engine.temporal.program import Program
from bridle.governor.ground.core import tampered
from bridle.governor.ground.turn import Turn
from bridle.governor.history import chain, whose
from bridle.governor.history.shelf import Held
from bridle.model.mission import MissionStatus
from bridle.store.rows import HistoryRow, MissionRow, PartitionRow, SnapshotRow

# Events after a snapshot before there is another: at least so many, and a part of all there are,
# so that what snapshots cost is a constant for each event.
TAIL = 256
_PART = 4

_OVER = (MissionStatus.CLOSED, MissionStatus.EXPIRED)


def find(turn: Turn, scope: str, partition: str) -> PartitionRow:
    """Return the row of a partition; a new one where nothing happened in it yet."""
    row = turn.tx.get(PartitionRow, partition)
    if row is not None:
        return row
    history = turn.tx.get(HistoryRow, scope)
    # INVARIANT: I2 — a scope that nobody made live knows of nothing before this moment.
    complete = history.complete if history is not None else turn.now
    if scope == whose.MISSION and _began_within(turn, partition, complete):
        complete = 0
    return PartitionRow(id=partition, scope=scope, complete=complete)


def _began_within(turn: Turn, partition: str, complete: int) -> bool:
    mission = turn.tx.get(MissionRow, partition.removeprefix(f"{whose.MISSION}:"))
    return mission is not None and mission.started >= complete


def is_over(turn: Turn, mission: str) -> bool:
    """Whether nothing enters the partition of a mission any more."""
    row = turn.tx.get(MissionRow, mission)
    return row is None or row.status in _OVER


def state(turn: Turn, row: PartitionRow, program: Program) -> Partition:
    """Return a partition's state under a program. Raises `StoreError` where rows were changed."""
    shelf = turn.core.shelf
    held = shelf.find(row.id, row.head)
    if held is None:
        held = _rebuilt(turn, row, program)
        shelf.keep(row.id, held)
    elif held.program != program.digest or held.partition.program.limits != program.limits:
        adopted = held.partition.adopt(program, lambda: chain.kept(turn, row))
        held = Held(row.head, adopted, program.digest, row.first - 1)
        shelf.keep(row.id, held)
    return held.partition


def advance(turn: Turn, before: PartitionRow, after: PartitionRow, event: Event) -> None:
    """Add an event to the state that is held, if any is; save that from time to time.

    What cannot follow is let go of: it is rebuilt from the rows when somebody asks.
    """
    held = turn.core.shelf.find(before.id, before.head)
    if held is None:
        return
    try:
        held.partition.add(event)
    except Exception:
        turn.core.shelf.drop(before.id)
        return
    held.head = after.head
    if after.seq - held.saved > max(TAIL, (after.seq - after.first) // _PART):
        _save(turn, after, held)


def _save(turn: Turn, row: PartitionRow, held: Held) -> None:
    made = SnapshotRow(
        partition=row.id,
        seq=row.seq,
        head=row.head,
        program=held.program,
        state=held.partition.save(),
        mac="",
        salt=turn.vault.nonce().hex(),
    )
    turn.tx.put(structs.replace(made, mac=chain.mac(turn.core, made)))
    held.saved = row.seq


def _rebuilt(turn: Turn, row: PartitionRow, program: Program) -> Held:

    saved = _snapshot(turn, row, program)
    if saved is not None:
        partition, snapshot = saved
        tail = chain.kept(turn, row, snapshot.seq, snapshot.head)
        return _followed(Held(row.head, partition, program.digest, snapshot.seq), tail)
    fresh = Held(row.head, Partition(program, turn.core.atoms), program.digest, row.first - 1)
    return _followed(fresh, chain.kept(turn, row))


def _followed(held: Held, events: Iterator[Event]) -> Held:
    for event in events:
        held.partition.add(event)
    return held


def _snapshot(
    turn: Turn, row: PartitionRow, program: Program
) -> tuple[Partition, SnapshotRow] | None:
    """Return the state a snapshot holds, if it is one of these conditions and of what is kept."""
    found = turn.tx.get(SnapshotRow, row.id)
    if found is None:
        return None
    if found.mac != chain.mac(turn.core, found):
        raise tampered(f"the snapshot of partition {row.id} is not one that was written")
    if found.program != program.digest or not row.first - 1 <= found.seq <= row.seq:
        return None

    try:
        return Partition.load(program, found.state, turn.core.atoms), found
    except StateError:
        # Written by another version: the events say the same.
        return None
