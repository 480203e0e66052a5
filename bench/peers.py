"""Bridle beside its peers on the same rules: 1, 10, 100 and 1,000 of them, of which none matches.

The peers live in an environment of their own (`make peers`) and are timed there, by a worker
process that takes turns with our own calls; without it their rows are left out, by name.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench import calls, harness, peer_worker, rules
from bench.peer_worker import timed
from bridle.governor.governor import Governor
from bridle.model.verdict import Effect

PYTHON = Path(__file__).resolve().parent.parent / ".venv-peers" / "bin" / "python"
PACKAGES = ("agent-governance-toolkit-core", "attenu-guard")
SIZES = (1, 10, 100, 1000)

ENGINE, RELAXED, STRICT = (
    "Bridle engine: judges, no record",
    "Bridle decision, not fsynced",
    "Bridle decision, fsynced",
)
_TURN = 4_000  # microseconds of calls that a case gets in its turn

Timed = Callable[[int], list[float]]

_VERSIONS = """
import importlib.metadata as m, sys
known = {d.name for d in m.distributions()}
print(*(m.version(name) for name in sys.argv[1:] if name in known))
"""


class Worker:
    """The process in the peers' environment."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def case(self, name: str, count: int) -> Timed:
        """Return what times a case so many times."""

        def take(times: int) -> list[float]:
            stdin, stdout = self._process.stdin, self._process.stdout
            assert stdin is not None
            assert stdout is not None
            stdin.write(json.dumps({"case": name, "rules": count, "times": times}) + "\n")
            stdin.flush()
            found: list[float] = json.loads(stdout.readline())
            return found

        return take


@contextmanager
def worker(folder: Path) -> Iterator[Worker]:
    """Run the peers' process while the block lasts."""
    command = [str(PYTHON), peer_worker.__file__, str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Worker(process)


def installed(packages: tuple[str, ...] = PACKAGES) -> dict[str, str]:
    """Versions of peers in their environment; none where `make peers` was not run for them all."""
    if not PYTHON.exists():
        return {}
    found = harness.output_of([str(PYTHON), "-c", _VERSIONS, *packages]).split()
    return dict(zip(packages, found, strict=True)) if len(found) == len(packages) else {}


def measure(report: harness.Report, folder: Path, *, seconds: float) -> None:
    """Time everything in turn; add rows, each beside our decision of the same number of rules."""
    with ExitStack() as stack:
        cases = {k: v for n in SIZES for k, v in _ours(n, folder, stack).items()}
        known = installed()
        if known:
            report.versions |= known
            process = stack.enter_context(worker(folder))
            for name in peer_worker.CASES:
                cases |= {_name(name, n): process.case(name, n) for n in SIZES}
        taken = in_turn(cases, seconds=seconds)
    p50 = {name: harness.percentile(samples, 0.5) for name, samples in taken.items()}
    for name, value in p50.items():
        ours = _name(RELAXED, int(name.rsplit(" ", 2)[1].replace(",", "")))
        report.add(name, "p50", value, "us", None if name == ours else (ours, p50[ours]))
    if not known:
        missing = ", ".join(peer_worker.CASES)
        report.notes.append(f"not installed, so not measured (`make peers`): {missing}")


def in_turn(cases: Mapping[str, Timed], *, seconds: float, least: int = 5) -> harness.Samples:
    """Give every case its turn, as many calls as take about as long, until the time is over."""
    once = {name: min(take(5)) for name, take in cases.items()}
    times = {name: max(1, min(20, int(_TURN / each))) for name, each in once.items()}
    taken: harness.Samples = {name: [] for name in cases}

    def turn(name: str) -> Callable[[], object]:
        return lambda: taken[name].extend(cases[name](times[name]))

    harness.interleave({n: turn(n) for n in cases}, seconds=seconds, warm=1, least=least)
    return taken


def _ours(count: int, folder: Path, stack: ExitStack) -> dict[str, Timed]:
    root = rules.write_bundle(folder / f"rules-{count}", count)
    governor = Governor.open(root, state=folder / f"rules-state-{count}", embedded=True)
    stack.callback(governor.close)
    made = {
        _name(RELAXED, count): calls.governor_call(governor, rules.READ),
        _name(STRICT, count): calls.governor_call(governor, rules.WRITE),
        _name(ENGINE, count): calls.engine_call(calls.bundle_of(governor), rules.READ),
    }
    for name, call in made.items():
        if (effect := call()) != Effect.ALLOW:
            raise calls.WorkloadError(f"{name}: {effect}")
    return {name: lambda times, call=call: timed(call, times) for name, call in made.items()}


def _name(case: str, count: int) -> str:
    return f"{case}, {count:,} rules"
