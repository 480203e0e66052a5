"""The folder of a run that was killed goes with the next run; that of a living one stays."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from bridle.jail.meeting_place import MeetingPlace

_HELD = """
import sys, time
from bridle.jail.meeting_place import MeetingPlace
print(MeetingPlace().folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


def other() -> tuple["subprocess.Popen[str]", Path]:
    held = subprocess.Popen(
        [sys.executable, "-c", _HELD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert held.stdout is not None
    return held, Path(held.stdout.readline().strip())


def test_what_a_killed_run_left_is_taken_away_by_the_next_and_that_of_a_living_one_is_not() -> None:
    killed, left = other()
    living, kept = other()
    with killed, living:
        killed.send_signal(signal.SIGKILL)
        killed.wait()
        (left / "socket").touch()
        MeetingPlace().close()
        assert not left.exists()
        assert kept.exists()
        living.kill()


def test_its_own_is_gone_when_it_is_closed(temporary: Path) -> None:
    place = MeetingPlace()
    assert list(temporary.iterdir()) == [place.folder]
    place.close()
    assert not list(temporary.iterdir())


def test_what_only_bears_the_name_is_left_alone(temporary: Path) -> None:
    """A folder without a lock, links instead of folder or lock, and a file."""
    target = temporary / "precious"
    target.mkdir()
    (target / "lock").touch()
    (temporary / "bridle-run-link").symlink_to(target)
    bare = temporary / "bridle-run-bare"
    bare.mkdir()
    linked = temporary / "bridle-run-linked"
    linked.mkdir()
    (linked / "lock").symlink_to(target / "lock")
    (temporary / "bridle-run-file").touch()
    MeetingPlace().close()
    assert (target / "lock").exists()
    assert bare.exists()
    assert linked.exists()
    assert (temporary / "bridle-run-file").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs two users")
def test_what_belongs_to_another_user_is_left_alone(temporary: Path) -> None:
    theirs = temporary / "bridle-run-theirs"
    theirs.mkdir()
    (theirs / "lock").touch()
    os.chown(theirs, 65534, 65534)
    MeetingPlace().close()
    assert theirs.exists()
