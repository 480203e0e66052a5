"""Rows that stand until they expire or something blocks them: counted as they come and go.

This is how `count for (r). where formerly A{k, id: r} && !(formerly B{id: r})`, the same of sums,
of `exists` and of `!B{id: r} since A{k, id: r}`, and the number of different values of a window,
are known at once at the newest position. An event is never put in on trial: `total` answers for a
later moment and one more event by looking only at the rows that these change.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

from msgspec import Struct

from bridle.engine.temporal.index.matching import Test
from bridle.engine.temporal.index.postings import Key
from bridle.engine.temporal.index.record import Record
from bridle.engine.temporal.index.rows import BlockSpec, Made, RowKey, RowSpec, Shared

Members = tuple[RowKey, ...] | dict[RowKey, None]
"""A few rows, mostly one; a dictionary where they are more."""

_FEW = 4
_NEVER = 2**63
_NOTHING = (0, 0)


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
    """A later moment and one more event: `own` is the row it makes, `blocks` the keys it blocks.

    `touched` are the rows, by group, that may count otherwise then; `told` is what was answered.
    """

    newest: Record
    time: int
    own: Made | None
    blocks: list[Key | None]
    touched: dict[Key, dict[RowKey, None]]
    told: dict[Key, tuple[int, int]]


class _Row(Struct, gc=False):
    made: Made
    position: int
    time: int
    counted: bool = False


class _Group:
    """`outputs`: in how many counted rows each output is; `total`: the sum over outputs."""

    __slots__ = ("outputs", "total")

    def __init__(self) -> None:
        self.outputs: dict[Key, int] = {}
        self.total = 0


class _Guard:
    """`last`: when each key was last blocked, oldest first; `members`: the rows that ask it."""

    __slots__ = ("hit", "last", "members", "since", "window")

    def __init__(self, spec: GuardSpec, shared: Shared) -> None:
        self.hit = shared.blocks(BlockSpec(spec.type, spec.tests, spec.key)).of
        self.window = spec.window
        self.since = spec.since
        self.last: OrderedDict[Key, tuple[int, int]] = OrderedDict()
        self.members: dict[Key, Members] = {}

    def stale(self, time: int) -> Iterator[Key]:
        """Yield the keys whose block is over at `time`, oldest first."""
        since = time - self.window
        for key, (stamp, _) in self.last.items():
            if stamp >= since:
                return
            yield key

    def blocks(self, last: tuple[int, int], position: int, time: int) -> bool:
        """Whether a block at `last` keeps a row of `position` from counting at `time`."""
        if last[0] < time - self.window:
            return False
        return not self.since or last[1] > position


class Tracker:
    """One index of rows and what blocks them. `types` are those of the events that concern it."""

    __slots__ = (
        "_blocking",
        "_groups",
        "_guards",
        "_made",
        "_rows",
        "_shortest",
        "_spec",
        "_trial",
        "_until",
        "types",
    )

    def __init__(self, spec: TrackerSpec, shared: Shared) -> None:
        self._spec = spec
        self._blocking = frozenset(guard.type for guard in spec.guards)
        self.types = self._blocking | {spec.type}
        self._guards = [_Guard(guard, shared) for guard in spec.guards]
        # A plain dictionary looks for its oldest entry among all that have ever gone.
        self._rows: OrderedDict[RowKey, _Row] = OrderedDict()
        self._groups: dict[Key, _Group] = {}
        self._made = shared.maker(_rows_of(spec)).of
        self._shortest = min([spec.window, *(guard.window for guard in spec.guards)])
        # The last question's: each row of a join may ask for another group.
        self._trial: _Trial | None = None
        # Nothing here is over before then; perhaps nothing is then, either.
        self._until = _NEVER

    def advance(self, time: int) -> None:
        """Let rows and blocks expire that are over at `time`."""
        if time <= self._until:
            return
        self._trial = None
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
        self._until = self._lasts()

    def push(self, record: Record) -> None:
        """Add an event, for good; its time has been advanced to."""
        self._trial = None
        self._push_row(record)
        for guard in self._guards:
            hit = guard.hit(record)
            if hit is not None:
                guard.last.pop(hit, None)
                guard.last[hit] = (record.time, record.position)
                self._recount(guard.members.get(hit, ()), record.time)
        self._until = min(self._until, record.time + self._shortest)

    def total(self, group: Key, time: int, newest: Record) -> tuple[int, int]:
        """Return how many outputs `group` has, and their sum, at `time` and with `newest` added."""
        found = self._groups.get(group)
        count, total = (len(found.outputs), found.total) if found else _NOTHING
        own = self._made(newest)
        outputs = found.outputs if found else {}
        if time <= self._until and newest.type not in self._blocking:
            # Mostly nothing has expired and nothing is blocked: a row more, or not even that.
            if own is None or own.key[0] != group or not self._appears(own, outputs, newest):
                return count, total
            return count + 1, total + own.value
        trial = self._trial
        if trial is None or trial.newest is not newest or trial.time != time:
            trial = self._trial = self._tried(time, newest, own)
        told = trial.told.get(group)
        if told is None:
            for output, (change, value) in self._changes(group, trial).items():
                before = outputs.get(output, 0)
                appears = (before + change > 0) - (before > 0)
                count += appears
                total += appears * value
            told = trial.told[group] = count, total
        return told

    def _appears(self, own: Made, outputs: dict[Key, int], newest: Record) -> bool:
        """Whether the output of a new row is one more, where nothing else has changed."""
        if own.output in outputs:
            return False
        for guard, join in zip(self._guards, own.joins, strict=True):
            last = guard.last.get(join)
            if last is not None and guard.blocks(last, newest.position, newest.time):
                return False
        return True

    def _lasts(self) -> int:
        """Return the time up to which nothing expires."""
        ends = [
            next(iter(guard.last.values()))[0] + guard.window
            for guard in self._guards
            if guard.last
        ]
        if self._rows:
            ends.append(next(iter(self._rows.values())).time + self._spec.window)
        return min(ends, default=_NEVER)

    def _tried(self, time: int, newest: Record, own: Made | None) -> _Trial:
        blocks = [guard.hit(newest) for guard in self._guards]
        touched: dict[Key, dict[RowKey, None]] = {}
        for key in self._touched(time, own, blocks):
            touched.setdefault(key[0], {})[key] = None
        return _Trial(newest, time, own, blocks, touched, {})

    def _touched(self, time: int, own: Made | None, blocks: list[Key | None]) -> Iterator[RowKey]:
        """Yield the rows that may count otherwise than they do now."""
        if time > self._until:
            yield from self._expired(time)
        for guard, hit in zip(self._guards, blocks, strict=True):
            if hit is not None:
                yield from guard.members.get(hit, ())
        if own is not None:
            yield own.key

    def _expired(self, time: int) -> Iterator[RowKey]:
        """Yield the rows that are over at `time`, and those whose block is."""
        since = time - self._spec.window
        for key, row in self._rows.items():
            if row.time >= since:
                break
            yield key
        for guard in self._guards:
            for stale in guard.stale(time):
                yield from guard.members.get(stale, ())

    def _changes(self, group: Key, trial: _Trial) -> dict[Key, tuple[int, int]]:
        """Return how many more rows have each output in a trial, and what the output adds."""
        changes: dict[Key, tuple[int, int]] = {}
        for key in trial.touched.get(group, ()):
            known = self._rows.get(key)
            row = known
            if trial.own is not None and trial.own.key == key:
                row = _Row(trial.own, trial.newest.position, trial.time)
            assert row is not None
            counts = self._stands(row, trial.time, trial)
            counted = known is not None and known.counted
            if counts != counted:
                change, _ = changes.get(row.made.output, _NOTHING)
                changes[row.made.output] = (change + counts - counted, row.made.value)
        return changes

    def _stands(self, row: _Row, time: int, trial: _Trial | None = None) -> bool:
        """Whether a row counts at `time`, with what a trial blocks blocked as well."""
        if row.time < time - self._spec.window:
            return False
        for number, guard in enumerate(self._guards):
            join = row.made.joins[number]
            last = guard.last.get(join)
            if trial is not None and trial.blocks[number] == join:
                last = (time, trial.newest.position)
            if last is not None and guard.blocks(last, row.position, time):
                return False
        return True

    def _push_row(self, record: Record) -> None:
        made = self._made(record)
        if made is None:
            return
        key = made.key
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = _Row(made, record.position, record.time)
            for guard, join in zip(self._guards, made.joins, strict=True):
                others = guard.members.get(join)
                guard.members[join] = _with(others, key) if others else made.alone
        else:
            self._rows.move_to_end(key)
        row.time, row.position = record.time, record.position
        self._set(key[0], row, self._stands(row, record.time))

    def _recount(self, keys: Members, time: int) -> None:
        for key in keys:
            row = self._rows[key]
            self._set(key[0], row, self._stands(row, time))

    def _drop(self, key: RowKey) -> None:
        row = self._rows.pop(key)
        self._set(key[0], row, counts=False)
        for guard, join in zip(self._guards, row.made.joins, strict=True):
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
        now = found.outputs.get(row.made.output, 0) + (1 if counts else -1)
        if counts and now == 1:
            found.total += row.made.value
        if now:
            found.outputs[row.made.output] = now
            return
        del found.outputs[row.made.output]
        found.total -= row.made.value
        if not found.outputs:
            del self._groups[group]


def _rows_of(spec: TrackerSpec) -> RowSpec:
    return RowSpec(
        spec.type,
        spec.tests,
        spec.group,
        spec.row,
        spec.output,
        spec.timed,
        spec.value,
        tuple([guard.of_row for guard in spec.guards]),
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
