"""What a decision costs: the engine and the whole governor against one bare Cedar call.

Measures, call by call in turn in one process, for 10, 100 and 1,000 policies of the agent
workload (`bench/workload.py`):

- bare: the public `cedarpy.is_authorized` with prepared handles, schema and a slice made by hand;
- engine: normalise the argument text and judge it, no I/O;
- governor: `Governor.handle(Decide)`, embedded, each a new action, recorded in the ledger and
  committed in the relaxed mode, that is without waiting for an fsync.

Then the strict mode beside one raw `fdatasync`; whole governed calls by 1, 16 and 64 callers at
once beside their floor (`load.py`); other people's governors on the same rules (`peers.py`); and,
in fresh interpreters, what `import bridle` costs. It does not measure the socket.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from bench import calls, harness, load, peers, workload
from bench.calls import Ask, WorkloadError
from bridle.engine.cedar.entities import entities
from bridle.governor.governor import Governor
from bridle.model.verdict import Effect

SIZES = (10, 100, 1000)
CORE = ("apsw", "cedarpy", "click", "cryptography", "jsonschema_rs", "msgspec", "re2")


def subjects(size: int, folder: Path, stack: ExitStack) -> dict[str, Callable[[], object]]:
    """Return the three calls at one number of policies, each shown to allow."""
    root = workload.write_bundle(folder / f"bundle-{size}", size)
    governor = Governor.open(root, state=folder / f"state-{size}", embedded=True)
    stack.callback(governor.close)
    bundle = calls.bundle_of(governor)
    bare = workload.Bare(size, bundle.schemas.judging, list(entities(bundle)))
    made = {
        f"bare cedarpy, {size}": bare,
        f"engine, {size}": calls.engine_call(bundle, Ask()),
        f"governor, {size}": calls.governor_call(governor, Ask()),
    }
    _check(bare, list(made.values()))
    return made


def _check(bare: workload.Bare, made: list[Callable[[], object]]) -> None:
    answer = bare()
    if not answer.allowed or answer.diagnostics.errors:
        raise WorkloadError(f"bare: {answer.decision}, {answer.diagnostics.errors}")
    for call in made[1:]:
        if (effect := call()) != Effect.ALLOW:
            raise WorkloadError(f"{call}: {effect}")


def decisions(report: harness.Report, folder: Path, *, seconds: float) -> None:
    """Time all nine calls in turn; add rows and claims."""
    with ExitStack() as stack:
        made: dict[str, Callable[[], object]] = {}
        for size in SIZES:
            made |= subjects(size, folder, stack)
        taken = harness.interleave(made, seconds=seconds)
    p50 = {name: harness.percentile(samples, 0.5) for name, samples in taken.items()}
    for name, samples in taken.items():
        bare = f"bare cedarpy, {name.rsplit(' ', 1)[1]}"
        over = None if name == bare else (bare, p50[bare])
        report.add(name, "p50", p50[name], "us", over)
        report.add(name, "p99", harness.percentile(samples, 0.99), "us")
    for subject in ("governor", "engine"):
        worst = max(p50[f"{subject}, {n}"] / p50[f"bare cedarpy, {n}"] for n in SIZES)
        flat = [p50[f"{subject}, {n}"] for n in SIZES]
        report.claims += [
            harness.Claim(f"{subject}: flat from 10 to 1,000 policies", 1.3, max(flat) / min(flat)),
            harness.Claim(f"{subject}: p50 over one bare sliced cedarpy call", 2.5, worst),
        ]
    report.notes.append(f"decisions: {len(next(iter(taken.values())))} rounds, all in turn")


def durable(report: harness.Report, folder: Path, *, seconds: float) -> None:
    """Time a strict decision (fsynced before it is answered) and one raw `fdatasync` in turn."""
    root = workload.write_bundle(folder / "bundle-strict", 100, "strict")
    governor = Governor.open(root, state=folder / "state-strict", embedded=True)
    with closing(governor), tempfile.TemporaryFile(dir=folder) as file:
        made = {
            "raw fdatasync of 4 KiB": partial(harness.write_durably, file.fileno()),
            "governor, strict, 100": calls.governor_call(governor, Ask()),
        }
        taken = harness.interleave(made, seconds=seconds)
    floor, strict = (harness.percentile(samples, 0.5) for samples in taken.values())
    report.add("raw fdatasync of 4 KiB", "p50", floor, "us")
    report.add("governor, strict, 100", "p50", strict, "us", ("raw fdatasync of 4 KiB", floor))


# --- imports --------------------------------------------------------------------------------------

_TIMED = "import sys, time\nbegan = time.perf_counter()\n{}\nprint(time.perf_counter() - began)"
_PUBLIC = "import bridle\nfor name in bridle.__all__: getattr(bridle, name)"
_LOADED = (
    "import sys\nbefore = set(sys.modules)\n{}\n"
    "new = [(n, m) for n, m in sys.modules.items() if n not in before]\n"
    "print('\\n'.join(n for n, m in new if getattr(m, '__spec__', None)))"
)


def loaded(statement: str) -> list[str]:
    """Return, in order, the modules that `statement` loads in a fresh interpreter."""
    return harness.output_of([sys.executable, "-c", _LOADED.format(statement)]).split()


def importing(modules: list[str]) -> str:
    """Return a statement that imports exactly these, and what they themselves load."""
    return "\n".join(f"import {name}" for name in modules)


def imports(report: harness.Report, *, rounds: int) -> None:
    """Time imports in fresh interpreters, in turn; add rows and the claim."""
    used = [m for m in loaded(_PUBLIC) if m.split(".")[0] in sys.stdlib_module_names]
    entry = "import bridle.governor.governor, bridle.client.transport.embedded"
    whole = [m for m in loaded(entry) if m.split(".")[0] != "bridle"]
    statements = {
        "import: core dependencies and standard modules": importing([*CORE, *used]),
        "import: bridle": "import bridle",
        "import: bridle, every public name": _PUBLIC,
        "import: what the embedded governor loads, without ours": importing(whole),
        "import: the embedded governor": entry,
    }
    commands = {
        name: [sys.executable, "-c", _TIMED.format(text)] for name, text in statements.items()
    }
    taken = harness.subprocess_seconds(commands, rounds=rounds)
    p50 = {name: harness.percentile(samples, 0.5) for name, samples in taken.items()}
    floor, plain, public, under, embedded = statements
    over = {plain: floor, public: floor, embedded: under}
    for name in statements:
        base = over.get(name)
        report.add(name, "p50", p50[name] / 1000, "ms", base and (base, p50[base] / 1000))
    figure = p50[public] / p50[floor]
    report.claims.append(
        harness.Claim("import bridle over its core dependencies and standard modules", 1.3, figure)
    )
    report.notes.append(
        f"imports: {rounds} fresh interpreters each, in turn. The claim compares `import bridle` "
        f"with every public name resolved against importing {', '.join(CORE)} and the "
        f"{len(used)} standard modules (parts included) that it loads beyond a bare interpreter's: "
        f"{', '.join(sorted({m.split('.')[0] for m in used if not m.startswith('_')}))}."
    )


def measure(*, quick: bool) -> harness.Report:
    """Run everything. `quick` takes fewer rounds of the same calls."""
    report = harness.Report("decide", harness.versions("bridle", *_DISTRIBUTIONS))
    with tempfile.TemporaryDirectory(prefix="bench-decide-") as name:
        folder = Path(name)
        decisions(report, folder, seconds=5 if quick else 60)
        durable(report, folder, seconds=2 if quick else 10)
        load.measure(report, folder, rounds=4 if quick else 40)
        peers.measure(report, folder, seconds=4 if quick else 60)
    imports(report, rounds=7 if quick else 40)
    return report


_DISTRIBUTIONS = ("cedarpy", "apsw", "msgspec", "jsonschema-rs", "google-re2", "cryptography")

if __name__ == "__main__":
    harness.run(measure)
