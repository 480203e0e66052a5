"""A scripted governor on real sockets, and an agent attached to it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridle.client.agent import Agent
from client.scripted import Scripted, Sink, attached, served


@pytest.fixture
def governor() -> Scripted:
    return Scripted()


@pytest.fixture
def agent(governor: Scripted, tmp_path: Path) -> Iterator[Agent]:
    with served(governor, tmp_path):
        bridle, agent = attached(tmp_path)
        with bridle:
            yield agent


@pytest.fixture
def sink() -> Sink:
    return Sink()
