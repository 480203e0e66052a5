"""The programs, each started once, and logs of the sizes at which trees and tiles change shape."""

from collections.abc import Callable, Iterator

import pytest

from auditors import logs, programs, toolchain
from auditors.logs import Log
from auditors.programs import Bridle, Program

Programs = dict[str, Program | Bridle]


@pytest.fixture(scope="session")
def asked() -> Iterator[Programs]:
    """All programs, by name."""
    assert toolchain.AUDITOR.exists(), "run `make auditors`, which makes the environment first"
    started: Programs = {"bridle": Bridle(), **{name: Program(name) for name in programs.COMMANDS}}
    yield started
    for each in started.values():
        each.end()


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Log]:
    """Return a log of a size, written once."""
    written: dict[int, Log] = {}

    def of(size: int) -> Log:
        if size not in written:
            folder = tmp_path_factory.mktemp(f"log-{size}")
            written[size] = logs.write(folder, logs.leaves(size))
        return written[size]

    return of
