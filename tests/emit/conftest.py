"""One busy life of a governor, lived once, and what is on record of it."""

import shutil
from pathlib import Path

import pytest

from bridle.emit.record import Record
from emit import busy


@pytest.fixture(scope="session")
def life(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store in which everything has happened. Read only."""
    folder = tmp_path_factory.mktemp("life")
    folder.chmod(0o700)
    busy.live(folder / "store.db")
    return folder


@pytest.fixture(scope="session")
def records(life: Path) -> list[Record]:
    return busy.records(life / "store.db")


@pytest.fixture
def store(life: Path, tmp_path: Path) -> Path:
    """A copy of the store's folder."""
    copy = tmp_path / "store"
    shutil.copytree(life, copy)
    copy.chmod(0o700)
    return copy
