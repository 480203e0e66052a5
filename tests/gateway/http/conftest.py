"""A governor, and the gateway that asks it for others over HTTP."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.client.worker import Worker
from bridle.gateway.http.gate import Gate
from bridle.gateway.http.listening import HttpServer
from bridle.gateway.http.messages import Answer, Request
from bridle.gateway.http.points import Points
from gateway.http.asking import CONFIG, Gateway
from server.carrying import Site, serving
from server.test_dispatching import CHANGED, PLAIN, WORKER


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(tmp_path, "http://127.0.0.1:1", systems=PLAIN, files=CHANGED) as found:
        yield found


@pytest.fixture
def clerk(site: Site) -> bridle.Agent:
    return site.ana.start_mission("office", user="ana").agent("clerk")


@pytest.fixture
def worker(site: Site, tmp_path: Path) -> Iterator[Worker]:
    with bridle.worker(tmp_path, credential=WORKER) as found:
        yield found


@pytest.fixture
def serve() -> Iterator[Callable[..., HttpServer]]:
    """Return what serves a handler on a free port until the test ends."""
    running: list[tuple[HttpServer, threading.Thread]] = []

    def start(handler: Callable[[Request], Answer], **settings: Any) -> HttpServer:
        server = HttpServer(handler, ("127.0.0.1", 0), **settings)
        thread = threading.Thread(target=server.run)
        thread.start()
        running.append((server, thread))
        return server

    yield start
    for server, thread in running:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture
def gateway(worker: Worker, tmp_path: Path, serve: Callable[..., HttpServer]) -> Gateway:
    config = tmp_path / "http.toml"
    config.write_text(CONFIG)
    gate = Gate(worker, Points(config))
    server = serve(gate.handle)
    host, port = server.address
    gate.answer_to(f"{host}:{port}")
    return Gateway(server, config)


@pytest.fixture
def reference(clerk: bridle.Agent) -> str:
    """What the clerk has the gateway's workload do: any page, or a note."""
    return clerk.dispatch("worker", task="t1", tools={"page.get": {"id": bridle.anything()}})
