"""A desk for each test; when the test is over, the ledger has to be whole."""

from collections.abc import Iterator

import pytest

from governor.desk import Desk


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk()
    yield desk
    desk.verified()
    desk.governor.close()
