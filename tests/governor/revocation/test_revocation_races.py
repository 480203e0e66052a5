"""Revocation race: every effect seen after `revoke` returned is on the list it returned.

Asserted at the sink, which every effect writes to in the order in which effects happen.
"""

import threading
from collections.abc import Callable

import pytest

from governor.delegation.runs import HANDING, Run, begin_run, revoke
from governor.desk import Desk

THREADS = 4


class Sink:
    """The world: effects in the order in which they happened."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.effects: list[str] = []

    def happen(self, attempt: str) -> None:
        with self._lock:
            self.effects.append(attempt)

    def seen(self) -> int:
        with self._lock:
            return len(self.effects)


def race(desk: Desk, top: Run, number: int) -> tuple[int, int]:
    """One revocation against threads that act. Returns how many effects came before and after."""
    run = top.hand("scout")
    below = run.hand("clerk")
    sink = Sink()
    ready, ended = threading.Barrier(THREADS + 1), threading.Event()
    # In every other trial one effect outlasts the revocation, which so finds it running.
    long, begun, revoked = number % 2 == 1, threading.Event(), threading.Event()

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
            if long and name == "0":
                begun.set()
                assert revoked.wait(30)
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
    assert not long or begun.wait(30)
    fenced = revoke(desk, "grant", run.grant)
    before = sink.seen()
    revoked.set()
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
    before, late = trials(25)
    assert before
    assert late >= 25 // 2


@pytest.mark.slow
def test_what_starts_after_a_revocation_returned_is_nothing_in_many_trials(
    count: Callable[[int, int], int],
) -> None:
    """Some effects do come late, each of them announced: the race is a race."""
    number = count(500, 3_000)
    before, late = trials(number)
    assert before
    assert late >= number // 2
