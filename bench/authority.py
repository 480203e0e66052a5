"""What authority that the agent never holds costs: beside a static secret, and a bare process.

All of one run, call by call in turn:

- each broker: make a credential for one use, use it at the real system, take it back; against the
  same use with a secret that has been there all the time;
- a jail's start, tried and untried, against the same program started bare;
- through the jail's one socket, against the same outside (`jailed.py`): a message there and back, a
  decision by the client library, a page by plain HTTP. The page outside is not governed: the floor.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from bench import harness, jailed, openings

# Over the same use of a static secret, which is the floor: what is only looked up costs next to
# nothing, a token is two requests more, a role takes statements of its own.
BOUNDS = {"sealed": 2.0, "header": 2.0}
MADE = 8.0
ECHO, JAILED_ECHO = "512 bytes there and back: outside", "512 bytes there and back: from the jail"
# What each is compared with, and the bound of the claim; none where it is told and not claimed.
OVER: dict[str, tuple[str, float | None]] = {
    JAILED_ECHO: (ECHO, 2.5),
    jailed.JAILED_DECISION: (jailed.DECISION, 2.5),
    jailed.GOVERNED_PAGE: (jailed.DIRECT_PAGE, None),
    jailed.BROKERED_PAGE: (jailed.GOVERNED_PAGE, 3.0),
    jailed.JAILED_PAGE: (jailed.GOVERNED_PAGE, 2.5),
    jailed.PROXIED_PAGE: (jailed.GOVERNED_PAGE, 4.0),
}


def brokers(report: harness.Report, folder: Path, *, seconds: float) -> None:
    """Time every broker on its system; add rows and claims."""
    with ExitStack() as stack:
        calls: dict[str, Callable[[], object]] = {}
        names = []
        for name, make in openings.known().items():
            try:
                opening = stack.enter_context(openings.opened(folder, name, make))
            except Exception as problem:
                report.notes.append(f"not measured: {name} ({type(problem).__name__}: {problem})")
                continue
            names.append(name)
            calls[f"{name}: static secret"] = opening.direct
            calls[f"{name}: vend, use, revoke"] = opening.vended
        taken = harness.interleave(calls, seconds=seconds, warm=3, least=20)
    for name in names:
        floor = harness.percentile(taken[f"{name}: static secret"], 0.5)
        value = harness.percentile(taken[f"{name}: vend, use, revoke"], 0.5)
        report.add(f"{name}: static secret", "p50", floor, "us")
        report.add(f"{name}: vend, use, revoke", "p50", value, "us", ("static secret", floor))
        claim = f"{name}: vend, use, revoke over the same use of a static secret"
        report.claims.append(harness.Claim(claim, BOUNDS.get(name, MADE), value / floor))


def starts(report: harness.Report, *, seconds: float) -> None:
    """Time the start of jails beside that of bare processes; add rows and claims."""
    with jailed.place() as place:
        if isinstance(place, str):
            report.notes.append(f"not measured: jails ({place})")
            return
        cases = place.starts()
        taken = harness.interleave(cases, seconds=seconds, warm=2, least=15)
    p50 = {name: harness.percentile(samples, 0.5) for name, samples in taken.items()}
    for program in jailed.PROGRAMS:
        bare = p50[f"{program}: bare"]
        report.add(f"{program}: bare", "p50", bare, "us")
        for kind in ("jailed, untried", "jailed"):
            report.add(f"{program}: {kind}", "p50", p50[f"{program}: {kind}"], "us", ("bare", bare))
        claim = f"start of {program} in a jail, tried first, over a bare process"
        figure = p50[f"{program}: jailed"] / bare
        report.claims.append(harness.Claim(claim, jailed.PROGRAMS[program].bound, figure))


def relayed(report: harness.Report, folder: Path, *, rounds: int) -> None:
    """Time calls through the jail's socket beside the same outside; add rows and claims."""
    with jailed.place() as place:
        if isinstance(place, str):
            return
        inside, outside = place.echoed(rounds)
        p50 = {ECHO: outside, JAILED_ECHO: inside} | place.governed(folder, rounds)
    for name, value in p50.items():
        floor = OVER.get(name)
        report.add(name, "p50", value, "us", floor and (floor[0], p50[floor[0]]))
        if floor and floor[1]:
            claim = f"{name} over {floor[0]}"
            report.claims.append(harness.Claim(claim, floor[1], value / p50[floor[0]]))


def measure(*, quick: bool) -> harness.Report:
    """Run everything. `quick` takes fewer rounds of the same calls."""
    report = harness.Report("authority", harness.versions("bridle", "cryptography", "msgspec"))
    with tempfile.TemporaryDirectory(prefix="bench-authority-") as name:
        brokers(report, Path(name), seconds=6 if quick else 40)
        starts(report, seconds=8 if quick else 40)
        (Path(name) / "booth").mkdir()
        relayed(report, Path(name) / "booth", rounds=200 if quick else 2_000)
    return report


if __name__ == "__main__":
    harness.run(measure)
