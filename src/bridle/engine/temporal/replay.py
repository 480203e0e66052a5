"""A trace put to policies line by line, as the reference does it: the verdict of every request.

Every line enters the history before it is decided, whatever comes of it. Where events are pinned
to the one who asks, a condition sees the history of that one alone. Verdicts are the reference's,
not Bridle's: a policy that errs is skipped, and reported.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from bridle.engine.temporal import request
from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.event import Atom, Event, Read
from bridle.engine.temporal.plain_cedar import PlainCedar
from bridle.engine.temporal.specification import holds
from bridle.language.events.ast import Events, Pin
from bridle.language.events.pins import inject, universal
from bridle.language.temporal.ast import Condition
from bridle.language.trace import TracedEvent

Key = tuple[Atom | None, ...]


class Verdict(Struct, frozen=True):
    """What became of a request: `point` is its position among all lines, from 0.

    `policies` are the numbers of the policies that made the verdict, `errors` what Cedar says of
    those that could not be evaluated, `leaves` the truths of the conditions over history.
    """

    time: int
    point: int
    allowed: bool
    policies: tuple[int, ...]
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


def key(pins: Iterable[Pin], event: Event) -> Key:
    """Return whose history an event is part of."""
    return tuple(event.fields.get(pin.path) for pin in pins)


def wanted(pins: Iterable[Pin], read: Read) -> Key | None:
    """Return whose history a request sees; None where that is nobody's."""
    found = tuple(read(_path(pin)) for pin in pins)
    return None if None in found else found


def replay(
    trace: Sequence[TracedEvent],
    cedar: PlainCedar,
    evaluator: Evaluator,
    deciding: frozenset[str],
    atoms: Atomiser,
) -> list[Verdict]:
    """Return the verdicts of a trace: of each line whose kind is among `deciding`, in order."""
    found = list[Verdict]()
    for point, line in enumerate(trace):
        event = request.event(line, atoms)
        if line.kind in deciding:
            truths = dict(evaluator.ask(event, request.reader(line, atoms)))
            answer = cedar.decide(line, truths)
            told = (answer.allowed, answer.policies, answer.errors, truths)
            found.append(Verdict(line.time, point, *told))
        evaluator.add(event)
    return found


def goes_back(trace: Iterable[TracedEvent]) -> bool:
    """Whether a line is stamped earlier than one before it."""
    times = [line.time for line in trace]
    return times != sorted(times)


def _path(pin: Pin) -> tuple[str, ...]:
    return (pin.reference.root, *pin.reference.path)
