"""A control group is taken where one may be had, whole or not at all."""

from pathlib import Path

import pytest

from bridle.jail.launch import launch
from bridle.jail.limits import cgroup
from bridle.jail.profile import MEBI, Limits
from jail.yard import Yard

LIMITS = Limits(memory=64 * MEBI, processes=9)
MOUNTS = ["30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw"]


def test_the_group_lies_beside_our_own() -> None:
    groups = ["0::/user.slice/user-1000.slice/app.slice/shell.scope"]
    wanted = Path("/sys/fs/cgroup/user.slice/user-1000.slice/app.slice")
    assert cgroup._beside(groups, MOUNTS) == wanted
    assert cgroup._beside(["0::/"], MOUNTS) == Path("/sys/fs/cgroup")


@pytest.mark.parametrize(
    ("groups", "mounts"),
    [(["8:pids:/"], MOUNTS), (["0::/a"], []), (["0::/../../other"], MOUNTS), ([], MOUNTS)],
)
def test_without_version_2_or_outside_our_own_there_is_none(
    groups: list[str], mounts: list[str]
) -> None:
    assert cgroup._beside(groups, mounts) is None


def test_a_folder_that_knows_no_limits_gives_no_group(tmp_path: Path) -> None:
    # As where the controllers are not handed down: a group without files for limits.
    assert cgroup.place(1, LIMITS, tmp_path) is None
    assert not cgroup.possible(LIMITS, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_folder_gives_no_group() -> None:
    assert cgroup.place(1, LIMITS, None) is None
    assert cgroup.place(1, LIMITS, Path("/proc")) is None


def test_a_jail_of_a_group_is_limited_by_the_kernel(yard: Yard) -> None:
    if not cgroup.possible(LIMITS, cgroup.beside_own()):
        pytest.skip("not run: no control group (version 2) may be made here")
    with launch(yard.profile("/bin/sleep", "30", limits=LIMITS)) as jail:
        groups = Path(f"/proc/{jail.pid}/cgroup").read_text("utf-8")
        name = next(line[3:] for line in groups.splitlines() if line.startswith("0::"))
        if not jail.exact:
            pytest.skip("not run: a process may not be moved to another control group here")
        folder = cgroup.beside_own() / Path(name).name
        assert (folder / "memory.max").read_text().strip() == str(LIMITS.memory)
        assert (folder / "pids.max").read_text().strip() == "9"
    assert not folder.exists()
