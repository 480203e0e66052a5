"""Reported use: what a trusted workload says was used lowers the charge, and nothing else does."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.model import calls
from bridle.model.calls import Caller, Observe, Released
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.store.rows import BudgetRow
from bridle.trust.holder import Holder
from governor.desk import AGENT, HOUR, SECOND, Desk, changed, judged

TOKENS = """
[users.ana.budgets.tokens]
limit = 5000
measure = { "bank.tip" = 1000 }
[agents.clerk.budgets.tokens]
limit = 900000
window = "1h"
measure = { "bank.tip" = 800 }
[agents.clerk.budgets.calls]
limit = 100
"""
KEY = Holder.generate().public
TRUSTED = '[workloads.worker]\ntools = ["*"]\nreports_use = true\n'
FILES = changed(
    ("agents.toml", "", TOKENS),
    ("agents.toml", '[workloads.worker]\ntools = ["*"]\n', TRUSTED),
    ("missions.toml", 'limit = 10\nunit = "EUR"', "limit = 1000000"),
)
OK = Outcome(OutcomeKind.OK, output="null")


class Till(Desk):
    """A desk at which tips cost tokens."""

    def report(
        self,
        attempt: str,
        used: dict[str, Any],
        outcome: Outcome = OK,
        *,
        caller: Caller = AGENT,
        session: str = "",
    ) -> dict[str, Any]:
        """Report an outcome with its use; returns what the record says of it."""
        call = Observe(session=session or self.session(), attempt=attempt, outcome=outcome,
                       used=used)  # fmt: skip
        assert isinstance(self.ask(call, caller), Released)
        return self.leaves("outcome")[-1].body

    def tip(self, key: str = "a", session: str = "") -> str:
        return self.decide("bank.tip", key, session=session, start=True, amount=1).attempt

    def tokens(self) -> tuple[int, int]:
        """What the user and the agent have paid."""
        rows = self.core.write(lambda turn: turn.tx.find(BudgetRow))
        paid = {row.id.split("_")[0]: row.used // 10_000 for row in rows if row.name == "tokens"}
        return paid["user"], paid["agent"]

    def others(self) -> set[int]:
        rows = self.core.write(lambda turn: turn.tx.find(BudgetRow))
        return {row.used for row in rows if row.name != "tokens"}


@pytest.fixture
def till() -> Iterator[Till]:
    till = Till(FILES)
    yield till
    till.verified()
    till.governor.close()


def test_use_lowers_the_budget_of_that_name_of_everyone_who_pays(till: Till):
    attempt = till.tip()
    assert till.tokens() == (1000, 800)
    body = till.report(attempt, {"tokens": "812"})
    assert till.tokens() == (812, 800)
    assert body["used"] == {"tokens": "812"}
    assert list(body["returned"].values()) == [188 * 10_000]
    assert till.others() == {10_000}


def test_use_below_both_lowers_both_and_none_at_all_gives_all_back(till: Till):
    till.report(till.tip("a"), {"tokens": "500.5"})
    rows = till.core.write(lambda turn: turn.tx.find(BudgetRow))
    assert {row.used for row in rows if row.name == "tokens"} == {5_005_000}
    till.report(till.tip("b"), {"tokens": "0"})
    rows = till.core.write(lambda turn: turn.tx.find(BudgetRow))
    assert {row.used for row in rows if row.name == "tokens"} == {5_005_000}


@pytest.mark.parametrize("amount", ["1000", "1001", "999999999999999"])
def test_use_never_raises_a_charge(till: Till, amount: str):
    till.report(till.tip(), {"tokens": amount})
    assert till.tokens() == (1000, 800)


@pytest.mark.parametrize(
    "amount",
    ["", "-1", "+1", "1e3", "1e999999999", "NaN", "Infinity", "0x10", "1_000", " 5", "5 ", "5\n",
     "٣", "1,5", ".5", "5.", "9" * 16, "0." + "1" * 13, "9" * 100_000, 5, None, {"a": 1}],
)  # fmt: skip
def test_what_is_no_plain_number_is_left_out_on_record(till: Till, amount: Any):
    body = till.report(till.tip(), {"tokens": amount})
    assert till.tokens() == (1000, 800)
    assert body["used_ignored"] == {"tokens": "not_a_number"}
    assert "used" not in body


def test_names_of_nothing_that_was_reserved_are_left_out_on_record(till: Till):
    body = till.report(till.tip(), {"nope": "1", "agent/tokens": "1", "my secret word": "1",
                                    "\ud800": "1", "tips": "0"})  # fmt: skip
    assert body["used_ignored"] == {
        "nope": "not_reserved", "agent/tokens": "not_reserved", "?": "not_reserved"}  # fmt: skip
    assert body["used"] == {"tips": "0"}
    assert till.tokens() == (1000, 800)
    assert till.used("tips") == 0


def test_a_flood_of_names_is_looked_at_so_far(till: Till):
    flood = {f"n{n}": "0" for n in range(100_000)} | {"tokens": "0"}
    body = till.report(till.tip(), flood)
    assert len(body["used_ignored"]) == 64
    assert till.tokens() == (1000, 800)


def test_only_a_workload_that_is_declared_so_is_believed(till: Till):
    session = till.session(executor="")
    body = till.report(till.tip(session=session), {"tokens": "1"}, session=session)
    assert body["used_ignored"] == {"tokens": "not_trusted"}
    assert till.tokens() == (1000, 800)


@pytest.mark.parametrize(
    ("caller", "believed"),
    [
        (AGENT, False),
        (Caller(operator=False, method="key:x", workload="porter"), False),
        (Caller(operator=False, method="key:x", user="worker"), False),
        (Caller(operator=True, method="key:x", user="ana"), False),
        (Caller(operator=False, method="key:x", workload="worker"), True),
    ],
)
def test_a_workload_with_a_key_is_believed_only_where_it_proved_it(caller: Caller, believed: bool):
    till = Till(FILES)
    # The key's form is not at stake here: what counts is that there is one.
    bundle = till.core.write(lambda turn: turn.bundle)
    keyed = type(bundle.workloads["worker"])("worker", ("*",), reports_use=True, key=KEY)
    bundle.workloads["worker"] = keyed
    try:
        # Whoever has not proved to be the workload starts nothing: it did, and another reports.
        started = calls.Decide(
            session=till.session(), tool="bank.tip", args='{"amount":1}', key="a", start=True
        )
        worker = Caller(operator=False, method="key:x", workload="worker")
        attempt = judged(till.ask(started, worker)).attempt
        till.report(attempt, {"tokens": "1"}, caller=caller)
        assert till.tokens() == ((1, 1) if believed else (1000, 800))
    finally:
        bundle.workloads["worker"] = type(keyed)("worker", ("*",), reports_use=True)
    till.governor.close()


def test_a_suspended_workload_is_not_believed(till: Till):
    attempt = till.tip()
    till.done(calls.IdentityVerb(kind="workload", id="worker", verb="suspend", as_user="ana"))
    body = till.report(attempt, {"tokens": "1"})
    assert body["used_ignored"] == {"tokens": "not_trusted"}
    assert till.tokens() == (1000, 800)


@pytest.mark.parametrize(
    ("outcome", "tokens"),
    [
        (Outcome(OutcomeKind.ERROR, error="timeout"), (300, 300)),
        (Outcome(OutcomeKind.UNKNOWN), (1000, 800)),
        (Outcome(OutcomeKind.NOT_STARTED), (0, 0)),
        (Outcome(OutcomeKind.ERROR, error="refused"), (0, 0)),
    ],
)
def test_use_counts_for_what_ran(till: Till, outcome: Outcome, tokens: tuple[int, int]):
    body = till.report(till.tip(), {"tokens": "300"}, outcome)
    assert till.tokens() == tokens
    assert body.get("used_ignored", {}) in (
        {},
        {"tokens": "did_not_run"},
        {"tokens": "not_reserved"},
    )


def test_a_late_report_lowers_what_the_unknown_had_kept(till: Till):
    attempt = till.tip()
    till.later(31 * SECOND)
    assert till.tokens() == (1000, 800)
    till.report(attempt, {"tokens": "5"})
    assert till.tokens() == (5, 5)


def test_what_was_used_comes_back_to_the_window_it_was_taken_from(till: Till):
    attempt = till.tip()
    till.later(HOUR, tick=False)
    till.tip("b")
    till.report(attempt, {"tokens": "5"})
    rows = till.core.write(lambda turn: turn.tx.find(BudgetRow))
    agent = {row.window: row.used // 10_000 for row in rows
             if row.name == "tokens" and row.id.startswith("agent")}  # fmt: skip
    assert sorted(agent.values()) == [5, 800]
    assert agent[min(agent)] == 5


def test_the_last_attempt_cannot_speak_for_an_earlier_one(till: Till):
    first = till.tip()
    till.report(first, {}, Outcome(OutcomeKind.ERROR, error="timeout"))
    held = till.act("bank.tip", "a", amount=1)
    till.answer(held.approval, "ana")
    second = till.redeem(held.approval).attempt
    body = till.report(second, {"tokens": "1"})
    assert body["used_ignored"] == {"tokens": "earlier_attempt"}
    assert till.tokens() == (1000, 800)


def test_a_next_attempt_reserves_again_what_the_first_gave_back(till: Till):
    first = till.tip()
    till.report(first, {"tokens": "300"}, Outcome(OutcomeKind.ERROR, error="timeout"))
    assert till.tokens() == (300, 300)
    held = till.act("bank.tip", "a", amount=1)
    till.answer(held.approval, "ana")
    assert till.redeem(held.approval).attempt
    assert till.tokens() == (1000, 800)


def test_an_attempt_that_was_replaced_lowers_nothing(till: Till):
    first = till.tip()
    till.later(31 * SECOND)
    held = till.act("bank.tip", "a", amount=1)
    till.answer(held.approval, "ana")
    assert till.redeem(held.approval).attempt
    body = till.report(first, {"tokens": "1"})
    assert body["used_ignored"] == {"tokens": "superseded"}
    assert till.tokens() == (1000, 800)


def test_the_same_report_twice_lowers_once(till: Till):
    attempt = till.tip()
    till.report(attempt, {"tokens": "5"})
    till.report(attempt, {"tokens": "1"})
    assert till.tokens() == (5, 5)


@given(st.dictionaries(st.text(max_size=12), st.text(max_size=24) | st.decimals().map(str)))
def test_no_report_ever_fails_or_leaves_the_bounds(used: dict[str, str]):
    till = Till(FILES)
    till.report(till.tip(), {**used, "tokens": "1"})
    assert till.tokens() == (1, 1)
    assert till.others() <= {0, 10_000}
    till.verified()
    till.governor.close()
