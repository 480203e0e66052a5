"""Stale approval: what a human allowed is judged again when it starts, authority included."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridle.model import calls
from bridle.model.verdict import Verdict
from bridle.trust.grants.claims import Predicate, Range
from governor.desk import MINUTE, codes
from trust.office import ANYTHING, OPERATOR, Office, Run, only

SMALL = only("bank.pay", amount=Predicate(range=Range(max=50)))


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def run(office: Office) -> Run:
    return office.run().hand("scout", expires=office.now_s + 600)


def approved(run: Run, amount: int = 60) -> Verdict:
    """A payment that a lead has approved."""
    held = run.decide("bank.pay", amount=amount)
    assert held.approval
    run.office.desk.answer(held.approval)
    return held


def redeemed(run: Run, held: Verdict) -> list[str]:
    verdict = run.redeem(held)
    run.take_effect(verdict, "bank.pay", {})
    return codes(verdict)


def kill(run: Run) -> None:
    call = calls.Kill(scope="grant", subject=run.grant, as_user="ana")
    run.office.desk.done(call, OPERATOR)


ENDED: dict[str, tuple[Callable[[Run], object], str]] = {
    "the grant is revoked": (lambda run: run.office.revoke("grant", run.grant), "approval_void"),
    "its giver is revoked": (lambda run: run.office.revoke("agent", "clerk"), "approval_void"),
    "its key is revoked": (
        lambda run: run.office.revoke("key", run.holder.fingerprint), "approval_void"
    ),
    "the grant has run out": (lambda run: run.office.desk.later(11 * MINUTE), "grant_expired"),
    "the grant is killed": (kill, "killed"),
}  # fmt: skip


@pytest.mark.parametrize("name", ENDED)
def test_an_approval_does_not_outlive_the_authority_it_was_asked_under(run: Run, name: str) -> None:
    end, code = ENDED[name]
    held = approved(run)
    end(run)
    assert redeemed(run, held) == [code]
    assert run.office.ran == []


def test_another_run_of_the_line_does_not_redeem_what_its_own_grant_does_not_allow(
    office: Office,
) -> None:
    top = office.run()
    broad, narrow = top.hand("scout", ANYTHING), top.hand("scout", SMALL)
    held = approved(broad)
    assert redeemed(narrow, held) == ["not_granted"]
    assert office.ran == []
    assert redeemed(broad, held) == []
    assert len(office.ran) == 1


def test_nor_does_anybody_of_another_line(office: Office) -> None:
    held = approved(office.run().hand("scout"))
    for stranger in (office.run("scout"), office.run().hand("digger").hand("scout")):
        assert redeemed(stranger, held)
    assert office.ran == []


def test_an_approval_that_ended_with_its_grant_does_not_come_back(run: Run) -> None:
    held = approved(run)
    run.office.revoke("grant", run.grant)
    assert redeemed(run, held) != []
    again = run.office.run().hand("scout")
    assert redeemed(again, held) != []
    assert run.office.ran == []
