"""A command that is launched is in its jail with what it was given, and gone when it is over."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from bridle.jail.errors import JailError
from bridle.jail.launch import launch
from bridle.jail.profile import Limits
from bridle.jail.running import Ended
from jail.yard import Yard, children, descriptors, ended, gone

PIPE = subprocess.PIPE


@pytest.mark.parametrize(
    ("script", "status"),
    [("exit 0", 0), ("exit 7", 7), ("kill -9 $$; sh -c 'kill -9 $$'", 137), ("exit 255", 255)],
)
def test_the_status_is_the_commands(yard: Yard, script: str, status: int) -> None:
    # The first process takes no signal from within.
    assert yard.run("/bin/sh", "-c", script)[0] == Ended(status)


def test_a_signal_reaches_the_first_process(yard: Yard) -> None:
    script = "trap 'echo caught; exit 3' USR1; echo ready; while :; do sleep 0.1; done"
    with launch(yard.profile("/bin/sh", "-c", script), stdout=PIPE) as jail:
        assert jail.stdout.readline() == b"ready\n"
        jail.signal(signal.SIGUSR1)
        assert jail.stdout.readline() == b"caught\n"
        assert jail.wait(20) == Ended(3)


def test_a_program_that_is_not_there_is_told_apart_from_one_that_fails(yard: Yard) -> None:
    with pytest.raises(JailError, match="could not start its command") as caught:
        yard.run("/no/such/program")
    assert caught.value.code == "jail_failed"


def test_the_environment_is_what_is_given_and_nothing_else(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "s3cret-in-the-callers-environment")
    monkeypatch.setenv("LD_PRELOAD", "")
    _, out, _ = yard.run("/usr/bin/env", environ={"GIVEN": "yes", "PATH": "/bin:/usr/bin"})
    names = dict(line.split("=", 1) for line in out.splitlines())
    assert names.pop("GIVEN") == "yes"
    assert names.pop("PWD") == str(yard.work)
    assert set(names) == {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TERM"}
    assert "s3cret" not in out


def test_no_other_user_of_the_machine_sees_what_the_environment_is(yard: Yard) -> None:
    command = ("/bin/sh", "-c", "echo runs; read line")
    profile = yard.profile(*command, environ={"TOKEN": "s3cret-of-the-operator"})
    with launch(profile, stdin=PIPE, stdout=PIPE) as jail:
        assert jail.stdout.readline() == b"runs\n"
        for pid in (jail.pid, jail._process.pid):
            line = Path(f"/proc/{pid}/cmdline").read_bytes()
            assert b"echo runs" in line
            assert b"s3cret" not in line


def test_a_preloaded_library_is_loaded_inside_only(yard: Yard) -> None:
    # Were it in bubblewrap's own environment, a library of the work folder would run outside.
    with launch(yard.profile("/bin/sleep", "30", environ={"LD_PRELOAD": "/work/x.so"})) as jail:
        assert b"LD_PRELOAD" not in Path(f"/proc/{jail._process.pid}/environ").read_bytes()


def test_no_descriptor_is_inherited(yard: Yard, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    with (tmp_path / "secret").open() as file:
        os.set_inheritable(file.fileno(), True)
        ran, out, _ = yard.code("import os; print(sorted(map(int, os.listdir('/proc/self/fd'))))")
    # The fourth is the one that lists them.
    assert (ran.status, out) == (0, "[0, 1, 2, 3]\n")


def test_a_file_as_standard_input_cannot_be_opened_anew(yard: Yard, open_folder: Path) -> None:
    given = open_folder / "given"
    given.write_text("what is read\n")
    given.chmod(0o666)
    code = """
import os, sys
print(sys.stdin.read(), end="")
try:
    with open("/proc/self/fd/0", "w") as file: file.write("changed")
except OSError as problem: print("no", file=sys.stderr)
"""
    profile = yard.profile(yard.python, "-I", "-S", "-c", code)
    with given.open("rb") as file:
        _, out, _ = ended(launch(profile, stdin=file, stdout=PIPE, stderr=PIPE))
    assert out == "what is read\n"
    assert given.read_text() == "what is read\n"


def test_a_file_as_standard_output_can_be_written_to_and_not_read(
    yard: Yard, open_folder: Path
) -> None:
    log = open_folder / "log"
    log.write_text("s3cret of the one before\n")
    log.chmod(0o666)
    script = "echo written; cat /proc/self/fd/1 >&2 & sleep 0.2; : > /proc/self/fd/1"
    with log.open("ab") as file:
        jail = launch(yard.profile("/bin/sh", "-c", script), stdout=file, stderr=PIPE)
        with jail.stderr:
            assert b"s3cret" not in jail.stderr.read()
        jail.wait(20)
    assert log.read_text() == "s3cret of the one before\nwritten\n"


def test_a_folder_as_standard_input_leads_nowhere(yard: Yard, open_folder: Path) -> None:
    (open_folder / "secret").write_text("s3cret")
    descriptor = os.open(open_folder, os.O_RDONLY)
    try:
        profile = yard.profile("/bin/cat", "/proc/self/fd/0/secret")
        ran, out, err = ended(launch(profile, stdin=descriptor, stdout=PIPE, stderr=PIPE))
    finally:
        os.close(descriptor)
    assert (ran.status, out) == (1, "")
    assert "Not a directory" in err


def test_what_is_written_last_is_not_lost(yard: Yard, open_folder: Path) -> None:
    log = open_folder / "log"
    with log.open("wb") as file:
        profile = yard.profile("/bin/sh", "-c", "head -c 3000000 /dev/zero; echo end")
        assert launch(profile, stdout=file).wait(30).status == 0
    assert log.stat().st_size == 3_000_004


def test_kill_ends_all_of_it_whatever_it_ignores(yard: Yard) -> None:
    script = "trap '' TERM INT HUP; setsid sleep 60 & setsid -f sleep 60; echo ready; sleep 60"
    jail = launch(yard.profile("/bin/sh", "-c", script), stdout=PIPE)
    with jail.stdout:
        assert jail.stdout.readline() == b"ready\n"
        from bridle.jail.limits import watch

        inside = list(watch.processes(jail.pid))
        assert len(inside) >= 3
        jail.kill()
        assert jail.wait(20) == Ended(137)
    assert all(gone(pid) for pid in inside)


def test_killed_at_once_it_was_killed_and_did_not_fail(yard: Yard) -> None:
    for _ in range(5):
        jail = launch(yard.profile("/bin/sleep", "60"))
        jail.kill()
        assert jail.wait(20) == Ended(137)
        # Asked again it says the same.
        assert jail.wait(20) == Ended(137)


def test_a_daemon_does_not_outlive_the_command(yard: Yard) -> None:
    script = "setsid -f sleep 60; setsid -f sleep 60; echo ready; read line"
    with launch(yard.profile("/bin/sh", "-c", script), stdin=PIPE, stdout=PIPE) as jail:
        jail.stdout.readline()
        from bridle.jail.limits import watch

        inside = list(watch.processes(jail.pid))
        assert len(inside) >= 3
        jail.stdin.write(b"\n")
        jail.stdin.flush()
        assert jail.wait(20).status == 0
    assert all(gone(pid) for pid in inside)


STARTER = """
import os, sys
from pathlib import Path
from bridle.jail.launch import launch
from jail.yard import SMALL
from bridle.jail.profile import Profile, Identity
user = Identity(*[kind(word) for kind, word in zip((str, int, int), sys.argv[2:])]) or None
profile = Profile(command=("/bin/sh", "-c", "echo runs; sleep 60"), work=Path(sys.argv[1]),
                  python=False, limits=SMALL, user=user if os.geteuid() == 0 else None)
jail = launch(profile)
print(jail.pid, flush=True)
jail.wait()
"""


def test_it_dies_with_whoever_started_it(yard: Yard) -> None:
    user = yard.user
    words = [user.name, str(user.uid), str(user.gid)] if user else ["me", "0", "0"]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(yard.work), *words],
        stdin=PIPE, stdout=PIPE, env=environ,
    ) as starter:  # fmt: skip
        told = {starter.stdout.readline(), starter.stdout.readline()}
        assert b"runs\n" in told
        (first,) = told - {b"runs\n"}
        descriptor = os.pidfd_open(int(first))
        starter.kill()
    import select

    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    assert poll.poll(20_000)
    os.close(descriptor)


def test_waiting_no_longer_than_asked(yard: Yard) -> None:
    with launch(yard.profile("/bin/sleep", "60")) as jail, pytest.raises(TimeoutError):
        jail.wait(0.05)


def test_it_has_no_controlling_terminal(yard: Yard) -> None:
    ours, theirs = os.openpty()
    try:
        code = """
import fcntl, os, sys
print(os.isatty(0))
for path in ("/dev/tty", ):
    try: os.open(path, os.O_RDWR); print("opened")
    except OSError: print("none")
try: fcntl.ioctl(0, 0x5412, b"x"); print("typed")
except OSError as problem: print(problem.errno)
"""
        profile = yard.profile(yard.python, "-I", "-S", "-c", code)
        _, out, _ = ended(launch(profile, stdin=theirs, stdout=PIPE, stderr=PIPE))
    finally:
        os.close(ours)
        os.close(theirs)
    assert out.split() == ["True", "none", "1"]


def test_many_at_once_leave_nothing_behind(yard: Yard) -> None:
    yard.run("/bin/true")
    before, others = (descriptors(), threading.active_count()), children()
    jails = [launch(yard.profile("/bin/sleep", "60", limits=Limits())) for _ in range(6)]
    for jail in jails:
        jail.kill()
    for jail in jails:
        jail.wait(20)
    assert (descriptors(), threading.active_count()) == before
    assert children() <= others


def test_an_empty_command_is_none(yard: Yard) -> None:
    for command in ((), ("/bin/echo", "a\0b")):
        with pytest.raises(JailError):
            launch(yard.profile(*command))


def test_a_limit_on_time_is_by_the_wall(yard: Yard) -> None:
    began = time.monotonic()
    ran, _, _ = yard.run("/bin/sleep", "30", limits=Limits(time=0.2))
    assert ran.excess == "time"
    assert time.monotonic() - began < 30
