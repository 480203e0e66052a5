"""Rebuilding equals never having crashed: from a snapshot and a tail, from all events, or by a
change of rules; and what is held in memory is never believed against the rows."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridle.governor.action import path
from bridle.governor.history import entries, partitions, reading
from bridle.governor.history.shelf import Held, Shelf
from bridle.governor.oversight import activation
from bridle.model.calls import Decide, MissionVerb, Redact, Terms
from bridle.store.rows import EventRow, PartitionRow, SnapshotRow
from governor.desk import FILES as PLAIN
from governor.desk import HOUR, MINUTE, SECOND, bundle_of, changed, said, text_of
from governor.history.past import FILES, MISSION, LongDesk, edited

OTHERS = edited(("policies/limits.dw", "within 1h", "within 30m"))
MORE = edited(
    (
        "policies/limits.dw",
        "",
        """
@id("order") @reason("ring before you read")
forbid (principal, action == Action::"note.read", resource)
when temporal { !(formerly within 2h Action::"bell.ring"::response{}) };
""",
    )
)
BUNDLES = {"as it was": FILES, "other windows": OTHERS, "one more": MORE}

ACTS = st.one_of(
    st.tuples(st.just("act"), st.sampled_from(["note.read", "bank.tip", "bell.ring", "bank.pay"])),
    st.tuples(st.just("deny"), st.just("gossip")),
    st.tuples(st.just("later"), st.sampled_from([0, 1, MINUTE, 20 * MINUTE, HOUR])),
    st.tuples(st.just("activate"), st.sampled_from(sorted(BUNDLES))),
    st.tuples(st.just("forget"), st.just("")),
    st.tuples(st.just("undo"), st.sampled_from(["bank.tip", "bell.ring"])),
)

ARGS: dict[str, dict[str, Any]] = {
    "note.read": {"id": 1},
    "bank.tip": {"amount": 1},
    "bank.pay": {"amount": 1},
    "bell.ring": {},
}


TIPS = MISSION[MISSION.index('@id("three-tips")') :]
LED = """
@id("led") @reason("a lead says so") @hold("leads")
forbid (principal, action == Action::"note.read", resource);
"""
RELAXED = changed(
    ("policies/limits.dw", "", TIPS + LED),
    ("bridle.toml", 'version = "1"', 'version = "1"\ndurability = "relaxed"'),
)


class UndoneError(Exception):
    """Rolls a turn back."""


def undone(desk: LongDesk, tool: str, key: str) -> None:
    """A decision whose turn is rolled back after all."""
    call = Decide(session=desk.session(), tool=tool, args=text_of(ARGS[tool]), key=key, start=True)

    def job(turn: Any) -> None:
        path.decide(turn, call)
        raise UndoneError

    with pytest.raises(UndoneError):
        desk.core.write(job)


def play(desk: LongDesk, acts: list[tuple[str, Any]], *, forgets: bool) -> list[Any]:
    seen: list[Any] = []
    for number, (what, which) in enumerate(acts):
        if what == "act":
            verdict = desk.act(which, f"a{number}", **ARGS[which])
            seen.append(said(verdict))
            if verdict.attempt:
                desk.observe(verdict.attempt, '{"body":"x"}' if which == "note.read" else "null")
        elif what == "deny":
            desk.decide("note.write", f"a{number}", text=which)
        elif what == "later":
            desk.later(which)
        elif what == "activate":
            desk.activate(BUNDLES[which])
        elif forgets and what == "forget":
            desk.forget()
        elif forgets and what == "undo":
            undone(desk, which, f"a{number}")
    return seen


def followed(acts: list[tuple[str, Any]]) -> None:
    one, other = LongDesk(), LongDesk()
    assert play(one, acts, forgets=False) == play(other, acts, forgets=True)
    assert one.happened() == other.happened()
    other.verified()


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(ACTS, max_size=25))
def test_who_forgets_all_of_it_answers_as_who_never_did(acts: list[tuple[str, Any]]) -> None:
    followed(acts)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(acts=st.lists(ACTS, min_size=10, max_size=80), tail=st.integers(1, 12))
def test_snapshots_at_any_point_change_no_answer(acts: list[tuple[str, Any]], tail: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(partitions, "TAIL", tail)
        followed(acts)


def test_a_snapshot_and_its_tail_are_all_that_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "TAIL", 10)
    desk = LongDesk()
    for number in range(30):
        desk.observe(desk.act("bank.tip", f"t{number}", amount=1).attempt or "none", "not_started")
    row = desk.partition("mission")
    assert row is not None
    saved = desk.core.write(lambda turn: turn.tx.get(SnapshotRow, row.id))
    assert saved is not None
    assert 0 < row.seq - saved.seq <= 10 + row.seq // 4
    desk.forget()
    read: list[int] = []
    real = partitions.chain.kept

    def counting(turn: Any, row: PartitionRow, after: int = 0, head: str = "") -> Any:
        for event in real(turn, row, after, head):
            read.append(event.time)
            yield event

    monkeypatch.setattr(partitions.chain, "kept", counting)
    desk.act("note.read", "r", id=1)
    # A tail in each of three scopes.
    assert len(read) <= 3 * (10 + 2)
    desk.verified()


def test_snapshots_cost_a_constant_for_each_event(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "TAIL", 2)
    written: list[int] = []
    real = partitions._save

    def counting(turn: Any, row: PartitionRow, held: Held) -> None:
        if row.scope == "mission":
            written.append(row.seq)
        real(turn, row, held)

    monkeypatch.setattr(partitions, "_save", counting)
    desk = LongDesk()
    for number in range(150):
        desk.observe(desk.act("note.read", f"r{number}", id=1).attempt, '{"body":"x"}')
    gaps = [after - before for before, after in pairwise(written) if after > before]
    # Each is further from the last than the one before: what they cost in all grows like events.
    assert len(set(written)) < 40
    assert max(gaps) > 5 * min(gaps)


def test_what_a_rolled_back_turn_left_in_memory_is_not_believed() -> None:
    desk = LongDesk()
    for number in range(3):
        assert desk.act("bank.tip", f"t{number}", amount=1).effect.runs
    for number in range(4):
        undone(desk, "bank.tip", f"u{number}")
    desk.forget()
    for number in range(5):
        undone(desk, "bank.tip", f"v{number}")
    desk.observe(desk.act("note.read", "r", id=1).attempt, '{"body":"x"}')
    assert len(desk.events()) == 5
    desk.activate(edited(("policies/limits.dw", "> 3", "> 4")))
    assert desk.act("bank.tip", "t3", amount=1).effect.runs
    assert said(desk.act("bank.tip", "t4", amount=1)) == ("deny", ["forbidden"])


def counted_readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The partitions that are read in from their rows, from here on."""
    read: list[str] = []
    real = reading.begun

    def counting(core: Any, row: PartitionRow, *more: Any) -> Any:
        read.append(row.id)
        return real(core, row, *more)

    monkeypatch.setattr(reading, "begun", counting)
    return read


def test_a_turn_that_is_rolled_back_costs_no_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = LongDesk()
    assert desk.act("bank.tip", "t", amount=1).effect.runs
    read = counted_readings(monkeypatch)
    for number in range(4):
        undone(desk, "bank.tip", f"u{number}")
        assert desk.act("note.write", f"w{number}", text="x").effect.runs
    assert read == []


def test_a_lapse_in_a_turn_that_has_to_be_strict_costs_no_reading(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An agent with an exception for a read could undo a turn at will, after its event."""
    desk = LongDesk(RELAXED)
    asked = desk.decide("note.read", "r", id=1)
    assert said(asked) == ("hold", ["held"])
    desk.answer(asked.approval, terms=Terms(count=50))
    assert desk.redeem(asked.approval, start=False).effect.runs
    read = counted_readings(monkeypatch)
    for _ in range(4):
        desk.later(MINUTE, tick=False)
        assert desk.decide("note.read", "r2", id=1).effect.runs
    assert desk.happened().count("note.read error not_started") >= 3
    assert read == []


def test_a_big_past_is_read_in_while_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partitions, "AT_HAND", 20)
    monkeypatch.setattr(reading, "_AT_ONCE", 10)
    desk = LongDesk()
    for number in range(60):
        desk.observe(desk.act("bank.tip", f"t{number}", amount=1).attempt or "none", "not_started")
    other = desk.opened("scout", mission=desk.start_mission(user="ben"))
    desk.forget()
    turns: list[int] = []
    real = reading.Reading.take_in

    def others(self: Any) -> None:
        real(self)
        verdict = desk.decide("note.write", f"o{len(turns)}", session=other, text="x")
        turns.append(verdict.effect.runs)

    monkeypatch.setattr(reading.Reading, "take_in", others)
    monkeypatch.setattr(partitions, "TAIL", 10_000)
    for row in desk.core.write(lambda turn: turn.tx.find(SnapshotRow)):
        desk.core.write(lambda turn, key=row.partition: turn.tx.delete(SnapshotRow, key))
    assert desk.act("bank.tip", "t", amount=1).effect.runs
    assert len(turns) > 10
    assert all(turns)
    desk.verified()


def test_an_activation_that_is_rolled_back_changes_no_answer() -> None:
    desk = LongDesk()
    desk.observe(desk.act("note.read", "r", id=1).attempt, '{"body":"x"}')
    other = bundle_of(PLAIN)
    desk.core.adopt(other)

    def job(turn: Any) -> None:
        activation.activate(turn, other, activation.By(user="ana", method="offline"))
        raise UndoneError

    with pytest.raises(UndoneError):
        desk.core.write(job)
    assert said(desk.act("bank.pay", "p", amount=1)) == ("deny", ["forbidden"])
    desk.verified()


def test_the_end_of_a_long_mission_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much happened in it, no turn deletes all of it."""
    monkeypatch.setattr(entries, "SWEPT", 20)
    desk = LongDesk()
    for number in range(30):
        desk.observe(desk.act("note.write", f"w{number}", text="x").attempt)
    old = desk.mission
    assert len(desk.events()) == 60
    desk.done(MissionVerb(mission=old, verb="close", as_user="ana"))
    assert len(desk.events()) == 40
    desk.later(SECOND)
    assert len(desk.events()) == 20
    desk.verified()
    desk.done(Redact(mission=old, basis="test", as_user="ana"))
    assert desk.events() == []
    assert desk.partition("mission") is None
    desk.verified()


def test_memory_is_bounded() -> None:
    desk = LongDesk()
    desk.core.shelf = Shelf(entries=3, events=8)
    for number in range(8):
        mission = desk.start_mission()
        session = desk.opened(mission=mission)
        for key in range(3):
            desk.decide("note.read", f"r{number}{key}", session=session, start=True, id=1)
    assert len(desk.core.shelf) <= 3
    # Nothing but memory was let go of.
    assert desk.core.write(lambda turn: turn.tx.count(EventRow)) == 8 * 3 * 3


def test_events_that_no_window_reaches_are_let_go_of() -> None:
    desk = LongDesk()
    for number in range(30):
        mission = desk.start_mission()
        session = desk.opened(mission=mission)
        desk.decide("bell.ring", f"b{number}", session=session, start=True)
        desk.later(2 * HOUR)
    row = desk.partition("user")
    assert row is not None
    kept = desk.events("user")
    assert row.seq == 60
    assert row.first == row.seq + 1 - len(kept)
    assert row.clock - kept[0].time <= 24 * HOUR
    assert 20 <= len(kept) <= 30
    assert kept[0].time - 2 * HOUR < row.complete <= kept[0].time
    desk.forget()
    assert desk.act("bell.ring", "b").effect.runs
    desk.verified()


def test_what_no_window_reaches_goes_where_nothing_comes_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partitions, "TAIL", 3)
    desk = LongDesk()
    for number in range(5):
        desk.observe(desk.act("bell.ring", f"b{number}").attempt)
    desk.later(23 * HOUR)
    assert len(desk.events("user")) == 10
    desk.later(2 * HOUR)
    row = desk.partition("user")
    assert row is not None
    assert (desk.events("user"), row.first, row.base) == ([], 11, row.head)
    # Neither does a state lie about in which it still stands.
    left = desk.core.write(lambda turn: turn.tx.find(SnapshotRow))
    assert "user" not in {each.partition.partition(":")[0] for each in left}
    desk.forget()
    session = desk.opened(mission=desk.start_mission())
    assert desk.decide("bell.ring", "later", "{}", session=session, start=True).effect.runs
    desk.verified()
