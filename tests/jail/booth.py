"""A bundle, its governor, sites on loopback, and `bridle run` as a process: what tests look at."""

import http.server
import json
import os
import subprocess
import sysconfig
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.trust import credential, keyfile
from gateway.office import tool
from jail.yard import Yard

SOURCE = Path(bridle.__file__).resolve().parents[1]

PASSPHRASE = "tall grass behind the booth"
SERVED = [tool("echo"), tool("wipe")]
BUNDLE = {
    "bridle.toml": 'format = 1\nname = "booth"\nversion = "1"\noperators = ["ana"]\n'
    '[defaults]\nmission = "desk"\nuser = "ana"\nagent = "clerk"\nexecutor = "local"\n',
    "agents.toml": '[users.ana]\nname = "Ana"\n[agents.clerk]\nowner = "ana"\n'
    '[workloads.local]\ntools = ["*"]\n[workloads.keyed]\n'
    'tools = ["*"]\nkey = "{key}"\n[approvers.owners]\nusers = ["ana"]\nneed = 1\n',
    "missions.toml": '[missions.desk]\npurpose = "Work at the desk"\nagents = ["clerk"]\n'
    'tools = ["*"]\ndomains = ["all"]\nexpires = "1h"\n',
    "systems.toml": """
[domains.all]
description = "All of it"
[systems.notes]
domain = "all"
[systems.web]
domain = "all"
url = "{web}"
private = true
hosts = ["127.0.0.3"]
[systems.pipes]
domain = "all"
url = "{pipes}"
private = true
hosts = ["127.0.0.2:{pipes_port}"]
[systems.files]
domain = "all"
protocol = "mcp"
[tools."note.write"]
system = "notes"
effect = "write"
input = {{ type = "object", required = ["text"], properties = {{ text = {{ type = "string" }} }} }}
[tools."note.delete"]
system = "notes"
effect = "write"
input = {{ type = "object" }}
[tools."web.read"]
system = "web"
effect = "read"
egress = {{ methods = ["GET", "HEAD"] }}
[tools."web.write"]
system = "web"
effect = "write"
egress = {{ methods = ["POST"] }}
[tools."pipes.read"]
system = "pipes"
effect = "read"
egress = {{ methods = ["GET", "CONNECT"] }}
[tools."files.echo"]
system = "files"
wire = "echo"
effect = "read"
from = "tools/files.json"
[tools."files.wipe"]
system = "files"
wire = "wipe"
effect = "write"
from = "tools/files.json"
""",
    "tools/files.json": json.dumps({"tools": SERVED}),
    "policies/desk.dw": """
@id("all")
permit (principal == Agent::"clerk", action in Action::"call", resource);
@id("no-deleting")
@reason("nothing is deleted")
forbid (principal, action == Action::"note.delete", resource);
@id("no-wiping")
@reason("nothing is wiped")
forbid (principal, action == Action::"files.wipe", resource);
@id("writing-waits")
@reason("a human looks at what is sent")
@hold("owners")
forbid (principal, action == Action::"web.write", resource);
@id("no-secret-pages")
@reason("this page is not for agents")
forbid (principal, action == Action::"web.read", resource)
when { context.input.url like "*/secret*" };
""",
    "governance/missions.dw": """
@id("ana-works")
permit (principal == User::"ana", action, resource);
""",
}


class Sink(http.server.BaseHTTPRequestHandler):
    """A site that keeps what reached it and answers with what it was asked."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_GET  # noqa: N815 - names of the standard library's

    def _answer(self) -> None:
        length = int(self.headers.get("content-length", "0"))
        body = self.rfile.read(length).decode()
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        told = f"hello from {self.path}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(told)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(told)

    def log_message(self, *_: Any) -> None:
        pass


class Site:
    """A loopback HTTP server. `seen` is what reached it."""

    def __init__(self, host: str) -> None:
        self._server = http.server.ThreadingHTTPServer((host, 0), Sink)
        self._server.seen = self.seen = []
        self.host, self.port = host, self._server.server_port
        self.url = f"http://{host}:{self.port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def run_in(yard: Yard) -> dict[str, str]:
    """What the interpreter needs of its environment, on either side."""
    imports = os.pathsep.join((str(SOURCE), sysconfig.get_path("purelib")))
    return {"PYTHONPATH": imports, "PYTHONDONTWRITEBYTECODE": "1", **yard.environ}


def _keyed(folder: Path) -> str:
    """Make the key of the workload `keyed`, and return its public half."""
    key = credential.generate("workload", "keyed")
    (folder / "keys").mkdir(mode=0o700)
    for path, data in (
        (folder / "keys" / "keyed.json", keyfile.seal(key, PASSPHRASE, cost=15)),
        (folder / "passphrase", PASSPHRASE.encode()),
    ):
        path.write_bytes(data)
        path.chmod(0o600)
    return str(key.public)


class Booth:
    """Runs `bridle run` of one bundle, with its governor and its sites."""

    def __init__(self, yard: Yard, folder: Path) -> None:
        self.yard = yard
        self.python = yard.python
        self.folder = folder
        self.bundle = folder / "bundle"
        self.web, self.pipes = Site("127.0.0.3"), Site("127.0.0.2")
        key = _keyed(folder)
        for name, text in BUNDLE.items():
            path = self.bundle / name
            path.parent.mkdir(parents=True, exist_ok=True)
            filled = (
                text.format(web=self.web.url, pipes=self.pipes.url, pipes_port=self.pipes.port)
                if name == "systems.toml"
                else text.replace("{key}", key)
            )
            path.write_text(filled)
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "BRIDLE_KEYS": str(folder / "keys"),
            "A_SECRET_OF_THE_CALLER": "hunter2-in-the-environment",
            **run_in(yard),
        }
        self.sink = folder / "sink"
        self.sink.mkdir()
        (self.sink / "tools.json").write_text(json.dumps({"tools": SERVED}))
        self._patch = pytest.MonkeyPatch()
        for variable in ("XDG_STATE_HOME", "BRIDLE_KEYS"):
            self._patch.setenv(variable, self.environ[variable])
        self.governor = bridle.open(self.bundle, idle_exit=60)

    def words(self, *options: str) -> list[str]:
        """Return the words of `bridle run` up to the command."""
        words = [self.python, "-P", "-m", "bridle", "run", str(self.bundle)]
        words += ["--work", str(self.yard.work)]
        if self.yard.user:
            words += ["--as", self.yard.user.name]
        for name, value in run_in(self.yard).items():
            words += ["--env", f"{name}={value}"]
        return [*words, *options, "--"]

    def run(self, *command: str, options: tuple[str, ...] = (), **more: str) -> Any:
        """Run a command in a jail, to its end."""
        return subprocess.run(
            [*self.words(*options), *command], env={**self.environ, **more}, check=False,
            capture_output=True, text=True, timeout=50, stdin=subprocess.DEVNULL, cwd="/",
        )  # fmt: skip

    def code(self, text: str, *args: str, options: tuple[str, ...] = (), **more: str) -> Any:
        """Run Python code in a jail."""
        return self.run(self.python, "-c", text, *args, options=options, **more)

    @contextmanager
    def started(
        self, *command: str, options: tuple[str, ...] = (), **more: str
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a command in a jail, with pipes."""
        pipe = subprocess.PIPE
        with subprocess.Popen(
            [*self.words(*options), *command], env={**self.environ, **more}, stdin=pipe,
            stdout=pipe, stderr=pipe, text=True, cwd="/",
        ) as process:  # fmt: skip
            try:
                yield process
            finally:
                process.kill()

    def told(self, ran: Any) -> dict[str, Any]:
        """Return the last thing that `--json` said on standard error."""
        return json.loads(ran.stderr.strip().splitlines()[-1])

    def close(self) -> None:
        self.governor.close()
        self._patch.undo()
        self.web.close()
        self.pipes.close()
