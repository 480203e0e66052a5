"""MCP servers for an agent in a jail: they run outside, behind Bridle, and are asked inside."""

import json
import shlex
import sys
from collections.abc import Iterator

import pytest

from gateway.office import HERE
from jail.booth import Booth
from jail.yard import Yard

CLIENT = """
import json, os, shlex, subprocess, sys
server = subprocess.Popen(shlex.split(os.environ["BRIDLE_MCP_FILES"]), text=True, bufsize=1,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def ask(number, method, **params):
    server.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method,
                                   "params": params}) + "\\n")
    return json.loads(server.stdout.readline())["result"]
ask(0, "initialize", protocolVersion="2025-11-25", capabilities={},
    clientInfo={"name": "client", "version": "1"})
server.stdin.write('{"jsonrpc": "2.0", "method": "notifications/initialized"}\\n')
print(json.dumps([each["name"] for each in ask(1, "tools/list")["tools"]]))
for tool in ("echo", "wipe"):
    print(json.dumps(ask(2, "tools/call", name=tool, arguments={"text": "hello"})))
server.stdin.close()
print(server.wait(20))
"""


@pytest.fixture(scope="module")
def booth(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booth]:
    made = Booth(yard, tmp_path_factory.mktemp("booth"))
    yield made
    made.close()


def test_a_server_outside_is_asked_from_inside_and_each_call_is_judged(booth: Booth):
    server = shlex.join((sys.executable, str(HERE / "sink.py"), str(booth.sink)))
    ran = booth.code(CLIENT, options=("--mcp", f"files={server}"))
    assert ran.returncode == 0, ran.stderr
    listed, allowed, denied, status = (json.loads(line) for line in ran.stdout.splitlines())
    assert "echo" in listed
    assert allowed["content"][0]["text"] == "hello"
    assert denied["isError"] is True
    assert "nothing is wiped" in denied["content"][0]["text"]
    assert status == 0
    lines = (booth.sink / "lines").read_text().splitlines()
    calls = [json.loads(line) for line in lines]
    reached = [each["params"]["name"] for each in calls if each["method"] == "tools/call"]
    assert reached == ["echo"], "the sink itself has seen no other call"


def test_a_server_is_asked_in_the_name_of_the_workload_that_the_run_proves_to_be(booth: Booth):
    server = shlex.join((sys.executable, str(HERE / "sink.py"), str(booth.sink)))
    file = str(booth.folder / "passphrase")
    options = ("--as-workload", "keyed", "--passphrase-file", file, "--mcp", f"files={server}")
    ran = booth.code(CLIENT, options=options)
    assert ran.returncode == 0, ran.stderr
    allowed = json.loads(ran.stdout.splitlines()[1])
    assert allowed["content"][0]["text"] == "hello"


def test_a_server_that_nobody_named_is_not_there(booth: Booth):
    code = """
import os, subprocess, sys, bridle.jail.relay as relay
ran = subprocess.run([sys.executable, relay.__file__, "connect", "mcp", "other"],
                     stdin=subprocess.DEVNULL, capture_output=True, text=True)
print(ran.returncode, ran.stderr)
"""
    ran = booth.code(code)
    assert ran.stdout.startswith("3 the jail's socket has no service 'mcp other'"), ran.stderr
