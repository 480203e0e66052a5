"""A governor under its own uid tells others; agents neither read that nor take its place."""

import json
import os
import pwd
from pathlib import Path

import pytest

from uids.cast import AGENT, GOVERNOR, OPERATOR, Installation, Python

pytestmark = pytest.mark.uids


def telling(python: Python, folder: Path, file: Path) -> Installation:
    return Installation(python, folder, "--operator", OPERATOR, "--emit", f"ocsf:{file}")


def test_events_are_the_governors_own(python: Python, folder: Path) -> None:
    logs = folder / "logs"
    logs.mkdir(mode=0o755)
    user = pwd.getpwnam(GOVERNOR)
    os.chown(logs, user.pw_uid, user.pw_gid)
    installation = telling(python, folder, logs / "events.jsonl")
    assert installation.ready.get("ready"), installation.stop()
    installation.mission()
    assert installation.stop() == 0
    file = logs / "events.jsonl"
    assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (user.pw_uid, 0o600)
    events = [json.loads(line) for line in file.read_text("ascii").splitlines()]
    assert len(events) == len(installation.leaves())
    (cursor,) = (installation.state / "emit").iterdir()
    assert (cursor.stat().st_uid, cursor.stat().st_mode & 0o777) == (user.pw_uid, 0o600)
    for path in (file, cursor):
        assert python.run(AGENT, f"open({str(path)!r})").returncode != 0


def test_a_file_that_an_agent_laid_out_is_refused(python: Python, folder: Path) -> None:
    logs = folder / "logs"
    logs.mkdir()
    logs.chmod(0o777)
    file = logs / "events.jsonl"
    code = "import os, sys; os.umask(0); os.close(os.open(sys.argv[1], os.O_CREAT, 0o666))"
    assert python.run(AGENT, code, str(file)).returncode == 0
    installation = telling(python, folder, file)
    assert installation.stop(0) == 3
    assert installation.ready["error"]["code"] == "emit_target"
    assert file.read_bytes() == b""
