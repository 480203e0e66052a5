"""Events as a partition keeps them: numbered, and with the fields that conditions mention only."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from bridle.engine.temporal.event import ActionName, Atom, Event

OTHER = -1
"""The number of events that no predicate names."""

Fields = tuple[Atom | None, ...]


class EventType(Struct, frozen=True):
    """One kind of event of one action that some predicate names.

    `paths` are the fields kept, in the order of `Record.fields`; `horizon` is for how many
    milliseconds.
    """

    action: ActionName
    kind: str
    paths: tuple[str, ...]
    horizon: int


class Record(Struct, frozen=True, gc=False):
    """A kept event. `position` counts all events of the partition; a field not there is None."""

    position: int
    time: int
    type: int
    fields: Fields
    mission: str


class Layout:
    """Which events are kept, which of their fields, and for how long.

    `ticks` is for how many milliseconds every event is kept, named or not, because some condition
    looks at each position; -1 where none does.
    """

    __slots__ = ("_kinds", "_numbers", "horizons", "ticks", "types")

    def __init__(self, types: Iterable[EventType], ticks: int = -1) -> None:
        self.types = tuple(types)
        self.ticks = ticks
        self._numbers = {(t.action, t.kind): n for n, t in enumerate(self.types)}
        self._kinds: dict[ActionName, list[int]] = {}
        for number, each in enumerate(self.types):
            self._kinds.setdefault(each.action, []).append(number)
        # The last is that of OTHER: lists are counted from the end too.
        self.horizons = [*(max(t.horizon, ticks) for t in self.types), ticks]

    def number(self, action: ActionName, kind: str) -> int:
        """Return the number of a type, OTHER if no predicate names it."""
        return self._numbers.get((action, kind), OTHER)

    def record(self, event: Event, position: int, time: int) -> Record:
        """Return `event` as it would be kept."""
        number = self.number(event.action, event.kind)
        paths = () if number == OTHER else self.types[number].paths
        get = event.fields.get
        return Record(position, time, number, tuple([get(path) for path in paths]), event.mission)

    def carried(self, record: Record, other: Layout, position: int) -> Record:
        """Return what `other` kept as it is kept here: a field that was not kept is not there."""
        if record.type == OTHER:
            return Record(position, record.time, OTHER, (), record.mission)
        kept = other.types[record.type]
        fields = dict(zip(kept.paths, record.fields, strict=True))
        number = self.number(kept.action, kept.kind)
        paths = () if number == OTHER else self.types[number].paths
        values = tuple([fields.get(path) for path in paths])
        return Record(position, record.time, number, values, record.mission)

    def of_action(self, event: Event, position: int, time: int) -> list[Record]:
        """Return `event` as each kept kind of its action: what may follow it, as far as it says."""
        get = event.fields.get
        return [
            Record(position, time, n, tuple(map(get, self.types[n].paths)), event.mission)
            for n in self._kinds.get(event.action, ())
        ]

    def keeps(self, record: Record) -> bool:
        """Whether events of this type are kept at all."""
        return self.horizons[record.type] >= 0
