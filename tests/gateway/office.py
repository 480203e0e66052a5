"""A bundle in front of the sink, and a client that speaks to the proxy byte by byte."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import bridle
from bridle.client.opening import connect

HERE = Path(__file__).resolve().parent
SOURCE = str(Path(bridle.__file__).resolve().parents[1])
PATIENCE = 30

TEXT = {"type": "string", "maxLength": 4000}


def tool(name: str, description: str = "", **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"text": TEXT, **properties}}
    return {"name": name, "description": description or f"Does {name}", "inputSchema": schema}


AMOUNT = {"type": "integer", "minimum": 0, "maximum": 1000}
TOOLS = [
    tool("echo"),
    tool("put", amount=AMOUNT),
    tool("pay", amount=AMOUNT),
    tool("wipe"),
    tool("slow"),
    tool("flush"),
    tool("die"),
    tool("hang"),
    tool("fail"),
    tool("break"),
    tool("say"),
    tool("ask"),
    tool("peek"),
    tool("outside"),
]
EFFECTS = {"pay": "write", "wipe": "irreversible", "put": "write"}

BRIDLE = """
format = 1
name = "in-front"
version = "1"
operators = ["ben"]
[defaults]
mission = "desk"
user = "ana"
agent = "clerk"
executor = "proxy"
[limits]
result_bytes = 100000
pending_holds = 50
"""
AGENTS = """
[users.ana]
[users.ben]
[agents.clerk]
owner = "ana"
[workloads.proxy]
tools = ["*"]
[approvers.leads]
users = ["ben"]
"""
MISSIONS = """
[missions.desk]
purpose = "Use the sink"
agents = ["clerk"]
tools = ["sink.*"]
domains = ["house"]
"""
NARROW = """
[missions.narrow]
purpose = "Use little of the sink"
agents = ["clerk"]
tools = ["sink.echo", "sink.put", "sink.pay"]
domains = ["house"]
"""
POLICIES = """
@id("most") permit (principal, action, resource) unless { action == Action::"sink.wipe" };

@id("small") @reason("small amounts only") @modify("clamp input.amount 0..10")
forbid (principal, action == Action::"sink.put", resource)
when { context.input has amount && context.input.amount > 10 };

@id("pay") @reason("a lead agrees to payments") @hold("leads")
forbid (principal, action == Action::"sink.pay", resource);

@id("no-mail-addresses") @reason("addresses stay inside")
@modify("redact output.content[].text: email")
forbid (principal, action in [Action::"sink.echo:result", Action::"sink.fail:result",
  Action::"sink.break:result", Action::"sink.put:result", Action::"sink.slow:result"], resource)
when { context.facts has content && context.facts.content.found.contains("email") };

@id("no-cards") @reason("cards stay inside")
forbid (principal, action in [Action::"sink.echo:result", Action::"sink.fail:result",
  Action::"sink.break:result", Action::"sink.put:result"], resource)
when { context.facts has content && context.facts.content.found.contains("payment_card") };

@id("look-first") @reason("a lead looks at it first") @hold("leads")
forbid (principal, action in [Action::"sink.peek:result", Action::"sink.fail:result"], resource)
when { context.facts has content && context.facts.content.found.contains("secret_key") };
"""


def systems(tools: list[dict[str, Any]], protocol: str = "mcp") -> str:
    lines = ["[domains.house]", "[systems.sink]", 'domain = "house"', f'protocol = "{protocol}"']
    for each in tools:
        name = each["name"]
        lines += [
            f'[tools."sink.{name}"]',
            'system = "sink"',
            f'effect = "{EFFECTS.get(name, "read")}"',
            f'wire = "{name}"',
            'from = "tools/sink.json"',
            f'[tools."sink.{name}".arguments.text]',
            'sink = "content"',
        ]
    return "\n".join(lines)


def bundle(
    folder: Path, tools: list[dict[str, Any]] | None = None, policies: str = POLICIES
) -> Path:
    root = folder / "bundle"
    tools = TOOLS if tools is None else tools
    files = {
        "bridle.toml": BRIDLE,
        "agents.toml": AGENTS,
        "missions.toml": MISSIONS + (NARROW if tools is TOOLS else ""),
        "systems.toml": systems(tools),
        "policies/rules.cedar": policies,
        "tools/sink.json": json.dumps({"tools": tools}),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, "utf-8")
    return root


class Office:
    """A bundle with a state of its own, and the sink's folder."""

    def __init__(self, folder: Path, **made: Any) -> None:
        self.folder = folder
        self.bundle = bundle(folder, **made)
        self.environment = {
            **os.environ,
            "PYTHONPATH": SOURCE,
            "XDG_STATE_HOME": str(folder / "state"),
        }
        self.sink = folder / "sink"
        self.sink.mkdir()
        self.offer(made.get("tools") or TOOLS)

    def offer(self, tools: list[dict[str, Any]]) -> None:
        """Say what the server lists from now on. It may be reading the file at this moment."""
        new = self.sink / "tools.new"
        new.write_text(json.dumps({"tools": tools}))
        new.replace(self.sink / "tools.json")

    def received(self) -> list[bytes]:
        """The lines that have reached the server; one it is still noting down is not among them."""
        log = self.sink / "lines"
        whole, _, _ = log.read_bytes().rpartition(b"\n") if log.exists() else (b"", b"", b"")
        return whole.splitlines()

    def calls(self, name: str = "") -> list[Any]:
        """The arguments of the calls that have reached the server."""
        messages = [json.loads(line) for line in self.received()]
        calls = [m["params"] for m in messages if m.get("method") == "tools/call"]
        return [c.get("arguments") for c in calls if not name or c["name"] == name]

    def command(self, *args: str) -> list[str]:
        return [sys.executable, "-P", "-m", "bridle", *args]

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*args),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextmanager
    def serving(self) -> Iterator[subprocess.Popen[bytes]]:
        """A governor of this bundle in a process of its own."""
        process = subprocess.Popen(
            self.command("serve", str(self.bundle), "--json"),
            env=self.environment,
            stdout=subprocess.PIPE,
        )
        with process:
            try:
                ready = json.loads(process.stdout.readline())
                assert ready["ready"]
                with connect(Path(ready["operator"]).parent) as self.governor:
                    yield process
            finally:
                process.terminate()

    @contextmanager
    def front(self, *options: str, greet: bool = True, **more: Any) -> Iterator["Front"]:
        """A proxy in front of the sink, its client here."""
        front = Front(self, *options, **more)
        try:
            if greet:
                front.greet()
            yield front
        finally:
            front.end()

    def pending(self) -> list[dict[str, Any]]:
        return self.governor.approvals()

    def approve(self, approval: str) -> None:
        assert self.governor.approve(approval, as_user="ben") == "approved"

    def refuse(self, approval: str) -> None:
        assert self.governor.deny(approval, as_user="ben") == "denied"


class Front:
    """The client's side of a proxy."""

    def __init__(
        self,
        office: Office,
        *options: str,
        server: list[str] | None = None,
        environment: dict[str, str] | None = None,
        place: str = "",
    ) -> None:
        server = server or [sys.executable, "-u", str(HERE / "sink.py"), str(office.sink)]
        self.office = office
        self.process = subprocess.Popen(
            office.command("mcp", place or str(office.bundle), "--json", *options, "--", *server),
            env={**office.environment, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self.buffer = b""
        self.number = 0
        self.mission = ""
        ready = self.process.stderr.readline()
        if ready.startswith(b"{"):
            self.mission = json.loads(ready)["mission"]
        else:
            self.errors = ready + self.process.stderr.read()

    def greet(self) -> None:
        about = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {}}
        assert "result" in self.ask("initialize", about)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        # What the proxy asks by itself at this point has reached the server before this.
        assert "result" in self.ask("ping")

    def send(self, message: Any) -> None:
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.process.stdin.write(line + b"\n")

    def line(self, seconds: float = PATIENCE) -> bytes:
        """The next line for the client; empty at the end."""
        while b"\n" not in self.buffer:
            ready, _, _ = select.select([self.process.stdout], [], [], seconds)
            assert ready, "the proxy says nothing"
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return b""
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def receive(self) -> dict[str, Any]:
        return json.loads(self.line())

    def request(self, method: str, params: Any = None) -> int:
        self.number += 1
        message = {"jsonrpc": "2.0", "id": self.number, "method": method}
        self.send(message if params is None else {**message, "params": params})
        return self.number

    def ask(self, method: str, params: Any = None) -> dict[str, Any]:
        number = self.request(method, params)
        while (answer := self.receive()).get("id") != number:
            pass
        return answer

    def call(self, name: str, **arguments: Any) -> dict[str, Any]:
        return self.ask("tools/call", {"name": name, "arguments": arguments})["result"]

    def kill(self, number: int = signal.SIGKILL) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Close our side and return the exit code."""
        with suppress(BrokenPipeError):
            self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.stdout.close()
            self.process.stderr.close()
        return self.process.returncode


def said(result: dict[str, Any]) -> str:
    """The text of a tool error, which this has to be."""
    assert result.get("isError") is True, result
    return result["content"][0]["text"]
