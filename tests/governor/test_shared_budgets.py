"""Budgets of agents and users: shared by missions, paid with the mission's own, or nobody pays."""

import time
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bridle.governor.ground.clock import WallClock
from bridle.governor.ground.opening import _latest_time
from bridle.governor.ground.records import Entry
from bridle.model import calls
from bridle.model.errors import BundleError
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.record import LeafKind
from bridle.store.rows import BudgetRow
from bridle.store.sqlite import open_store
from governor.desk import FILES, HOUR, SECOND, START, Desk, bundle_of, changed, codes, said

BUDGETS = """
[users.ana.budgets.money]
limit = 150
unit = "EUR"
measure = { "bank.pay" = "input.amount" }
[users.ana.budgets.bells]
limit = 4
window = "1h"
measure = { "bell.ring" = 1 }
[agents.clerk.budgets.money]
limit = 120
unit = "EUR"
measure = { "bank.pay" = "input.amount" }
hold = ["leads"]
[agents.clerk.budgets.tips]
limit = 8
measure = { "bank.tip" = "input.amount" }
hold = ["board"]
[agents.clerk.budgets.calls]
limit = 500
[agents.clerk.budgets.writes]
limit = 400
"""
HOUSE = changed(("agents.toml", "", BUDGETS))


@pytest.fixture
def house() -> Iterator[Desk]:
    desk = Desk(HOUSE)
    yield desk
    desk.verified()
    assert_books_balance(desk)
    desk.governor.close()


def rows_of(desk: Desk) -> dict[str, int]:
    found = desk.core.write(lambda turn: turn.tx.find(BudgetRow))
    return {row.id: row.used for row in found}


def sums_of(desk: Desk) -> dict[str, int]:
    """What the ledger says that each row holds."""
    total = Counter[str]()
    for leaf in desk.leaves():
        total.update(leaf.body.get("charged", {}))
        total.subtract(leaf.body.get("returned", {}))
    return dict(total)


def assert_books_balance(desk: Desk) -> None:
    assert sums_of(desk) == rows_of(desk)


def spent(desk: Desk, kind: str, name: str) -> dict[str, str]:
    [row] = desk.rows(calls.Agents(kind=kind, id=name))
    return {budget["budget"]: budget["used"] for budget in row["budgets"]}


def test_an_action_is_paid_by_its_mission_its_agent_and_its_user(house: Desk):
    verdict = house.decide("bank.pay", "a", amount=Decimal("12.5"))
    assert house.used("money") == Decimal("12.5")
    assert spent(house, "user", "ana") == {"money": "12.5", "bells": "0"}
    assert spent(house, "agent", "clerk") == {
        "money": "12.5", "tips": "0", "calls": "1", "writes": "1"}  # fmt: skip
    decision = house.leaves("decision")[-1]
    assert decision.body["charged"] == house.action(verdict).charged
    assert sorted(decision.body["charged"].values()) == [10_000, 10_000, 10_000] + [125_000] * 3


def test_missions_share_what_their_user_has(house: Desk):
    first, second = house.mission, house.start_mission()
    one, two = house.opened(mission=first), house.opened(agent="scout", mission=second)
    for number in range(2):
        assert house.decide("bank.pay", f"a{number}", session=one, amount=50).effect == "allow"
        # The scout has no budget of his own, his mission has another 100: the user pays 150 in all.
    assert house.decide("bank.pay", "b", session=two, amount=50).effect == "allow"
    assert codes(house.decide("bank.pay", "c", session=two, amount=1)) == ["budget_exhausted"]
    assert spent(house, "user", "ana")["money"] == "150"


def test_another_user_pays_for_himself(house: Desk):
    for number in range(2):
        house.decide("bank.pay", f"a{number}", amount=50)
    other = house.opened(agent="scout", mission=house.start_mission(user="ben"))
    assert house.decide("bank.pay", "b", session=other, amount=50).effect == "allow"
    assert spent(house, "user", "ana")["money"] == "100"


def test_whoever_cannot_pay_stops_it_and_then_nobody_has_paid(house: Desk):
    poor = changed(("agents.toml", "", BUDGETS.replace("limit = 150", "limit = 10")))
    desk = Desk(poor)
    refused = desk.decide("bank.pay", "a", amount=11)
    assert said(refused) == ("deny", ["budget_exhausted"])
    assert refused.reasons[0].text == "the budget 'money' of this user is exhausted"
    assert rows_of(desk) == {}
    assert desk.decide("bank.pay", "b", amount=10).effect == "allow"
    desk.governor.close()


def test_rows_and_records_name_no_person_in_their_accounts(house: Desk):
    house.decide("bank.pay", "a", amount=5)
    for key in rows_of(house):
        assert "ana" not in key
        assert "clerk" not in key
    assert {key.split("_")[0] for key in rows_of(house)} == {"mis", "agent", "user"}


@pytest.mark.parametrize(
    ("outcome", "kept"),
    [
        (Outcome(OutcomeKind.OK, output="null"), 20),
        (Outcome(OutcomeKind.ERROR, error="timeout"), 20),
        (Outcome(OutcomeKind.UNKNOWN), 20),
        (Outcome(OutcomeKind.NOT_STARTED), 0),
        (Outcome(OutcomeKind.ERROR, error="no_such_order"), 0),
    ],
)
def test_what_never_happened_is_given_back_to_everyone(house: Desk, outcome, kept):
    verdict = house.act("bank.pay", "a", amount=20)
    house.observe(verdict.attempt, outcome)
    assert set(rows_of(house).values()) == ({0} if not kept else {10_000, 200_000})
    returned = house.leaves("outcome")[-1].body.get("returned", {})
    assert bool(returned) == (not kept)


def test_a_verdict_that_is_never_started_gives_everything_back_on_record(house: Desk):
    house.decide("bank.pay", "a", amount=20)
    house.later(5 * SECOND)
    assert set(rows_of(house).values()) == {0}
    last = house.leaves("outcome")[-1]
    assert (last.body["kind"], last.body["why"]) == ("not_started", "never_started")


def test_what_lapsed_and_is_asked_for_again_is_charged_once(house: Desk):
    for _ in range(4):
        assert house.decide("bank.pay", "a", amount=20).effect == "allow"
        house.later(5 * SECOND, tick=False)
    assert house.used("money") == 20
    assert spent(house, "user", "ana")["money"] == "20"


def test_an_unknown_end_keeps_the_charge_until_a_human_settles_it(house: Desk):
    verdict = house.act("bank.pay", "a", amount=20)
    house.later(31 * SECOND)
    assert spent(house, "user", "ana")["money"] == "20"
    settle = calls.Settle(attempt=verdict.attempt, outcome=Outcome(OutcomeKind.NOT_STARTED),
                          as_user="ana")  # fmt: skip
    house.done(settle)
    assert spent(house, "user", "ana")["money"] == "0"
    assert house.leaves("outcome")[-1].body["returned"]


def test_windows_of_users_follow_the_clock_and_those_of_missions_their_start(house: Desk):
    house.later(HOUR // 2)
    other = house.opened(mission=house.start_mission())
    for number in range(3):
        assert house.decide("bell.ring", f"a{number}", times=1, session=other).effect == "allow"
    # The mission began at half past: its three are spent, until half past.
    assert codes(house.decide("bell.ring", "b", times=1, session=other)) == ["budget_exhausted"]
    assert house.decide("bell.ring", "c", times=1, session=house.opened()).effect == "allow"
    refused = house.decide("bell.ring", "d", times=1, session=house.opened())
    assert refused.reasons[0].text == "the budget 'bells' of this user is exhausted"
    house.later(HOUR // 2 - 1, tick=False)
    assert house.decide("bell.ring", "e", times=1, session=house.opened()).effect == "deny"
    house.later(1, tick=False)
    # A full hour: the user's window begins, the mission's goes on.
    assert house.decide("bell.ring", "f", times=1, session=house.opened()).effect == "allow"
    assert codes(house.decide("bell.ring", "g", times=1, session=other)) == ["budget_exhausted"]
    assert {key.split("/")[1] for key in rows_of(house) if key.startswith("user_")} == {
        str(START), str(START + HOUR)}  # fmt: skip


def test_a_refund_goes_to_the_windows_that_paid(house: Desk):
    verdict = house.act("bell.ring", "a", times=1)
    house.later(HOUR, tick=False)
    assert house.act("bell.ring", "b", times=1).attempt
    house.observe(verdict.attempt, "not_started")
    used = {key: used for key, used in rows_of(house).items() if key.endswith("/bells")}
    assert sorted(used.values()) == [0, 0, 10_000, 10_000]


def test_a_wall_clock_that_was_set_back_between_two_runs_opens_no_window(tmp_path: Path):
    # The first run was an hour ahead of the wall clock. The second goes on where it ended: the
    # windows before that, which nobody used, stay closed.
    tmp_path.chmod(0o700)
    ahead = time.time_ns() // 1_000_000 + HOUR
    first = Desk(HOUSE, store=open_store(tmp_path / "b.db"), start=ahead)
    session = first.opened()
    for number in range(3):
        assert first.decide("bell.ring", f"a{number}", session=session, times=1).effect == "allow"
    first.governor.close()
    store = open_store(tmp_path / "b.db")
    second = Desk(HOUSE, store=store)
    second.core.clock = WallClock(store.write(_latest_time))
    assert second.core.clock.now() >= ahead
    second.runs.update(first.runs)
    refused = second.decide("bell.ring", "b", session=session, times=1)
    assert refused.reasons[0].text == "the budget 'bells' of this mission is exhausted"
    second.governor.close()


# --- holds ----------------------------------------------------------------------------------------


def test_each_level_asks_its_own_humans_and_names_its_budget_by_whose_it_is(house: Desk):
    held = house.decide("bank.tip", "a", amount=11)
    assert said(held) == ("hold", ["held", "held"])
    assert [reason.text for reason in held.reasons] == [
        "the budget 'tips' of this mission would be overdrawn",
        "the budget 'tips' of this agent would be overdrawn",
    ]
    hold = house.hold(held.approval)
    assert {(c["id"], c["amount"]) for c in hold.causes} == {
        ("tips", 10_000),
        ("agent/tips", 30_000),
    }
    assert hold.groups == {"leads": 1, "board": 2}
    assert house.used("tips") == 0
    for user in ("ben", "cleo", "dora"):
        if house.hold(held.approval).status == "pending":
            house.answer(held.approval, user)
    assert house.redeem(held.approval).attempt
    assert house.used("tips") == 11
    assert house.leaves("decision")[-1].body["overdrawn"] == {"tips": 10_000, "agent/tips": 30_000}
    again = house.decide("bank.tip", "b", amount=1)
    assert {c["amount"] for c in house.hold(again.approval).causes} == {10_000}


def test_an_approval_for_one_level_overdraws_no_other(house: Desk):
    held = house.decide("bank.pay", "x1", amount=50)
    assert held.effect == "allow"
    assert house.decide("bank.pay", "x2", amount=50).effect == "allow"
    # The mission is exhausted and nobody may overdraw it, whatever the agent's leads may do.
    assert codes(house.decide("bank.pay", "x3", amount=25)) == ["budget_exhausted"]
    other = house.opened(mission=house.start_mission(user="ben"))
    held = house.decide("bank.pay", "y", session=other, amount=25)
    assert [(c["id"], c["amount"]) for c in house.hold(held.approval).causes] == [
        ("agent/money", 50_000)]  # fmt: skip
    house.answer(held.approval)
    assert house.redeem(held.approval, session=other).attempt
    assert spent(house, "agent", "clerk")["money"] == "125"


def test_what_others_spent_meanwhile_is_asked_for_anew(house: Desk):
    other = house.opened(mission=house.start_mission(user="ben"))
    for key in ("a", "b"):
        assert house.decide("bank.pay", key, session=other, amount=50).effect == "allow"
    session = house.session()
    held = house.decide("bank.pay", "c", session=session, amount=30)
    assert house.hold(held.approval).causes[0]["amount"] == 100_000
    house.answer(held.approval)
    # Nothing is reserved by a hold: another mission takes what was left.
    third = house.opened(mission=house.start_mission(user="ben"))
    assert house.decide("bank.pay", "d", session=third, amount=15).effect == "allow"
    again = house.redeem(held.approval, session=session)
    assert again.effect == "hold"
    assert house.hold(again.approval).causes[0]["amount"] == 250_000
    house.answer(again.approval)
    assert house.redeem(again.approval, session=session).attempt
    assert spent(house, "agent", "clerk")["money"] == "145"


# --- bundles --------------------------------------------------------------------------------------


def test_budgets_outlive_a_change_of_the_bundle_and_refunds_find_them(house: Desk):
    verdict = house.act("bank.pay", "a", amount=20)
    house.activate(FILES)
    house.observe(verdict.attempt, "not_started")
    assert set(rows_of(house).values()) == {0}
    house.activate(HOUSE)
    assert house.decide("bank.pay", "b", amount=20).effect == "allow"
    assert spent(house, "user", "ana")["money"] == "20"


def test_a_step_charges_what_executes_and_its_difference_later():
    clamp = """@id("small") @modify("clamp input.amount 0..10")
    forbid (principal, action == Action::"bank.pay", resource)
    when { context.input.amount.greaterThan(decimal("10.0")) };"""
    desk = Desk(changed(("agents.toml", "", BUDGETS), ("policies/permits.dw", "", clamp)))
    verdict = desk.act("bank.pay", "a", amount=40)
    assert spent(desk, "user", "ana")["money"] == "10"
    desk.observe(verdict.attempt, "error")
    desk.activate(HOUSE)
    held = desk.act("bank.pay", "a", amount=40)
    desk.answer(held.approval, "ana")
    assert desk.redeem(held.approval).attempt
    assert spent(desk, "user", "ana")["money"] == spent(desk, "agent", "clerk")["money"] == "40"
    assert_books_balance(desk)
    desk.verified()
    desk.governor.close()


def test_a_bundle_without_budgets_keeps_no_books():
    missions = FILES["missions.toml"]
    begin, end = (
        missions.index("[missions.office.budgets.calls]"),
        missions.index("[missions.reading]"),
    )
    desk = Desk({**FILES, "missions.toml": missions[:begin] + missions[end:]})
    verdict = desk.act("bank.pay", "a", amount=40)
    desk.observe(verdict.attempt, "not_started")
    desk.decide("bank.pay", "b", amount=1)
    desk.later(HOUR)
    assert rows_of(desk) == {}
    assert not any({"charged", "returned", "overdrawn"} & set(x.body) for x in desk.leaves())
    desk.governor.close()


def test_a_record_that_had_to_be_cut_keeps_every_amount(desk: Desk):
    charged = {f"agent_{'0' * 32}/0/{'budget' * 20}-{n}": n for n in range(96)}
    entry = Entry(
        kind=LeafKind.DECISION,
        chain=desk.mission,
        ids={},
        body={f"list-{n}": ["x" * 250] * 60 for n in range(5)},
        amounts={"charged": charged, "returned": charged},
    )
    desk.core.write(lambda turn: turn.record(entry))
    body = desk.leaves("decision")[-1].body
    assert body["cut"]
    assert body["charged"] == body["returned"] == charged


def test_nobody_has_more_budgets_than_a_record_can_name():
    many = "".join(
        f"[users.ana.budgets.b{n}]\nlimit = 9\nmeasure = {{ 'bank.pay' = 1 }}\n" for n in range(33)
    )
    with pytest.raises(BundleError, match="the most is 32"):
        bundle_of(changed(("agents.toml", "", many)))


# --- what is shown --------------------------------------------------------------------------------


def test_a_mission_shows_what_everyone_who_pays_has_spent(house: Desk):
    house.act("bank.pay", "a", amount=20)
    done = house.act("bell.ring", "b", times=1)
    house.observe(done.attempt, "ok")
    [row] = house.rows(calls.Missions(mission=house.mission))
    shown: dict[tuple[str, str], dict[str, Any]] = {
        (b["of"], b["budget"]): b for b in row["budgets"]
    }
    assert shown["user", "money"] == {
        "budget": "money", "of": "user", "id": "ana", "used": "20", "reserved": "20",
        "limit": "150", "unit": "EUR", "window_ms": 0, "resets_at": 0}  # fmt: skip
    assert shown["agent", "calls"]["used"] == "2"
    assert shown["agent", "calls"]["reserved"] == "1"
    bells = shown["user", "bells"]
    assert (bells["used"], bells["reserved"], bells["resets_at"]) == ("1", "0", START + HOUR)
    assert shown["mission", "bells"]["resets_at"] == START + HOUR


def test_an_unknown_attempt_is_reserved_until_it_is_settled(house: Desk):
    verdict = house.act("bank.pay", "a", amount=20)
    house.later(31 * SECOND)
    [row] = house.rows(calls.Agents(kind="user", id="ana"))
    assert row["budgets"][0]["reserved"] == "20"
    house.observe(verdict.attempt, "ok")
    [row] = house.rows(calls.Agents(kind="user", id="ana"))
    assert (row["budgets"][0]["used"], row["budgets"][0]["reserved"]) == ("20", "0")


def test_an_identity_that_does_not_exist_is_not_shown(house: Desk):
    assert house.refused(calls.Agents(kind="agent", id="nobody")) == "not_found"
