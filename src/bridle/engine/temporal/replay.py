"""A trace put to policies line by line, as the reference does it: the verdict of every request.

Every line enters the history before it is decided, whatever comes of it. Where events are pinned
to the one who asks, a condition sees the history of that one alone. Verdicts are the reference's,
not Bridle's: a policy that errs is skipped, and reported.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, TypeAlias

from msgspec import Struct

from bridle.engine.temporal import request
from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.caps import Caps
from bridle.engine.temporal.event import Atom, Event, Read
from bridle.engine.temporal.partition import MAX_TIME, Partition
from bridle.engine.temporal.plain_cedar import PlainCedar
from bridle.engine.temporal.program import Program
from bridle.engine.temporal.specification import holds
from bridle.language.compile import leaf_digest
from bridle.language.events.ast import Events, Pin
from bridle.language.events.pins import inject, universal
from bridle.language.policy import Leaf
from bridle.language.program import Rule, Rules
from bridle.language.temporal.ast import Condition
from bridle.language.temporal.tree import horizon, reads
from bridle.language.trace import TracedEvent
from bridle.model.finding import Location

Key: TypeAlias = tuple[Atom | None, ...]

ATOMS = Atomiser(ordered=True)
"""How values of traces are compared: arrays in their order."""

# A trace is all there at once, so there is nothing to protect by bounds.
_UNBOUNDED = Caps(events=sys.maxsize, matches=sys.maxsize, steps=sys.maxsize)


class Verdict(Struct, frozen=True):
    """What became of a request: `point` is its position among all lines, from 0.

    `time` is in seconds. `policies` are those that made the verdict (their `@id`, else
    `policy_<number>`), `errors` what Cedar says of those that could not be evaluated, `leaves` the
    truths of the conditions over history.
    """

    time: int
    point: int
    allowed: bool
    policies: tuple[str, ...]
    errors: tuple[str, ...]
    leaves: dict[str, bool]

    def __str__(self) -> str:
        return f"@{self.time} (time point {self.point}): {'true' if self.allowed else 'false'}"


class Evaluator(Protocol):
    """Judges conditions over a history that grows."""

    def add(self, event: Event) -> None:
        """Take an event into the history."""
        ...

    def ask(self, event: Event, read: Read) -> Mapping[str, bool]:
        """Return the truth of each condition as if `event` had just been added."""
        ...


class Specification:
    """The evaluator of record: from the specification, over the whole history, each time."""

    def __init__(self, leaves: Mapping[str, Condition], events: Events, atoms: Atomiser) -> None:
        self._leaves = {name: inject(leaf, events) for name, leaf in leaves.items()}
        self._pins = universal(events)
        self._atoms = atoms
        self._history: list[Event] = []

    def add(self, event: Event) -> None:
        """Take an event into the history."""
        self._history.append(event)

    def ask(self, event: Event, read: Read) -> dict[str, bool]:
        """Return the truth of each condition as if `event` had just been added."""
        mine = wanted(self._pins, read)
        seen = [each for each in self._history if key(self._pins, each) == mine]
        return {
            name: holds(leaf, [*seen, event], len(seen), read, self._atoms)
            for name, leaf in self._leaves.items()
        }


class Incremental:
    """The evaluator that governors decide with: one partition for each whose history is apart."""

    def __init__(self, conditions: Mapping[str, Condition], events: Events) -> None:
        pinned = {name: inject(each, events) for name, each in conditions.items()}
        self._program = Program((_leaf(*each) for each in pinned.items()), _UNBOUNDED)
        self._pins = universal(events)
        self._partitions: dict[Key, Partition] = {}

    def add(self, event: Event) -> None:
        """Take an event into the history. Its time must not go back."""
        self._partition(key(self._pins, event)).add(event)

    def ask(self, event: Event, read: Read) -> dict[str, bool]:
        """Return the truth of each condition as if `event` had just been added.

        The event must be logged under the one who asks.
        """
        return self._partition(key(self._pins, event)).ask(self._program.leaves, event, read)

    def _partition(self, of: Key) -> Partition:
        if of not in self._partitions:
            self._partitions[of] = Partition(self._program, ATOMS)
        return self._partitions[of]


def key(pins: Iterable[Pin], event: Event) -> Key:
    """Return whose history an event is part of."""
    return tuple(event.fields.get(pin.path) for pin in pins)


def wanted(pins: Iterable[Pin], read: Read) -> Key | None:
    """Return whose history a request sees; None where that is nobody's."""
    found = tuple(read(_path(pin)) for pin in pins)
    return None if None in found else found


def specification(rules: Rules, events: Events) -> Specification:
    """Return the evaluator of record for the conditions of a program."""
    return Specification(leaves(rules), events, ATOMS)


def incremental(rules: Rules, events: Events) -> Incremental:
    """Return the incremental evaluator for the conditions of a program."""
    return Incremental(leaves(rules), events)


def leaves(rules: Rules) -> dict[str, Condition]:
    """Return the conditions over history of a program, by the names that Cedar sees."""
    return {leaf.name: leaf.condition for rule in rules.rules for leaf in rule.lowered.leaves}


def replay(
    rules: Rules,
    schema: str,
    events: Events,
    trace: Iterable[TracedEvent],
    evaluator: Evaluator | None = None,
) -> list[Verdict]:
    """Return the verdicts of a trace in order: one for each line of a kind that decides.

    `events` are derived from the Cedar schema `schema`; without an `evaluator` that of record
    judges. `rules` are not validated here. Raises `BundleError` where Cedar refuses them or the
    schema.
    """
    cedar = PlainCedar([rule.lowered.text for rule in rules.rules], schema)
    judge = evaluator or specification(rules, events)
    names, deciding = [_named(rule) for rule in rules.rules], events.deciding
    found = list[Verdict]()
    for point, line in enumerate(trace):
        event = request.event(line, ATOMS)
        if line.kind in deciding:
            truths = dict(judge.ask(event, request.reader(line, ATOMS)))
            answer = cedar.decide(line, truths)
            made = tuple(names[number] for number in answer.policies)
            found.append(Verdict(line.time, point, answer.allowed, made, answer.errors, truths))
        judge.add(event)
    return found


class Chosen(Struct, frozen=True):
    """An evaluator for one trace. `why` says what keeps the incremental one from judging it."""

    evaluator: Evaluator
    name: str
    why: str = ""


def choose(
    rules: Rules, events: Events, trace: Sequence[TracedEvent], *, reference: bool = False
) -> Chosen:
    """Return the incremental evaluator where it can judge a trace, else that of record.

    A partition's clock never goes back, and it holds only events of the one who asks.
    """
    why = "asked" if reference else _obstacle(universal(events), events.deciding, trace)
    if why:
        return Chosen(specification(rules, events), "specification", why)
    return Chosen(incremental(rules, events), "incremental")


def _obstacle(pins: Sequence[Pin], deciding: frozenset[str], trace: Sequence[TracedEvent]) -> str:
    times = [line.time for line in trace]
    if times != sorted(times):
        return "clock goes back"
    if any(abs(time) * 1000 > MAX_TIME for time in times):
        return "time out of reach"
    for line in trace:
        if line.kind not in deciding or not pins:
            continue
        if key(pins, request.event(line, ATOMS)) != wanted(pins, request.reader(line, ATOMS)):
            return "logged under another"
    return ""


def _leaf(name: str, condition: Condition) -> Leaf:
    digest = leaf_digest("", condition)
    return Leaf(name, condition, digest, "", Location(""), reads(condition), horizon(condition))


def _named(rule: Rule) -> str:
    found = rule.statement.annotation("id")
    return found.value if found else rule.id


def _path(pin: Pin) -> tuple[str, ...]:
    return (pin.reference.root, *pin.reference.path)
