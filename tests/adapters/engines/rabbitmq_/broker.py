"""A real RabbitMQ on loopback, with all it keeps in one folder."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PROGRAM = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
CONF = """
listeners.tcp.1 = 127.0.0.1:{port}
log.console = false
log.file.level = error
"""


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """Yield the port of a broker that starts empty and is stopped afterwards."""
    if not PROGRAM.exists() or shutil.which("epmd") is None:
        pytest.skip("not run: no rabbitmq-server (.ci/setup installs it)")
    port, among, names = free_ports(3)
    (folder / "conf").write_text(CONF.format(port=port))
    given = {
        "HOME": str(folder),
        "RABBITMQ_NODENAME": f"bridle-{port}@localhost",
        "RABBITMQ_MNESIA_BASE": str(folder / "data"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_DIST_PORT": str(among),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
    own = {"ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(names)}
    with (
        (folder / "said").open("w") as said,
        # The directory of Erlang's nodes would stay behind as a daemon that nobody ends.
        subprocess.Popen(["epmd"], env={**os.environ, **own}) as directory,
        subprocess.Popen(
            [PROGRAM], env={**os.environ, **own, **given}, stdout=said, stderr=said
        ) as server,
    ):
        try:
            wait_for(port, server, 60)
            yield port
        finally:
            server.terminate()
            server.wait(60)
            directory.terminate()
            directory.wait(10)


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on."""
    taken = [socket.socket() for _ in range(count)]
    for each in taken:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in taken]
    for each in taken:
        each.close()
    return ports


def wait_for(port: int, server: "subprocess.Popen[bytes]", seconds: float) -> None:
    """Wait until a server answers on its port."""
    end = time.monotonic() + seconds
    while True:
        with socket.socket() as peer:
            if peer.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert server.poll() is None, "the server has ended"
        assert time.monotonic() < end, "the server does not answer"
        time.sleep(0.1)
