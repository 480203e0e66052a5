"""Partitions in memory: the last ones used. A hint of what the rows say, never instead of them.

An entry counts only while it agrees with the partition's row as read in the same transaction: a
turn that was rolled back leaves one behind that does not.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridle.engine.temporal.partition import Partition

_ENTRIES = 1_024
_EVENTS = 400_000


class Held:
    """A partition's state, at the end `head` of its chain. `saved` is the event of its snapshot."""

    __slots__ = ("head", "partition", "program", "saved")

    def __init__(self, head: str, partition: Partition, program: str, saved: int) -> None:
        self.head = head
        self.partition = partition
        self.program = program
        self.saved = saved


class Shelf:
    """Keeps at most so many partitions, and so many events in them. Used in write turns only."""

    def __init__(self, entries: int = _ENTRIES, events: int = _EVENTS) -> None:
        self._entries = entries
        self._events = events
        self._held: OrderedDict[str, Held] = OrderedDict()

    def find(self, partition: str, head: str) -> Held | None:
        """Return what is held of a partition, if it is at this end of its chain."""
        held = self._held.get(partition)
        if held is None or held.head != head:
            return None
        self._held.move_to_end(partition)
        return held

    def keep(self, partition: str, held: Held) -> None:
        """Hold a partition, and let go of those not used for longest where it is too much."""
        self._held[partition] = held
        self._held.move_to_end(partition)
        while len(self._held) > 1 and self._full():
            self._held.popitem(last=False)

    def drop(self, partition: str) -> None:
        """Let go of a partition."""
        self._held.pop(partition, None)

    def clear(self) -> None:
        """Let go of all."""
        self._held.clear()

    def __len__(self) -> int:
        """Return how many partitions are held."""
        return len(self._held)

    def _full(self) -> bool:
        if len(self._held) > self._entries:
            return True
        return sum(held.partition.kept for held in self._held.values()) > self._events
