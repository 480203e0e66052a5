"""Answers, while an action is judged, where its arguments came from: from what is kept of that.

Much of it is read in before the turn that needs it, so that nobody else waits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from bridle.engine.engine import Engine
from bridle.engine.flow.arguments import MissionFlow
from bridle.engine.flow.index import Index
from bridle.engine.flow.origin import Trace
from bridle.engine.flow.source import Origins
from bridle.governor.ground.core import Core
from bridle.governor.ground.turn import Turn
from bridle.governor.history.shelf import NotAtHandError
from bridle.governor.provenance import chain, keeping, seeing
from bridle.model.errors import StoreError
from bridle.store.rows import MissionRow, ReadRow, SourceRow

AT_HAND = 256 * 1_024
"""Octets of imprints that are read in within a turn, at most: every other writer waits."""


class Tracing:
    """What one mission has read so far, see `bridle.engine.flow.source.Flow`."""

    __slots__ = ("_declared", "_engine", "_known", "_labels", "_mission", "_turn")

    def __init__(
        self,
        turn: Turn,
        engine: Engine,
        mission: MissionRow,
        declared: Mapping[str, Sequence[Trace]] = {},
    ) -> None:
        self._declared = declared
        self._turn = turn
        self._engine = engine
        self._mission = mission
        self._labels = frozenset(seeing.labels(engine.bundle, mission))
        self._known: tuple[Mapping[str, Any], Origins] | None = None

    @property
    def labels(self) -> frozenset[str]:
        """The labels of everything that was read."""
        return self._labels

    def origins(self, tool: str, value: Mapping[str, Any]) -> Origins:
        """Return where the canonical arguments of a declared tool came from.

        The record of the decision says what was answered last.
        """
        if self._known is None or self._known[0] is not value:
            index = index_of(self._turn, self._engine, self._mission)
            reader = self._turn.core.imprints.reader
            engine = self._engine
            flow = MissionFlow(
                index, reader, engine.meanings, self._labels, engine.labelled, self._declared
            )
            self._known = value, flow.origins(tool, value)
        found = self._known[1]
        self._turn.traced = found.arguments
        return found


def at_hand(turn: Turn, engine: Engine, mission: MissionRow, tool: str) -> None:
    """Have in memory what policies of a tool ask of. Raises as `index_of`."""
    if engine.traces and engine.asks_for_origins(tool):
        index_of(turn, engine, mission)


def index_of(turn: Turn, engine: Engine, mission: MissionRow) -> Index:
    """Return the index of what a mission has read.

    Raises `StoreError` where rows were changed; `NotAtHandError`, unless the turn does it all at
    once, where so much has to be read that nobody else should have to wait for it.
    """
    row = turn.tx.get(ReadRow, mission.id) or ReadRow(mission=mission.id)
    state = keeping.state(mission, row)
    found = turn.core.indexes.find(mission.id, state)
    if found is None:
        if row.trusted_size + row.others_size > AT_HAND and not turn.at_once:
            raise NotAtHandError(partial(_bring, turn.core, mission.id))
        found = _made(engine, mission, chain.kept(turn, row))
        turn.core.indexes.keep(mission.id, state, found)
    return found


def _made(engine: Engine, mission: MissionRow, rows: Iterable[SourceRow]) -> Index:
    missed = set(mission.missed.items())
    if not mission.labelled:
        # INVARIANT: I2 — as for its labels: it may have read all that it can reach.
        missed |= seeing.reachable_systems(engine.bundle, mission)
    index = Index(missed, whole=mission.imprinted)
    for row in rows:
        index.add(row.number, keeping.source_of(row), keeping.imprint_of(row))
    return index


def _bring(core: Core, mission: str) -> None:
    """Make the index of a mission outside any turn, and hold it.

    Where it cannot be, nothing happens: whoever asks for it then is told why.
    """

    def read(turn: Turn) -> tuple[str, Engine, MissionRow, list[SourceRow]] | None:
        found, row = turn.tx.get(MissionRow, mission), turn.tx.get(ReadRow, mission)
        if found is None or row is None:
            return None
        return keeping.state(found, row), turn.engine, found, chain.kept(turn, row)

    # One at a time: a second caller mostly waits for the same one.
    with core.reading:
        try:
            known = core.write(read, relaxed=True)
            if known is not None:
                state, engine, found, rows = known
                index = _made(engine, found, rows)
                core.write(lambda turn: turn.core.indexes.keep(mission, state, index), relaxed=True)
        except StoreError:
            return
