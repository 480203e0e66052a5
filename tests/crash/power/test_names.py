"""A file is lost with any name on the way to it: store, keys and index are named before they count.

Each sync of a folder is watched, with the names that it had then. After a power cut no more than
those are there.
"""

import os
import stat
from pathlib import Path

import pytest

from bridle.governor.governor import Governor
from bridle.model.calls import Caller, Opened, StartMission
from client.desk import copied

OPERATOR = Caller(operator=True, method="embedded")


class Names:
    """For each folder, by inode, the names and inodes it had when it was last synced."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.lasting: dict[int, dict[str, int]] = {}
        self._fsync = os.fsync
        patch.setattr(os, "fsync", self.sync)

    def sync(self, descriptor: int) -> None:
        self._fsync(descriptor)
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            found = {each.name: each.inode() for each in os.scandir(descriptor)}
            self.lasting[status.st_ino] = found

    def lasts(self, path: Path, base: Path) -> bool:
        """Whether a cut leaves every name from `base` down to `path`."""
        at = base
        for part in path.relative_to(base).parts:
            names = self.lasting.get(at.stat().st_ino, {})
            at /= part
            if names.get(part) != at.stat().st_ino:
                return False
        return True


@pytest.mark.parametrize("half_made", [False, True])
def test_before_the_first_answer_every_name_on_the_way_to_store_and_keys_lasts(
    half_made: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle, base = copied(tmp_path), tmp_path / "home"
    base.mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(base / "of" / "state"))
    if half_made:  # by one that died before it synced anything
        Governor.open(bundle).close()
    names = Names(monkeypatch)
    governor = Governor.open(bundle)
    reply = governor.handle(OPERATOR, StartMission(template="ticket-desk", user="ana"))
    assert isinstance(reply, Opened)
    governor.close()
    start = base / "of" / "state" if half_made else base
    found = [path for path in start.rglob("*") if path.name.endswith((".key", ".db", "index.json"))]
    assert len(found) >= 4
    assert [path for path in found if not names.lasts(path, start)] == []


def test_a_folder_without_a_lasting_name_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = Names(monkeypatch)
    folder = tmp_path / "new"
    folder.mkdir()
    (folder / "file").touch()
    descriptor = os.open(folder, os.O_RDONLY)
    os.fsync(descriptor)
    os.close(descriptor)
    assert names.lasts(folder / "file", folder)
    assert not names.lasts(folder / "file", tmp_path)
