"""Every bench there is: each module `*_bench.py` beside this one names its own in `BENCHES`."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from importlib import import_module
from pathlib import Path

import pytest

from brokers.conformance.bench import Bench

Made = Callable[[Path], AbstractContextManager[Bench]]


def benches() -> dict[str, Made]:
    """Return what makes each bench, by its name."""
    found: dict[str, Made] = {}
    for file in sorted(Path(__file__).parent.glob("*_bench.py")):
        module = import_module(f"brokers.conformance.{file.stem}")
        found |= module.BENCHES
    return found


ALL = benches()


@pytest.fixture(params=ALL)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Bench]:
    """Each broker on its bench."""
    tmp_path.chmod(0o700)
    with ALL[request.param](tmp_path) as made:
        yield made
        made.broker.close()
