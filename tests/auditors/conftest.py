"""The programs, each started once, and logs of the sizes at which trees and tiles change shape."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from auditors import governing, logs, programs, toolchain
from auditors.governing import Export
from auditors.logs import Log
from auditors.programs import ABLE, Bridle, Program, Programs


def pytest_configure(config: pytest.Config) -> None:
    config.stash[logs.TABLE] = {}


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show who noticed which tampering."""
    rows = config.stash[logs.TABLE]
    if not rows:
        return
    names = {name: [do for do in ("entries", "tiles") if do in can] for name, can in ABLE.items()}
    names["bridle"] = ["export"]
    ways = [(name, do) for name, does in names.items() for do in does]
    terminalreporter.section("tampered with, and noticed by")
    terminalreporter.line(" " * 34 + "".join(f"{name:>13}" for name, _ in ways))
    terminalreporter.line(" " * 34 + "".join(f"{do:>13}" for _, do in ways))
    for how, missed in rows.items():
        marks = "".join(f"{'-' if way in missed else 'yes':>13}" for way in ways)
        terminalreporter.line(f"{how:34}{marks}")


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


@pytest.fixture(scope="session")
def governed(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The export of a log that a governor wrote."""
    return governing.plain(home(tmp_path_factory))


@pytest.fixture(scope="session")
def rotated(tmp_path_factory: pytest.TempPathFactory) -> Export:
    """The export of a log whose key was replaced."""
    return governing.rotated(home(tmp_path_factory))


def home(temporary: pytest.TempPathFactory) -> Path:
    folder = temporary.mktemp("governed")
    folder.chmod(0o700)
    return folder
