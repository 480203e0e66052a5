"""A disk that is full or broken at any operation: what was told is on record, the rest was denied.

I2 and I7. The disk fails once, or until somebody makes room; after that the governor goes on with
nothing mended, and owns up to what it could not record.
"""

import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from bridle.governor.ground import core
from bridle.model.errors import StoreError
from bridle.store.sqlite import open_store
from crash.disk.acting import FAILURES, FILES, Office, Told, at_a_desk
from crash.disk.auditing import audit
from crash.disk.calls import Disk, failing
from governor.desk import START, Desk

HOWS = ("full", "short", "io", "sync")
_STEPS = 9
_EVER = 1 << 40


def verify(path: Path) -> None:
    """Open the store as the next governor does, and recompute its ledger."""
    store = open_store(path)
    try:
        Desk(FILES, store=store, start=START).verified()
    finally:
        store.close()


def trial(folder: Path, disk: Disk, after: int, how: str, times: int) -> int:
    """One store whose disk fails; how many denials left without a record."""
    path, dice = folder / "store.db", random.Random(f"{after}/{how}")
    disk.relieve()
    office, desk = at_a_desk(path, disk, checkpoints=how != "sync")
    disk.fail(after, how, times)
    for _ in range(_STEPS):
        desk.clock.move_to(desk.clock.now() + 10)
        office.act(dice)
    disk.relieve()
    desk.clock.move_to(desk.clock.now() + 10)
    assert office.note(), "there is room again, and the governor does not go on"
    for _ in range(3):
        office.act(dice)
    desk.governor.close()
    audit(path, office.told)
    verify(path)
    shutil.rmtree(folder)
    return len(office.told.unrecorded)


@pytest.mark.parametrize("how", HOWS)
def test_a_disk_that_fails_loses_nothing_told_and_every_gap_is_owned_up_to(
    how: str, images: Path
) -> None:
    with failing(how) as disk:
        denied = [
            trial(images / f"{after}-{times}", disk, after, how, times)
            for after, times in ((0, 1), (7, 1), (1, _EVER))
        ]
    assert denied[-1] > 0


@pytest.mark.slow
@pytest.mark.parametrize("how", HOWS)
def test_a_disk_that_fails_at_each_single_operation_loses_nothing_told(
    how: str, images: Path, count: Callable[[int, int], int]
) -> None:
    trials = denied = 0
    with failing(how) as disk:
        for after in range(0, 12 if how == "sync" else 150, count(5, 1)):
            for times in (1, 3, _EVER):
                trials += 1
                denied += trial(images / f"{after}-{times}", disk, after, how, times)
    print(how, {"trials": trials, "denied": denied, "refused": disk.refused})
    assert denied > trials / 2


@pytest.mark.parametrize("how", HOWS)
def test_callers_who_share_a_commit_that_fails_are_all_told_and_all_counted(
    how: str, images: Path
) -> None:
    with failing(how) as disk:
        first, desk = at_a_desk(images / "store.db", disk, checkpoints=how != "sync")
        offices = [first, *(Office(desk.governor, desk.clock.now) for _ in range(5))]

        def act(number: int) -> None:
            dice = random.Random(number)
            for _ in range(15):
                offices[number].act(dice)

        disk.fail(1, how, 12 if how == "sync" else 80)
        with ThreadPoolExecutor(len(offices)) as threads:
            list(threads.map(act, range(len(offices))))
        disk.relieve()
        assert first.note()
        desk.governor.close()
    told = Told()
    for office in offices:
        told.add(office.told)
    assert len(told.unrecorded) > 0
    audit(images / "store.db", told)
    verify(images / "store.db")


@pytest.mark.parametrize("how", HOWS)
def test_a_store_that_could_not_be_opened_for_want_of_a_disk_opens_once_there_is_one(
    how: str, images: Path
) -> None:
    refused = failures = 0
    with failing(how) as disk:
        for after in range(0, 10 if how == "sync" else 60, 2 if how == "sync" else 7):
            path = images / str(after) / "store.db"
            disk.fail(after, how, _EVER)
            try:
                at_a_desk(path, disk)[1].governor.close()
            except StoreError as problem:
                failures += 1
                # Where a file cannot be made SQLite hides why: it tries once more to find it.
                refused += problem.code in FAILURES | {"store_readonly"}
            disk.relieve()
            office, desk = at_a_desk(path, disk)
            assert office.note()
            desk.governor.close()
            verify(path)
    assert refused == failures > 0


def test_a_governor_that_does_not_own_up_is_caught(
    images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(core, "_own_up", lambda turn, lost: None)
    with failing("full") as disk, pytest.raises(AssertionError, match="nobody owned up to"):
        trial(images / "trial", disk, 1, "full", _EVER)
