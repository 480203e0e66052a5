"""Decisions over a history of so many events: by the pure engine, and by an embedded governor."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Self

from msgspec import structs

from bench import histories, workload
from bench.calls import WorkloadError
from bench.histories import AGENT, ASK, EXECUTOR, OTHER, USER, Step, Teller
from bridle.engine.case import Refusal
from bridle.engine.engine import Engine
from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.event import Event, Read
from bridle.engine.temporal.partition import Partition
from bridle.governor.governor import Governor
from bridle.governor.ground.turn import Turn
from bridle.governor.history import entries
from bridle.governor.history.whose import Whose
from bridle.ledger.mac import Mac
from bridle.model.calls import Caller, Decide, Judged, Opened, OpenSession, StartMission
from bridle.model.event import EventKind
from bridle.model.verdict import Effect

PAIR = (
    '@id("pair") forbid (principal, action == Action::"pay.refund", resource)\n'
    'when temporal { formerly within 24h Action::"pay.close"::request{} };\n'
    '@id("else") permit (principal, action, resource);\n'
)

_FEW = 100
_BATCH = 500
Story = Callable[[int], Iterable[Step]]


class Remembered:
    """The engine over one partition in memory. A call judges the action and adds its request."""

    def __init__(
        self,
        engine: Engine,
        events: int,
        *,
        scope: str = "mission",
        story: Story = histories.steps,
    ) -> None:
        mac = Mac(b"k" * 32)
        self.atoms = Atomiser(lambda text: mac.hex(text.encode("utf-8")))
        self._engine = engine
        self._teller = Teller(engine, self.atoms, "mis_" + "0" * 26)
        self._story = story
        self._program = engine.programs[scope]
        self._partition = Partition(self._program, self.atoms)
        self._now = workload.NOW
        self._requests = count(10_000_000)
        self.fill(events)
        self._saved = self._partition.save()
        self._events, self._added = events, 0
        self.size = len(self._saved)
        if (effect := self()) != Effect.ALLOW:
            raise WorkloadError(f"{events} events: {effect}")

    def ask(
        self, scope: str, agent: str, names: tuple[str, ...], event: Event, read: Read
    ) -> Mapping[str, bool]:
        """Answer as a history."""
        del scope, agent
        return self._partition.ask(names, event, read)

    def __call__(self) -> Effect:
        """Judge one new action, text in, and add its request."""
        self._now += histories.APART_MS
        typed = self._engine.normalise(ASK.tool, ASK.args)
        if isinstance(typed, Refusal):
            raise WorkloadError(typed.text)
        step = Step("refund", EventKind.REQUEST, 7, next(self._requests))
        case = structs.replace(self._teller.case(step, self._now), typed=typed, history=self)
        judgement = self._engine.judge(case)
        self._partition.add(self._engine.event(case, EventKind.REQUEST, self.atoms))
        self._added += 1
        return judgement.effect

    def renew(self) -> None:
        """Keep a short history short: after as many calls as it had events, take it anew."""
        if self._added >= max(_FEW, self._events):
            self._partition = Partition.load(self._program, self._saved, self.atoms)
            self._added = 0

    def fill(self, events: int) -> int:
        """Add so many events more; return the bytes of the state as it is saved."""
        until = self._now + histories.APART_MS * events
        for event in self._teller.events(self._story(events), until=until):
            self._partition.add(event)
        self._now = until
        return len(self._partition.save())


class Embedded:
    """A governor with one mission that has a past. A call is one `Decide` of a new action."""

    def __init__(self, folder: Path, files: dict[str, str], events: int) -> None:
        root = histories.write_bundle(folder / "bundle", files)
        self._state = folder / "state"
        self._governor = Governor.open(root, state=self._state, embedded=True)
        self._caller = Caller(operator=True, method="embedded")
        self._events, self._added = events, 0
        self._keys = count()
        before = self._stored()
        self._begin()
        self.grown = self._stored() - before

    def __enter__(self) -> Self:
        if (effect := self()) != Effect.ALLOW:
            raise WorkloadError(f"{self._events} events: {effect}")
        return self

    def __exit__(self, *_: object) -> None:
        self._governor.close()

    def __call__(self) -> Effect:
        """Have one new action decided, recorded and committed."""
        decide = Decide(
            session=self._session, tool=ASK.tool, args=ASK.args, key=str(next(self._keys))
        )
        reply = self._governor.handle(self._caller, decide)
        if not isinstance(reply, Judged):
            raise WorkloadError(repr(reply))
        self._added += 1
        return reply.verdict.effect

    def renew(self) -> None:
        """Keep a short history short: after as many calls as it had events, start a mission."""
        if self._added >= max(_FEW, self._events):
            self._begin()

    def _begin(self) -> None:
        mission = self._opened(StartMission(template=workload.MISSION, user=USER))
        self._session = self._opened(OpenSession(mission=mission, agent=AGENT, executor=EXECUTOR))
        self._added = 0
        steps = list(histories.steps(self._events))
        began = int(time.time() * 1000) - histories.APART_MS * len(steps)
        for first in range(0, len(steps), _BATCH):
            batch = steps[first : first + _BATCH]
            until = began + histories.APART_MS * (first + len(batch))
            self._governor.core.write(lambda turn, b=batch, u=until: _told(turn, mission, b, u))

    def _opened(self, call: StartMission | OpenSession) -> str:
        reply = self._governor.handle(self._caller, call)
        if not isinstance(reply, Opened):
            raise WorkloadError(repr(reply))
        return reply.id

    def _stored(self) -> int:
        with closing(sqlite3.connect(f"file:{self._state / 'store.db'}?mode=ro", uri=True)) as db:
            (pages,), (size,) = (
                db.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size")
            )
        return int(pages * size)


def _told(turn: Turn, mission: str, batch: list[Step], until: int) -> None:
    teller = Teller(turn.engine, turn.core.atoms, mission)
    for event in teller.events(batch, until=until):
        entries.add(turn, event, Whose(mission, USER, (AGENT, OTHER)))
