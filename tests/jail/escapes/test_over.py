"""Nothing of a jail outlives it, and nothing of it is typed, forged or run as somebody else."""

import fcntl
import json
import os
import pickle
import platform
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bridle.jail import streams
from bridle.jail.bubblewrap import Plan
from bridle.jail.launch import launch
from bridle.jail.running import start
from jail.escapes import walls
from jail.escapes.grounds import Grounds
from jail.yard import Yard, ended

PIPE = subprocess.PIPE


@pytest.fixture(scope="module")
def grounds(yard: Yard) -> Iterator[Grounds]:
    with ExitStack() as over:
        yield Grounds(yard, over)


def reached(out: str) -> list[str]:
    said = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert {"done": True} in said, out
    return [line["reached"] for line in said if "reached" in line]


def seen(grounds: Grounds) -> dict[str, object]:
    return {"read": (*grounds.yard.read, grounds.programs)}


@pytest.fixture
def lock(yard: Yard) -> Iterator[Path]:
    path = yard.work / "lock"
    path.write_text("")
    path.chmod(0o666)
    yield path
    path.unlink()


def free(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


def test_no_process_outlives_the_jail(grounds: Grounds, lock: Path) -> None:
    command = grounds.command("processes.outlives", json.dumps(str(lock)))
    over, out, _ = grounds.yard.run(*command, **seen(grounds))
    assert over.status == 0
    assert reached(out) == []
    # It was there: it left its number.
    assert lock.read_text()
    assert free(lock)


def test_a_jail_among_the_hosts_processes_leaves_one_behind(grounds: Grounds, lock: Path) -> None:
    command = grounds.command("processes.outlives", json.dumps(str(lock)))
    with grounds.yard.plan(*command, **seen(grounds)) as plan:
        weak = walls.in_host_processes(plan)
        ended(start(weak, stdin=subprocess.DEVNULL, stdout=PIPE, stderr=PIPE))
    left = int(lock.read_text())
    try:
        assert not free(lock)
    finally:
        os.kill(left, signal.SIGKILL)
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)


def typed(plan: Plan) -> list[str]:
    ours, theirs = pty.openpty()
    try:
        jail = start(plan, stdin=theirs, stdout=PIPE, stderr=PIPE)
        return reached(ended(jail)[1])
    finally:
        os.close(ours)
        os.close(theirs)


def test_nothing_is_typed_into_the_callers_terminal(grounds: Grounds) -> None:
    with grounds.yard.plan(*grounds.command("kernel.typed"), **seen(grounds)) as plan:
        assert typed(plan) == []


def test_a_jail_whose_filter_lets_ioctl_types(grounds: Grounds) -> None:
    allowed = Path("/proc/sys/dev/tty/legacy_tiocsti")
    if allowed.exists() and allowed.read_text().strip() != "1":
        pytest.skip("not run: this kernel lets nobody type by TIOCSTI")
    with grounds.yard.plan(*grounds.command("kernel.typed"), **seen(grounds)) as plan:
        assert typed(walls.letting(plan, "ioctl"))


def appended(grounds: Grounds) -> tuple[list[str], str]:
    """Give a jail a file as its standard error, after something that stands in it."""
    path = grounds.outer / "log"
    path.write_text("what was said before\n")
    path.chmod(0o666)
    profile = grounds.yard.profile(*grounds.command("files.standard_reopened"), **seen(grounds))
    with path.open("ab") as log:
        jail = launch(profile, stdin=subprocess.DEVNULL, stdout=PIPE, stderr=log)
        assert jail.stdout is not None
        with jail.stdout:
            out = jail.stdout.read().decode()
        jail.wait(50)
    return reached(out), path.read_text()


def test_a_log_that_is_handed_in_cannot_be_forged(grounds: Grounds) -> None:
    assert appended(grounds) == ([], "what was said before\n")


def test_a_file_that_is_handed_in_as_it_is_can_be(
    grounds: Grounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "_harmless", lambda _: True)
    found, text = appended(grounds)
    assert found
    assert text.startswith("forged")


def setuid(grounds: Grounds) -> tuple[Path, str]:
    if os.geteuid() != 0:
        pytest.skip("not run: only root can make a program that runs as root")
    path = grounds.programs / "setuid-id"
    if not path.exists():
        shutil.copy(Path("/usr/bin/id").resolve(), path)
        path.chmod(0o4755)
    return path, json.dumps(str(path))


def test_a_setuid_program_gives_nothing(grounds: Grounds) -> None:
    path, given = setuid(grounds)
    command = grounds.command("processes.setuid_program", given)
    _, out, _ = grounds.yard.run(*command, **seen(grounds))
    assert reached(out) == []
    assert path.stat().st_mode & 0o4000


def test_without_a_jail_a_setuid_program_gives_root(grounds: Grounds) -> None:
    _, given = setuid(grounds)
    user = grounds.yard.user
    assert user is not None
    ran = subprocess.run(
        grounds.command("processes.setuid_program", given),
        capture_output=True,
        check=True,
        cwd="/",
        env=grounds.yard.environ,
        user=user.uid,
        group=user.gid,
        extra_groups=(),
        timeout=50,
    )
    assert reached(ran.stdout.decode())


@pytest.mark.parametrize("probe", ["kernel.other_numbers", "kernel.unknown_numbers"])
def test_no_number_leads_around_the_filter(grounds: Grounds, probe: str) -> None:
    if probe == "kernel.other_numbers" and platform.machine() != "x86_64":
        pytest.skip("not run: only x86_64 has numbers of x32")
    over, out, errors = grounds.yard.run(*grounds.command(probe), **seen(grounds))
    if probe == "kernel.other_numbers":
        assert over.status == 128 + signal.SIGSYS, (out, errors)
        assert "reached" not in out
    else:
        assert reached(out) == []


def test_a_jail_without_its_filter_shows_the_numbers_of_x32(grounds: Grounds) -> None:
    if platform.machine() != "x86_64":
        pytest.skip("not run: only x86_64 has numbers of x32")
    with grounds.yard.plan(*grounds.command("kernel.other_numbers"), **seen(grounds)) as plan:
        _, out, _ = grounds.yard.changed(plan, filter=b"")
    assert reached(out)


_HOLD = """
import fcntl, os, signal, sys
file = open(sys.argv[1], "r+")
fcntl.flock(file, fcntl.LOCK_EX)
os.write(1, b"held\\n")
signal.pause()
"""


@pytest.mark.parametrize("without", [["--die-with-parent"], []])
def test_a_jail_dies_with_whoever_started_it(
    grounds: Grounds, lock: Path, without: list[str]
) -> None:
    """And goes on without the wall: the lock is held still."""
    yard = grounds.yard
    profile = yard.profile(yard.python, "-I", "-S", "-c", _HOLD, str(lock), **seen(grounds))
    starter = subprocess.Popen(
        [sys.executable, "-m", "jail.escapes.starter", *without],
        stdin=PIPE,
        stdout=PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
    )
    assert starter.stdin is not None
    assert starter.stdout is not None
    with starter.stdin, starter.stdout:
        pickle.dump(profile, starter.stdin)
        starter.stdin.close()
        said = {starter.stdout.readline() for _ in range(2)}
        assert b"held\n" in said
        starter.kill()
        starter.wait(20)
        if without:
            assert not free(lock)
            (pid,) = (int(line) for line in said if line != b"held\n")
            os.kill(pid, signal.SIGKILL)
        # The kernel frees it when the last of the jail is gone.
        with lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)
