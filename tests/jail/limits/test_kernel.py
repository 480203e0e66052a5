"""What one process of a jail may have, and that none can raise it."""

import resource

import pytest

from bridle.jail.limits import kernel
from bridle.jail.profile import MEBI, Limits
from jail.yard import SMALL, Yard

RAISES = """
import resource, sys
for name in ("DATA", "NPROC", "NOFILE", "FSIZE", "CPU", "CORE"):
    what = getattr(resource, "RLIMIT_" + name)
    soft, hard = resource.getrlimit(what)
    try:
        resource.setrlimit(what, (soft, hard + 1))
        print(name, "raised")
    except (ValueError, PermissionError):
        print(name, soft, hard)
"""


def test_each_limit_is_hard(yard: Yard) -> None:
    ended, out, err = yard.code(RAISES)
    assert ended.status == 0, err
    assert dict(line.split(" ", 1) for line in out.splitlines()) == {
        "DATA": f"{SMALL.memory} {SMALL.memory}",
        "NPROC": "32 32",
        "NOFILE": "64 64",
        "FSIZE": f"{SMALL.file_size} {SMALL.file_size}",
        "CPU": "20 20",
        "CORE": "0 0",
    }


def test_a_fork_bomb_ends_at_the_limit(yard: Yard) -> None:
    code = """
import os, time
count = 1
try:
    while True:
        if os.fork() == 0:
            time.sleep(30)
        count += 1
except OSError as problem:
    print(count, type(problem).__name__)
"""
    ended, out, err = yard.code(code)
    assert (ended.status, out) == (0, "32 BlockingIOError\n"), err


def test_the_processes_of_others_of_the_same_user_do_not_count(yard: Yard) -> None:
    # Two jails of one user with room for three processes each, at the same time.
    import subprocess

    from bridle.jail.launch import launch

    limits = Limits(processes=3, memory=64 * MEBI)
    pipe = subprocess.PIPE
    script = "sleep 30 & sleep 30 & echo two; read line"
    with (
        launch(yard.profile("/bin/sh", "-c", script, limits=limits), stdin=pipe, stdout=pipe)
        as one,
        launch(yard.profile("/bin/sh", "-c", script, limits=limits), stdin=pipe, stdout=pipe)
        as other,
    ):  # fmt: skip
        assert one.stdout.readline() == other.stdout.readline() == b"two\n"


def test_one_process_cannot_take_more_memory(yard: Yard) -> None:
    ended, out, _ = yard.code("bytearray(300 << 20)")
    assert (ended.status, ended.excess, out) == (1, "", "")


def test_a_file_cannot_be_larger(yard: Yard) -> None:
    code = "import signal; signal.signal(25, signal.SIG_IGN); open('big', 'wb').truncate(65 << 20)"
    ended, _, err = yard.code(code)
    assert ended.status == 1
    assert "File too large" in err


def test_descriptors_run_out(yard: Yard) -> None:
    code = "import os\nwhile True: last = os.dup(0); print(last)"
    ended, out, err = yard.code(code)
    assert ended.status == 1
    assert out.split()[-1] == "63"
    assert "Too many open files" in err


def test_processor_time_runs_out(yard: Yard) -> None:
    ended, _, _ = yard.code("while True: pass", limits=Limits(cpu=1))
    assert ended.status == 137


def test_a_limit_above_our_own_is_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to = {}

    def prlimit(pid: int, what: int, pair: tuple[int, int]) -> None:
        set_to[what] = pair

    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(resource, "prlimit", prlimit)
    kernel.set_on(1, Limits(files=hard + 1))
    assert set_to[resource.RLIMIT_NOFILE] == (hard, hard)
