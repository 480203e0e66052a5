"""The ground: time that never runs back, ids that follow from a seed, a level on every record."""

import time
from pathlib import Path

import pytest

from bridle.governor.governor import Governor
from bridle.governor.ground.chance import SeededChance, SystemChance, new_id
from bridle.governor.ground.clear import plain, text_of, token
from bridle.governor.ground.clock import VirtualClock, WallClock
from bridle.ledger import leaf
from bridle.model import calls
from bridle.model.calls import Opened
from bridle.model.errors import BundleError, StoreError
from governor.desk import ANYONE, FILES


def test_a_wall_clock_starts_no_earlier_than_the_last_record_and_only_goes_on():
    future = time.time_ns() // 1_000_000 + 3_600_000
    ahead, usual = WallClock(floor=future), WallClock()
    assert ahead.now() >= future
    assert abs(usual.now() - time.time_ns() // 1_000_000) < 60_000
    seen = [usual.now() for _ in range(100)]
    assert seen == sorted(seen)


def test_a_virtual_clock_does_not_run_back():
    clock = VirtualClock(10)
    clock.move_to(5)
    assert clock.now() == 10
    clock.move_to(11)
    assert clock.now() == 11


def test_seeded_chance_repeats_and_the_systems_does_not():
    first, second = SeededChance(b"s"), SeededChance(b"s")
    drawn = [new_id(first, "x") for _ in range(3)]
    assert drawn == [new_id(second, "x") for _ in range(3)]
    assert len(set(drawn)) == 3
    assert new_id(SystemChance(), "x") != new_id(SystemChance(), "x")


def test_words_in_clear_are_names_or_nothing():
    assert token("payments.refund") == "payments.refund"
    assert token("") == ""
    for prose in ("two words", "a\n", "é", "x" * 129, "\ud800"):
        assert token(prose) == "?"
    assert text_of("a\ud800") == "a\\ud800"
    assert plain({"k": ["\ud800" * 999]})["k"] == ["\\ud800" * 256]


def written(folder: Path, files: dict[str, str] = FILES) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def records(governor: Governor) -> list[leaf.Leaf]:
    return governor.core.write(
        lambda turn: [leaf.parse(stored.data) for stored in turn.tx.leaves()]
    )


@pytest.mark.parametrize(("embedded", "level"), [(True, "embedded"), (False, "same-uid")])
def test_every_record_says_how_far_agent_and_governor_are_apart(tmp_path, embedded, level):
    root = written(tmp_path / "bundle")
    governor = Governor.open(root, state=tmp_path / "state", embedded=embedded)
    mission = governor.handle(ANYONE, calls.StartMission(template="office", user="ana"))
    assert isinstance(mission, Opened)
    session = governor.handle(ANYONE, calls.OpenSession(mission=mission.id, agent="clerk"))
    assert isinstance(session, Opened)
    governor.handle(
        ANYONE,
        calls.Decide(session=session.id, tool="note.read", args='{"id":1}', key="a", start=True),
    )
    assert {each.ids["level"] for each in records(governor)} == {level}
    governor.close()


def test_a_store_that_was_written_in_the_future_is_gone_on_with_from_there(tmp_path: Path):
    root, state = written(tmp_path / "bundle"), tmp_path / "state"
    governor = Governor.open(root, state=state, embedded=True)
    future = governor.core.clock.now() + 7_200_000
    governor.core.clock = VirtualClock(future)
    governor.handle(ANYONE, calls.Kill(scope="all", as_user="ana"))
    governor.close()
    again = Governor.open(root, state=state, embedded=True)
    again.handle(ANYONE, calls.Unkill(scope="all", as_user="ben"))
    times = [each.time for each in records(again)]
    assert times == sorted(times)
    assert times[-1] >= future
    again.close()


def test_two_governors_do_not_share_a_store(tmp_path: Path):
    root, state = written(tmp_path / "bundle"), tmp_path / "state"
    governor = Governor.open(root, state=state, embedded=True)
    with pytest.raises(StoreError) as refused:
        Governor.open(root, state=state, embedded=True)
    assert refused.value.code == "store_locked"
    governor.close()
    Governor.open(root, state=state, embedded=True).close()


def test_without_a_usable_bundle_nothing_is_opened_and_nothing_stays_locked(tmp_path: Path):
    root, state = written(tmp_path / "bundle", {"bridle.toml": "format = "}), tmp_path / "state"
    for _ in range(2):
        with pytest.raises(BundleError):
            Governor.open(root, state=state, embedded=True)


def test_an_attempt_that_an_earlier_process_left_is_unknown_once_its_lease_is_over(tmp_path: Path):
    root, state = written(tmp_path / "bundle"), tmp_path / "state"
    governor = Governor.open(root, state=state, embedded=True)
    clock = VirtualClock(governor.core.clock.now() - 3_600_000)
    governor.core.clock = clock
    mission = governor.handle(ANYONE, calls.StartMission(template="office", user="ana"))
    session = governor.handle(ANYONE, calls.OpenSession(mission=mission.id, agent="clerk"))
    write = {"session": session.id, "tool": "note.write", "args": '{"text":"x"}', "start": True}
    old = governor.handle(ANYONE, calls.Decide(**write, key="old")).verdict
    clock.move_to(clock.now() + 3_600_000)
    new = governor.handle(ANYONE, calls.Decide(**write, key="new")).verdict
    governor.close()
    again = Governor.open(root, state=state, embedded=True)
    unknown = again.handle(ANYONE, calls.Attempts()).rows
    running = again.handle(ANYONE, calls.Attempts(state="started")).rows
    assert [row["id"] for row in unknown] == [old.attempt]
    assert [row["id"] for row in running] == [new.attempt]
    again.close()
