"""After a power cut no checkpoint that anybody saw is contradicted, and the log goes on.

What is left where a disk loses what it had synced is another matter: nobody can go on with that,
and no governor does where a checkpoint says more than is left.
"""

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bridle.governor.audit import opening
from bridle.governor.publishing.publisher import Publisher
from crash.power import cuts, signing
from crash.power.cuts import cut, some
from crash.power.vfs import Event, written


def test_a_governor_that_signs_stands_by_every_checkpoint_after_a_cut(
    images: Path, tmp_path: Path
) -> None:
    events = signing.work(tmp_path, steps=6, seed=1)
    assert cut(events, some(events, 12, 1), images, signing.judge(tmp_path)) == 12


@pytest.mark.slow
def test_governors_that_sign_and_change_keys_stand_by_every_checkpoint_after_many_cuts(
    images: Path, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    events = signing.work(tmp_path, steps=count(9, 30), seed=2, lives=3)
    wanted = count(100, 1_000)
    assert cut(events, some(events, wanted, 2), images, signing.judge(tmp_path)) == wanted


# --- what was synced goes bad --------------------------------------------------------------------

REFUSALS = {"store_rolled_back", "store_tampered", "store_corrupt"}


def rot(
    events: list[Event], trials: int, images: Path, bundle: Path, *, file: bool, until: str = ""
) -> list[str]:
    """How each store was refused whose log went bad; empty where it was gone on with.

    Ends early once one was refused with the code `until`: where the rot strikes is chance.
    """
    found, dice = [], random.Random(trials)
    places = [at for at, event in enumerate(events) if at > len(events) // 3 and _signed(event)]
    for _ in range(trials):
        place = min(dice.choice(places) + dice.randrange(1, _SOON), len(events))
        for _, _, whole in cuts.images(events, [(place, ALL_KEPT)], {}):
            how = dice.choice([*signing.ROTS])
            files = signing.rotted(whole, events[:place], how, dice)
            if not file:
                files.pop("checkpoint", None)
            where = images / "image"
            path = written(files, where)
            copy = bundle / "copy"
            copy.unlink(missing_ok=True)
            found.append(signing.refused(path, bundle, events[:place], copy))
            shutil.rmtree(where)
        if until and until in found:
            break
    return found


def _signed(event: Event) -> bool:
    return event.kind == "note" and event.note[0] == "signed"


# What was signed is in the log for so many events; then SQLite moves it into the database.
_SOON = 40
ALL_KEPT = cuts.KEEPS.index(1.0)


@pytest.mark.parametrize("file", [True, False], ids=["beside the store", "only in a copy"])
def test_a_log_that_lost_what_it_had_synced_is_refused_where_a_checkpoint_says_more(
    file: bool, images: Path, tmp_path: Path
) -> None:
    events = signing.work(tmp_path, steps=6, seed=3)
    found = rot(events, 80, images, tmp_path, file=file, until="store_rolled_back")
    assert set(found) <= REFUSALS | {""}
    assert "store_rolled_back" in found


@pytest.mark.slow
def test_logs_that_lost_what_they_had_synced_are_never_gone_on_with_as_if_they_were_whole(
    images: Path, tmp_path: Path, count: Callable[[int, int], int]
) -> None:
    events = signing.work(tmp_path, steps=9, seed=4, lives=3)
    found = rot(events, count(60, 1_000), images, tmp_path, file=True)
    print({code: found.count(code) for code in sorted(set(found))})
    assert set(found) <= REFUSALS | {""}
    assert "store_rolled_back" in found


# --- these tests can fail ------------------------------------------------------------------------


def signs_what_is_not_synced(patch: pytest.MonkeyPatch) -> None:
    """The note leaves by a commit that waited for nothing: over relaxed records, and as one."""

    def publish(self: Publisher) -> bool:
        note = self._core.store.write(self.sign, relaxed=True)
        return self._files.put(note)

    patch.setattr(Publisher, "publish", publish)


def lets_the_file_out_before_the_commit(patch: pytest.MonkeyPatch) -> None:
    ordinary = Publisher.sign

    def sign(self: Publisher, tx: object) -> bytes:
        note = ordinary(self, tx)  # type: ignore[arg-type]
        self._files.put(note)
        return note

    patch.setattr(Publisher, "sign", sign)


@pytest.mark.parametrize("mutant", [signs_what_is_not_synced, lets_the_file_out_before_the_commit])
def test_a_governor_that_signs_too_early_is_caught(
    mutant: Callable[[pytest.MonkeyPatch], None],
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        mutant(patch)
        events = signing.work(tmp_path, steps=18, seed=1, lives=1)
    places = [at for at, event in enumerate(events, 1) if event.kind == "names"]
    with pytest.raises(Exception) as found:
        cut(events, ((at, 0) for at in places), images, signing.judge(tmp_path))
    assert getattr(found.value, "code", "") == "store_rolled_back" or "signed" in str(found.value)


def test_a_governor_that_goes_on_with_what_is_left_of_its_log_is_caught(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recovery that takes whatever is there for the log that was."""
    events = signing.work(tmp_path, steps=6, seed=3)
    monkeypatch.setattr(opening, "_assert_holds", lambda recount, signed: None)
    with pytest.raises(AssertionError, match=r"were signed, and there are|are not those"):
        rot(events, 80, images, tmp_path, file=True)
