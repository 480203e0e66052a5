"""Partitions brought to where their rows say they are: from memory, a snapshot, or all events."""

from __future__ import annotations

from functools import partial

from msgspec import structs

from bridle.engine.temporal.partition import Partition
from bridle.engine.temporal.program import Program
from bridle.governor.ground.turn import Turn
from bridle.governor.history import chain, reading, whose
from bridle.governor.history.shelf import Held, NotAtHandError
from bridle.model.mission import MissionStatus
from bridle.store.rows import HistoryRow, MissionRow, PartitionRow, SnapshotRow

# Events after a snapshot before there is another: at least so many, and a part of all there are,
# so that what snapshots cost is a constant for each event.
TAIL = 256
_PART = 4

AT_HAND = 2_000
"""Events that are read in within a turn, at most: every other writer waits meanwhile."""

# What an event takes in a snapshot, at least.
_BYTES = 64

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
    """Return a partition's state under a program.

    Raises `StoreError` where rows were changed; `NotAtHandError`, unless the turn does it all at
    once, where so much has to be read that nobody else should have to wait for it.
    """
    held = turn.core.shelf.find(row.id, row.head)
    if held is None or not held.fits(program):
        held = _made(turn, row, program, held)
        turn.core.shelf.keep(row.id, held)
    if row.seq - held.saved > max(TAIL, held.partition.kept // _PART):
        _save(turn, row, held)
    return held.partition


def _made(turn: Turn, row: PartitionRow, program: Program, held: Held | None) -> Held:
    snapshot = reading.usable(turn, row, program)
    # What is not too much is never worth another turn.
    tail = row.seq - (snapshot.seq if snapshot is not None else row.first - 1)
    weight = tail + (len(snapshot.state) // _BYTES if snapshot is not None else 0)
    if weight > AT_HAND and not turn.at_once:
        raise NotAtHandError(partial(reading.bring, turn.core, row.scope, row.id))
    if held is not None:
        adopted = held.partition.adopt(program, lambda: chain.kept(turn, row))
        return Held(row.head, adopted, program.digest, row.first - 1)
    return reading.begun(turn.core, row, program, snapshot).finished(turn, row)


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
