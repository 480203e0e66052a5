"""A real file system that is full, and a process that may write no more: governors that sign.

The first needs the right to mount; where that is missing, the test says so.
"""

import os
import random
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from client.desk import environment
from crash.disk.acting import Office, at_a_bundle
from crash.disk.auditing import audit, owned_up

_MEGABYTES = 24
_DENIALS = 3


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system with little room."""
    point = tmp_path / "small"
    point.mkdir()
    options = f"size={_MEGABYTES}m,mode=0700"
    mount = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(point)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"nobody may mount here: {done.stderr.strip()}")
    yield point
    subprocess.run(["umount", "--lazy", str(point)], check=True)


def filled(folder: Path, left: int) -> Path:
    """Take all the room but for about so many bytes; return what took it."""
    status, ballast = os.statvfs(folder), folder / "ballast"
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - left)
    return ballast


@contextmanager
def no_file_above(size: int) -> Iterator[None]:
    """Let this process make no file larger than so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def until_denied(office: Office, dice: random.Random) -> None:
    """Act until some denials have left without a record."""
    wanted = len(office.told.unrecorded) + _DENIALS
    for _ in range(2_000):
        office.act(dice)
        if len(office.told.unrecorded) >= wanted:
            return
    raise AssertionError("the disk did not fail")


def verify(state: Path) -> None:
    """As anybody does it."""
    command = [sys.executable, "-P", "-m", "bridle", "audit", "verify", "--store", str(state)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def finished(office: Office, state: Path) -> None:
    office.governor.close()
    audit(state / "store.db", office.told)
    verify(state)


def test_a_full_file_system_loses_nothing_told_and_the_governor_goes_on_once_there_is_room(
    small: Path, tmp_path: Path
) -> None:
    office, dice = at_a_bundle(tmp_path, small / "state"), random.Random(1)
    for left in (0, 4_096, 9_000, 50_000, 400_000):
        ballast = filled(small, left)
        until_denied(office, dice)
        signing = office.governor._log
        assert signing is not None
        signed = (small / "state" / "checkpoint").read_bytes()
        done = signing._publisher.publish()  # there may be room for that much
        assert done or (small / "state" / "checkpoint").read_bytes() == signed
        ballast.unlink()
        assert office.note(), "there is room again, and the governor does not go on"
        assert signing._publisher.publish()
    finished(office, small / "state")


def test_a_governor_that_ends_on_a_full_file_system_has_lost_nothing_told(
    small: Path, tmp_path: Path
) -> None:
    office, dice = at_a_bundle(tmp_path, small / "state"), random.Random(2)
    ballast = filled(small, 20_000)
    until_denied(office, dice)
    with suppress(Exception):  # it may not be able to say that it closed
        office.governor.close()
    ballast.unlink()
    if not owned_up(small / "state" / "store.db"):
        office.told.unrecorded.clear()  # whoever counted them has ended
    again = at_a_bundle(tmp_path, small / "state")
    assert again.note()
    again.governor.close()
    office.told.receipts |= again.told.receipts
    office.told.decided += again.told.decided
    audit(small / "state" / "store.db", office.told)
    verify(small / "state")


def test_a_process_that_may_write_no_more_loses_nothing_told(tmp_path: Path) -> None:
    state = tmp_path / "state"
    office, dice = at_a_bundle(tmp_path, state), random.Random(3)
    for more in (0, 100, 5_000, 70_000):
        log = state / "store.db-wal"
        with no_file_above(max(log.stat().st_size, (state / "store.db").stat().st_size) + more):
            until_denied(office, dice)
        assert office.note(), "there is room again, and the governor does not go on"
    finished(office, state)
