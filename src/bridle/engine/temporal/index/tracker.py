"""Rows that stand until they expire or something blocks them: counted as they come and go.

This is how `count for (r). where formerly A{k, id: r} && !(formerly B{id: r})`, the same of sums,
of `exists` and of `!B{id: r} since A{k, id: r}`, and the number of different values of a window,
are known at once at the newest position. An event is never put in on trial: `total` answers for a
later moment and one more event by looking only at the rows that these change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from bridle.engine.temporal.event import Atom
from bridle.engine.temporal.index.matching import Test, matcher
from bridle.engine.temporal.index.postings import Key, key_of
from bridle.engine.temporal.index.record import Record

RowKey = tuple[Key, Key]
"""The group of a row, and what tells it from the others of the group."""

Members = tuple[RowKey, ...] | dict[RowKey, None]
"""A few rows, mostly one; a dictionary where they are more."""

_FEW = 4


class GuardSpec(Struct, frozen=True):
    """What blocks rows: events of `type` that pass `tests` and agree with the row.

    `key` are the fields of the blocking event, `of_row` those of the row's event they must equal.
    `window` is for how long it blocks, in milliseconds; `since`: only rows that are older than it.
    """

    type: int
    tests: tuple[Test, ...]
    key: tuple[int, ...]
    of_row: tuple[int, ...]
    window: int
    since: bool = False


class TrackerSpec(Struct, frozen=True):
    """Rows are events of `type` that pass `tests`, for `window` milliseconds, grouped by `group`.

    Within a group those are one row that agree in `row` (and in position, if `timed`). Counted are
    the different values of `output`, added up is the field `value` of them (-1: none).
    """

    type: int
    tests: tuple[Test, ...]
    group: tuple[int, ...]
    row: tuple[int, ...]
    output: tuple[int, ...]
    timed: bool
    value: int
    window: int
    guards: tuple[GuardSpec, ...]


class _Trial(Struct, frozen=True):
    """A later moment and one more event: `own` is the row it makes, `blocks` the keys it blocks."""

    time: int
    newest: Record
    own: RowKey | None
    blocks: list[Key | None]


class _Row:
    __slots__ = ("counted", "joins", "output", "position", "time", "value")

    def __init__(self, record: Record, output: Key, value: int, joins: tuple[Key, ...]) -> None:
        self.time = record.time
        self.position = record.position
        self.output = output
        self.value = value
        self.joins = joins
        self.counted = False


class _Group:
    """`outputs`: in how many counted rows each output is; `total`: the sum over outputs."""

    __slots__ = ("outputs", "total")

    def __init__(self) -> None:
        self.outputs: dict[Key, int] = {}
        self.total = 0


class _Guard:
    """`last`: when each key was last blocked, oldest first; `members`: the rows that ask it."""

    __slots__ = ("key", "last", "matches", "members", "of_row", "since", "type", "window")

    def __init__(self, spec: GuardSpec) -> None:
        self.type = spec.type
        self.matches = matcher(spec.tests)
        self.key = key_of(spec.key)
        self.of_row = key_of(spec.of_row)
        self.window = spec.window
        self.since = spec.since
        self.last: dict[Key, tuple[int, int]] = {}
        self.members: dict[Key, Members] = {}

    def hit(self, record: Record) -> Key | None:
        """Return the key that an event blocks; None if it blocks nothing."""
        if record.type != self.type or not self.matches(record.fields):
            return None
        return self.key(record.fields)

    def stale(self, time: int) -> Iterator[Key]:
        """Yield the keys whose block is over at `time`, oldest first."""
        since = time - self.window
        for key, (stamp, _) in self.last.items():
            if stamp >= since:
                return
            yield key

    def blocks(self, last: tuple[int, int] | None, position: int, time: int) -> bool:
        """Whether a block at `last` keeps a row of `position` from counting at `time`."""
        if last is None or last[0] < time - self.window:
            return False
        return not self.since or last[1] > position


class Tracker:
    """One index of rows and what blocks them. `types` are those of the events that concern it."""

    __slots__ = ("_groups", "_guards", "_identity", "_rows", "_spec", "_take", "types")

    def __init__(self, spec: TrackerSpec) -> None:
        self._spec = spec
        self.types = frozenset({spec.type, *(guard.type for guard in spec.guards)})
        self._guards = [_Guard(guard) for guard in spec.guards]
        self._rows: dict[RowKey, _Row] = {}
        self._groups: dict[Key, _Group] = {}
        self._take = matcher(spec.tests)
        self._identity = _identity(spec)

    def advance(self, time: int) -> None:
        """Let rows and blocks expire that are over at `time`."""
        since = time - self._spec.window
        while self._rows:
            key = next(iter(self._rows))
            if self._rows[key].time >= since:
                break
            self._drop(key)
        for guard in self._guards:
            for stale in list(guard.stale(time)):
                del guard.last[stale]
                self._recount(guard.members.get(stale, ()), time)

    def push(self, record: Record) -> None:
        """Add an event, for good; its time has been advanced to."""
        self._push_row(record)
        for guard in self._guards:
            hit = guard.hit(record)
            if hit is not None:
                guard.last.pop(hit, None)
                guard.last[hit] = (record.time, record.position)
                self._recount(guard.members.get(hit, ()), record.time)

    def total(self, group: Key, time: int, newest: Record) -> tuple[int, int]:
        """Return how many outputs `group` has, and their sum, at `time` and with `newest` added."""
        found = self._groups.get(group)
        count, total = (len(found.outputs), found.total) if found else (0, 0)
        if newest.type not in self.types and self._lasts(time):
            return count, total
        trial = _Trial(
            time, newest, self._row_of(newest), [guard.hit(newest) for guard in self._guards]
        )
        touched = self._touched(group, trial)
        if not touched:
            return count, total
        outputs = found.outputs if found else {}
        for output, (change, value) in self._changes(touched, trial).items():
            before = outputs.get(output, 0)
            appears = (before + change > 0) - (before > 0)
            count += appears
            total += appears * value
        return count, total

    def _lasts(self, time: int) -> bool:
        """Whether nothing has expired by `time` since the last event."""
        oldest = next(iter(self._rows.values()), None)
        if oldest is not None and oldest.time < time - self._spec.window:
            return False
        return all(next(guard.stale(time), None) is None for guard in self._guards)

    def _touched(self, group: Key, trial: _Trial) -> list[RowKey]:
        """Return the rows of `group` that may count otherwise in a trial than they do now."""
        touched: dict[RowKey, None] = {}
        since = trial.time - self._spec.window
        for key, row in self._rows.items():
            if row.time >= since:
                break
            touched[key] = None
        for guard, hit in zip(self._guards, trial.blocks, strict=True):
            for stale in guard.stale(trial.time):
                touched.update(dict.fromkeys(guard.members.get(stale, ())))
            if hit is not None:
                touched.update(dict.fromkeys(guard.members.get(hit, ())))
        if trial.own is not None:
            touched[trial.own] = None
        return [key for key in touched if key[0] == group]

    def _changes(self, touched: list[RowKey], trial: _Trial) -> dict[Key, tuple[int, int]]:
        """Return how many more rows have each output in a trial, and what the output adds."""
        changes: dict[Key, tuple[int, int]] = {}
        for key in touched:
            known = self._rows.get(key)
            row = self._make(trial.newest) if key == trial.own or known is None else known
            counts = self._stands(row, trial.time, trial)
            counted = known is not None and known.counted
            if counts != counted:
                change, _ = changes.get(row.output, (0, 0))
                changes[row.output] = (change + counts - counted, row.value)
        return changes

    def _stands(self, row: _Row, time: int, trial: _Trial | None = None) -> bool:
        """Whether a row counts at `time`, with what a trial blocks blocked as well."""
        if row.time < time - self._spec.window:
            return False
        for number, guard in enumerate(self._guards):
            join = row.joins[number]
            last = guard.last.get(join)
            if trial is not None and trial.blocks[number] == join:
                last = (time, trial.newest.position)
            if guard.blocks(last, row.position, time):
                return False
        return True

    def _row_of(self, record: Record) -> RowKey | None:
        if record.type != self._spec.type or not self._take(record.fields):
            return None
        return self._identity(record)

    def _make(self, record: Record) -> _Row:
        spec, fields = self._spec, record.fields
        output = key_of(spec.output)(fields)
        value = fields[spec.value] if spec.value >= 0 else 0
        joins = tuple([guard.of_row(fields) for guard in self._guards])
        if spec.timed:
            output = (record.position, *_as_tuple(output))
        return _Row(record, output, value if isinstance(value, int) else 0, joins)

    def _push_row(self, record: Record) -> None:
        key = self._row_of(record)
        if key is None:
            return
        row = self._rows.pop(key, None)
        if row is None:
            row = self._make(record)
            for guard, join in zip(self._guards, row.joins, strict=True):
                guard.members[join] = _with(guard.members.get(join, ()), key)
        row.time, row.position = record.time, record.position
        self._rows[key] = row
        self._set(key[0], row, self._stands(row, record.time))

    def _recount(self, keys: Members, time: int) -> None:
        for key in keys:
            row = self._rows[key]
            self._set(key[0], row, self._stands(row, time))

    def _drop(self, key: RowKey) -> None:
        row = self._rows.pop(key)
        self._set(key[0], row, counts=False)
        for guard, join in zip(self._guards, row.joins, strict=True):
            left = _without(guard.members[join], key)
            if left:
                guard.members[join] = left
            else:
                del guard.members[join]

    def _set(self, group: Key, row: _Row, counts: bool) -> None:  # noqa: FBT001 - a state
        if counts == row.counted:
            return
        row.counted = counts
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = _Group()
        now = found.outputs.get(row.output, 0) + (1 if counts else -1)
        if counts and now == 1:
            found.total += row.value
        if now:
            found.outputs[row.output] = now
            return
        del found.outputs[row.output]
        found.total -= row.value
        if not found.outputs:
            del self._groups[group]


def _identity(spec: TrackerSpec) -> Callable[[Record], RowKey]:
    group, row = key_of(spec.group), key_of(spec.row)
    if not spec.timed:
        return lambda record: (group(record.fields), row(record.fields))
    return lambda record: (
        group(record.fields),
        (record.position, *_as_tuple(row(record.fields))),
    )


def _with(members: Members, key: RowKey) -> Members:
    if isinstance(members, tuple):
        if len(members) < _FEW:
            return (*members, key)
        members = dict.fromkeys(members)
    members[key] = None
    return members


def _without(members: Members, key: RowKey) -> Members:
    if isinstance(members, tuple):
        return tuple(each for each in members if each != key)
    del members[key]
    return members


def _as_tuple(key: Key) -> tuple[Atom, ...]:
    return key if isinstance(key, tuple) else (key,)
