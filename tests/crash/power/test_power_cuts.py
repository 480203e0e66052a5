"""After a power cut, everything acknowledged is there at its recorded mode, and nothing by halves.

The promise is I7 (and I1 for a governor at work). What a disk may do to what was not synced is in
`crash.power.vfs`; that these tests can fail is shown at the end, by stores that break the promise.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bridle.model.errors import StoreError
from bridle.store.combining import Combiner
from bridle.store.sqlite import SqliteStore, resync
from bridle.store.sqlite.store import execute_of
from crash.power import acting, cuts, writers
from crash.power.cuts import cut, due, every, some
from crash.power.vfs import Event, RecordingVFS, recording, written


@pytest.fixture
def vfs() -> Iterator[RecordingVFS]:
    with recording() as registered:
        yield registered


def test_a_cut_at_any_moment_of_a_new_stores_life_loses_nothing_acknowledged(
    vfs: RecordingVFS, images: Path, tmp_path: Path
) -> None:
    leaves = writers.alone(tmp_path / "s" / "store.db", vfs, writes=8, seed=1)
    events = vfs.record.events
    assert cut(events, every(events, step=7, seeds=3), images, writers.judge(leaves)) > 40


@pytest.mark.slow
def test_a_cut_after_every_single_event_loses_nothing_acknowledged(
    vfs: RecordingVFS, images: Path, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    leaves = writers.alone(tmp_path / "s" / "store.db", vfs, writes=12, seed=2)
    events = vfs.record.events
    done = cut(events, every(events, seeds=count(2, 10)), images, writers.judge(leaves))
    assert done >= 2 * 150


@pytest.mark.slow
def test_cuts_while_callers_share_commits_lose_nothing_acknowledged(
    vfs: RecordingVFS, images: Path, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    leaves = writers.crowd(tmp_path / "s" / "store.db", vfs, writes=120, seed=3)
    events = vfs.record.events
    wanted = count(200, 1_000)
    assert cut(events, some(events, wanted, 3), images, writers.judge(leaves)) == wanted


def test_a_relaxed_write_is_synced_by_itself_and_then_survives(
    vfs: RecordingVFS, images: Path, tmp_path: Path
) -> None:
    store = writers.opened(tmp_path / "s" / "store.db", vfs, pages=1_000, relaxed_ms=20)
    writers.write(store, vfs.record, "first", relaxed=False, size=10)
    writers.write(store, vfs.record, "soft", relaxed=True, size=10)
    vfs.record.wait_for_sync("store.db-wal")
    leaves = writers.order(store)
    events = list(vfs.record.events)
    store.close()
    assert "soft" in due(events)
    places = ((len(events), seed) for seed in range(5))
    assert cut(events, places, images, writers.judge(leaves)) == 5


def test_a_relaxed_write_may_go_with_its_milliseconds_and_takes_nothing_else_along(
    vfs: RecordingVFS, images: Path, tmp_path: Path
) -> None:
    store = writers.opened(tmp_path / "s" / "store.db", vfs, pages=1_000)
    writers.write(store, vfs.record, "first", relaxed=False, size=10)
    writers.write(store, vfs.record, "soft", relaxed=True, size=10)
    events, kept = list(vfs.record.events), []
    store.close()

    def look(path: Path, before: list) -> None:
        found = writers.open_store(path)
        kept.append(writers.order(found))
        found.close()

    cut(events, ((len(events), seed) for seed in (0, 1)), images, look)
    assert kept == [["first"], ["first", "soft"]]


def failing_once(path: Path, vfs: RecordingVFS) -> list[str]:
    """A relaxed write, then a sync that fails, then writes that succeed."""
    store = writers.opened(path, vfs)
    writers.write(store, vfs.record, "first", relaxed=False, size=10)
    writers.write(store, vfs.record, "soft", relaxed=True, size=3_000)
    vfs.failing = 1
    with pytest.raises(StoreError) as found:
        writers.write(store, vfs.record, "undone", relaxed=False, size=10)
    assert found.value.code == "store_unavailable"
    for number in range(6):
        writers.write(store, vfs.record, f"w{number}", relaxed=number % 3 == 1, size=3_000)
    store.sync()
    leaves = writers.order(store)
    store.close()
    return leaves


def test_what_a_failed_sync_left_unwritten_takes_nothing_along_that_was_told_later(
    vfs: RecordingVFS, images: Path, tmp_path: Path
) -> None:
    leaves = failing_once(tmp_path / "s" / "store.db", vfs)
    assert "undone" not in leaves
    # Until something is written in its place, a commit that failed may still be found after a cut:
    # its caller was told that the store did not answer, and nobody acted on it.
    found, undone = writers.judge(leaves), writers.judge(["first", "soft", "undone"])

    def judge(path: Path, before: list[Event]) -> None:
        try:
            found(path, before)
        except AssertionError:
            undone(path, before)

    events = vfs.record.events
    assert cut(events, every(events, step=2, seeds=3), images, judge) > 60


def test_a_governor_whose_power_is_cut_stands_where_an_acknowledged_commit_left_it(
    vfs: RecordingVFS, images: Path, tmp_path: Path
) -> None:
    states = acting.work(tmp_path / "s" / "store.db", vfs, steps=6, seed=4)
    events = vfs.record.events
    assert cut(events, some(events, 30, 4), images, acting.judge(states)) == 30


@pytest.mark.slow
def test_governors_at_work_survive_many_power_cuts(
    vfs: RecordingVFS, images: Path, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    states = acting.work(tmp_path / "s" / "store.db", vfs, steps=count(40, 120), seed=5)
    events = vfs.record.events
    wanted = count(200, 1_000)
    assert cut(events, some(events, wanted, 5), images, acting.judge(states)) == wanted


@pytest.mark.slow
def test_a_second_cut_while_the_first_is_recovered_from_loses_nothing_either(
    vfs: RecordingVFS, images: Path, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    writers.alone(tmp_path / "s" / "store.db", vfs, writes=12, seed=6)
    events, done = vfs.record.events, 0
    for place, seed, files in cuts.images(events, some(events, count(10, 60), 6), {}):
        with recording() as second:
            path = written(files, tmp_path / f"{place}-{seed}")
            leaves = writers.resumed(path, second)
        judge = writers.judge(leaves, due(events[:place]))
        again = second.record.events
        done += cut(again, every(again, step=3, seeds=3), images, judge, files)
    assert done > 100


# --- these tests can fail ------------------------------------------------------------------------


def never_full(self: SqliteStore, durable: bool):
    batch = ORDINARY_BEGIN(self, durable)
    execute_of(self._connection)("PRAGMA synchronous = OFF")
    self._level = ""
    return batch


def always_relaxed(self: Combiner, own: object) -> bool:
    return False


ORDINARY_BEGIN = SqliteStore._begin
MUTANTS = {
    "synchronous is OFF": (SqliteStore, "_begin", never_full),
    "a commit is acknowledged before its fsync": (Combiner, "_wants_sync", always_relaxed),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_a_store_that_acknowledges_too_early_is_caught(
    name: str, vfs: RecordingVFS, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(*MUTANTS[name])
        leaves = writers.alone(tmp_path / "s" / "store.db", vfs, writes=8, seed=1)
    caught(vfs, leaves, images)


def test_a_disk_that_only_claims_to_sync_is_caught(images: Path, tmp_path: Path) -> None:
    with recording(syncs=False) as vfs:
        leaves = writers.alone(tmp_path / "s" / "store.db", vfs, writes=8, seed=1)
        caught(vfs, leaves, images)


def caught(vfs: RecordingVFS, leaves: list[str], folder: Path) -> None:
    events = vfs.record.events
    with pytest.raises(Exception) as found:
        cut(events, every(events, step=3, seeds=1), folder, writers.judge(leaves))
    assert "acknowledged and lost" in str(found.value) or found.value.code == "store_corrupt"


def test_a_store_that_goes_on_after_a_failed_sync_as_if_nothing_was_is_caught(
    vfs: RecordingVFS, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(resync, "rewrite", lambda *_: None)
        leaves = failing_once(tmp_path / "s" / "store.db", vfs)
    caught(vfs, leaves, images)


def test_a_governor_that_acknowledges_too_early_is_caught(
    vfs: RecordingVFS, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Combiner, "_wants_sync", always_relaxed)
        states = acting.work(tmp_path / "s" / "store.db", vfs, steps=6, seed=4)
    events = vfs.record.events
    with pytest.raises(AssertionError, match="was acknowledged, this is"):
        cut(events, every(events, step=3, seeds=1), images, acting.judge(states))
