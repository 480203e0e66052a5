"""Reads a partition in from its rows: a snapshot and the events after it, or all that are kept.

A big one is read in before the turn that needs it, in many short turns, so that nobody else waits.
"""

from __future__ import annotations

from bridle.engine.temporal.partition import Partition, StateError
from bridle.engine.temporal.program import Program
from bridle.governor.ground.core import Core
from bridle.governor.ground.turn import Turn
from bridle.governor.history import chain
from bridle.governor.history.shelf import Held
from bridle.model.errors import StoreError
from bridle.store.rows import EventRow, PartitionRow, SnapshotRow

_AT_ONCE = 500
"""Events of one short turn."""


class Reading:
    """A partition's state on its way to the end of its chain: `head` is after event `seq`."""

    __slots__ = ("_core", "_head", "_id", "_partition", "_program", "_rows", "_saved", "_seq")

    def __init__(self, core: Core, row: PartitionRow, program: Program) -> None:
        self._core = core
        self._id = row.id
        self._program = program
        self._partition = Partition(program, core.atoms)
        self._seq = self._saved = row.first - 1
        self._head = row.base
        self._rows: list[EventRow] = []

    def load(self, snapshot: SnapshotRow) -> None:
        """Begin at a snapshot instead. Raises `StoreError` (`store_tampered`)."""
        chain.assert_written(self._core, snapshot)
        try:
            self._partition = Partition.load(self._program, snapshot.state, self._core.atoms)
        except StateError:
            # Written by another version: the events say the same.
            return
        self._seq = self._saved = snapshot.seq
        self._head = snapshot.head

    def finished(self, turn: Turn, row: PartitionRow) -> Held:
        """Read all that is left. Raises `StoreError` where rows were changed."""
        for event in chain.kept(turn, row, self._seq, self._head):
            self._partition.add(event)
        return Held(row.head, self._partition, self._program.digest, self._saved)

    def step(self, turn: Turn) -> bool:
        """Read some more rows; once few are left, take them in and keep the state. True then."""
        row = turn.tx.get(PartitionRow, self._id)
        if row is None:
            return True
        if row.seq - self._seq <= _AT_ONCE:
            turn.core.shelf.keep(row.id, self.finished(turn, row))
            return True
        numbers = range(self._seq + 1, self._seq + 1 + _AT_ONCE)
        self._rows = [chain.event(turn, row.id, number) for number in numbers]
        return False

    def take_in(self) -> None:
        """Take in the rows that were read. In no turn: it is most of the work."""
        for row in self._rows:
            self._head = chain.link(self._core, self._head, row)
            self._partition.add(chain.event_of(row))
        self._seq += len(self._rows)
        self._rows = []


def begun(core: Core, row: PartitionRow, program: Program, snapshot: SnapshotRow | None) -> Reading:
    """Return the state to go on from. Raises `StoreError` where the snapshot was changed."""
    reading = Reading(core, row, program)
    if snapshot is not None:
        reading.load(snapshot)
    return reading


def bring(core: Core, scope: str, partition: str) -> None:
    """Read a partition in, outside any turn, and hold it. Where it cannot be, nothing happens.

    Whoever asks for it then is told why.
    """
    # One at a time: a second caller mostly waits for the same one.
    with core.reading:
        try:
            _bring(core, scope, partition)
        except StoreError:
            return


def _bring(core: Core, scope: str, partition: str) -> None:
    found = core.write(lambda turn: _wanted(turn, scope, partition), relaxed=True)
    if found is None:
        return
    reading = begun(core, *found)
    while not core.write(reading.step, relaxed=True):
        reading.take_in()


def _wanted(
    turn: Turn, scope: str, partition: str
) -> tuple[PartitionRow, Program, SnapshotRow | None] | None:
    row, program = turn.tx.get(PartitionRow, partition), turn.engine.programs.get(scope)
    if row is None or program is None:
        return None
    held = turn.core.shelf.find(row.id, row.head)
    if held is not None and held.fits(program):
        return None
    return row, program, usable(turn, row, program)


def usable(turn: Turn, row: PartitionRow, program: Program) -> SnapshotRow | None:
    """Return the snapshot of a partition, if it is one of these conditions and of what is kept."""
    found = turn.tx.get(SnapshotRow, row.id)
    if found is None:
        return None
    if found.program != program.digest or not row.first - 1 <= found.seq <= row.seq:
        chain.assert_written(turn.core, found)
        return None
    return found
