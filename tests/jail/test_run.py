"""`bridle run` as a process: what an agent in it can do, how it ends, and what it never holds."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridle.model.calls import Missions
from jail.booth import Booth, run_in
from jail.yard import Yard, children, gone

CALLS = """
import bridle
agent = bridle.attach()
print(agent.call("note.write", {"text": "hi"}, effect=lambda text: text + "!"))
try:
    agent.call("note.delete", {}, effect=lambda: print("it ran"))
except bridle.Denied as denied:
    print(denied.code, denied.reason)
"""
AGAIN = """
import sys, bridle
agent = bridle.attach()
def called():
    try:
        return agent.call("note.write", {"text": "hi"}, effect=lambda text: "done")
    except bridle.BridleError as problem:
        return problem.code
print(called(), flush=True)
sys.stdin.readline()
print(called(), flush=True)
"""
WAITS = "import sys; print('here', flush=True); sys.stdin.read()"
DEAF = """
import signal, subprocess, sys
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
subprocess.Popen(["sleep", "600"], start_new_session=True)
print("here", flush=True)
while True:
    signal.pause()
"""


@pytest.fixture(scope="module")
def booth(yard: Yard, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Booth]:
    made = Booth(yard, tmp_path_factory.mktemp("booth"))
    yield made
    made.close()


def descendants(pid: int) -> list[int]:
    """All descendants of a process."""
    found = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def memory(pid: int) -> bytes:
    """Everything readable of a process: memory, environment, arguments."""
    parts = [Path(f"/proc/{pid}/{name}").read_bytes() for name in ("environ", "cmdline")]
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as file:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            area, modes = line.split()[:2]
            if "r" not in modes or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            start, end = (int(each, 16) for each in area.split("-"))
            try:
                file.seek(start)
                parts.append(file.read(end - start) or b"")
            except (OSError, ValueError):
                continue
    return b"\0".join(parts)


def test_an_agent_in_the_jail_is_governed_and_needs_no_handle(booth: Booth):
    ran = booth.code(CALLS)
    assert ran.stdout == "hi!\nforbidden nothing is deleted\n", ran.stderr
    assert ran.returncode == 0
    assert ran.stderr.endswith(": 1 allow, 0 modify, 0 hold, 1 deny\n")


PLANS = """
import bridle
agent = bridle.attach()
plan = agent.check_plan({"version": 1, "steps": [
    {"id": "w", "tool": "note.write", "args": {"text": "hi"}}]})
print(plan.allowed, plan.steps[0].effect.value)
print(agent.call("note.write", {"text": "hi"}, effect=str, plan=plan, step="w"))
"""


def test_an_agent_in_the_jail_has_its_plans_checked(booth: Booth):
    ran = booth.code(PLANS.replace("effect=str", "effect=lambda text: text"))
    assert ran.stdout == "True allow\nhi\n", ran.stderr


def test_the_session_says_that_it_is_jailed(booth: Booth):
    ran = booth.code("import bridle; print(bridle.attach().mission.id)")
    (row,) = booth.governor.rows(Missions(mission=ran.stdout.strip()))
    assert [(each["agent"], each["jailed"]) for each in row["sessions"]] == [("clerk", True)]
    assert [bool(each["closed"]) for each in row["sessions"]] == [True], "it ends with the run"


def test_a_revocation_stops_what_a_jail_calls_from_then_on(booth: Booth):
    mission = booth.governor.start_mission("desk", user="ana")
    with booth.started(booth.python, "-c", AGAIN, options=("--mission-id", mission.id)) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "done\n"
        booth.governor.revoke(mission.id, kind="mission", as_user="ana")
        out, errors = process.communicate("\n", timeout=40)
    assert out == "revoked\n", errors
    assert ": 1 allow, 0 modify, 0 hold, 1 deny" in errors


def test_the_commands_exit_code_is_the_runs(booth: Booth):
    assert booth.run("/bin/sh", "-c", "exit 42").returncode == 42
    assert booth.run("/bin/sh", "-c", "kill -SEGV $$").returncode == 128 + signal.SIGSEGV
    assert booth.run("/no/such/program").returncode == 127


def test_json_says_when_it_runs_and_how_it_ended(booth: Booth):
    ran = booth.run("/bin/sh", "-c", "exit 3", options=("--json",))
    first, last = (json.loads(line) for line in ran.stderr.splitlines())
    assert first == {"ready": True, "mission": last["mission"]}
    nothing = dict.fromkeys(("allow", "modify", "hold", "deny"), 0)
    assert last == {"ended": True, "status": 3, "excess": "", "mission": first["mission"],
                    "verdicts": nothing}  # fmt: skip


def test_neither_handle_nor_key_is_anywhere_in_the_jail(booth: Booth):
    if os.geteuid() != 0:
        pytest.skip("not run: only root can read the memory of a process in a jail")
    mission = booth.governor.start_mission("desk", user="ana")
    session = mission.session("clerk", executor="local")
    handle, seed, _grant = session.split(".")
    code = "import bridle; agent = bridle.attach(); agent.tools()\n" + CALLS + WAITS
    options = ("--mission-id", mission.id)
    with booth.started(
        booth.python, "-c", code, options=options, BRIDLE_SESSION=session
    ) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "here\n":
            assert process.poll() is None
        inside = descendants(process.pid)
        found = {pid: memory(pid) for pid in inside}
        assert len(inside) >= 3, "bubblewrap, relay and agent"
        assert any(mission.id.encode() in data for data in found.values()), "it is searched well"
        # Where they are, the search finds them.
        assert handle.encode() in memory(process.pid)
        for data in found.values():
            assert handle.encode() not in data
            assert seed.encode() not in data
            assert b"hunter2-in-the-environment" not in data
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_jail_and_all_that_is_in_it(booth: Booth, number: int):
    with booth.started(booth.python, "-c", DEAF) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        inside = descendants(process.pid)
        process.send_signal(number)
        process.communicate(timeout=30)
        assert process.returncode == 128 + signal.SIGKILL
        assert all(map(gone, inside))


def test_when_the_warden_is_killed_nothing_of_the_jail_lives_on(booth: Booth):
    with booth.started(booth.python, "-c", DEAF) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        inside = [os.pidfd_open(pid) for pid in descendants(process.pid)]
        process.kill()
        for descriptor in inside:
            assert ended_within(descriptor, 20)
            os.close(descriptor)


def ended_within(descriptor: int, seconds: float) -> bool:
    import select

    return bool(select.select([descriptor], [], [], seconds)[0])


def test_explain_starts_nothing(booth: Booth):
    before = len(booth.governor.missions())
    ran = booth.run("/bin/false", options=("--explain", "--json"))
    rows = json.loads(ran.stdout)["rows"]
    assert ran.returncode == 0, ran.stderr
    assert {"what", "reach", "how"} == set(rows[0])
    assert any(row["reach"] == "governor" for row in rows)
    assert len(booth.governor.missions()) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--limit", "memory=1"), "jail_refused"),
        (("--limit", "colour=1"), "--limit"),
        (("--limit", "cpu=1g"), "--limit"),
        (("--env", "BRIDLE_SOCKET=/x"), "--env"),
        (("--env", "http_proxy=http://elsewhere"), "--env"),
        (("--env", "NOT_SET_ANYWHERE"), "--env"),
        (("--mcp", "nothing"), "--mcp"),
        (("--as", "nobody-of-that-name"), "--as"),
        (("--read", "/proc"), "jail_refused"),
    ],
)
def test_what_cannot_be_is_refused_before_a_mission_is_started(
    booth: Booth, options: tuple[str, ...], said: str
):
    before = len(booth.governor.missions())
    ran = booth.run("/bin/echo", "it ran", options=options)
    assert ran.returncode in (2, 3)
    assert said in ran.stderr
    assert ran.stdout == ""
    assert len(booth.governor.missions()) == before


def test_bundle_state_and_keys_are_no_work_folder(booth: Booth):
    for place in (booth.bundle, booth.folder / "state" / "bridle", booth.folder):
        words = [word for word in booth.words() if word != "--"]
        words[words.index("--work") + 1] = str(place)
        ran = subprocess.run([*words, "--", "/bin/echo", "it ran"], env=booth.environ, text=True,
                             capture_output=True, check=False, timeout=50)  # fmt: skip
        assert ran.returncode == 3, ran.stdout
        assert "jail_refused" in ran.stderr


def test_attach_outside_a_jail_says_how_to_get_into_one(yard: Yard):
    code = "import bridle\ntry: bridle.attach()\nexcept bridle.BridleError as e: print(e.code, e)"
    ran = subprocess.run([sys.executable, "-c", code], env=run_in(yard) | {"LD_LIBRARY_PATH": ""},
                         capture_output=True, text=True, check=True, timeout=50)  # fmt: skip
    assert ran.stdout.startswith("not_jailed")
    assert "bridle run" in ran.stdout
