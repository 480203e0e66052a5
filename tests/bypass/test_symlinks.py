"""What a string cannot show is refused where the file is opened, in the tool's own open."""

import errno
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import bridle
from bypass.beneath import ROOT, Files
from bypass.probes import BUNDLE, DATA, PROBES

LINKS = json.loads((DATA / "manifest.json").read_bytes())["fixtures"]["symlinks"]
PROBES_WITH_LINKS = [probe for probe in PROBES if probe.needs == "symlinks"]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "data"
    (folder / "reports").mkdir(parents=True)
    (folder / "reports" / "q3.md").write_text("quarterly", "utf-8")
    for name, target in LINKS.items():
        (folder / name.removeprefix(f"{ROOT}/")).symlink_to(target)
    return Files(folder)


@pytest.fixture
def prober(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[bridle.Agent]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    bundle = shutil.copytree(BUNDLE, tmp_path / "bundle")
    with bridle.open(bundle, embedded=True) as governor:
        yield governor.start_mission("probe", user="ana").agent("prober", executor="worker-1")


@pytest.mark.parametrize("probe", PROBES_WITH_LINKS, ids=lambda p: p.id)
def test_a_link_out_of_the_tree_passes_as_a_string_and_is_refused_at_the_open(
    prober: bridle.Agent, files: Files, probe: object
) -> None:
    with pytest.raises(OSError, match=os.strerror(errno.ELOOP)):
        prober.call(probe.tool, probe.args, effect=files.read_file)
    assert (files.opened, files.read) == ([probe.args["path"]], [])


def test_a_plain_file_beside_the_link_is_read(prober: bridle.Agent, files: Files) -> None:
    args = {"path": f"{ROOT}/reports/q3.md"}
    assert prober.call("read_file", args, effect=files.read_file) == "quarterly"
    assert files.read == [args["path"]]


def test_a_folder_that_is_a_link_is_refused_as_well(
    prober: bridle.Agent, files: Files, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret.md").write_text("secret", "utf-8")
    (files.folder / "reports" / "sub").symlink_to(tmp_path / "elsewhere")
    # O_PATH and O_NOFOLLOW open the link itself, which is no folder.
    with pytest.raises(NotADirectoryError):
        prober.call("read_file", {"path": f"{ROOT}/reports/sub/secret.md"}, effect=files.read_file)
    assert files.read == []


def test_the_tool_itself_never_leaves_its_folder(files: Files, tmp_path: Path) -> None:
    (tmp_path / "secret.md").write_text("secret", "utf-8")
    for path in (f"{ROOT}/../secret.md", f"{ROOT}/reports//q3.md", "/etc/passwd", f"{ROOT}/."):
        with pytest.raises(PermissionError):
            files.read_file(path)
    assert files.read == []
