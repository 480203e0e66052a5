"""A scripted governor to serve."""

import pytest

from client.scripted import Scripted


@pytest.fixture
def governor() -> Scripted:
    return Scripted()
