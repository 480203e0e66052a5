"""Callers at once: governed calls per second beside a floor with the same commits.

A governed call is `Agent.call` on an embedded governor in the strict mode: decided and started in
one commit, its effect run, observed in another. The floor is what no design could leave out: each
of its callers makes one bare sliced Cedar call and two fsynced group commits on the same file
system, through the same combining, of one row each; together the two rows hold as many bytes as
the records of one governed call. It has no rows, chains, hashes, sealing or checks. Beside them the
same governed call over the socket of a `bridle serve`, without a claim.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, TypeVar

import apsw

from bench import front, harness, workload
from bench.calls import bundle_of
from bridle.client.bridle import Bridle
from bridle.client.mission import Mission
from bridle.client.opening import connect
from bridle.client.transport.embedded import EmbeddedChannel
from bridle.engine.cedar.entities import entities
from bridle.governor.governor import Governor
from bridle.store.combining import Combiner

CALLERS = (1, 16, 64)
LEAST = 0.6
"""Governed calls over the floor's, in calls per second: what the claim asks for."""

ROUND = 0.25
"""Seconds that one side's callers work before the other side's take their turn."""

T = TypeVar("T")
Call = Callable[[], object]


class Log:
    """A SQLite table that callers append rows to, in group commits of their own."""

    def __init__(self, path: Path) -> None:
        self._connection = connection = apsw.Connection(str(path))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, data BLOB)")
        self.commits = 0
        self._combiner: Combiner[apsw.Connection] = Combiner(lambda _durable: self, lambda _e: None)

    def append(self, data: bytes) -> None:
        """Append a row; returns once it is on disk."""
        self._combiner.submit(
            lambda c: c.execute("INSERT INTO log (data) VALUES (?)", (data,)), relaxed=False
        )

    def close(self) -> None:
        """Close the file."""
        self._combiner.close()
        self._connection.close()

    # --- what the combiner asks of a transaction ---------------------------------------------

    @property
    def alive(self) -> bool:
        """See `Transaction`."""
        return self._connection.in_transaction

    @property
    def committed(self) -> bool:
        """See `Transaction`."""
        return not self._connection.in_transaction

    def begin(self) -> None:
        """See `Transaction`."""
        self._connection.execute("BEGIN IMMEDIATE")

    def run(self, job: Callable[[apsw.Connection], T]) -> T:
        """See `Transaction`."""
        return job(self._connection)

    def commit(self) -> None:
        """See `Transaction`."""
        self._connection.execute("COMMIT")
        self.commits += 1

    def undo(self) -> None:
        """See `Transaction`."""
        self._connection.execute("ROLLBACK")


class Governed:
    """A governor on disk, and its callers: each an agent's session in one mission."""

    def __init__(self, root: Path, state: Path) -> None:
        self.governor = Governor.open(root, state=state, embedded=True)
        self._bridle = Bridle(EmbeddedChannel(self.governor))
        self._mission = self._bridle.start_mission(workload.MISSION, user=workload.USER)
        self.commits = 0
        self._count_commits()

    def _count_commits(self) -> None:
        combiner = self.governor.core.store._combiner
        opened = combiner._open

        def counting(durable: bool) -> Any:  # noqa: FBT001 - the combiner's own signature
            self.commits += 1
            return opened(durable)

        combiner._open = counting

    def caller(self) -> Call:
        """Return one governed call of a session of its own."""
        return governed_caller(self._mission)

    def record_bytes(self) -> int:
        """Bytes of the records of one call: leaves and what is sealed beside them."""
        store = self.governor.core.store

        def size() -> tuple[int, int]:
            return store.write(
                lambda tx: (
                    tx.frontier().size,
                    sum(len(leaf.data) + len(leaf.sealed) for leaf in tx.leaves()),
                )
            )

        call, before = self.caller(), size()
        before = size()
        call()
        return size()[1] - before[1]

    def close(self) -> None:
        """Close the store."""
        self._bridle.close()


def governed_caller(mission: Mission) -> Call:
    """Return one governed call of a session of its own."""
    agent = mission.agent(workload.AGENT, executor=workload.EXECUTOR)
    return lambda: agent.call(workload.TOOL, workload.ARGS, effect=workload.effect)


def floor_caller(bare: workload.Bare, log: Log, data: bytes) -> Call:
    """Return one call of the floor: ask Cedar, commit, commit."""
    half = data[: len(data) // 2]

    def call() -> None:
        answer = bare()
        if not answer.allowed:
            raise RuntimeError(answer.decision)
        log.append(half)
        log.append(half)

    return call


class Crowd:
    """Threads that make their calls over and over while a round lasts. `done` counts them."""

    def __init__(self, calls: list[Call]) -> None:
        self._calls = calls
        self.callers = len(calls)
        self.done = 0

    def per_second(self, seconds: float) -> float:
        """Calls per second of all callers together. Raises what a call raised."""
        done, failures = [0] * len(self._calls), list[BaseException]()
        gate = threading.Barrier(len(self._calls) + 1)
        end = [0.0]

        def work(number: int, call: Call) -> None:
            gate.wait()
            try:
                while not done[number] or time.perf_counter() < end[0]:
                    call()
                    done[number] += 1
            except BaseException as problem:
                failures.append(problem)

        threads = [
            threading.Thread(target=work, args=(n, call)) for n, call in enumerate(self._calls)
        ]
        for thread in threads:
            thread.start()
        began = time.perf_counter()
        end[0] = began + seconds
        gate.wait()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]
        self.done += sum(done)
        return sum(done) / (time.perf_counter() - began)


def measure(report: harness.Report, folder: Path, *, rounds: int) -> None:
    """Let callers of both take turns, a round each; add rows and a claim for each number."""
    root = workload.write_bundle(folder / "bundle-load", 100, "strict")
    with ExitStack() as stack:
        governed = stack.enter_context(closing(Governed(root, folder / "state-load")))
        bundle = bundle_of(governed.governor)
        bare = workload.Bare(100, bundle.schemas.judging, list(entities(bundle)))
        log = stack.enter_context(closing(Log(folder / "floor.db")))
        data = bytes(governed.record_bytes())
        bridle = stack.enter_context(connect(stack.enter_context(front.governor(folder, root))))
        served = bridle.start_mission(workload.MISSION, user=workload.USER)
        for callers in CALLERS:
            ours = Crowd([governed.caller() for _ in range(callers)])
            floor = Crowd([floor_caller(bare, log, data) for _ in range(callers)])
            over = Crowd([governed_caller(served) for _ in range(callers)])
            _compare(report, (ours, governed), (floor, log), over, rounds)
    report.notes.append(
        f"guard: {rounds} rounds of {ROUND} s each in turn; the floor's callers make one bare "
        f"sliced Cedar call and two group commits of {len(data) // 2} bytes each."
    )


def _compare(
    report: harness.Report,
    ours: tuple[Crowd, Governed],
    floor: tuple[Crowd, Log],
    served: Crowd,
    rounds: int,
) -> None:
    """Add the median rates, the commits of a call, and the median of the rounds' own ratios."""
    served.per_second(ROUND)
    for crowd, counter in (ours, floor):
        crowd.per_second(ROUND)
        crowd.done = counter.commits = 0
    sides = (ours[0], floor[0], served)
    taken = [tuple(crowd.per_second(ROUND) for crowd in sides) for _ in range(rounds)]
    rates = [harness.percentile(each, 0.5) for each in zip(*taken, strict=True)]
    name = f"{ours[0].callers} caller{'s' * (ours[0].callers > 1)}"
    report.add(f"guard floor, {name}", "rate", rates[1], "calls/s")
    over = (f"guard floor, {name}", rates[1])
    report.add(f"guard, strict, {name}", "rate", rates[0], "calls/s", over)
    report.add(f"guard, strict, served, {name}", "rate", rates[2], "calls/s", over)
    for each, (crowd, counter) in {"guard, strict": ours, "guard floor": floor}.items():
        report.add(f"{each}, {name}", "commits", counter.commits / crowd.done, "per call")
    figure = harness.percentile([guard / least for guard, least, _ in taken], 0.5)
    claim = f"guard_floor_{ours[0].callers}: governed calls per second over the floor's, {name}"
    report.claims.append(harness.Claim(claim, LEAST, figure, least=True, goal=True))
