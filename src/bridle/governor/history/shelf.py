"""Partitions in memory: the last ones used. A hint of what the rows say, never instead of them.

An entry counts only while it agrees with the partition's row as read in the same transaction. What
a turn adds is put by until somebody asks, which mostly is after its commit: of a turn that was
rolled back nothing has been taken over, and the state goes on from where the row still is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridle.engine.temporal.event import Event
    from bridle.engine.temporal.partition import Partition
    from bridle.engine.temporal.program import Program

_ENTRIES = 1_024
_EVENTS = 400_000
# So many are held whatever their size: those of one decision, which would drive each other out.
_LEAST = 8
_PUT_BY = 256
# An end that no chain has.
_NOWHERE = "nowhere"


class NotAtHandError(Exception):
    """A turn needs a partition that takes long to read in: call `bring`, then try again."""

    def __init__(self, bring: Callable[[], None]) -> None:
        super().__init__("a partition of history has to be read in first")
        self.bring = bring


class Held:
    """A partition's state, at the end `head` of its chain. `saved` is the event of its snapshot."""

    __slots__ = ("counted", "head", "partition", "pending", "program", "saved")

    def __init__(self, head: str, partition: Partition, program: str, saved: int) -> None:
        self.head = head
        self.partition = partition
        self.program = program
        self.saved = saved
        # What came after, each with the end of the chain that it leads to.
        self.pending: list[tuple[str, Event]] = []
        # How many events the shelf knows to be in it.
        self.counted = 0

    def fits(self, program: Program) -> bool:
        """Whether this is the state of these very conditions and limits."""
        return self.program == program.digest and self.partition.program.limits == program.limits

    def follow(self, before: str, after: str, event: Event) -> bool:
        """Put an event by that leads from one end of the chain to another. False if it cannot."""
        if not self._rewind(before):
            return False
        if len(self.pending) >= _PUT_BY and not self.reach(before):
            return False
        self.pending.append((after, event))
        return True

    def reach(self, head: str) -> bool:
        """Take over what was put by up to this end of the chain. False if it is not there."""
        if not self._rewind(head):
            return False
        if self.pending:
            # INVARIANT: I2 — whatever ends this halfway, nobody is answered from half of it.
            events, self.pending, self.head = self.pending, [], _NOWHERE
            for _, event in events:
                self.partition.add(event)
            self.head = head
        return True

    def _rewind(self, head: str) -> bool:
        """Forget what was put by after this end of the chain: it never happened."""
        while self.pending and self.pending[-1][0] != head:
            self.pending.pop()
        return bool(self.pending) or self.head == head


class Shelf:
    """Keeps at most so many partitions, and so many events in them. Used in write turns only."""

    def __init__(self, entries: int = _ENTRIES, events: int = _EVENTS, least: int = _LEAST) -> None:
        self._entries = entries
        self._events = events
        self._least = least
        self._kept = 0
        self._held: OrderedDict[str, Held] = OrderedDict()

    def find(self, partition: str, head: str) -> Held | None:
        """Return what is held of a partition, brought to this end of its chain, if it can be."""
        held = self._held.get(partition)
        if held is None:
            return None
        try:
            reached = held.reach(head)
        except Exception:
            reached = False
        if not reached:
            self.drop(partition)
            return None
        self._held.move_to_end(partition)
        self._count(held)
        return held

    def follow(self, partition: str, before: str, after: str, event: Event) -> None:
        """Put an event by for a partition that is held. One that cannot follow is let go of."""
        held = self._held.get(partition)
        if held is None:
            return
        try:
            followed = held.follow(before, after, event)
        except Exception:
            followed = False
        if not followed:
            self.drop(partition)

    def keep(self, partition: str, held: Held) -> None:
        """Hold a partition, and let go of those not used for longest where it is too much."""
        self.drop(partition)
        self._held[partition] = held
        self._count(held)

    def drop(self, partition: str) -> None:
        """Let go of a partition."""
        held = self._held.pop(partition, None)
        if held is not None:
            self._kept -= held.counted

    def clear(self) -> None:
        """Let go of all."""
        self._held.clear()
        self._kept = 0

    def __len__(self) -> int:
        """Return how many partitions are held."""
        return len(self._held)

    def _count(self, held: Held) -> None:
        """Note how big a partition is by now, and make room where it is too much in all."""
        self._kept += held.partition.kept - held.counted
        held.counted = held.partition.kept
        while self._is_full():
            self.drop(next(iter(self._held)))

    def _is_full(self) -> bool:
        if len(self._held) > self._entries:
            return True
        return self._kept > self._events and len(self._held) > self._least
