"""Governed calls at once with the ledger and without it: what keeping the record costs a caller.

At the most callers also with nobody who signs: the publisher, which signs a checkpoint twice a
second and puts it beside the store, is told of nothing.

*Without* is the same governor on the same bundle, but that a turn of its writes no record and no
witness of rows: no leaf, commitment, sealed payload, chain or tree. All else is left: what is asked
is judged, rows are read, sealed and written, and each call has its two commits.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from bench import harness, load, workload
from bridle.governor.audit.witness import Witness
from bridle.governor.ground import core as ground
from bridle.governor.ground.core import Core
from bridle.governor.ground.records import Entry, Written
from bridle.governor.ground.turn import Turn
from bridle.store.rows import Row

SHARE = 0.9
"""Calls per second with the ledger over those without: what the claim asks for."""

_NOWHERE = Written(0, "")


class Unwitnessed(Witness):
    """A transaction whose rows nobody speaks for."""

    def put(self, row: Row) -> None:
        """Insert or replace the row."""
        self._tx.put(row)

    def tell(self, row: Row) -> None:
        """Nothing is told."""

    def delete(self, kind: type[Row], key: str) -> None:
        """Delete the row."""
        self._tx.delete(kind, key)

    def renew(self, row: Row) -> None:
        """Replace the row."""
        self._tx.put(row)


class Unrecorded(Turn):
    """A turn that writes no record."""

    def __init__(self, core: Core, tx: Any, *args: Any, **options: Any) -> None:
        super().__init__(core, tx, *args, **options)
        self.tx = Unwitnessed(tx, core.marker)

    def record(self, entry: Entry) -> Written:
        """Write nothing."""
        del entry
        return _NOWHERE

    def finish(self) -> None:
        """Write nothing."""


@contextmanager
def without_ledger(*governed: load.Governed) -> Iterator[None]:
    """Take the ledger from these governors while the block lasts; others keep theirs."""
    quiet = {id(each.governor.core) for each in governed}

    def turn(core: Core, *args: Any, **options: Any) -> Turn:
        kind = Unrecorded if id(core) in quiet else Turn
        return kind(core, *args, **options)

    ground.Turn = turn  # type: ignore[assignment,misc]
    try:
        yield
    finally:
        ground.Turn = Turn  # type: ignore[misc]


def measure(report: harness.Report, folder: Path, *, rounds: int) -> None:
    """Let callers of both take turns, a round each; add rows and the claim."""
    root = workload.write_bundle(folder / "bundle-unrecorded", 100, "strict")
    with ExitStack() as stack:
        ours = stack.enter_context(closing(load.Governed(root, folder / "with")))
        bare = stack.enter_context(closing(load.Governed(root, folder / "without")))
        mute = stack.enter_context(closing(load.Governed(root, folder / "unsigned")))
        mute.governor.core.appended = _nobody
        with without_ledger(bare):
            for callers in load.CALLERS:
                _compare(report, (ours, bare, mute), callers, rounds)
    report.notes.append(
        f"governed calls: {rounds} rounds of {load.ROUND} s each in turn, strict; without the "
        "ledger the same governor judges, keeps its rows and commits, and writes no record."
    )


def _nobody() -> None:
    """Nobody signs."""


def _compare(
    report: harness.Report, sides: tuple[load.Governed, ...], callers: int, rounds: int
) -> None:
    most = callers == max(load.CALLERS)
    sides = sides if most else sides[:2]
    crowds = [load.Crowd([each.caller() for _ in range(callers)]) for each in sides]
    for crowd in crowds:
        crowd.per_second(load.ROUND)
    both = [_round(crowds, turn) for turn in range(rounds)]
    taken = [rates for rates, _ in both]
    ours, bare, *mute = (harness.percentile(each, 0.5) for each in zip(*taken, strict=True))
    spent = [harness.percentile(e, 0.5) for e in zip(*(s for _, s in both), strict=True)]
    figure = harness.percentile([rates[0] / rates[1] for rates in taken], 0.5)
    name = f"{callers} caller{'s' * (callers > 1)}"
    report.add(f"governed calls without the ledger, {name}", "rate", bare, "calls/s")
    over = (f"governed calls without the ledger, {name}", bare)
    report.add(f"governed calls, {name}", "rate", ours, "calls/s", over)
    report.add(over[0], "processor", spent[1], "us/call")
    report.add(f"governed calls, {name}", "processor", spent[0], "us/call", (over[0], spent[1]))
    for rate in mute:
        report.add(f"governed calls, unsigned, {name}", "rate", rate, "calls/s", over)
    if most:
        claim = f"ledger_share_{callers}: governed calls per second over those without the ledger"
        report.claims.append(
            harness.Claim(f"{claim}, {name}", SHARE, figure, least=True, goal=True)
        )


def _round(crowds: list[load.Crowd], turn: int) -> tuple[list[float], list[float]]:
    """Return the rates of one round of each, and the microseconds of processor time of a call.

    Who goes first takes turns too.
    """
    rates, spent = [0.0] * len(crowds), [0.0] * len(crowds)
    for number in range(len(crowds)):
        at = (number + turn) % len(crowds)
        crowd = crowds[at]
        done, began = crowd.done, time.process_time()
        rates[at] = crowd.per_second(load.ROUND)
        spent[at] = (time.process_time() - began) / (crowd.done - done) * 1e6
    return rates, spent
