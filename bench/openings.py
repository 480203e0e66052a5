"""Systems that credentials open: those on which brokers are held to their contract, with a clock.

They are the real resources of `tests/brokers/conformance`; what cannot be had here is named.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

TESTS = Path(__file__).resolve().parents[1] / "tests"
if str(TESTS) not in sys.path:
    sys.path.append(str(TESTS))

from bridle.brokers.broker import Broker, Made, Order  # noqa: E402
from brokers.conformance.bench import Bench  # noqa: E402
from brokers.conformance.conftest import benches  # noqa: E402

LEASE_MS = 600_000


class Opening:
    """One system, and the ways to it: `direct`, `vended` and `only_vend` are calls to be timed."""

    def __init__(self, name: str, bench: Bench) -> None:
        self.name = name
        self._bench = bench
        self._broker: Broker = bench.broker
        # What a program with a static secret would hold.
        self._static = self._broker.vend(self._order())

    def _order(self) -> Order:
        return Order(
            lease=f"lse_{uuid4().hex}",
            mission="mis_bench",
            agent="clerk",
            attempt=f"att_{uuid4().hex}",
            system="house",
            tool="house.open",
            expires=time.time_ns() // 1_000_000 + LEASE_MS,
            credential=self._bench.credential,
        )

    def direct(self) -> None:
        """Use a secret that has been there all the time."""
        self._use(self._static)

    def vended(self) -> None:
        """Have a credential made for this one use, use it, and have it taken back."""
        order = self._order()
        made = self._broker.vend(order)
        self._use(made)
        self._broker.revoke(self._bench.credential, made.handle or order.lease.encode())

    def _use(self, made: Made) -> None:
        if not self._bench.opens(made.secret):
            raise RuntimeError(f"{self.name}: the system stayed shut")


@contextmanager
def opened(folder: Path, name: str, make: Callable) -> Iterator[Opening]:
    """Yield a system, which ends with the block."""
    place = folder / name.replace("/", "-").replace(" ", "-")
    place.mkdir(mode=0o700)
    with make(place) as bench:
        try:
            yield Opening(name, bench)
        finally:
            bench.broker.close()


def known() -> dict[str, Callable]:
    """Return what makes each system, by its broker's name."""
    return benches()
