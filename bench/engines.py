"""What each engine's steps cost when they are governed, beside the same steps ungoverned.

Every engine of the conformance suite that is installed here, with its worker and, where it has one,
its server; the effect is a request to a system in a process of its own. Blocks of steps are handed
over and waited for, governed and ungoverned in turn, by one worker of the engine. Ungoverned is the
same worker with its gate open: what Bridle does between the engine and the effect is left out.

Run it in the environment that has the engines: `.venv-engines/bin/python -m bench.engines`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from bench import harness

TESTS = Path(__file__).resolve().parents[1] / "tests"
if str(TESTS) not in sys.path:
    sys.path.append(str(TESTS))

from adapters.conformance.matrix import ENGINES  # noqa: E402
from adapters.conformance.sink import Sink  # noqa: E402
from adapters.conformance.trial import Trial, trial  # noqa: E402

# Steps of one block: what an engine waits before it looks again is shared by them.
BLOCK = 10
PAGE = 7
_LIMIT = 1_000_000


class Gate:
    """Stands for `carry_out` and `acarry_out` in an adapter, and lets pass while it is open."""

    def __init__(self) -> None:
        self.open = False

    def around(self, ordinary: Callable[..., Any]) -> Callable[..., Any]:
        """What stands in the place of an adapter's way through the governor."""

        def carry_out(adapter: Any, native: Any, worker: Any, proceed: Callable[[], Any]) -> Any:
            return proceed() if self.open else ordinary(adapter, native, worker, proceed)

        return carry_out


@contextmanager
def gated(adapter: ModuleType) -> Iterator[Gate]:
    """Put a gate into an adapter; take it out at the end."""
    gate = Gate()
    there = [name for name in ("carry_out", "acarry_out") if hasattr(adapter, name)]
    before = {name: getattr(adapter, name) for name in there}
    for name, ordinary in before.items():
        setattr(adapter, name, gate.around(ordinary))
    try:
        yield gate
    finally:
        for name, ordinary in before.items():
            setattr(adapter, name, ordinary)


def block(found: Trial, reference: str) -> None:
    """Hand steps over and wait for all of them."""
    items = [found.bench.submit(reference, PAGE) for _ in range(BLOCK)]
    for item in items:
        came = found.bench.came(item)
        if came.kind != "done":
            raise RuntimeError(f"a step was {came.kind}: {came.text}")


def engine(name: str, folder: Path, *, seconds: float) -> harness.Samples:
    """Time an engine. Returns microseconds per step, `ungoverned` and `governed`."""
    module = ENGINES[name].module
    making = importlib.import_module(module)  # first: it says where an engine looks for its home
    adapter = importlib.import_module(
        f"bridle.adapters.engines.{module.split('.')[-2].removesuffix('_')}"
    )
    (folder / "engine").mkdir()
    with gated(adapter) as gate, Sink() as sink:
        bench = making.make(folder / "engine")
        try:
            with trial(folder, bench, sink, limit=_LIMIT) as found, bench.running(found.carrier):
                taken = _timed(gate, found, seconds)
                _assert_governed(found, taken)
        finally:
            bench.close()
    return {case: [each / BLOCK for each in samples] for case, samples in taken.items()}


def _timed(gate: Gate, found: Trial, seconds: float) -> harness.Samples:
    reference = found.dispatched(PAGE)

    def run(*, ungoverned: bool) -> None:
        gate.open = ungoverned
        block(found, reference)

    cases = {
        "ungoverned": lambda: run(ungoverned=True),
        "governed": lambda: run(ungoverned=False),
    }
    return harness.interleave(cases, seconds=seconds, warm=1, least=8)


def _assert_governed(found: Trial, taken: harness.Samples) -> None:
    """One block to warm up, and those that were timed: each on record, and no other."""
    wanted = BLOCK * (1 + len(taken["governed"]))
    if found.charged() != wanted or len(found.numbers()) != 2 * wanted:
        raise RuntimeError(f"{found.charged()} of {wanted} steps were judged")


def measure(*, quick: bool) -> harness.Report:
    """Run every engine that is here."""
    here = [name for name in sorted(ENGINES) if importlib.util.find_spec(ENGINES[name].package)]
    report = harness.Report("engines", harness.versions("bridle"))
    for name in sorted(set(ENGINES) - set(here)):
        report.notes.append(f"not measured: {name} (`make {ENGINES[name].target}` brings it)")
    for name in here:
        with tempfile.TemporaryDirectory(prefix="bench-engines-") as folder:
            taken = engine(name, Path(folder), seconds=2 if quick else 20)
        floor, value = (harness.percentile(taken[case], 0.5) for case in taken)
        report.add(f"{name}: ungoverned", "p50", floor, "us")
        report.add(f"{name}: governed", "p50", value, "us", ("ungoverned", floor))
        report.add(f"{name}: added", "p50", value - floor, "us")
    return report


if __name__ == "__main__":
    harness.run(measure)
