"""One history, as far as its program can still look back: events in, answers out.

Pure: no clock, no store. Time is in milliseconds and never goes back. An answer costs the same
whatever the length of the history, but for conditions that must look at each matching event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import msgspec

from bridle.engine.temporal import codec
from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.codec import MAX_TIME, StateError
from bridle.engine.temporal.event import Event, Read
from bridle.engine.temporal.index.postings import Postings
from bridle.engine.temporal.index.record import Record
from bridle.engine.temporal.plan.moment import Moment
from bridle.engine.temporal.program import Program
from bridle.model.errors import UsageError

__all__ = ["MAX_TIME", "Partition", "StateError"]

_PLAIN = Atomiser()


class Partition:
    """The state of one `program`. `atoms` makes the atoms of literals as those of the events are.

    Not for several threads at once.
    """

    __slots__ = ("_atoms", "_checks", "_log", "_plan", "program")

    def __init__(self, program: Program, atoms: Atomiser | None = None) -> None:
        self.program = program
        self._atoms = atoms or _PLAIN
        self._plan = program.plan(self._atoms)
        self._log = self._plan.log()
        self._checks = {n: self._plan.checks[leaf.digest] for n, leaf in program.leaves.items()}

    @property
    def count(self) -> int:
        """How many events have been added, kept or not."""
        return self._log.count

    @property
    def last_time(self) -> int:
        """When the newest event was; 0 before the first."""
        return self._log.last_time

    @property
    def kept(self) -> int:
        """How many events are kept."""
        return len(self._log.records)

    def add(self, event: Event) -> None:
        """Add an event for good. An earlier time than the last counts as the last."""
        self._log.append(self._next(event))

    def ask(self, names: Iterable[str], event: Event, read: Read) -> dict[str, bool]:
        """Return whether the leaves of these names would hold if `event` were added last.

        Nothing is added. Raises `HistoryCapError` where too many events would have to be looked at,
        `KeyError` for a name that is not of the program.
        """
        log, plan = self._log, self._plan
        newest = self._next(event)
        moment = Moment(
            log,
            newest,
            read,
            slots=plan.slots,
            shared=plan.shared,
            steps=self.program.limits.steps,
        )
        answers: dict[str, bool] = {}
        pushed: list[Postings] = []
        try:
            log.put(newest, pushed)
            position, time, checks = newest.position, newest.time, self._checks
            for name in names:
                answers[name] = checks[name](moment, position, time)
        finally:
            # INVARIANT: a question leaves no trace, whatever ends it.
            log.take(newest, pushed)
        return answers

    def room(self, event: Event) -> bool:
        """Whether `event.mission` may make such a request; if not, the action must be denied.

        INVARIANT: nothing is forgotten to make room. What ends an action always comes in, so a
        request needs room for its end as well, whether or not requests themselves are kept.
        """
        log, limits = self._log, self.program.limits
        record = self._next(event)
        kinds = log.layout.of_action(event, record.position, record.time)
        if not kinds and not log.layout.keeps(record):
            return True
        if log.taken(record.mission, record.time, limits.events) >= limits.events:
            return False
        ends = [kind for kind in kinds if kind.type != record.type]
        return all(
            tally.room(record, limits.matches)
            and all(tally.room_for_end(end, limits.matches) for end in ends)
            for tally in log.tallies
        )

    def save(self) -> bytes:
        """Return the state. The same events in the same order make the same bytes."""
        log = self._log
        return codec.encode(
            log.kept(), log.count, log.last_time, program=self.program.digest, key=self._key()
        )

    @classmethod
    def load(cls, program: Program, data: bytes, atoms: Atomiser | None = None) -> Partition:
        """Return the partition that `save` wrote. Raises `StateError`."""
        made = cls(program, atoms)
        state, records = codec.decode(
            data, made._log.layout, program=program.digest, key=made._key()
        )
        made._log.fill(records, state.count, state.last_time)
        return made

    def adopt(self, program: Program, events: Callable[[], Iterator[Event]]) -> Partition:
        """Return the partition of another program, with the same history.

        Conditions that were there keep what they have. `events` gives the events of this partition
        up to the newest, in order, as far back as they are still to be had; it is asked only if
        some condition is new.
        """
        made = Partition(program, self._atoms)
        given: list[Event] = []
        if program.conditions.keys() - self.program.conditions.keys():
            given = list(events())
        # They end where this partition does; if they begin before it, its positions move up.
        ahead = max(0, len(given) - self.count)
        known = {record.position + ahead: record for record in self._log.kept()}
        layout, count = made._log.layout, self.count + ahead
        clock = self.last_time if self.count else -MAX_TIME
        records = {p: layout.carried(r, self._log.layout, p) for p, r in known.items()}
        for position, event in enumerate(given, count - len(given)):
            time = known[position].time if position in known else event.time
            records[position] = layout.record(event, position, time)
        merged = _in_order([records[position] for position in sorted(records)])
        newest = max([clock, *(record.time for record in merged[-1:])])
        made._log.fill(merged, count, newest if count else 0)
        return made

    def _next(self, event: Event) -> Record:
        log = self._log
        if not -MAX_TIME <= event.time <= MAX_TIME:
            raise UsageError(f"{event.time} is no time in milliseconds")
        time = max(event.time, log.last_time) if log.count else event.time
        return log.layout.record(event, log.count, time)

    def _key(self) -> str:
        return str(self._atoms.text("bridle"))


def _in_order(records: list[Record]) -> list[Record]:
    """Return the records with times that never go back."""
    clock, found = -MAX_TIME, list[Record]()
    for record in records:
        clock = max(clock, record.time)
        found.append(
            record if record.time == clock else msgspec.structs.replace(record, time=clock)
        )
    return found
