"""A governor behind its sockets whose tools are carried out over HTTP, for tests of that."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import bridle
from bridle.client.opening import connect
from bridle.governor.governor import Governor
from bridle.model import calls
from bridle.server.acceptor import Server
from bridle.server.listening import agents_door, operator_door

SECRET = "ghp-9f27c1d0-of-the-system-only"

SYSTEMS = """
[domains.saas]
[domains.house]
[systems.forge]
domain = "saas"
url = "URL"
private = true
[systems.forge.credential]
broker = "header"
secret = "forge-token"
[systems.open]
domain = "saas"
url = "URL"
private = true
[systems.web]
domain = "saas"
hosts = ["HOST"]
private = true
[systems.notes]
domain = "house"

[tools."issue.create"]
system = "forge"
effect = "write"
timeout = "30s"
http = { method = "POST", path = "/issues/{repo}" }
[tools."issue.create".input]
type = "object"
required = ["repo", "title"]
additionalProperties = false
properties = { repo = { type = "string" }, title = { type = "string" } }
[tools."issue.create".output]
type = "object"
required = ["status"]
[tools."issue.create".output.properties]
status = { type = "integer" }
body = { type = "object", properties = { ok = { type = "boolean" }, pin = { type = "string" } } }

[tools."page.get"]
system = "open"
effect = "read"
timeout = "30s"
http = { method = "GET", path = "/pages/{id}" }
[tools."page.get".input]
type = "object"
required = ["id"]
properties = { id = { type = "integer" } }

[tools."web.request"]
system = "web"
effect = "read"
egress = { methods = ["GET"] }

[tools."note.read"]
system = "notes"
effect = "read"
input = { type = "object", properties = { id = { type = "integer" } } }
"""

FILES = {
    "bridle.toml": 'format = 1\nname = "carried"\noperators = ["ana"]\n',
    "agents.toml": '[users.ana]\n[users.ben]\n[agents.clerk]\nowner = "ana"\n'
    '[agents.scout]\nowner = "ben"\n[workloads.worker]\n[approvers.leads]\nusers = ["ben"]\n',
    "missions.toml": '[missions.office]\nagents = ["clerk", "scout"]\ntools = ["*"]\n'
    'domains = ["saas", "house"]\nexpires = "8h"\n',
    "policies/permits.dw": '@id("work") permit (principal, action in Action::"call", resource);\n',
    "policies/limits.dw": """
@id("no-gossip") @reason("no gossip")
forbid (principal, action == Action::"issue.create", resource)
when { context.input.title == "gossip" };
@id("short") @reason("titles are short") @modify("truncate input.title 4")
forbid (principal, action == Action::"issue.create", resource)
when { context.input.title == "much too long" };
@id("lead") @reason("a lead looks at it") @hold("leads")
forbid (principal, action == Action::"issue.create", resource)
when { context.input.title == "delicate" };
""",
    "governance/permits.dw": '@id("start") permit (principal, action, resource);\n',
}


def written(folder: Path, url: str, systems: str = SYSTEMS, files: Mapping[str, str] = {}) -> Path:
    host = url.removeprefix("http://")
    texts = {**FILES, "systems.toml": systems.replace("URL", url).replace("HOST", host), **files}
    for name, text in texts.items():
        path = folder / "bundle" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "bundle"


class Site(NamedTuple):
    """An operator's connection, and what serves it."""

    ana: bridle.Bridle
    governor: Governor
    server: Server
    thread: threading.Thread

    def stop(self) -> None:
        """Have the server answer nobody any more, and wait until it does not."""
        self.server.stop()
        self.thread.join(30)
        assert not self.thread.is_alive()


@contextmanager
def governing(
    folder: Path,
    url: str,
    *,
    sealed: Mapping[str, str] = {"forge-token": SECRET},
    systems: str = SYSTEMS,
) -> Iterator[bridle.Bridle]:
    """Yield an operator's connection to a governor whose sockets and state lie in `folder`."""
    with serving(folder, url, sealed=sealed, systems=systems) as site:
        yield site.ana


@contextmanager
def serving(
    folder: Path,
    url: str,
    *,
    sealed: Mapping[str, str] = {"forge-token": SECRET},
    systems: str = SYSTEMS,
    files: Mapping[str, str] = {},
) -> Iterator[Site]:
    """Do as `governing` does, and yield the governor and its server as well."""
    (folder / "state").mkdir(mode=0o700)
    governor = Governor.open(written(folder, url, systems, files), state=folder / "state")
    doors = (agents_door(folder / "agents.sock"), operator_door(folder / "operator.sock"))
    server = Server(governor, doors, store=governor.core.store_id, version="0")
    governor.start_keeping()
    server.listen()
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        with connect(folder) as ana:
            for name, value in sealed.items():
                ana.rows(calls.SecretVerb(verb="set", name=name, value=value, as_user="ana"))
            yield Site(ana, governor, server, thread)
    finally:
        server.stop()
        thread.join(30)
        assert not thread.is_alive()
        governor.close()


class Tap:
    """An agents' socket of its own that passes everything on, and keeps a copy."""

    def __init__(self, folder: Path, to: Path) -> None:
        folder.mkdir(mode=0o700)
        self.folder = folder
        self.bytes = bytearray()
        self._to = to
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / "agents.sock"))
        self._listener.listen()
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._start(self._accept)

    def close(self) -> None:
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for each in (self._listener, *self._open):
            each.close()

    def _start(self, target: Callable[..., None], *given: socket.socket) -> None:
        thread = threading.Thread(target=target, args=given)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.socket(socket.AF_UNIX)
                self._open += [near, far]
                far.connect(str(self._to))
                for pair in ((near, far), (far, near)):
                    self._start(self._pass, *pair)

    def _pass(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while part := source.recv(65_536):
                self.bytes += part
                target.sendall(part)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
