"""What policies ask of history while an action is judged: answered from this turn's partitions."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Iterable, Mapping

from msgspec import structs

from bridle.engine.engine import Engine
from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.caps import HistoryCapError
from bridle.engine.temporal.event import Event, Read
from bridle.engine.temporal.history import UnknownHistoryError
from bridle.engine.temporal.program import Program
from bridle.governor.ground.turn import Turn
from bridle.governor.history import entries, partitions, whose
from bridle.governor.history.whose import Whose
from bridle.model.errors import StoreError
from bridle.model.reason import ReasonCode
from bridle.store.rows import PartitionRow


class Asking:
    """The partitions of one decision, see `bridle.engine.temporal.history.History`."""

    __slots__ = ("_engine", "_of", "_turn", "atoms")

    def __init__(self, turn: Turn, engine: Engine, of: Whose) -> None:
        self._turn = turn
        self._engine = engine
        self._of = of
        self.atoms: Atomiser = turn.core.atoms

    def ask(
        self, scope: str, agent: str, names: tuple[str, ...], event: Event, read: Read
    ) -> Mapping[str, bool]:
        """Return the truth of each leaf as if `event` had just happened."""
        program = self._engine.programs[scope]
        partition = whose.asked(self._turn.core, scope, agent, self._of)
        row = partitions.find(self._turn, scope, partition)
        self._assert_whole(row, program, names)
        state = partitions.state(self._turn, row, program)
        event = structs.replace(event, time=max(event.time, row.clock))
        try:
            truths = state.ask(names, event, read)
        except HistoryCapError as problem:
            text = "a rule would have to look at more of the past than may be looked at"
            raise UnknownHistoryError(ReasonCode.LIMIT_EXCEEDED, text) from problem
        self._turn.told_of(partition, truths)
        return truths

    def _assert_whole(self, row: PartitionRow, program: Program, names: Iterable[str]) -> None:
        """Refuse an answer that would depend on what nobody knows."""
        # INVARIANT: I2 — a missing event can mislead a permit as well as a forbid.
        if not row.complete:
            return
        until = row.complete + reach_ms(program, names)
        if until > max(self._turn.now, row.clock):
            raise UnknownHistoryError(
                ReasonCode.HISTORY_INCOMPLETE,
                f"a rule looks back on what is not known; it can be answered from {moment(until)}",
            )


def reach_ms(program: Program, names: Iterable[str]) -> int:
    """Return how far back, in milliseconds, what these leaves say can depend on events."""
    return max((program.leaves[name].horizon for name in names), default=0) * 1_000


def has_room(turn: Turn, event: Event, of: Whose) -> bool:
    """Whether a mission may still add to every partition that an event of its would enter."""
    for scope, program in turn.engine.programs.items():
        for partition in entries.entered(turn, scope, of):
            row = partitions.find(turn, scope, partition)
            at = structs.replace(event, time=max(event.time, row.clock))
            if not partitions.state(turn, row, program).room(at):
                return False
    return True


def at_hand(turn: Turn, of: Whose) -> None:
    """Have all that is asked at the end of a mission in memory. Raises `NotAtHandError`.

    What cannot be read is left to the asking itself.
    """
    for scope, program in turn.engine.programs.items():
        if scope != whose.AGENT:
            row = partitions.find(turn, scope, whose.asked(turn.core, scope, "", of))
            with contextlib.suppress(StoreError):
                partitions.state(turn, row, program)


def moment(time_ms: int) -> str:
    """Return a time as humans read it, in seconds, UTC."""
    seconds = -(-time_ms // 1_000)
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
