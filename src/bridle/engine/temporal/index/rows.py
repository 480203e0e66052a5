"""What rows an event makes and what it blocks: told once, for all trackers that ask the same.

Trackers of one call differ mostly in their windows alone. No state but the last answer.
"""

from __future__ import annotations

from msgspec import Struct

from bridle.engine.temporal.event import Atom
from bridle.engine.temporal.index.matching import Test, matcher
from bridle.engine.temporal.index.postings import Key, key_of
from bridle.engine.temporal.index.record import Record

RowKey = tuple[Key, Key]
"""The group of a row, and what tells it from the others of the group."""


class RowSpec(Struct, frozen=True):
    """Rows are events of `type` that pass `tests`: see `TrackerSpec`.

    `joins` are the fields by which each guard finds the row.
    """

    type: int
    tests: tuple[Test, ...]
    group: tuple[int, ...]
    row: tuple[int, ...]
    output: tuple[int, ...]
    timed: bool
    value: int
    joins: tuple[tuple[int, ...], ...]


class BlockSpec(Struct, frozen=True):
    """Events of `type` that pass `tests` block by the fields `key`."""

    type: int
    tests: tuple[Test, ...]
    key: tuple[int, ...]


class Made(Struct, frozen=True, gc=False):
    """A row as its event makes it. `alone` is the row where it is the only one that is blocked."""

    key: RowKey
    output: Key
    value: int
    joins: tuple[Key, ...]
    alone: tuple[RowKey]


class Maker:
    """Makes the rows of one spec."""

    __slots__ = ("_group", "_joins", "_last", "_made", "_matches", "_output", "_row", "_spec")

    def __init__(self, spec: RowSpec) -> None:
        self._spec = spec
        self._matches = matcher(spec.tests)
        self._group = key_of(spec.group)
        self._row = key_of(spec.row)
        self._output = key_of(spec.output)
        self._joins = [key_of(join) for join in spec.joins]
        self._last: Record | None = None
        self._made: Made | None = None

    def of(self, record: Record) -> Made | None:
        """Return the row that an event makes; None if it makes none."""
        if record is not self._last:
            self._made, self._last = self._make(record), record
        return self._made

    def _make(self, record: Record) -> Made | None:
        spec, fields = self._spec, record.fields
        if record.type != spec.type or not self._matches(fields):
            return None
        row, output = self._row(fields), self._output(fields)
        if spec.timed:
            row = (record.position, *_as_tuple(row))
            output = (record.position, *_as_tuple(output))
        value = fields[spec.value] if spec.value >= 0 else 0
        key = self._group(fields), row
        return Made(
            key,
            output,
            value if isinstance(value, int) else 0,
            tuple([join(fields) for join in self._joins]),
            (key,),
        )


class Blocks:
    """Tells what events block, by one spec."""

    __slots__ = ("_hit", "_key", "_last", "_matches", "_type")

    def __init__(self, spec: BlockSpec) -> None:
        self._type = spec.type
        self._matches = matcher(spec.tests)
        self._key = key_of(spec.key)
        self._last: Record | None = None
        self._hit: Key | None = None

    def of(self, record: Record) -> Key | None:
        """Return the key that an event blocks; None if it blocks nothing."""
        if record.type != self._type:
            return None
        if record is not self._last:
            hit = self._key(record.fields) if self._matches(record.fields) else None
            self._hit, self._last = hit, record
        return self._hit


class Shared:
    """The makers and blocks of one log, each once."""

    __slots__ = ("_blocks", "_makers")

    def __init__(self) -> None:
        self._makers: dict[RowSpec, Maker] = {}
        self._blocks: dict[BlockSpec, Blocks] = {}

    def maker(self, spec: RowSpec) -> Maker:
        """Return what makes such rows."""
        found = self._makers.get(spec)
        if found is None:
            found = self._makers[spec] = Maker(spec)
        return found

    def blocks(self, spec: BlockSpec) -> Blocks:
        """Return what tells of such blocks."""
        found = self._blocks.get(spec)
        if found is None:
            found = self._blocks[spec] = Blocks(spec)
        return found


def _as_tuple(key: Key) -> tuple[Atom, ...]:
    return key if isinstance(key, tuple) else (key,)
