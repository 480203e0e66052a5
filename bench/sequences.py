"""What rules over history cost, as history grows, and beside others who judge sequences.

Measures, call by call in turn in one process:

- engine: a decision with 50 rules over history at 100 and at 100,000 events, argument text in,
  judgement out, the request added to the history; no I/O;
- governor: the same by `Governor.handle(Decide)`, embedded, each a new action, recorded and
  committed with its event, not waiting for an fsync;
- the reference interpreter on the same policy and the same events (`reference.py`): an aggregate
  at 1,000 events, a `previous` under its default event schema at 300;
- Invariant on an ordered pair at 400 events, in the peers' process (`make peers`);
- what a history takes: state in memory, as it is saved; rows on disk; both for each event.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench import harness, histories, peers, recalling, reference
from bench.recalling import Embedded, Remembered

FEW, MANY = 100, 100_000
AGGREGATED, STEPPED, PAIRED = 1_000, 300, 400
FLAT, AGGREGATE, PREVIOUS, INVARIANT = 1.3, 20, 1_000, 1_000


def flat(report: harness.Report, folder: Path, *, seconds: float, many: int) -> None:
    """Time decisions over a short and a long history in turn; add rows and the claims."""
    files = {"policies/all.dw": histories.rules()}
    engine = histories.engine_of(folder / "engine", files)
    with ExitStack() as stack:
        made: dict[str, Callable[[], object]] = {}
        upkeep: list[Callable[[], object]] = []
        for events in (FEW, many):
            ours = Remembered(engine, events)
            governed = stack.enter_context(Embedded(folder / f"governor-{events}", files, events))
            made |= {f"engine, {events:,} events": ours, f"governor, {events:,} events": governed}
            upkeep += [ours.renew, governed.renew]
            _sizes(report, ours, governed, events)
        calls = made | {f"upkeep {n}": call for n, call in enumerate(upkeep)}
        taken = harness.interleave(calls, seconds=seconds)
    p50 = {name: harness.percentile(taken[name], 0.5) for name in made}
    for name in made:
        kind = name.split(",")[0]
        base = f"{kind}, {FEW:,} events"
        report.add(name, "p50", p50[name], "us", None if name == base else (base, p50[base]))
        report.add(name, "p99", harness.percentile(taken[name], 0.99), "us")
    for kind in ("engine", "governor"):
        figure = p50[f"{kind}, {many:,} events"] / p50[f"{kind}, {FEW:,} events"]
        claim = f"{kind}: {histories.RULES} rules over {many:,} events to {FEW:,}"
        report.claims.append(harness.Claim(claim, FLAT, figure))
    report.notes.append(f"flat: {len(next(iter(taken.values())))} rounds, all in turn")


def _sizes(report: harness.Report, ours: Remembered, governed: Embedded, events: int) -> None:
    report.add(f"state of {histories.RULES} rules, {events:,} events", "size", ours.size / events,
               "bytes/event")  # fmt: skip
    if governed.grown:
        report.add(f"store, {events:,} events", "size", governed.grown / events, "bytes/event")


def bounded(report: harness.Report, folder: Path, *, events: int) -> None:
    """Fill a history far past its windows; claim that its state does not grow any more."""
    files = {"policies/all.dw": histories.rules(minutes=10)}
    engine = histories.engine_of(folder / "bounded", files)
    ours = Remembered(engine, 0)
    sizes = [ours.fill(events // 2) for _ in range(2)]
    report.add(f"state, ten-minute windows, {events // 2:,} events", "size", sizes[0], "bytes")
    report.add(f"state, ten-minute windows, {events:,} events", "size", sizes[1], "bytes")
    report.claims.append(
        harness.Claim("state stays within its windows", 1.1, sizes[1] / max(1, sizes[0]))
    )


def interpreted(report: harness.Report, folder: Path, *, rounds: int) -> None:
    """Time the reference interpreter and our engine in turn; add rows and the claims."""
    if not reference.installed():
        report.notes.append("not installed, so not measured: dogwood-py")
        return
    report.versions |= harness.versions("dogwood-py") if reference.installed() else {}
    for case, bound in ((reference.AGGREGATE, AGGREGATE), (reference.PREVIOUS, PREVIOUS)):
        events = AGGREGATED if case is reference.AGGREGATE else STEPPED
        engine = histories.engine_of(folder / case.name, {case.file: case.rules})
        ours = Remembered(engine, events, scope=case.scope, story=case.story)
        theirs = reference.Replayed(case, events)
        calls = {"whole": theirs.whole, "bare": theirs.bare, "ours": ours, "upkeep": ours.renew}
        taken = harness.interleave(calls, seconds=0, warm=1, least=rounds)
        p50 = {name: harness.percentile(taken[name], 0.5) for name in calls}
        spent = max(0.0, p50["whole"] - p50["bare"])
        name = f"{case.name}, {events:,} events"
        report.add(f"engine, {name}", "p50", p50["ours"], "us")
        report.add(f"reference, {name}", "p50", spent, "us", (f"engine, {name}", p50["ours"]))
        report.claims.append(
            harness.Claim(f"reference over engine: {name}", bound, spent / p50["ours"], least=True)
        )


def paired(report: harness.Report, folder: Path, *, rounds: int) -> None:
    """Time Invariant in its own process and our engine in turn; add rows and the claim."""
    known = peers.installed(("invariant-ai",))
    if not known:
        report.notes.append("not installed, so not measured (`make peers`): Invariant")
        return
    report.versions |= known
    engine = histories.engine_of(folder / "pair", {"policies/all.dw": recalling.PAIR})
    ours = Remembered(engine, PAIRED)
    with peers.worker(folder) as process:
        case = process.case("Invariant, ordered pair", PAIRED)
        theirs: list[float] = []
        mine: list[float] = []
        for _ in range(rounds):
            theirs += case(1)
            mine += harness.interleave({"ours": ours}, seconds=0, warm=5, least=50)["ours"]
    name = f"ordered pair, {PAIRED:,} events"
    p50 = harness.percentile(mine, 0.5), harness.percentile(theirs, 0.5)
    report.add(f"engine, {name}", "p50", p50[0], "us")
    report.add(f"Invariant, {name}", "p50", p50[1], "us", (f"engine, {name}", p50[0]))
    report.claims.append(
        harness.Claim(f"Invariant over engine: {name}", INVARIANT, p50[1] / p50[0], least=True)
    )


def measure(*, quick: bool) -> harness.Report:
    """Run everything. `quick` takes fewer rounds of the same calls."""
    report = harness.Report("sequences", harness.versions("bridle", "cedarpy", "apsw", "msgspec"))
    with tempfile.TemporaryDirectory(prefix="bench-sequences-") as name:
        folder = Path(name)
        flat(report, folder, seconds=4 if quick else 60, many=MANY)
        bounded(report, folder, events=20_000 if quick else MANY)
        interpreted(report, folder, rounds=3 if quick else 15)
        paired(report, folder, rounds=2 if quick else 8)
    return report


if __name__ == "__main__":
    harness.run(measure)
