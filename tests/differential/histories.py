"""Evaluators of replays that tests add: one that is interrupted, one that compares others."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from random import Random

from bridle.engine.temporal.caps import Caps
from bridle.engine.temporal.event import Event, Read
from bridle.engine.temporal.partition import Partition
from bridle.engine.temporal.program import Program
from bridle.engine.temporal.replay import ATOMS, Evaluator, Key, key, leaves
from bridle.language.events.ast import Events
from bridle.language.events.pins import inject, universal
from bridle.language.policy import Leaf
from bridle.language.program import Rules
from bridle.language.temporal import printing
from bridle.language.temporal.ast import Condition
from bridle.model.finding import Location

LIMITS = Caps(events=10_000, matches=10_000)


class Interrupted:
    """The incremental engine, but now and then a partition is saved and loaded, or its program
    changes for a moment.
    """

    def __init__(self, rules: Rules, events: Events, seed: int = 0) -> None:
        self._pins = universal(events)
        found = {name: inject(c, events) for name, c in leaves(rules).items()}
        self._leaves = [leaf(name, condition) for name, condition in found.items()]
        self.program = Program(self._leaves, LIMITS)
        self._rnd = Random(seed)
        self._partitions: dict[Key, Partition] = {}
        self._past: dict[Key, list[Event]] = {}

    def add(self, event: Event) -> None:
        """Add it, and perhaps go through a restart or a change of programs."""
        mine = key(self._pins, event)
        self._partition(mine).add(event)
        self._past.setdefault(mine, []).append(event)
        chance = self._rnd.random()
        if chance < 0.2:
            saved = self._partitions[mine].save()
            self._partitions[mine] = Partition.load(self.program, saved, ATOMS)
            assert self._partitions[mine].save() == saved, "loading and saving changes nothing"
        elif chance < 0.3:
            self._change(mine)

    def ask(self, event: Event, read: Read) -> Mapping[str, bool]:
        """Ask, now and then twice and looking whether the question left a trace."""
        partition = self._partition(key(self._pins, event))
        if self._rnd.random() < 0.7:
            return partition.ask(self.program.leaves, event, read)
        before = partition.save()
        told = partition.ask(self.program.leaves, event, read)
        assert partition.save() == before, "a question leaves no trace"
        assert partition.ask(self.program.leaves, event, read) == told, "nor another answer"
        return told

    def _partition(self, mine: Key) -> Partition:
        if mine not in self._partitions:
            self._partitions[mine] = Partition(self.program, ATOMS)
        return self._partitions[mine]

    def _change(self, mine: Key) -> None:
        """Leave some conditions out for a moment: what comes back is filled from the past."""
        fewer = [each for each in self._leaves if self._rnd.random() < 0.5]
        for program in (Program(fewer, LIMITS), self.program):
            adopted = self._partitions[mine].adopt(program, lambda: iter(self._past[mine]))
            self._partitions[mine] = adopted


class Together:
    """Several evaluators that have to agree on every condition; the first one's answers count."""

    def __init__(self, evaluators: Mapping[str, Evaluator]) -> None:
        self._evaluators = evaluators
        self.disagreements: list[str] = []

    def add(self, event: Event) -> None:
        """Let each take the event in."""
        for each in self._evaluators.values():
            each.add(event)

    def ask(self, event: Event, read: Read) -> Mapping[str, bool]:
        """Ask each."""
        told = {name: each.ask(event, read) for name, each in self._evaluators.items()}
        first, *others = told
        for name in others:
            if told[name] != told[first]:
                when = f"at {event.time // 1000}s, {event.action[1]}::{event.kind}"
                self.disagreements.append(f"{when}: {first} {told[first]}, {name} {told[name]}")
        return told[first]


def plans(rules: Rules, events: Events) -> set[str]:
    """Name the ways in which the engine evaluates a program."""
    plan = Interrupted(rules, events).program.plan(ATOMS)
    log = plan.log()
    found = {"every event kept"} if plan.layout.ticks >= 0 else set[str]()
    found |= {"each match looked at"} if log.tallies else set()
    for postings in plan._postings:
        found |= {"look-up by key"} if postings.key else set()
        found |= {"unbroken runs"} if postings.runs else set()
        found |= {"running sum"} if postings.value >= 0 else set()
    for tracker in plan._trackers:
        found.add("rows that others block" if tracker.guards else "rows that stand")
        found |= {"rows blocked since"} if any(g.since for g in tracker.guards) else set()
        found |= {"rows blocked twice"} if len(tracker.guards) > 1 else set()
        found |= {"rows of a position"} if tracker.timed else set()
        found |= {"sum of rows"} if tracker.value >= 0 else set()
    return found


def leaf(name: str, condition: Condition) -> Leaf:
    """Return what a program wants of a condition."""
    text = printing.text(condition)
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Leaf(name, condition, digest, "mission", Location("p", 1, 1), frozenset(), 0)
