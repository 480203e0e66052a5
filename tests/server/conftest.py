"""A scripted governor to serve; a real one, whose side carries actions out at a sink."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import bridle
from brokers.performing.servers import OK, Sink
from client.scripted import Scripted
from server.attacking import JUDGED, RULED
from server.carrying import Site, serving


@pytest.fixture
def governor() -> Scripted:
    return Scripted()


@pytest.fixture
def sink() -> Iterator[Sink]:
    made = Sink(OK)
    yield made
    made.close()


@pytest.fixture
def site(tmp_path: Path, sink: Sink) -> Iterator[Site]:
    with serving(tmp_path, sink.url, systems=JUDGED, files=RULED) as found:
        yield found


@pytest.fixture
def clerk(site: Site) -> bridle.Agent:
    return site.ana.start_mission("office", user="ana").agent("clerk", executor="worker")
