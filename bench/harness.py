"""What every benchmark shares: interleaved timing, percentiles, claims, the table and the JSON.

Figures are ratios of medians taken in one run, call by call in turn, so that whatever else the
machine does falls on both sides. It judges nothing by absolute time.
"""

from __future__ import annotations

import argparse
import gc
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

Samples = dict[str, list[float]]


@dataclass(frozen=True)
class Row:
    """One figure. `against` names the case (or cases) that `ratio` is a multiple of."""

    case: str
    metric: str
    value: float
    unit: str
    against: str = ""
    ratio: float | None = None


@dataclass(frozen=True)
class Claim:
    """A bound that an issue or the README states, and what was measured.

    The figure is to be at most the bound, or with `least` at least that. A `goal` has not been
    reached on the machine of bench/README.md: it is reported like any other, but a run in which it
    is missed does not fail.
    """

    claim: str
    bound: float
    figure: float
    least: bool = False
    goal: bool = False

    @property
    def holds(self) -> bool:
        """Whether the figure lies within the bound."""
        return self.figure >= self.bound if self.least else self.figure <= self.bound

    @property
    def word(self) -> str:
        """What the table says of it."""
        return "holds " if self.holds else "MISSED" if self.goal else "FAILS "

    def as_dict(self) -> dict[str, object]:
        """What the JSON says of it."""
        return {
            "claim": self.claim,
            "bound": self.bound,
            "figure": self.figure,
            "holds": self.holds,
        }


@dataclass
class Report:
    """Everything one benchmark says. `notes` are for readers of the table only."""

    name: str
    versions: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        case: str,
        metric: str,
        value: float,
        unit: str,
        over: tuple[str, float] | None = None,
    ) -> None:
        """Add a row; `over` is the case it is compared with and that case's value."""
        against, base = over or ("", 0.0)
        self.rows.append(Row(case, metric, value, unit, against, value / base if base else None))

    def as_json(self) -> str:
        """One object, keys as the conventions name them."""
        return json.dumps(
            {
                "name": self.name,
                "versions": self.versions,
                "rows": [asdict(row) for row in self.rows],
                "claims": [claim.as_dict() for claim in self.claims],
            },
            indent=1,
        )

    def as_table(self) -> str:
        """Text for a terminal and for bench/README.md."""
        cells = [(r.case, r.metric, _number(r.value), r.unit, _ratio(r)) for r in self.rows]
        head = ("case", "metric", "value", "unit", "ratio")
        lines = [", ".join(f"{k} {v}" for k, v in self.versions.items()), ""]
        lines += _columns([head, *cells])
        lines += ["", *self.notes, *([""] if self.notes else [])]
        lines += [
            f"{c.word} {c.claim}: {c.figure:.2f} "
            f"({'at least' if c.least else 'at most'} {c.bound:g})"
            for c in self.claims
        ]
        return "\n".join(lines)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}" if value < 10 else f"{value:.1f}"


def _ratio(row: Row) -> str:
    return "" if row.ratio is None else f"{row.ratio:.2f} x {row.against}"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    numeric = {2}
    return [
        "  ".join(
            cell.rjust(width) if i in numeric else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def interleave(
    calls: Mapping[str, Callable[[], object]],
    *,
    seconds: float,
    warm: int = 20,
    least: int = 50,
    timer: Callable[[], int] = time.perf_counter_ns,
) -> Samples:
    """Time the calls in turn, one each per round, for `seconds` but at least `least` rounds.

    Returns microseconds per call by name. The order turns round by one each time, so that no call
    always runs in its neighbour's wake. `timer` counts nanoseconds: of the clock, or of processor
    time (`time.thread_time_ns`) where nothing is waited for.
    """
    names = list(calls)
    taken: Samples = {name: [] for name in names}
    for _ in range(warm):
        for call in calls.values():
            call()
    gc.collect()
    clock = time.perf_counter_ns
    end, done = clock() + int(seconds * 1e9), 0
    while done < least or clock() < end:
        turn = done % len(names)
        for name in names[turn:] + names[:turn]:
            call = calls[name]
            began = timer()
            call()
            taken[name].append((timer() - began) / 1000)
        done += 1
    return taken


def percentile(samples: Sequence[float], share: float) -> float:
    """The smallest sample that `share` (0 to 1) of all samples do not exceed."""
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def subprocess_seconds(commands: Mapping[str, Sequence[str]], *, rounds: int) -> Samples:
    """Run programs in turn; each prints one number of seconds, returned as microseconds by name.

    Bytecode is kept between runs, in a folder of its own, whatever the caller's environment says:
    otherwise an import would mostly time the compiler.
    """
    with tempfile.TemporaryDirectory(prefix="bench-bytecode-") as folder:
        environ = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        return _in_turn(commands, rounds, environ)


def _in_turn(
    commands: Mapping[str, Sequence[str]], rounds: int, environ: Mapping[str, str]
) -> Samples:
    taken: Samples = {name: [] for name in commands}
    for done in range(-1, rounds):
        for name, command in commands.items():
            seconds = float(output_of(command, environ))
            if done >= 0:  # the first round only fills caches
                taken[name].append(seconds * 1e6)
    return taken


def output_of(command: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """Run a program and return what it printed; what it complained of goes to our stderr."""
    run = subprocess.run(command, env=environ, check=True, stdout=subprocess.PIPE, text=True)
    return run.stdout


def write_durably(descriptor: int) -> None:
    """Write 4 KiB and `fdatasync`: the floor of every durable answer."""
    os.write(descriptor, b"x" * 4096)
    os.fdatasync(descriptor)


def versions(*packages: str) -> dict[str, str]:
    """Python, the machine and the named packages."""
    found = {"python": platform.python_version(), "cpus": str(os.cpu_count())}
    found["cpu"] = _cpu()
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "from source"
    return found


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
        return next(
            line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")
        )
    except (OSError, StopIteration):
        return platform.machine()


def run(measure: Callable[..., Report], argv: Sequence[str] | None = None) -> None:
    """The command line of a benchmark: `--quick`, `--json`; exit code 1 when a claim fails."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="end within 50 seconds")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    options = parser.parse_args(argv)
    load = os.getloadavg()[0]
    report = measure(quick=options.quick)
    report.versions["load average"] = f"{load:.1f} to {os.getloadavg()[0]:.1f}"
    print(report.as_json() if options.json else report.as_table())
    sys.exit(0 if all(claim.holds or claim.goal for claim in report.claims) else 1)
