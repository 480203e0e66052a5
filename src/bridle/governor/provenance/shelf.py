"""Indexes of what missions have read, in memory: the last ones used. Never instead of the rows.

An entry counts only while it agrees with the rows as read in the same transaction. What a turn adds
is put by until somebody asks: of a turn that was rolled back nothing has been taken over.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from bridle.engine.flow.index import Index

# Octets that are held in all, about, and indexes that are held whatever they take.
_OCTETS = 96 * 1_024 * 1_024
_LEAST = 4
# Changes that are put by. Whoever reads more before they act reads all of it in again.
_PUT_BY = 64
# A state that no rows are in.
_NOWHERE = "nowhere"

Change = Callable[[Index], None]


class Held:
    """The index of one mission, where what it has read is in `state`."""

    __slots__ = ("index", "octets", "pending", "state")

    def __init__(self, state: str, index: Index) -> None:
        self.state = state
        self.index = index
        # What came after, each with the state that it leads to.
        self.pending: list[tuple[str, Change]] = []
        # What the shelf knows it to take.
        self.octets = 0

    def reach(self, state: str) -> bool:
        """Take over what was put by up to this state. False if that is not there."""
        if not self._rewind(state):
            return False
        # INVARIANT: I2 — whatever ends this halfway, nobody is answered from half of it.
        changes, self.pending, self.state = self.pending, [], _NOWHERE
        for _, change in changes:
            change(self.index)
        self.state = state
        return True

    def follow(self, before: str, after: str, change: Change) -> bool:
        """Put a change by that leads from one state to another. False if it cannot."""
        if not self._rewind(before) or len(self.pending) >= _PUT_BY:
            return False
        self.pending.append((after, change))
        return True

    def _rewind(self, state: str) -> bool:
        """Forget what was put by after this state: it never happened."""
        while self.pending and self.pending[-1][0] != state:
            self.pending.pop()
        return bool(self.pending) or self.state == state


class Indexes:
    """Keeps so many octets of indexes. Used in write turns only."""

    def __init__(self, octets: int = _OCTETS, least: int = _LEAST) -> None:
        self._octets = octets
        self._least = least
        self._kept = 0
        self._held: OrderedDict[str, Held] = OrderedDict()

    def find(self, mission: str, state: str) -> Index | None:
        """Return the index of a mission, brought to this state, if it can be."""
        held = self._held.get(mission)
        if held is None:
            return None
        grows = bool(held.pending)
        try:
            reached = held.reach(state)
        except Exception:
            reached = False
        if not reached:
            self.drop(mission)
            return None
        self._held.move_to_end(mission)
        if grows:
            self._count(held)
        return held.index

    def follow(self, mission: str, before: str, after: str, change: Change) -> None:
        """Put a change by, if the mission's index is held. One that cannot follow is let go of."""
        held = self._held.get(mission)
        if held is not None and not held.follow(before, after, change):
            self.drop(mission)

    def keep(self, mission: str, state: str, index: Index) -> None:
        """Hold an index, and let go of those not used for longest where it is too much."""
        self.drop(mission)
        held = self._held[mission] = Held(state, index)
        self._count(held)

    def drop(self, mission: str) -> None:
        """Let go of an index."""
        held = self._held.pop(mission, None)
        if held is not None:
            self._kept -= held.octets

    def clear(self) -> None:
        """Let go of all."""
        self._held.clear()
        self._kept = 0

    def __len__(self) -> int:
        """Return how many are held."""
        return len(self._held)

    def _count(self, held: Held) -> None:
        octets = held.index.octets
        self._kept += octets - held.octets
        held.octets = octets
        while self._kept > self._octets and len(self._held) > self._least:
            self.drop(next(iter(self._held)))
