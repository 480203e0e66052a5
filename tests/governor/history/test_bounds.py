"""Clocks, callers at the same moment, and shares: windows stay right, and nothing is forgotten."""

import threading
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridle.governor.ground.clock import VirtualClock
from bridle.governor.ground.core import Core, Keys, Setting
from bridle.governor.throwaway import SeededChance
from bridle.model import calls
from bridle.model.verdict import Verdict
from governor.desk import AGENT, ANYONE, FILES, HOUR, START, Desk, changed, judged, said
from governor.history.past import FILES as LOOKING_BACK
from governor.history.past import LongDesk, edited

STEPS = st.lists(st.integers(-2 * HOUR, 2 * HOUR), min_size=1, max_size=8)


def desk_at(store: Any, start: int) -> LongDesk:
    """Another governor of the store, whose clock says what it says."""
    clock = VirtualClock(start)
    keys = Keys(payload=bytes(32), digest=bytes(32))
    chance = SeededChance(f"clock {start} {store.size}".encode())
    core = Core(store, keys, Setting("offline", leases=False), clock=clock, chance=chance)
    return LongDesk.over(core, clock)  # type: ignore[return-value]


@settings(max_examples=20, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(STEPS)
def test_a_clock_that_is_stepped_back_shortens_no_window(steps: list[int]) -> None:
    """The rule fires for an hour after the read by every clock there was, and no longer."""
    desk = LongDesk(leases=False)
    desk.observe(desk.act("note.read", "r", id=1).attempt, '{"body":"x"}')
    # No proofs: one is refused where the clock was set back since, and history is at stake here.
    mission, session, latest = desk.mission, desk.keyless(), START
    for number, step in enumerate(steps):
        # A governor that starts takes the time of the last record where its own clock is behind.
        now = max(0, desk.clock.now() + step)
        clock = VirtualClock(now)
        desk.core.clock = desk.clock = clock
        desk.forget()
        latest = max(latest, now)
        call = calls.Decide(
            session=session, tool="bank.pay", args='{"amount":1}', key=str(number), start=True
        )
        verdict = judged(desk.ask(call, ANYONE))
        if verdict.effect.value == "deny" and verdict.reasons[0].code in (
            "expired",
            "lease_lapsed",
        ):
            break
        fires = "no-pay-after-read" in {reason.policy for reason in verdict.reasons}
        assert fires == (latest - START <= HOUR), (latest - START, verdict)
    times = [row.time for row in desk.events(mission=mission)]
    assert times == sorted(times)


@given(st.lists(st.sampled_from([0, 0, 1]), max_size=6))
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_at_equal_instants_order_is_that_of_the_records(waits: list[int]) -> None:
    desk = LongDesk()
    for number, wait in enumerate(waits):
        desk.observe(desk.act("note.write", f"w{number}", text="x").attempt)
        desk.later(wait, tick=False)
    desk.observe(desk.act("note.read", "r", id=1).attempt, '{"body":"x"}')
    assert said(desk.act("bank.pay", "p", amount=1)) == ("deny", ["forbidden"])
    records = [row.record for row in desk.events()]
    assert records == sorted(records)


def test_a_window_closes_right_after_its_last_millisecond() -> None:
    desk = LongDesk()
    desk.observe(desk.act("note.read", "r", id=1).attempt, '{"body":"x"}')
    desk.later(HOUR)
    assert said(desk.act("bank.pay", "p1", amount=1)) == ("deny", ["forbidden"])
    desk.later(1)
    assert "no-pay-after-read" not in {
        r.policy for r in desk.act("bank.pay", "p2", amount=1).reasons
    }


@pytest.mark.parametrize("missions", [1, 4])
def test_many_callers_at_once_never_pass_a_limit(missions: int) -> None:
    desk = LongDesk()
    sessions = [desk.opened(mission=desk.start_mission()) for _ in range(missions)]
    verdicts: list[Verdict] = []

    def ring(number: int) -> None:
        session = sessions[number % missions]
        for turn in range(4):
            key = f"b{number}-{turn}"
            call = calls.Decide(session=session, tool="bell.ring", args="{}", key=key, start=True)
            verdicts.append(judged(desk.ask(call, AGENT)))

    threads = [threading.Thread(target=ring, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(verdicts) == 32
    assert sum(verdict.effect.runs for verdict in verdicts) == 5
    desk.forget()
    assert said(desk.act("bell.ring", "more")) == ("deny", ["forbidden"])
    desk.verified()


SMALL = edited(("bridle.toml", "[limits]\n", "[limits]\nhistory_events = 4\n"))


def test_a_mission_that_fills_its_share_denies_itself_and_nobody_else() -> None:
    desk = LongDesk(SMALL)
    first = desk.mission
    for number in range(4):
        desk.observe(desk.act("bell.ring", f"b{number}").attempt)
    seen = len(desk.events("user"))
    assert said(desk.act("bell.ring", "b4")) == ("deny", ["limit_exceeded"])
    assert len(desk.events("user")) == seen == 8
    # What no rule looks back on takes up no share.
    assert desk.act("note.write", "w", text="x").effect.runs
    second = desk.start_mission()
    session = desk.opened(mission=second)
    verdict = desk.decide("bell.ring", "other", session=session, start=True)
    assert verdict.effect.runs
    # What was counted is still counted: nothing made room.
    assert not desk.decide("bell.ring", "another", session=session, start=True).effect.runs
    assert desk.happened("mission", first)[0] == "bell.ring request"


def test_what_was_admitted_may_end_in_a_full_history() -> None:
    desk = LongDesk(edited(("bridle.toml", "[limits]\n", "[limits]\nhistory_events = 3\n")))
    attempts = [desk.act("bell.ring", f"b{number}").attempt for number in range(3)]
    assert said(desk.act("bell.ring", "b3")) == ("deny", ["limit_exceeded"])
    for attempt in attempts:
        assert desk.observe(attempt).effect.runs
    assert desk.happened().count("bell.ring response") == 3
    desk.verified()


def test_a_full_history_has_room_again_once_no_window_reaches_it() -> None:
    desk = LongDesk(SMALL)
    for number in range(4):
        desk.observe(desk.act("bell.ring", f"b{number}").attempt)
    assert said(desk.act("bell.ring", "b4")) == ("deny", ["limit_exceeded"])
    desk.later(HOUR + 1)
    assert desk.act("bell.ring", "b5").effect.runs


def test_asking_again_after_a_full_history_is_judged_anew() -> None:
    desk = LongDesk(SMALL)
    for number in range(4):
        desk.observe(desk.act("bell.ring", f"b{number}").attempt)
    assert said(desk.act("bell.ring", "late")) == ("deny", ["limit_exceeded"])
    desk.later(HOUR + 1)
    assert desk.act("bell.ring", "late").effect.runs


def test_a_limit_that_is_raised_counts_at_once() -> None:
    desk = LongDesk(SMALL)
    for number in range(4):
        desk.observe(desk.act("bell.ring", f"b{number}").attempt)
    desk.activate(LOOKING_BACK)
    assert desk.act("bell.ring", "b4").effect.runs


def looking_at(predicate: str) -> dict[str, str]:
    """A small share, and no rule but one over these events."""
    rule = f"""
@id("watch") @reason("too much of it") @enforce("shadow")
forbid (principal, action == Action::"bell.ring", resource)
when temporal {{ formerly within 1h {predicate} }};
"""
    limits = ("bridle.toml", "[limits]\n", "[limits]\nhistory_events = 4\n")
    return changed(limits, ("policies/limits.dw", "", rule))


def test_what_is_denied_fills_a_share_as_well() -> None:
    """Where rules look at errors alone, an agent added as many as it liked by being denied."""
    desk = LongDesk(looking_at('Action::"note.write"::error{}'))
    said_of = [said(desk.decide("note.write", f"w{n}", text="gossip"))[1] for n in range(6)]
    assert said_of == [["forbidden"]] * 4 + [["limit_exceeded"]] * 2
    assert len(desk.events()) == 8


def test_what_is_held_fills_a_share_as_well() -> None:
    """Identical calls attach to one hold, so that holds alone bound nothing."""
    desk = LongDesk(looking_at('Action::"safe.open"::held{}'))
    said_of = [said(desk.decide("safe.open", f"s{n}", id=1))[1] for n in range(6)]
    assert said_of == [["held"]] * 4 + [["limit_exceeded"]] * 2
    assert len(desk.events()) == 4


def test_what_ends_well_fills_a_share_as_well() -> None:
    desk = LongDesk(looking_at('Action::"note.read"::response{}'))
    for number in range(4):
        desk.observe(desk.act("note.read", f"r{number}", id=1).attempt, '{"body":"x"}')
    assert said(desk.act("note.read", "r", id=1)) == ("deny", ["limit_exceeded"])


def test_nothing_is_paid_for_where_no_policy_looks_back() -> None:
    desk = Desk(FILES)
    read: list[str] = []
    real = desk.core.shelf.find

    def counting(partition: str, head: str) -> Any:
        read.append(partition)
        return real(partition, head)

    desk.core.shelf.find = counting  # type: ignore[method-assign]
    desk.observe(desk.act("note.read", "r", id=1).attempt, '{"body":"x"}')
    assert read == []
