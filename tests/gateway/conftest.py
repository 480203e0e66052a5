"""One bundle, one governor and one proxy for the tests of a module; others where a test says so."""

from collections.abc import Iterator

import pytest

from gateway.office import Front, Office


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    office = Office(tmp_path_factory.mktemp("office"))
    with office.serving():
        yield office


@pytest.fixture(scope="module")
def shared(office: Office) -> Iterator[Front]:
    with office.front() as front:
        yield front


@pytest.fixture
def front(shared: Front) -> Front:
    """The module's proxy; what reached its server before is forgotten."""
    (shared.office.sink / "lines").write_bytes(b"")
    return shared


@pytest.fixture
def fresh(office: Office) -> Iterator[Front]:
    """A proxy of one test's own."""
    (office.sink / "lines").write_bytes(b"")
    with office.front() as front:
        yield front


@pytest.fixture
def alone(tmp_path_factory: pytest.TempPathFactory) -> Office:
    """An office of one test's own, its governor not running yet."""
    return Office(tmp_path_factory.mktemp("alone"))
