"""The incremental engine as an evaluator of replays: left alone, or saved, moved and changed.

Where events are pinned to who asks, there is one partition for each who asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from random import Random

from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.caps import Caps
from bridle.engine.temporal.event import Event, Read
from bridle.engine.temporal.partition import Partition
from bridle.engine.temporal.program import Program
from bridle.engine.temporal.replay import ATOMS, Key, key, leaves, wanted
from bridle.language.events.ast import Events
from bridle.language.events.pins import inject, universal
from bridle.language.policy import Leaf
from bridle.language.program import Rules
from bridle.language.temporal import printing
from bridle.language.temporal.ast import Condition
from bridle.model.finding import Location

LIMITS = Caps(events=10_000, matches=10_000)


class Incremental:
    """Partitions that grow event by event."""

    def __init__(self, rules: Rules, events: Events, atoms: Atomiser = ATOMS) -> None:
        self._pins = universal(events)
        self._atoms = atoms
        found = {name: inject(c, events) for name, c in leaves(rules).items()}
        self._leaves = [leaf(name, condition) for name, condition in found.items()]
        self.program = Program(self._leaves, LIMITS)
        self.partitions: dict[Key, Partition] = {}

    def add(self, event: Event) -> None:
        """Take an event into the history it belongs to."""
        self._partition(key(self._pins, event)).add(event)

    def ask(self, event: Event, read: Read) -> Mapping[str, bool]:
        """Ask the history of the one who asks; there is none for nobody."""
        mine = wanted(self._pins, read)
        asked = Partition(self.program, self._atoms) if mine is None else self._partition(mine)
        return asked.ask(self.program.leaves, event, read)

    def _partition(self, mine: Key) -> Partition:
        if mine not in self.partitions:
            self.partitions[mine] = Partition(self.program, self._atoms)
        return self.partitions[mine]


class Interrupted(Incremental):
    """The same, but at random points a partition is saved and loaded, or its program changes."""

    def __init__(self, rules: Rules, events: Events, seed: int = 0) -> None:
        super().__init__(rules, events)
        self._rnd = Random(seed)
        self._past: dict[Key, list[Event]] = {}

    def add(self, event: Event) -> None:
        """Add it, and perhaps go through a restart or a change of programs."""
        mine = key(self._pins, event)
        super().add(event)
        self._past.setdefault(mine, []).append(event)
        chance = self._rnd.random()
        if chance < 0.25:
            saved = self.partitions[mine].save()
            self.partitions[mine] = Partition.load(self.program, saved, self._atoms)
            assert self.partitions[mine].save() == saved, "loading and saving changes nothing"
        elif chance < 0.45:
            self._change()

    def ask(self, event: Event, read: Read) -> Mapping[str, bool]:
        """Ask, and see that asking left no trace."""
        before = {mine: each.save() for mine, each in self.partitions.items()}
        told = super().ask(event, read)
        after = {mine: self.partitions[mine].save() for mine in before}
        assert after == before, "a question leaves no trace"
        return told

    def _change(self) -> None:
        """Leave some conditions out for a moment: what comes back is filled from the past."""
        fewer = [each for each in self._leaves if self._rnd.random() < 0.5]
        for program in (Program(fewer, LIMITS), self.program):
            for mine, partition in list(self.partitions.items()):
                self.partitions[mine] = partition.adopt(program, lambda m=mine: self._told(m))

    def _told(self, mine: Key) -> Iterator[Event]:
        return iter(self._past.get(mine, []))


def leaf(name: str, condition: Condition) -> Leaf:
    """Return what a program wants of a condition."""
    text = printing.text(condition)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Leaf(name, condition, digest, "mission", Location("p", 1, 1), frozenset(), 0)
