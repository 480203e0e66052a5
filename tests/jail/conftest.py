"""A jail needs bubblewrap and a kernel that lets it. Without, each test says so by its name."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from jail.yard import Yard, missing
from uids.cast import folder_for_all


@pytest.fixture(scope="session")
def walls() -> None:
    """A jail can be had."""
    if why := missing():
        pytest.skip(f"not run: {why}")


@pytest.fixture(scope="module")
def yard(walls: None) -> Iterator[Yard]:
    made = Yard()
    yield made
    made.clear()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody can enter."""
    folder = folder_for_all("bridle-jail-")
    yield folder
    shutil.rmtree(folder)
