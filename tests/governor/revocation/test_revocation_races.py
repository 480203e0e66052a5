"""Revocation race: every effect seen after `revoke` returned is on the list it returned.

Asserted at the sink, which every effect writes to in the order in which effects happen.
"""

import threading
import time
from collections.abc import Callable

import pytest

from governor.delegation.runs import HANDING, Run, begin_run, revoke
from governor.desk import Desk

THREADS = 4


class Sink:
    """The world: effects in the order in which they happened, `slow` ones some time after start."""

    def __init__(self, *, slow: bool) -> None:
        self._lock = threading.Lock()
        self._slow = slow
        self.effects: list[str] = []

    def happen(self, attempt: str) -> None:
        if self._slow:
            time.sleep(0.002)
        with self._lock:
            self.effects.append(attempt)

    def seen(self) -> int:
        with self._lock:
            return len(self.effects)


def race(desk: Desk, top: Run, number: int) -> tuple[int, int]:
    """One revocation against threads that act. Returns how many effects came before and after."""
    run = top.hand("scout")
    below = run.hand("clerk")
    # Every other trial's effects take time, as most do: a revocation finds some of them running.
    sink = Sink(slow=number % 2 == 1)
    ready, ended = threading.Barrier(THREADS + 1), threading.Event()

    def work(name: str, who: Run, *, gate: bool) -> None:
        ready.wait()
        for n in range(10_000):
            if ended.is_set():
                return
            key = f"{number}-{name}-{n}"
            answer = who.decide("note.write", key, start=not gate, text="x")
            if gate and answer.effect == "allow":
                answer = who.begin(answer.action)
            if answer.effect != "allow":
                return
            sink.happen(answer.attempt)
            who.observe(answer.attempt, "not_started")

    threads = [
        threading.Thread(target=work, args=(str(n), (run, below)[n % 2]), kwargs={"gate": n > 1})
        for n in range(THREADS)
    ]
    for thread in threads:
        thread.start()
    ready.wait()
    while sink.seen() < number % 5:  # each trial revokes at another moment
        threading.Event().wait(0)
    fenced = revoke(desk, "grant", run.grant)
    before = sink.seen()
    for thread in threads:
        thread.join()
    ended.set()
    late = sink.effects[before:]
    assert set(late) <= {row["id"] for row in fenced.running}
    return before, len(late)


def trials(count: int) -> tuple[int, int]:
    desk = Desk({**HANDING, "missions.toml": HANDING["missions.toml"].replace("1000", "1000000")})
    found = [(race(desk, begin_run(desk), number)) for number in range(count)]
    return sum(before for before, _ in found), sum(late for _, late in found)


def test_what_starts_after_a_revocation_returned_is_nothing() -> None:
    before, _ = trials(25)
    assert before


@pytest.mark.slow
def test_what_starts_after_a_revocation_returned_is_nothing_in_many_trials(
    count: Callable[[int, int], int],
) -> None:
    """Some effects do come late, each of them announced: the race is a race."""
    before, late = trials(count(500, 3_000))
    assert before
    assert late
