"""What rules over history cost, as history grows, and beside others who judge sequences.

Measures, call by call in turn in one process:

- engine: a decision with 50 rules over history at 100 and at 100,000 events (20,000 with
  `--quick`, which would otherwise spend its time filling the history), argument text in,
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
        turns = zip(
            taken[f"{kind}, {many:,} events"], taken[f"{kind}, {FEW:,} events"], strict=True
        )
        figure = harness.percentile([long / short for long, short in turns], 0.5)
        claim = f"{kind}: {histories.RULES} rules over {many:,} events to {FEW:,}"
        report.claims.append(harness.Claim(claim, FLAT, figure))
    rounds = len(next(iter(taken.values())))
    report.notes.append(
        f"flat: {rounds} rounds, all in turn; the figures of the claims are medians of their ratios"
    )


def _sizes(report: harness.Report, ours: Remembered, governed: Embedded, events: int) -> None:
    name = f"state of {histories.RULES} rules, {events:,} events"
    report.add(name, "size", ours.size / events, "bytes/event")
    if governed.grown:
        report.add(f"store, {events:,} events", "size", governed.grown / events, "bytes/event")


def bounded(report: harness.Report, folder: Path, *, events: int) -> None:
    """Fill a history far past its windows; claim that its state does not grow any more."""
    files = {"policies/all.dw": histories.rules(minutes=10)}
    engine = histories.engine_of(folder / "bounded", files)
    ours = Remembered(engine, FEW)
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
    report.versions |= harness.versions("dogwood-py")
    for case, events, bound in (
        (reference.AGGREGATE, AGGREGATED, AGGREGATE),
        (reference.PREVIOUS, STEPPED, PREVIOUS),
    ):
        engine = histories.engine_of(folder / case.name, {case.file: case.rules})
        ours = Remembered(engine, events, scope=case.scope, story=case.story)
        theirs = reference.Replayed(case, events)
        taken = _in_turn(ours, {"whole": theirs.whole, "bare": theirs.bare}, rounds)
        p50 = {name: harness.percentile(samples, 0.5) for name, samples in taken.items()}
        spent = max(0.0, p50["whole"] - p50["bare"])
        _beside(report, f"{case.name}, {events:,} events", p50["ours"], ("reference", spent), bound)


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
        inside: list[float] = []
        taken = _in_turn(ours, {"theirs": lambda: inside.extend(case(1))}, rounds)
    p50 = harness.percentile(taken["ours"], 0.5), harness.percentile(inside, 0.5)
    name = f"ordered pair, {PAIRED:,} events"
    _beside(report, name, p50[0], ("Invariant", p50[1]), INVARIANT)


def _in_turn(
    ours: Remembered, theirs: dict[str, Callable[[], object]], rounds: int
) -> harness.Samples:
    """Time their calls once a round and ours as often as it takes to be warm again."""
    taken: harness.Samples = {"ours": []} | {name: [] for name in theirs}
    for _ in range(rounds):
        for name, call in theirs.items():
            taken[name] += harness.interleave({name: call}, seconds=0, warm=0, least=1)[name]
        ours.renew()
        taken["ours"] += harness.interleave({"ours": ours}, seconds=0, least=50)["ours"]
    return taken


def _beside(
    report: harness.Report, name: str, ours: float, theirs: tuple[str, float], bound: float
) -> None:
    who, spent = theirs
    report.add(f"engine, {name}", "p50", ours, "us")
    report.add(f"{who}, {name}", "p50", spent, "us", (f"engine, {name}", ours))
    claim = f"{who} over engine: {name}"
    report.claims.append(harness.Claim(claim, bound, spent / ours, least=True))


def measure(*, quick: bool) -> harness.Report:
    """Run everything. `quick` takes fewer rounds of the same calls."""
    report = harness.Report("sequences", harness.versions("bridle", "cedarpy", "apsw", "msgspec"))
    with tempfile.TemporaryDirectory(prefix="bench-sequences-") as name:
        folder = Path(name)
        flat(report, folder, seconds=4 if quick else 60, many=MANY // 5 if quick else MANY)
        bounded(report, folder, events=20_000 if quick else MANY)
        interpreted(report, folder, rounds=3 if quick else 15)
        paired(report, folder, rounds=2 if quick else 8)
    return report


if __name__ == "__main__":
    harness.run(measure)
