"""An auditor is somebody else: they may read a store or an export, no key, and write nothing."""

import json
import shutil
from pathlib import Path

import pytest

from audit.history import FIRST, small
from uids.cast import AGENT, Python

pytestmark = pytest.mark.uids


def opened_to_read(folder: Path) -> None:
    for each in (folder, *folder.rglob("*")):
        if "keys" not in each.parts:
            each.chmod(0o755 if each.is_dir() else 0o644)


@pytest.mark.parametrize("closed", [True, False])
def test_a_store_is_verified_and_exported_by_one_who_may_only_read_it(
    python: Python, folder: Path, closed: bool
) -> None:
    made = small(folder / "store")
    if closed:
        made.close()
    opened_to_read(folder / "store")
    (folder / "out").mkdir()
    (folder / "out").chmod(0o777)
    store, key = ("--store", folder / "store"), ("--key", str(FIRST.key))
    ran = python.bridle(AGENT, "audit", "verify", *store, *key, "--json")
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert (found["ok"], found["rows"]) == (True, None)
    assert any("payload key" in each for each in found["unverified"])
    out = folder / "out" / "export"
    assert python.bridle(AGENT, "audit", "export", *store, "--out", out).returncode == 0
    assert python.bridle(AGENT, "audit", "verify", "--export", out, *key).returncode == 0
    refused = python.bridle(
        AGENT, "audit", "export", *store, "--out", folder / "out" / "more", "--payloads"
    )
    assert (refused.returncode, b"[key_missing]" in refused.stderr) == (3, True)
    if not closed:
        made.close()


def test_a_folder_that_hides_what_lies_in_it_does_not_verify(python: Python, folder: Path) -> None:
    made = small(folder / "store")
    made.export(folder / "export")
    made.close()
    opened_to_read(folder / "export")
    verify = ("audit", "verify", "--export", folder / "export", "--key", str(FIRST.key), "--json")
    assert python.bridle(AGENT, *verify).returncode == 0
    for each in [folder / "export", *(p for p in (folder / "export").rglob("*") if p.is_dir())]:
        each.chmod(0o711)  # names that are known open, and nobody sees what else is there
        ran = python.bridle(AGENT, *verify)
        assert ran.returncode != 0, each
        each.chmod(0o755)
    shutil.rmtree(folder / "export")
