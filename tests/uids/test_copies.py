"""Copies of the checkpoint under `serve --user`: root writes none, no link leads one astray."""

import os
import pwd
from pathlib import Path

import pytest

from uids.cast import AGENT, GOVERNOR, OPERATOR, Installation, Python

pytestmark = pytest.mark.uids


def copying(python: Python, folder: Path, *copies: Path) -> Installation:
    options = [part for each in copies for part in ("--checkpoint-copy", str(each))]
    return Installation(python, folder, "--operator", OPERATOR, *options)


def test_a_copy_is_the_governors_and_root_writes_none(python: Python, folder: Path) -> None:
    """Where only root may write there is none afterwards, and the governor serves all the same."""
    user, copy, roots = pwd.getpwnam(GOVERNOR), folder / "copies" / "one", folder / "roots"
    for each in (copy.parent, roots):
        each.mkdir(mode=0o755)
    os.chown(copy.parent, user.pw_uid, user.pw_gid)
    installation = copying(python, folder, copy, roots / "copy")
    assert installation.ready.get("ready"), installation.stop()
    installation.mission()
    assert installation.stop() == 0
    status = copy.stat()
    assert (status.st_uid, status.st_mode & 0o777) == (user.pw_uid, 0o644)
    assert copy.read_bytes() == (installation.state / "checkpoint").read_bytes()
    assert list(roots.iterdir()) == []
    assert b"roots/copy" in installation.errors


@pytest.mark.parametrize("where", ["file", "draft", "folder"])
def test_a_link_that_an_agent_laid_out_leads_a_copy_nowhere(
    python: Python, folder: Path, where: str
) -> None:
    open_to_all, secret = folder / "open", folder / "roots"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    secret.mkdir(mode=0o755)
    (secret / "target").write_bytes(b"root's")
    link, target = {
        "file": (open_to_all / "copy", secret / "target"),
        "draft": (open_to_all / ".copy.new", secret / "target"),
        "folder": (open_to_all / "inner", secret),
    }[where]
    code = "import os, sys; os.symlink(sys.argv[1], sys.argv[2])"
    assert python.run(AGENT, code, str(target), str(link)).returncode == 0
    copy = open_to_all / "inner" / "copy" if where == "folder" else open_to_all / "copy"
    installation = copying(python, folder, copy)
    if where == "file":
        assert installation.stop(0) == 3
        assert installation.ready["error"]["code"] == "checkpoint_unreadable"
    else:
        assert installation.ready.get("ready"), installation.stop()
        installation.stop()
    assert (secret / "target").read_bytes() == b"root's"
    assert [each.name for each in secret.iterdir()] == ["target"]
    assert (secret / "target").stat().st_uid == os.geteuid()
