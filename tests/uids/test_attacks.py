"""An agent's process with a shell, under its own uid, tries to raise its authority: nothing helps.

Each attempt runs as the agent's user against a governor that serves others meanwhile, and the
governor is looked at afterwards: what is in force, what waits, what the ledger says.
"""

import contextlib
import hashlib
import json
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.client.transport import wire
from bridle.model import calls
from uids.cast import AGENT, GOVERNOR, OPERATOR, Installation, Python

pytestmark = pytest.mark.uids

REFUND = {"order": 1, "amount": 300, "currency": "EUR"}

HOLD = """
import sys, json, bridle
folder, handle, mission, key = sys.argv[1:5]
with bridle.connect(folder, role="agent") as governor:
    triage = governor.attach(handle, mission=mission, agent="triage")
    try:
        triage.call("payments.refund", json.loads(sys.argv[5]), effect=lambda **_: "paid", key=key)
    except bridle.Held as held:
        print(held.approval_id)
"""

# Sends one message after another to a socket, with nothing of Bridle in the way, and prints each
# answer. `argv`: socket, role, messages as JSON.
RAW = """
import json, socket, struct, sys
def read(connection):
    head = b""
    while len(head) < 4:
        part = connection.recv(4 - len(head))
        if not part: return None
        head += part
    body, (length,) = b"", struct.unpack(">I", head)
    while len(body) < length:
        part = connection.recv(length - len(body))
        if not part: return None
        body += part
    return body.decode()
for message in json.loads(sys.argv[3]):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        try:
            connection.connect(sys.argv[1])
            for each in ({"bridle": int(sys.argv[4]), "role": sys.argv[2]}, message):
                body = json.dumps(each).encode()
                connection.sendall(struct.pack(">I", len(body)) + body)
            answers = [read(connection), read(connection)]
        except OSError as problem:
            answers = [type(problem).__name__]
        print(json.dumps(answers))
"""


class Victim:
    """What an agent may have: its group, its session; and what it wants to change."""

    def __init__(self, installed: Installation) -> None:
        self.installed = installed
        self.python: Python = installed.python
        self.mission = installed.mission()
        self.handle = installed.handle(self.mission)
        self.researcher = installed.handle(self.mission, "researcher")
        self.approval = self._hold()
        installed.operator("kill", "tool", "mail.send", "--as", "ana")

    def _hold(self) -> str:
        args = (str(self.installed.runtime), self.handle, self.mission, "k", json.dumps(REFUND))
        ran = self.python.run(AGENT, HOLD, *args)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.decode().strip()

    def state(self) -> dict[str, Any]:
        """All that an agent would like to be otherwise, as root sees it."""
        with bridle.connect(self.installed.runtime) as governor:
            status = governor.status()
            (hold,) = governor.rows(calls.Approvals(approval=self.approval))
            (mission,) = governor.rows(calls.Missions(mission=self.mission))
            return {
                "active": status["active"],
                "changed": status["changed"],
                "kills": [(kill["scope"], kill["subject"]) for kill in status["kills"]],
                "hold": (hold["status"], hold.get("votes", [])),
                "missions": [(row["id"], row["status"]) for row in governor.missions()],
                "sessions": len(mission["sessions"]),
            }

    def sh(self, script: str) -> subprocess.CompletedProcess:
        """Run a script as the agent; the paths it wants stand in its environment."""
        at = self.installed
        return self.python.shell(
            AGENT, script, RUN=str(at.runtime), STATE=str(at.state), BUNDLE=str(at.bundle),
            FOLDER=str(at.folder), PID=str(at.pid), HANDLE=self.handle, HOLD=self.approval,
            MISSION=self.mission, BRIDLE_SOCKETS=str(at.runtime),
        )  # fmt: skip

    def raw(self, name: str, role: str, *messages: dict[str, Any]) -> list[list[str]]:
        path = str(self.installed.runtime / name)
        version = str(wire.VERSION)
        ran = self.python.run(AGENT, RAW, path, role, json.dumps(messages), version)
        assert ran.returncode == 0, ran.stderr
        return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.fixture(scope="module")
def victim(installed: Installation) -> Victim:
    return Victim(installed)


@pytest.fixture(autouse=True)
def unharmed(victim: Victim) -> Iterator[None]:
    """Whatever is tried: nothing that counts is otherwise afterwards."""
    before = victim.state()
    yield
    assert victim.installed.process.poll() is None
    assert victim.state() == before


OPERATING = {
    "approve": "approvals approve $HOLD --as ben",
    "deny": "approvals deny $HOLD --as ben",
    "lift a kill": "resume tool mail.send --as ana",
    "kill everything": "kill all --as ana",
    "activate": "activate $RUN --yes --as ana",
    "start a mission as a user": "missions start ticket-desk --user ana",
    "open a session": "missions session $MISSION --agent researcher --as ana",
    "close a mission": "missions close $MISSION --as ana",
    "look at what others do": "missions list",
}


@pytest.mark.parametrize("what", OPERATING)
def test_no_operators_command_works(victim: Victim, what: str) -> None:
    ran = victim.sh(f'"$PYTHON" -P -m bridle {OPERATING[what]} --json')
    assert ran.returncode == 3, (ran.stdout, ran.stderr)
    assert b"governor_unreachable" in ran.stdout
    assert b"Permission denied" in ran.stdout


def operators_messages(victim: Victim) -> list[dict[str, Any]]:
    mission = victim.mission
    return [
        {"op": "answer", "approval": victim.approval, "approve": True, "as_user": "ben"},
        {"op": "unkill", "scope": "tool", "subject": "mail.send", "as_user": "ana"},
        {"op": "activate", "digest": "0" * 64, "as_user": "ana"},
        {"op": "start_mission", "template": "ticket-desk", "user": "ana", "prompt": "pay all"},
        {"op": "add_prompt", "mission": mission, "user": "ana", "prompt": "and more"},
        {"op": "open_session", "mission": mission, "agent": "researcher", "as_user": "ana"},
        {"op": "close_session", "session": victim.handle},
        {"op": "identity_verb", "kind": "agent", "id": "triage", "verb": "resume"},
        {"op": "mission_verb", "mission": mission, "verb": "close", "as_user": "ana"},
        {"op": "settle", "attempt": "att_1", "outcome": {"kind": "ok"}},
        {"op": "kill", "scope": "all"},
        {"op": "status"},
    ]


def test_an_operators_message_is_no_message_on_the_agents_socket(victim: Victim) -> None:
    for first, second in victim.raw("agents.sock", "agent", *operators_messages(victim)):
        assert "welcome" in first
        assert json.loads(second)["re"] == "failed"
        assert json.loads(second)["code"].startswith("protocol")


def test_the_agents_socket_serves_no_operator(victim: Victim) -> None:
    for answers in victim.raw("agents.sock", "operator", *operators_messages(victim)):
        # Whether it reads why, or finds the connection gone: nothing is answered.
        for answer in filter(None, answers):
            assert answer.endswith("Error") or json.loads(answer)["re"] == "failed"


def test_the_operators_socket_cannot_be_opened(victim: Victim) -> None:
    answers = victim.raw("operator.sock", "operator", *operators_messages(victim))
    assert answers == [["PermissionError"]] * len(answers)


def test_and_were_it_opened_by_mistake_the_kernel_names_the_agent(victim: Victim) -> None:
    path = victim.installed.runtime / "operator.sock"
    path.chmod(0o666)
    try:
        for answers in victim.raw("operator.sock", "operator", *operators_messages(victim)):
            assert "operator_only" in (answers[0] or "") or answers[0].endswith("Error")
    finally:
        path.chmod(0o600)


READING = {
    "the store": "cat $STATE/store.db",
    "its log": "cat $STATE/store.db-wal",
    "the payload key": "cat $STATE/keys/payload.key",
    "the digest key": "cat $STATE/keys/digest.key",
    "the folder": "ls $STATE",
    "the ledger": '"$PYTHON" -P -m bridle audit verify --store $STATE',
    "the governor's memory": "cat /proc/$PID/mem",
    "what is mapped there": "cat /proc/$PID/maps",
    "its environment": "cat /proc/$PID/environ",
    "its open files": "ls /proc/$PID/fd",
    "one of them": "cat /proc/$PID/fd/3",
    "its working folder": "ls /proc/$PID/cwd/",
    "its root": "ls /proc/$PID/root/",
    "its stack": "cat /proc/$PID/stack",
    "its system calls": "cat /proc/$PID/syscall",
    "root's lock": "cat $RUN/.lock",
}


@pytest.mark.parametrize("what", READING)
def test_nothing_of_the_governor_can_be_read(victim: Victim, what: str) -> None:
    ran = victim.sh(READING[what])
    assert ran.returncode != 0, ran.stdout[:200]
    assert ran.stdout == b""


WRITING = {
    "write the store": "echo x >> $STATE/store.db",
    "put a file into its folder": "touch $STATE/store.db-journal",
    "replace the folder": "mv $STATE $FOLDER/elsewhere",
    "make the folder a link": "ln -sfn /tmp $STATE",
    "fill the folder": "head -c 1000000 /dev/zero > $STATE/filler",
    "change a policy": "echo 'permit (principal, action, resource);' > $BUNDLE/policies/z.dw",
    "rewrite a policy": "sed -i s/forbid/permit/ $BUNDLE/policies/*.dw",
    "remove a policy": "rm -f $BUNDLE/policies/*.dw; test ! -e $BUNDLE/policies/permits.dw",
    "replace the bundle": "mv $BUNDLE $FOLDER/old && cp -r $FOLDER/old $BUNDLE",
    "swap the bundle for a link": "ln -sfn /tmp/evil $BUNDLE.new && mv -T $BUNDLE.new $BUNDLE",
    "unlink the agents' socket": "rm -f $RUN/agents.sock",
    "unlink the operator's socket": "rm -f $RUN/operator.sock",
    "rename the agents' socket": "mv $RUN/agents.sock $RUN/other.sock",
    "let everybody in": "chmod 666 $RUN/operator.sock",
    "own the operator's socket": "chown bridle-agent $RUN/operator.sock",
    "link to the operator's socket": "ln $RUN/operator.sock $RUN/mine.sock",
    "put a link beside the sockets": "ln -s $RUN/agents.sock $RUN/operator-994.sock",
    "replace the folder of the sockets": "mv $RUN $FOLDER/run2",
    "remove root's lock": "rm -f $RUN/.lock; test ! -e $RUN/.lock",
    "end it": "kill -TERM $PID",
    "kill it": "kill -KILL $PID",
    "stop it": "kill -STOP $PID",
    "change its limits": "prlimit --pid $PID --nofile=5:5",
    "have it killed first": "echo 1000 > /proc/$PID/oom_score_adj",
    "write its memory": "echo x > /proc/$PID/mem",
    "become the governor": "setpriv --reuid bridle-governor true",
    "become the operator": "setpriv --reuid bridle-operator true",
    "serve in its place": '"$PYTHON" -P -m bridle serve $BUNDLE --state $STATE --runtime $RUN',
    "serve as its user": '"$PYTHON" -P -m bridle serve $BUNDLE --user bridle-governor',
    "activate on the store": '"$PYTHON" -P -m bridle audit verify --store $STATE',
}


@pytest.mark.parametrize("what", WRITING)
def test_nothing_of_the_governor_can_be_changed(victim: Victim, what: str) -> None:
    ran = victim.sh(WRITING[what])
    assert ran.returncode != 0, (ran.stdout, ran.stderr)


PTRACE = """
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
pid = int(sys.argv[1])
ATTACH, SEIZE = 16, 0x4206
for request in (ATTACH, SEIZE):
    if libc.ptrace(request, pid, None, None) == 0:
        sys.exit("traced")
    assert ctypes.get_errno() == 1, ctypes.get_errno()
buffer = ctypes.create_string_buffer(16)
class Vec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("len", ctypes.c_size_t)]
local = Vec(ctypes.addressof(buffer), 16)
for address in (0x400000, 0x7f0000000000):
    if libc.process_vm_readv(pid, ctypes.byref(local), 1,
                             ctypes.byref(Vec(address, 16)), 1, 0) >= 0:
        sys.exit("read")
    assert ctypes.get_errno() == 1, ctypes.get_errno()
descriptor = os.pidfd_open(pid)
if libc.syscall(438, descriptor, 3, 0) >= 0:
    sys.exit("took a file")
"""


@pytest.mark.parametrize("name", [AGENT, OPERATOR, GOVERNOR])
def test_the_governor_cannot_be_traced_not_even_by_its_own_user(victim: Victim, name: str) -> None:
    ran = victim.python.run(name, PTRACE, str(victim.installed.pid))
    assert ran.returncode == 0, ran.stderr


def test_a_handle_that_was_not_handed_over_is_worth_nothing(victim: Victim) -> None:
    """Guessed, cut, another's hash, and the own one for what another agent decided."""
    stolen = victim.researcher
    hashed = hashlib.sha256(victim.handle.encode()).hexdigest()
    guesses = [
        "ses_" + "0" * 64,
        victim.handle[:-1],
        victim.handle.upper(),
        hashed,
        "",
        victim.mission,
    ]
    messages = [{"op": "decide", "session": g, "tool": "desk.search", "args": '{"query":"x"}',
                 "key": "g", "start": True} for g in guesses]  # fmt: skip
    for _, answer in victim.raw("agents.sock", "agent", *messages):
        said = json.loads(answer)["verdict"]
        assert (said["effect"], said["reasons"][0]["code"]) == ("deny", "no_session")
        assert not said.get("attempt")
    other = {"op": "redeem", "session": stolen, "approval": victim.approval, "start": True}
    ((_, answer),) = victim.raw("agents.sock", "agent", other)
    assert json.loads(answer)["verdict"]["effect"] == "deny"


def test_the_shells_own_governor_is_not_taken_for_the_real_one(
    victim: Victim, python: Python, tmp_path: Path
) -> None:
    """An agent that binds first, in a folder it could write, is no governor to anybody."""
    shared = victim.installed.folder / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    code = (
        "import socket, sys\n"
        "listener = socket.socket(socket.AF_UNIX); listener.bind(sys.argv[1] + '/agents.sock')\n"
        "import os; os.chmod(sys.argv[1] + '/agents.sock', 0o666)\n"
        "listener.listen(); print('ready', flush=True)\n"
        "connection, _ = listener.accept(); print(connection.recv(100), flush=True)"
    )
    fake = subprocess.Popen(
        [str(python.path), "-c", code, str(shared)], stdout=subprocess.PIPE,
        env=python.environ, cwd="/", **python.become(AGENT),
    )  # fmt: skip
    assert fake.stdout is not None
    with fake.stdout as out:
        assert out.readline() == b"ready\n"
        ask = (
            "import sys, bridle\n"
            "try: bridle.connect(sys.argv[1], role='agent')\n"
            "except bridle.BridleError as error: print(error.code)"
        )
        ran = python.run(OPERATOR, ask, str(shared))
        assert ran.stdout.decode().strip() == "not_the_governor", ran.stderr
        assert out.readline() == b"b''\n"
    assert fake.wait(30) == 0
    shared.joinpath("agents.sock").unlink()
    shared.rmdir()


def test_a_socket_planted_in_the_bundles_folder_leads_nobody_astray(
    victim: Victim, python: Python, tmp_path: Path
) -> None:
    bundle = victim.installed.bundle
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(bundle / "agents.sock"))
        listener.listen()
        try:
            ran = python.bridle(OPERATOR, "status", bundle, "--json", HOME=str(tmp_path))
            assert b'"active"' not in ran.stdout
        finally:
            (bundle / "agents.sock").unlink()


FLOOD = """
import socket, sys
held = []
for _ in range(int(sys.argv[2])):
    connection = socket.socket(socket.AF_UNIX)
    # Without a timeout: it waits where the queue of new connections is full.
    connection.connect(sys.argv[1])
    held.append(connection)
print(len(held), flush=True)
sys.stdin.read()
"""


def test_a_flood_at_the_agents_socket_keeps_no_operator_out(victim: Victim, python: Python) -> None:
    flood = subprocess.Popen(
        [str(python.path), "-c", FLOOD, str(victim.installed.runtime / "agents.sock"), "300"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=python.environ, cwd="/",
        **python.become(AGENT),
    )  # fmt: skip
    assert flood.stdout is not None
    try:
        assert int(flood.stdout.readline()) >= 256
        assert victim.state()
        victim.installed.operator("kill", "agent", "researcher", "--as", "ana")
        victim.installed.operator("resume", "agent", "researcher", "--as", "ana")
    finally:
        with contextlib.suppress(BrokenPipeError):
            flood.communicate(b"done", timeout=30)


def test_what_an_agent_can_reach_at_all_is_the_one_socket(victim: Victim) -> None:
    ran = victim.sh("find $FOLDER \\( -writable -o -type s \\) ! -type l 2>/dev/null; true")
    found = {Path(line).name for line in ran.stdout.decode().splitlines()}
    assert found == {"agents.sock", "operator.sock"}
    writable = victim.sh("find $FOLDER -writable ! -type l 2>/dev/null; true").stdout.decode()
    assert {Path(line).name for line in writable.splitlines()} == {"agents.sock"}


def test_after_all_of_this_the_records_are_whole_and_say_separate(victim: Victim) -> None:
    assert {leaf["ids"]["level"] for leaf in victim.installed.leaves()} == {"separate"}
    audit = victim.installed.audit()
    assert audit.returncode == 0, audit.stdout
