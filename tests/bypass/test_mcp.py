"""Every probe through `bridle mcp`, as raw lines; what ran is what the server behind it received.

The lines are put together here byte by byte, with the probe's own text as `arguments`. One proxy
takes them all. Probes that no line of UTF-8 can carry are skipped by name.
"""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridle.bundle.definition import definition_digest
from bypass.probes import BUNDLE, PROBES, Probe
from gateway.office import Front, Office

PINNED = re.compile(r"^\[tools\.([a-z_]+)\]$", re.MULTILINE)
SYSTEM = re.compile(r"^(\[systems\.[a-z]+\])$", re.MULTILINE)


def definition(name: str) -> dict:
    return {"name": name, "inputSchema": {"type": "object"}}


def governed(folder: Path) -> Office:
    """The probes' bundle, its tools reached through MCP and pinned."""
    office = Office(folder)
    shutil.rmtree(office.bundle)
    shutil.copytree(BUNDLE, office.bundle)
    path = office.bundle / "systems.toml"
    text = path.read_text("utf-8")
    names = PINNED.findall(text)
    text = SYSTEM.sub(r'\1\nprotocol = "mcp"', text)
    text = PINNED.sub(lambda m: f'{m[0]}\npin = "{definition_digest(definition(m[1]))}"', text)
    path.write_text(text, "utf-8")
    office.offer([definition(name) for name in names])
    return office


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    office = governed(tmp_path_factory.mktemp("mcp"))
    with office.serving(), office.front() as front:
        yield front


def line(probe: Probe, number: int) -> bytes:
    """The probe as a line, or skip it where there is none."""
    try:
        text = probe.text.encode()
        name = json.dumps(probe.tool, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        pytest.skip(f"{probe.id}: UTF-8 has no bytes for half a surrogate pair")
    if b"\n" in text:
        pytest.skip(f"{probe.id}: a line end within the arguments makes two lines of them")
    head = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":' % number
    return head + name + b',"arguments":' + text + b"}}"


@pytest.mark.parametrize("probe", PROBES, ids=lambda p: p.id)
def test_the_server_receives_a_probe_exactly_if_it_is_allowed(front: Front, probe: Probe) -> None:
    front.number += 1
    sent = line(probe, front.number)
    before = len(front.office.received())
    front.send(sent)
    answer = front.receive()
    arrived = front.office.received()[before:]
    # INVARIANT: I3 — byte for byte what was sent, or nothing.
    assert arrived == ([sent] if probe.ruled == "allow" else []), (probe.note, answer)
    if probe.ruled != "allow":
        assert "error" in answer or answer["result"]["isError"] is True
    if probe.ruled == "hold":
        assert "is pending" in answer["result"]["content"][0]["text"]


def test_the_proxy_still_takes_calls_after_all_of_it(front: Front) -> None:
    (allowed,) = [probe for probe in PROBES if probe.id == "tool-name-019"]
    front.number += 1
    front.send(line(allowed, front.number))
    assert "isError" not in front.receive()["result"]
