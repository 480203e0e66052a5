"""Which scopes of history are live: those that policies in force look back on.

Done in the turn of an activation, so that no decision is made under rules whose past nobody knows.
"""

from __future__ import annotations

from msgspec import Struct, structs

from bridle.engine.temporal.program import Program
from bridle.governor.ground.turn import Turn
from bridle.governor.history import entries, partitions, whose
from bridle.governor.history.backfill import Found, Past
from bridle.store.rows import HistoryRow, PartitionRow

_EVERY = 100_000_000


class Brought(Struct, frozen=True):
    """A scope that came into being: events read back, and from when on its rules can be answered.

    `complete` is from when on nothing is missing, `answerable` when that reaches back as far as the
    rules do (both 0: at once, for all that ever happened).
    """

    scope: str
    events: int
    complete: int
    answerable: int


def bring(turn: Turn) -> list[Brought]:
    """Make live what the bundle in force looks back on, and let go of the rest."""
    programs = turn.engine.programs
    for scope in whose.SCOPES:
        if scope not in programs:
            _end(turn, scope)
    wanted = {scope: p for scope, p in programs.items() if not _goes_on(turn, scope, p)}
    return _filled(turn, wanted) if wanted else []


def _keeps(turn: Turn, program: Program) -> int:
    widest = turn.engine.bundle.manifest.history.max_window_s * 1_000
    return max(widest, program.horizon_ms)


def _goes_on(turn: Turn, scope: str, program: Program) -> bool:
    """Whether a scope is live already: then it keeps what it has, for as long as is needed now."""
    row = turn.tx.get(HistoryRow, scope)
    if row is None:
        return False
    keeps = _keeps(turn, program)
    if keeps != row.keeps:
        turn.tx.put(structs.replace(row, keeps=keeps))
    return True


def _end(turn: Turn, scope: str) -> None:
    """Let go of a scope with everything in it."""
    if turn.tx.get(HistoryRow, scope) is None:
        return
    for row in turn.tx.find(PartitionRow, scope=scope, limit=_EVERY):
        entries.drop(turn, row.id)
    turn.tx.delete(HistoryRow, scope)


def _filled(turn: Turn, programs: dict[str, Program]) -> list[Brought]:
    """Make scopes live with what the ledger tells of their past."""
    keeps = {scope: _keeps(turn, program) for scope, program in programs.items()}
    past = Past(turn, turn.now - max(keeps.values()))
    for scope in programs:
        row = HistoryRow(scope=scope, since=turn.now, complete=past.complete, keeps=keeps[scope])
        turn.tx.put(row)
    filling = _Filling(turn, tuple(programs))
    for found in past.events():
        filling.take(found)
    return [_told(turn, filling, past, scope) for scope in programs]


def _told(turn: Turn, filling: _Filling, past: Past, scope: str) -> Brought:
    complete = max([past.complete, *filling.settled(scope)])
    until = complete + turn.engine.programs[scope].horizon_ms if complete else 0
    return Brought(scope, filling.counts[scope], complete, until if until > turn.now else 0)


class _Filling:
    """Events on their way into the partitions of scopes that become live."""

    def __init__(self, turn: Turn, scopes: tuple[str, ...]) -> None:
        self._turn = turn
        self._rows: dict[str, PartitionRow] = {}
        self._scopes = scopes
        self.counts = dict.fromkeys(scopes, 0)

    def take(self, found: Found) -> None:
        """Put one event where it belongs; or note that something there is unknown."""
        for scope in self._scopes:
            for partition in entries.entered(self._turn, scope, found.of):
                before = self._row(scope, partition)
                if found.event is None:
                    after = structs.replace(before, complete=found.time + 1)
                else:
                    after, row = entries.appended(self._turn, before, found.event, found.record)
                    self._turn.tx.put(row)
                    self.counts[scope] += 1
                self._rows[partition] = after

    def settled(self, scope: str) -> list[int]:
        """Write the partitions of a scope. Returns from when on each is whole."""
        rows = [row for row in self._rows.values() if row.scope == scope]
        for row in rows:
            self._turn.tx.put(row)
        return [row.complete for row in rows]

    def _row(self, scope: str, partition: str) -> PartitionRow:
        known = self._rows.get(partition)
        return known if known is not None else partitions.find(self._turn, scope, partition)
