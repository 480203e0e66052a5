"""These need root, and the users that .ci/setup makes. Without, each says so by its name."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from uids.cast import Installation, Python, folder_for_all, missing


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    why = missing()
    for item in items:
        if Path(__file__).parent in item.path.parents:
            assert item.get_closest_marker("uids"), f"{item.nodeid} lacks its mark"
            if why:
                item.add_marker(pytest.mark.skip(reason=f"not run: {why}"))


@pytest.fixture(scope="session")
def python() -> Iterator[Python]:
    folder = folder_for_all("bridle-python-")
    yield Python(folder)
    shutil.rmtree(folder)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of root's that everybody can enter."""
    folder = folder_for_all("bridle-uids-")
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(scope="module")
def installed(python: Python) -> Iterator[Installation]:
    """One governor for the tests of a module: what they try must not harm it."""
    folder = folder_for_all("bridle-uids-")
    installation = Installation(python, folder)
    assert installation.ready.get("ready"), (installation.ready, installation.stop())
    yield installation
    installation.stop()
    shutil.rmtree(folder)
