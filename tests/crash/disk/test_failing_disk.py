"""A disk that is full or broken at any operation: what was told is on record, the rest was denied.

I2 and I7. The disk fails once, or until somebody makes room; after that the governor goes on with
nothing mended, and owns up to what it could not record.
"""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from bridle.model.errors import StoreError
from crash.disk.acting import FAILURES, Office, audit
from crash.disk.calls import Disk, failing

HOWS = ("full", "short", "io", "sync")
_STEPS = 9
_EVER = 1 << 40


def trial(folder: Path, disk: Disk, after: int, how: str, times: int) -> int:
    """One store whose disk fails; how many denials left without a record."""
    path, dice = folder / "store.db", random.Random(f"{after}/{how}")
    disk.relieve()
    office = Office(path, disk, checkpoints=how != "sync")
    disk.fail(after, how, times)
    for _ in range(_STEPS):
        office.act(dice)
    disk.relieve()
    assert office.note(), "there is room again, and the governor does not go on"
    for _ in range(3):
        office.act(dice)
    office.close()
    audit(path, office.told)
    return len(office.told.unrecorded)


@pytest.mark.parametrize("how", HOWS)
def test_a_disk_that_fails_loses_nothing_told_and_every_gap_is_owned_up_to(
    how: str, tmp_path: Path
) -> None:
    with failing(how) as disk:
        denied = [
            trial(tmp_path / f"{after}-{times}", disk, after, how, times)
            for after, times in ((0, 1), (7, 1), (1, _EVER))
        ]
    assert denied[-1] > 0


@pytest.mark.slow
@pytest.mark.parametrize("how", HOWS)
def test_a_disk_that_fails_at_each_single_operation_loses_nothing_told(
    how: str, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    trials = denied = 0
    with failing(how) as disk:
        for after in range(0, 12 if how == "sync" else 150, count(3, 1)):
            for times in (1, 3, _EVER):
                trials += 1
                denied += trial(tmp_path / f"{after}-{times}", disk, after, how, times)
    print(how, {"trials": trials, "denied": denied, "refused": disk.refused})
    assert denied > trials / 2


@pytest.mark.parametrize("how", HOWS)
def test_a_store_that_could_not_be_opened_for_want_of_a_disk_opens_once_there_is_one(
    how: str, tmp_path: Path
) -> None:
    refused = failures = 0
    with failing(how) as disk:
        for after in range(0, 10 if how == "sync" else 60, 2 if how == "sync" else 7):
            path = tmp_path / str(after) / "store.db"
            disk.fail(after, how, _EVER)
            try:
                Office(path, disk).close()
            except StoreError as problem:
                failures += 1
                # Where a file cannot be made SQLite hides why: it tries once more to find it.
                refused += problem.code in FAILURES | {"store_readonly"}
            disk.relieve()
            office = Office(path, disk)
            assert office.note()
            office.close()
            audit(path, office.told)
    assert refused == failures > 0
