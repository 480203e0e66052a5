"""A jail that takes too much altogether is ended, by what is counted from outside."""

import os
import subprocess
import sys

import pytest

from bridle.jail.limits import watch
from bridle.jail.profile import MEBI, Limits
from jail.yard import SMALL, Yard


def test_memory_of_many_processes_ends_the_jail(yard: Yard) -> None:
    code = """
import os, time
while True:
    if os.fork() == 0:
        held = bytearray(os.urandom(1)) * (40 << 20)
        time.sleep(30)
    time.sleep(0.05)
"""
    ended, _, _ = yard.code(code)
    assert (ended.status, ended.excess) == (137, "memory")


def test_memory_that_is_shared_by_forks_counts_once(yard: Yard) -> None:
    code = """
import os, time
held = bytearray(b"x") * (60 << 20)
for _ in range(8):
    if os.fork() == 0:
        time.sleep(1)
        os._exit(0)
for _ in range(8):
    os.wait()
print("done")
"""
    ended, out, _ = yard.code(code)
    assert (ended.status, ended.excess, out) == (0, "", "done\n")


def test_shared_mappings_count(yard: Yard) -> None:
    code = """
import mmap, time
held = []
while True:
    held.append(mmap.mmap(-1, 8 << 20))
    held[-1].write(b"x" * (8 << 20))
"""
    ended, _, _ = yard.code(code)
    assert (ended.status, ended.excess) == (137, "memory")


def test_files_in_memory_count_as_memory(yard: Yard) -> None:
    limits = Limits(memory=24 * MEBI, scratch=16 * MEBI)
    script = 'for at in /tmp /dev/shm "$HOME"; do head -c 12M /dev/zero > $at/big; done; sleep 30'
    ended, _, err = yard.run("/bin/sh", "-c", script, limits=limits)
    assert (ended.status, ended.excess) == (137, "memory"), err


def test_a_folder_in_memory_is_full_at_its_size(yard: Yard) -> None:
    script = "for at in /tmp /dev/shm $HOME; do head -c 20M /dev/zero > $at/big && echo $at; done"
    ended, out, err = yard.run("/bin/sh", "-c", script)
    assert (ended.excess, out) == ("", "")
    assert err.count("No space left") == 3


def test_files_in_memory_without_content_end_the_jail(yard: Yard) -> None:
    code = "import os\nfor at in range(10**6): os.mknod(f'/tmp/{at}')\nimport time; time.sleep(30)"
    ended, _, _ = yard.code(code)
    assert (ended.status, ended.excess) == (137, "entries")


def test_time_by_the_wall_ends_the_jail(yard: Yard) -> None:
    ended, _, _ = yard.run("/bin/sleep", "30", limits=Limits(time=0.3))
    assert (ended.status, ended.excess) == (137, "time")


def test_a_process_that_hides_its_memory_is_counted(yard: Yard) -> None:
    # PR_SET_DUMPABLE 0 takes a process's files in /proc from its own user.
    code = """
import ctypes, time
ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
import mmap
held = []
while True:
    held.append(mmap.mmap(-1, 8 << 20))
    held[-1].write(b"x" * (8 << 20))
"""
    ended, _, _ = yard.code(code)
    assert (ended.status, ended.excess) == (137, "memory")


def test_descendants_are_found_at_any_depth() -> None:
    script = "sleep 30 & (sleep 30 & echo ready; wait) & wait"
    with subprocess.Popen(["/bin/sh", "-c", script], stdout=subprocess.PIPE) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        found = list(watch.processes(shell.pid))
        for pid in found:
            os.kill(pid, 9)
    assert found[0] == shell.pid
    assert len(found) == 4


def test_nothing_is_too_much_for_a_process_that_does_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        # Its folders are those of the machine, as in a jail that is being made: not counted.
        assert watch.in_folders(process.pid) == (0, 0)
        assert watch.excess(process.pid, SMALL, 0) == ""
        assert watch.excess(process.pid, SMALL, SMALL.time + 1) == "time"
        process.kill()


BLIND = """
import sys
from pathlib import Path
from bridle.jail.launch import launch
from bridle.jail.profile import Identity, Profile
user = Identity(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
command = ("/bin/sh", "-c", "touch ran")
try:
    launch(Profile(command=command, work=Path(sys.argv[1]), python=False, user=user)).wait()
except Exception as problem:
    print(problem)
"""


def test_who_cannot_count_starts_no_jail(yard: Yard) -> None:
    if yard.user is None:
        pytest.skip("not run: only root starts a jail as another user")
    ran = subprocess.run(
        ["setpriv", "--bounding-set=-sys_ptrace", sys.executable, "-c", BLIND, str(yard.work),
         yard.user.name, str(yard.user.uid), str(yard.user.gid)],
        capture_output=True, check=True, env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    assert b"limits could not be set" in ran.stdout
    assert b"jail_unavailable" in ran.stdout
    assert not (yard.work / "ran").exists()
