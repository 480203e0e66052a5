"""Governor, operator and agents under uids of their own: what is meant to work, works."""

import json
import os
import pwd
import signal
import socket
import stat
from pathlib import Path

import pytest

from uids.cast import AGENT, GOVERNOR, OPERATOR, Installation, Python

pytestmark = pytest.mark.uids

ACT = """
import sys, json, bridle
folder, handle, mission = sys.argv[1:4]
with bridle.connect(folder, role="agent") as governor:
    triage = governor.attach(handle, mission=mission, agent="triage")
    print(triage.call("desk.comment", {"id": 7, "body": "hello"}, effect=lambda **_: "commented"))
    try:
        triage.call("payments.refund", {"order": 1, "amount": 300, "currency": "EUR"},
                    effect=lambda **_: "paid", key="r")
    except bridle.Held as held:
        print(held.approval_id)
"""
REDEEM = """
import sys, bridle
folder, handle, mission = sys.argv[1:4]
with bridle.connect(folder, role="agent") as governor:
    triage = governor.attach(handle, mission=mission, agent="triage")
    print(triage.call("payments.refund", {"order": 1, "amount": 300, "currency": "EUR"},
                      effect=lambda **_: "paid", key="r"))
"""


def status_of(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def test_the_governor_is_its_user_for_good(installed: Installation) -> None:
    uid = pwd.getpwnam(GOVERNOR).pw_uid
    found = status_of(installed.pid)
    assert found["Uid"].split() == [str(uid)] * 4
    assert found["Gid"].split() == [str(pwd.getpwnam(GOVERNOR).pw_gid)] * 4
    assert "0" not in found["Groups"].split()
    assert {found["CapEff"], found["CapPrm"], found["CapAmb"]} == {"0" * 16}
    assert found["NoNewPrivs"] == "1"
    limits = Path(f"/proc/{installed.pid}/limits").read_text("ascii")
    assert [line.split()[4:6] for line in limits.splitlines() if "core file" in line] == [
        ["0", "0"]
    ]
    # What cannot be dumped belongs to root in /proc (proc(5)).
    assert Path(f"/proc/{installed.pid}/environ").stat().st_uid == 0
    assert installed.ready["uid"] == uid


def test_folders_and_sockets_belong_to_whom_they_should(installed: Installation) -> None:
    def of(path: Path) -> tuple[str, str, int]:
        status = path.stat()
        import grp

        names = pwd.getpwuid(status.st_uid).pw_name, grp.getgrgid(status.st_gid).gr_name
        return (*names, stat.S_IMODE(status.st_mode))

    assert of(installed.state) == (GOVERNOR, GOVERNOR, 0o700)
    assert of(installed.runtime) == ("root", "root", 0o755)
    assert of(installed.runtime / "operator.sock") == (OPERATOR, "root", 0o600)
    assert of(installed.runtime / "agents.sock") == ("root", "bridle-agents", 0o660)


def test_agents_act_and_operators_approve_what_is_irreversible_and_it_is_recorded_so(
    installed: Installation, python: Python
) -> None:
    mission = installed.mission()
    args = (str(installed.runtime), installed.handle(mission), mission)
    ran = python.run(AGENT, ACT, *args)
    assert ran.returncode == 0, ran.stderr
    said, approval = ran.stdout.decode().split()
    assert said == "commented"
    shown = installed.operator("approvals", "show", approval)
    assert shown["uid"] == pwd.getpwnam(AGENT).pw_uid
    installed.operator("approvals", "approve", approval, "--as", "ben")
    ran = python.run(AGENT, REDEEM, *args)
    assert ran.stdout.decode().strip() == "paid", ran.stderr
    leaves = installed.leaves()
    assert {leaf["ids"]["level"] for leaf in leaves} == {"separate"}
    by = {leaf["ids"].get("method") for leaf in leaves if leaf["kind"] == "approval"}
    assert by == {f"peer:{pwd.getpwnam(OPERATOR).pw_uid}"}
    audit = installed.audit()
    assert audit.returncode == 0, audit.stdout


def test_an_agent_under_the_operators_uid_is_recorded_as_the_same(
    installed: Installation, python: Python
) -> None:
    """The operator's uid is none of the group's: the test opens the door for it."""
    mission = installed.mission()
    (installed.runtime / "agents.sock").chmod(0o666)
    args = (str(installed.runtime), installed.handle(mission), mission)
    approval = python.run(OPERATOR, ACT, *args).stdout.decode().split()[1]
    (installed.runtime / "agents.sock").chmod(0o660)
    refused = python.bridle(
        OPERATOR, "approvals", "approve", approval, "--as", "ben", installed.runtime, "--json"
    )
    assert json.loads(refused.stdout)["error"]["code"] == "same_uid"
    levels = {leaf["ids"]["level"] for leaf in installed.leaves() if leaf["chain"] == mission}
    assert "same-uid" in levels


def test_it_ends_in_order_and_the_next_one_knows_what_was(folder: Path, python: Python) -> None:
    first = Installation(python, folder)
    mission = first.mission()
    assert first.stop() == 0
    assert b"Traceback" not in first.errors
    refused = python.bridle(OPERATOR, "missions", "list", first.runtime, "--json")
    assert json.loads(refused.stdout)["error"]["code"] == "governor_unreachable"
    first.start()
    assert [row["id"] for row in first.operator("missions", "list")] == [mission]
    first.stop(signal.SIGKILL)
    first.start()
    assert [row["id"] for row in first.operator("missions", "list")] == [mission]
    first.stop()


def test_three_capabilities_are_enough_and_a_service_manager_is_told(
    folder: Path, python: Python
) -> None:
    """What docs/operations.md leaves root in the unit."""
    installed = Installation(python, folder)
    installed.stop()
    installed.before = ("setpriv", "--bounding-set", "-all,+setuid,+setgid,+chown")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        (folder / "notify").chmod(0o777)
        manager.settimeout(30)
        installed.environ = {**python.environ, "NOTIFY_SOCKET": str(folder / "notify")}
        installed.start()
        assert installed.ready.get("ready"), (installed.ready, installed.stop(0), installed.errors)
        assert manager.recv(100) == b"READY=1"
    assert installed.operator("status")["level"] == "separate"
    assert installed.stop() == 0


def test_a_second_one_is_refused_and_harms_nothing(installed: Installation, python: Python) -> None:
    for change in ({}, {"runtime": installed.folder / "run2"}, {"state": installed.folder / "s2"}):
        second = object.__new__(Installation)
        second.__dict__ |= {**installed.__dict__, **change}
        second.start()
        assert second.stop(0) == 3
        assert second.ready["error"]["code"] == "store_locked"
        assert installed.operator("status")["changed"] is False


def test_each_of_several_operators_has_a_socket_of_their_own(folder: Path, python: Python) -> None:
    both = ("--operator", OPERATOR, "--operator", AGENT)
    installed = Installation(python, folder, *both)
    try:
        for name in (OPERATOR, AGENT):
            uid = pwd.getpwnam(name).pw_uid
            path = installed.runtime / f"operator-{uid}.sock"
            assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (uid, 0o600)
            ran = python.bridle(name, "status", installed.runtime, "--json")
            assert json.loads(ran.stdout)["level"] == "separate"
        installed.stop()
        installed.options = ("--operator", OPERATOR)
        installed.start()
        names = sorted(path.name for path in installed.runtime.glob("*.sock"))
        assert names == ["agents.sock", "operator.sock"]
    finally:
        installed.stop()


def test_what_root_is_told_wrongly_is_refused_before_anything_is_made(
    folder: Path, python: Python
) -> None:
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "bridle.toml").write_text("")
    open_to_all = folder / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    theirs = folder / "theirs"
    theirs.mkdir()
    os.chown(theirs, pwd.getpwnam(AGENT).pw_uid, -1)
    (folder / "link").symlink_to(theirs)
    for options, code in (
        (("--user", "nobody-at-all"), "usage"),
        (("--user", "root"), "usage"),
        (("--user", GOVERNOR, "--operator", "nobody-at-all"), "usage"),
        (("--user", GOVERNOR, "--agents-group", "nobody-at-all"), "usage"),
        (("--user", GOVERNOR, "--runtime", open_to_all), "place_exposed"),
        (("--user", GOVERNOR, "--runtime", open_to_all / "run"), "place_exposed"),
        (("--user", GOVERNOR, "--runtime", theirs), "place_exposed"),
        (("--user", GOVERNOR, "--runtime", folder / "link" / "run"), "place_exposed"),
        (("--user", GOVERNOR, "--state", theirs / "state"), "place_exposed"),
        (("--user", GOVERNOR, "--state", theirs), "place_exposed"),
    ):
        where = {"--state": folder / "state", "--runtime": folder / "run"}
        rest = [
            word for name, path in where.items() if name not in options for word in (name, path)
        ]
        ran = python.bridle("root", "serve", bundle, "--json", *options, *rest)
        assert ran.returncode == 3, (options, ran.stdout, ran.stderr)
        assert json.loads(ran.stdout)["error"]["code"] == code, options
        assert not list(open_to_all.iterdir())
        assert not list(theirs.iterdir())


def test_only_root_serves_as_somebody_else(folder: Path, python: Python) -> None:
    bundle = folder / "bundle"
    bundle.mkdir()
    (bundle / "bridle.toml").write_text("")
    for options in (("--user", "root"), ("--operator", OPERATOR), ("--user", OPERATOR)):
        ran = python.bridle(AGENT, "serve", bundle, "--json", *options)
        assert json.loads(ran.stdout)["error"]["code"] == "not_root"


def test_the_governors_own_user_can_serve_for_a_group_of_agents(
    folder: Path, python: Python
) -> None:
    """As a service manager starts it: no root at any time. Operators then act as that user."""
    own = folder / "own"
    own.mkdir()
    os.chown(own, pwd.getpwnam(AGENT).pw_uid, -1)
    probe = Installation.__new__(Installation)
    probe.__dict__ |= {
        "python": python, "folder": folder, "bundle": folder / "bundle",
        "state": own / "state", "runtime": own / "run",
    }  # fmt: skip
    import shutil
    import subprocess

    from client.desk import DESK

    shutil.copytree(DESK, probe.bundle)
    # bridle-agent is the one of the three that is in the group, so that it may give it the socket.
    process = subprocess.Popen(
        [
            str(python.path), "-P", "-m", "bridle", "serve", str(probe.bundle), "--json",
            "--agents-group", "bridle-agents", "--state", str(probe.state),
            "--runtime", str(probe.runtime),
        ],
        stdout=subprocess.PIPE,
        env=python.environ,
        **python.become(AGENT),
    )  # fmt: skip
    assert process.stdout is not None
    with process.stdout as out:
        ready = json.loads(out.readline())
        try:
            assert ready.get("ready"), ready
            status = python.bridle(AGENT, "status", probe.runtime, "--json")
            assert json.loads(status.stdout)["level"] == "separate"
            assert b"operator_only" not in status.stdout
            other = python.bridle(OPERATOR, "status", probe.runtime, "--json")
            assert json.loads(other.stdout)["error"]["code"] == "governor_unreachable"
        finally:
            process.terminate()
            assert process.wait(30) == 0
