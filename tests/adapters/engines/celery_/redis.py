"""A Redis of the test's own, on loopback."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from celery import Celery


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Yield its address; end it afterwards. Skips where there is none."""
    if shutil.which("redis-server") is None:
        pytest.skip("not run: no redis-server (.ci/setup installs it)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    with subprocess.Popen([*command, "--dir", str(folder)], stdout=subprocess.DEVNULL) as server:
        try:
            for _ in range(200):
                with socket.socket() as peer:
                    if peer.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait(10)


def close(app: Celery) -> None:
    """Close an application, with a result store for all threads, before its Redis ends.

    Results that are collected later unsubscribe from nothing: each would ask for 20 seconds. What
    those have opened that were collected before, Celery leaves open.
    """
    consumer = app.backend.result_consumer
    consumer.subscribed_to.clear()
    consumer.stop()
    app.backend.client.connection_pool.disconnect()
    app.close()
