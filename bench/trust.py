"""What trust costs: chains of grants, proofs and revocations, beside others who delegate.

V is one Ed25519 verification by `cryptography`, C one durable commit of a row, both of the same
run. Measures, call by call in turn:

- chains of 0, 1, 3 and 8 handoffs, verified and held against a request: cold (every signature),
  cached, cached with the proof of a new request; Tenuo and Biscuit on chains that say the same, in
  the peers' process (`make peers`);
- a cached chain of eight handoffs against a signed list of 0, 10,000 and a million revoked ids, and
  a governor's decision right after a revocation with as many rows in its store;
- the worst that a hostile holder sends, beside the cold verification of a valid chain (processor
  time);
- from a revocation in one process to the first denial in another, beside C (`fencing.py`).
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bench import bombs, chains, fencing, harness, peer_worker, peers
from bench.chains import Handed, Proved
from bench.peers import Timed
from bench.withdrawn import Withdrawn

DEPTHS = (0, 1, 3, 8)
DEEPEST = DEPTHS[-1]
CACHED, PROVED, COLD = 0.4, 1.7, 1.4
REVOKED, FLAT = (0, 10_000, 1_000_000), 1.2
HOSTILE = 5.0
PACKAGES = ("tenuo", "biscuit-python")
V = "V: one Ed25519 verification"


def one_verification(size: int = 800) -> Callable[[], object]:
    """Return V: a signature over as many bytes as a link has."""
    private = Ed25519PrivateKey.generate()
    message = b"m" * size
    signature, public = private.sign(message), private.public_key()
    return lambda: public.verify(signature, message)


def ladder(report: harness.Report, folder: Path, *, seconds: float) -> None:
    """Time chains of every depth and those of peers in turn; add rows and the claims."""
    cases = {V: _timed(one_verification())} | _ours()
    with ExitStack() as stack:
        known = peers.installed(PACKAGES)
        if known:
            report.versions |= known
            process = stack.enter_context(peers.worker(folder))
            for name in peer_worker.CHAINS:
                cases |= {f"{name}, depth {n}": process.case(name, n) for n in DEPTHS}
        else:
            report.notes.append("not installed, so not measured (`make peers`): Tenuo, Biscuit")
        taken = peers.in_turn(cases, seconds=seconds)
    p50 = {name: harness.percentile(samples, 0.5) for name, samples in taken.items()}
    for name, value in p50.items():
        report.add(name, "p50", value, "us", None if name == V else ("V", p50[V]))
    for kind, signatures, bound, goal in (
        ("cached", 1, CACHED, False),
        ("cached, with a proof", 1, PROVED, False),
        ("cold", DEEPEST + 1, COLD, True),
    ):
        figure = p50[f"{kind}, depth {DEEPEST}"] / (signatures * p50[V])
        over = "V" if signatures == 1 else f"V for each of {signatures} signatures"
        claim = f"depth {DEEPEST}, {kind}, over {over}"
        report.claims.append(harness.Claim(claim, bound, figure, goal=goal))


def _ours() -> dict[str, Timed]:
    made: dict[str, Timed] = {}
    for depth in DEPTHS:
        handed = Handed(depth)
        made[f"cold, depth {depth}"] = _timed(handed.admitting(cached=False))
        made[f"cached, depth {depth}"] = _timed(handed.admitting(cached=True))
        made[f"cached, with a proof, depth {depth}"] = _proved(Proved(handed))
    return made


def _timed(call: Callable[[], object]) -> Timed:
    return lambda times: peer_worker.timed(call, times)


def _proved(call: Proved) -> Timed:
    def take(times: int) -> list[float]:
        call.renew(times)
        return peer_worker.timed(call, times)

    return take


def revoked(report: harness.Report, folder: Path, *, seconds: float) -> None:
    """Time chains against so many revoked ids, offline and in a governor; add rows and claims."""
    offline = "cached, depth 8, {:,} ids on the list"
    _revoked_offline(report, offline, seconds=seconds)
    governed = "decision, depth 8, right after a revocation, {:,} ids in the store"
    with ExitStack() as stack:
        made = {
            ids: stack.enter_context(Withdrawn(folder / f"revoked-{ids}", ids, DEEPEST))
            for ids in REVOKED
        }
        calls: dict[str, Callable[[], object]] = {}
        for ids, governor in made.items():
            calls[f"upkeep {ids}"] = governor.advance
            calls[governed.format(ids)] = governor
        taken = harness.interleave(calls, seconds=seconds)
    _flat(report, taken, governed)


def _revoked_offline(report: harness.Report, name: str, *, seconds: float) -> None:
    handed = Handed(DEEPEST)
    calls = {
        name.format(ids): handed.admitting(chains.revoked(ids), cached=True) for ids in REVOKED
    }
    _flat(report, harness.interleave(calls, seconds=seconds), name)


def _flat(report: harness.Report, taken: harness.Samples, name: str) -> None:
    names = [name.format(ids) for ids in REVOKED]
    p50 = [harness.percentile(taken[each], 0.5) for each in names]
    for each, value in zip(names, p50, strict=True):
        report.add(each, "p50", value, "us", (f"{REVOKED[0]} ids", p50[0]))
    claim = f"{names[-1]} to {REVOKED[0]}"
    report.claims.append(harness.Claim(claim, FLAT, p50[-1] / p50[0]))


def hostile(report: harness.Report, *, rounds: int) -> None:
    """Time what hostile holders send beside a valid chain, cold; add rows and the claim."""
    handed = Handed(DEEPEST)
    valid = f"valid chain, depth {DEEPEST}, cold"
    calls: dict[str, Callable[[], object]] = {valid: handed.admitting(cached=False)}
    calls |= bombs.made(handed)
    taken = harness.interleave(calls, seconds=0, warm=2, least=rounds, timer=time.thread_time_ns)
    p50 = {name: harness.percentile(taken[name], 0.5) for name in calls}
    for name, value in p50.items():
        report.add(name, "p50", value, "us", None if name == valid else (valid, p50[valid]))
    worst = max(value for name, value in p50.items() if name != valid)
    report.claims.append(
        harness.Claim("worst hostile input over a valid chain, cold", HOSTILE, worst / p50[valid])
    )


def measure(*, quick: bool) -> harness.Report:
    """Run everything. `quick` takes fewer rounds of the same calls."""
    report = harness.Report("trust", harness.versions("bridle", "cryptography", "msgspec"))
    with tempfile.TemporaryDirectory(prefix="bench-trust-") as name:
        folder = Path(name)
        ladder(report, folder, seconds=8 if quick else 40)
        revoked(report, folder, seconds=3 if quick else 15)
        hostile(report, rounds=20 if quick else 100)
        fencing.measure(report, folder, trials=40 if quick else 300)
    return report


if __name__ == "__main__":
    harness.run(measure)
