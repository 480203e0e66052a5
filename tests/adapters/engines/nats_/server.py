"""A real NATS server on loopback, whose users may do what the page says they may."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.engines.rabbitmq_.broker import free_ports, wait_for

CONF = """
host: 127.0.0.1
port: {port}
jetstream {{ store_dir: "{folder}" }}
authorization {{ users: [
  {{ user: operator, password: operator }}
  {{ user: agent, password: agent, permissions: {{
    publish: ["ask.>"], subscribe: ["_INBOX_agent.>"] }} }}
  {{ user: worker, password: worker, permissions: {{
    publish: ["do.>", "denied.>", "$JS.ACK.ASK.worker.>",
      "$JS.API.CONSUMER.INFO.ASK.worker", "$JS.API.CONSUMER.MSG.NEXT.ASK.worker"]
    subscribe: ["_INBOX_worker.>"] }} }}
  {{ user: hand, password: hand, permissions: {{ publish: {{ deny: [">"] }}
    subscribe: ["do.>", "_INBOX_hand.>"] }} }}
] }}
"""


@contextmanager
def server(folder: Path) -> Iterator[int]:
    """Yield the port of a server that starts empty and is stopped afterwards."""
    program = shutil.which("nats-server") or "/usr/sbin/nats-server"
    if not Path(program).exists():
        pytest.skip("not run: no nats-server (.ci/setup installs it)")
    (port,) = free_ports(1)
    (folder / "conf").write_text(CONF.format(port=port, folder=folder))
    log = folder / "log"
    with subprocess.Popen([program, "-c", str(folder / "conf"), "-l", str(log)]) as running:
        try:
            wait_for(port, running, 20)
            yield port
        finally:
            running.terminate()
            running.wait(20)
