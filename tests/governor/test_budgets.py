"""Budgets: exact, reserved with the verdict, charged once, given back for what never happened."""

import threading
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridle.model import calls
from bridle.model.outcome import Outcome, OutcomeKind
from governor.desk import FILES, HOUR, SECOND, Desk, changed, codes, said


def test_a_budget_is_reserved_with_the_verdict_and_exhausted_exactly(desk: Desk):
    assert desk.decide("bank.pay", "a", amount=50).effect == "allow"
    assert desk.decide("bank.pay", "b", amount=Decimal("49.9999")).effect == "allow"
    assert desk.used("money") == Decimal("99.9999")
    assert said(desk.decide("bank.pay", "c", amount=Decimal("0.0002"))) == (
        "deny", ["budget_exhausted"])  # fmt: skip
    assert desk.decide("bank.pay", "d", amount=Decimal("0.0001")).effect == "allow"
    assert desk.used("money") == 100
    assert codes(desk.decide("bank.pay", "e", amount=Decimal("0.0001"))) == ["budget_exhausted"]


@pytest.mark.parametrize(
    ("outcome", "left"),
    [
        (Outcome(OutcomeKind.OK, output="null"), 20),
        (Outcome(OutcomeKind.ERROR, error="timeout"), 20),
        (Outcome(OutcomeKind.UNKNOWN), 20),
        (Outcome(OutcomeKind.NOT_STARTED), 0),
        (Outcome(OutcomeKind.ERROR, error="no_such_order"), 0),
    ],
)
def test_only_what_never_happened_is_given_back(desk: Desk, outcome, left):
    verdict = desk.act("bank.pay", "a", amount=20)
    assert desk.used("money") == 20
    desk.observe(verdict.attempt, outcome)
    assert desk.used("money") == left


def test_a_denied_action_costs_nothing(desk: Desk):
    desk.decide("note.write", "a", text="gossip")
    desk.decide("bank.pay", "b", amount=200)
    desk.decide("no.such", "c")
    assert desk.used("calls") == desk.used("money") == 0


def test_an_action_is_charged_once_whatever_its_attempts(desk: Desk):
    for _ in range(3):
        verdict = desk.act("note.index", "a")
        desk.observe(verdict.attempt, "error")
    assert desk.used("calls") == 1


def test_an_earlier_attempt_that_may_have_paid_keeps_its_charge(desk: Desk):
    first = desk.act("bank.pay", "a", amount=20)
    desk.observe(first.attempt, "error")
    held = desk.act("bank.pay", "a", amount=20)
    desk.answer(held.approval, "ana")
    second = desk.redeem(held.approval)
    assert desk.used("money") == 20
    desk.observe(second.attempt, "not_started")
    assert desk.used("money") == 20


def test_settling_the_last_attempt_does_not_give_back_what_an_earlier_one_used(desk: Desk):
    first = desk.act("bank.pay", "a", amount=20)
    desk.observe(first.attempt, "error")
    held = desk.act("bank.pay", "a", amount=20)
    desk.answer(held.approval, "ana")
    second = desk.redeem(held.approval)
    desk.later(31 * SECOND)
    outcome = Outcome(OutcomeKind.NOT_STARTED)
    desk.done(calls.Settle(attempt=second.attempt, outcome=outcome, as_user="ana"))
    assert desk.used("money") == 20


def test_a_late_not_started_gives_back_what_the_unknown_had_kept(desk: Desk):
    verdict = desk.act("bank.pay", "a", amount=20)
    desk.later(31 * SECOND)
    assert desk.used("money") == 20
    desk.observe(verdict.attempt, "not_started")
    assert desk.used("money") == 0


def test_a_step_that_came_to_cost_more_pays_the_difference(desk: Desk):
    clamp = """@id("small") @modify("clamp input.amount 0..10")
    forbid (principal, action == Action::"bank.pay", resource)
    when { context.input.amount.greaterThan(decimal("10.0")) };"""
    clamped = Desk(changed(("policies/permits.dw", "", clamp)))
    verdict = clamped.act("bank.pay", "a", amount=40)
    assert clamped.used("money") == 10
    clamped.observe(verdict.attempt, "error")
    clamped.activate(FILES)
    held = clamped.act("bank.pay", "a", amount=40)
    clamped.answer(held.approval, "ana")
    assert clamped.redeem(held.approval).attempt
    assert clamped.used("money") == 40
    clamped.verified()


def test_windows_are_aligned_to_the_start_of_the_mission(desk: Desk):
    assert desk.mission
    desk.later(30 * 60 * SECOND)
    for key in "abc":
        assert desk.decide("bell.ring", key, times=1).effect == "allow"
    assert codes(desk.decide("bell.ring", "d", times=1)) == ["budget_exhausted"]
    desk.later(30 * 60 * SECOND - 1, tick=False)
    assert codes(desk.decide("bell.ring", "e", times=1)) == ["budget_exhausted"]
    desk.later(1, tick=False)
    assert desk.decide("bell.ring", "f", times=1).effect == "allow"


def test_a_refund_goes_to_the_window_that_paid(desk: Desk):
    verdict = desk.act("bell.ring", "a", times=1)
    desk.later(HOUR, tick=False)
    desk.observe(verdict.attempt, "not_started")
    for key in "bcd":
        assert desk.decide("bell.ring", key, times=1).effect == "allow"
    assert codes(desk.decide("bell.ring", "e", times=1)) == ["budget_exhausted"]


def test_an_amount_that_is_missing_costs_the_whole_budget(desk: Desk):
    held = desk.decide("bank.tip", "a")
    assert said(held) == ("hold", ["held"])
    desk.answer(held.approval)
    assert desk.redeem(held.approval).attempt
    assert desk.decide("bank.tip", "b", amount=Decimal("0.0001")).effect == "hold"


def test_nothing_and_less_than_nothing_cost_nothing(desk: Desk):
    for key, amount in {"a": 0, "b": -5, "c": Decimal("-0.5")}.items():
        assert desk.decide("bank.pay", key, amount=amount).effect == "allow"
    assert desk.used("money") == 0


def test_no_approval_carries_a_budget_beyond_what_can_be_counted():
    files = changed(("missions.toml", 'measure = { "bank.tip" = "input.amount" }',
                     'measure = { "bell.ring" = "input.times" }'))  # fmt: skip
    desk = Desk(files)
    assert codes(desk.decide("bell.ring", "a", times=2**63 - 1)) == ["budget_exhausted"]
    assert codes(desk.decide("bell.ring", "b", times=2**53)) == ["budget_exhausted"]
    held = desk.decide("bell.ring", "c", times=9 * 10**11)
    assert held.effect == "hold"
    desk.answer(held.approval)
    assert desk.redeem(held.approval).attempt
    assert codes(desk.decide("bell.ring", "d", times=9 * 10**11)) == ["budget_exhausted"]
    desk.verified()


def test_what_was_spent_is_shown_in_plain_numbers(desk: Desk):
    desk.decide("bank.pay", "a", amount=Decimal("12.5"))
    [row] = desk.rows(calls.Missions(mission=desk.mission))
    money = next(b for b in row["budgets"] if b["budget"] == "money")
    assert (money["used"], money["limit"], money["unit"]) == ("12.5", "100", "EUR")


def test_sixteen_threads_never_spend_more_than_there_is(desk: Desk):
    session, sink = desk.session(), []
    barrier = threading.Barrier(16)

    def spend(number: int) -> None:
        barrier.wait()
        for step in range(6):
            verdict = desk.act("bank.pay", f"{number}-{step}", session=session, amount=3)
            if verdict.attempt:
                sink.append(verdict.attempt)
                if step % 3 == 2:
                    sink.remove(verdict.attempt)
                    desk.observe(verdict.attempt, "not_started", session)

    threads = [threading.Thread(target=spend, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert desk.used("money") == 3 * len(sink) <= 100
    assert len(set(sink)) == len(sink)
    assert len(sink) >= 31


@settings(max_examples=25)
@given(
    st.lists(
        st.tuples(
            st.decimals(min_value=0, max_value=60, places=4),
            st.sampled_from(["ok", "error", "not_started", "unknown", "none"]),
        ),
        max_size=12,
    )
)
def test_what_is_used_is_what_ran_or_may_have_run(steps):
    desk, used = Desk(), Decimal(0)
    for number, (amount, end) in enumerate(steps):
        price = min(amount, Decimal(50))  # more would be held
        verdict = desk.act("bank.pay", str(number), amount=price)
        if used + price > 100:
            assert codes(verdict) == ["budget_exhausted"]
            continue
        assert verdict.attempt
        used += price
        if end != "none":
            desk.observe(verdict.attempt, end)
        if end == "not_started":
            used -= price
        assert desk.used("money") == used
    desk.verified()
    desk.governor.close()


def booked(desk: Desk) -> dict[str, int]:
    """What the records add up to, by row."""
    total: dict[str, int] = {}
    for leaf in desk.leaves():
        for key, amount in leaf.body.get("charged", {}).items():
            total[key] = total.get(key, 0) + amount
        for key, amount in leaf.body.get("returned", {}).items():
            total[key] = total.get(key, 0) - amount
    return {key.rpartition("/")[2]: amount for key, amount in total.items() if amount}


def test_what_came_back_on_a_word_that_is_contradicted_is_charged_again(desk: Desk):
    verdict = desk.act("bank.pay", "a", amount=20)
    desk.observe(verdict.attempt, Outcome(OutcomeKind.NOT_STARTED))
    assert desk.used("money") == 0
    desk.observe(verdict.attempt, "ok")
    assert desk.used("money") == 20
    assert booked(desk) == {"money": 200_000, "calls": 10_000}
    # Whoever goes on saying otherwise changes nothing any more: a human has the word.
    word = Outcome(OutcomeKind.NOT_STARTED)
    assert codes(desk.observe(verdict.attempt, word)) == ["needs_human"]
    assert desk.used("money") == 20
    desk.done(calls.Settle(attempt=verdict.attempt, outcome=word, as_user="ana"))
    assert booked(desk) == {}
    desk.verified()


def test_a_contradicted_word_costs_once_though_the_action_was_tried_again(desk: Desk):
    first = desk.act("bank.pay", "a", amount=20)
    desk.observe(first.attempt, Outcome(OutcomeKind.NOT_STARTED))
    second = desk.act("bank.pay", "a", amount=20)
    desk.observe(first.attempt, "ok")
    desk.observe(second.attempt, Outcome(OutcomeKind.NOT_STARTED))
    assert desk.used("money") == 20
    assert booked(desk)["money"] == 200_000
    desk.verified()


def test_an_earlier_attempt_that_a_human_clears_gives_back_what_it_kept(desk: Desk):
    first = desk.act("bank.pay", "a", amount=20)
    desk.observe(first.attempt, Outcome(OutcomeKind.UNKNOWN))
    held = desk.act("bank.pay", "a", amount=20)
    desk.answer(held.approval, "ben")
    second = desk.redeem(held.approval, start=True)
    desk.observe(second.attempt, Outcome(OutcomeKind.NOT_STARTED))
    assert desk.used("money") == 20
    word = Outcome(OutcomeKind.NOT_STARTED)
    desk.done(calls.Settle(attempt=first.attempt, outcome=word, as_user="ana"))
    assert desk.used("money") == 0
    assert booked(desk) == {}
    desk.verified()
