"""What ends holds that nobody answered or used, what finds them, and how many there may be."""

import pytest
from msgspec import structs

from bridle.model import calls
from bridle.store.rows import HoldRow
from governor.desk import HOUR, Desk, changed, codes, said


def why(desk: Desk, approval: str) -> list[str]:
    leaves = [x for x in desk.leaves("approval") if x.ids.get("approval") == approval]
    return [x.body["why"] for x in leaves if "why" in x.body]


@pytest.mark.parametrize(
    ("scope", "subject", "void"),
    [
        ("all", "", True),
        ("tool", "bank.pay", True),
        ("tool", "bank.tip", False),
        ("agent", "clerk", True),
        ("agent", "scout", False),
        ("mission", "", True),
    ],
)
def test_a_kill_voids_what_nobody_has_answered(desk: Desk, scope, subject, void):
    held = desk.decide("bank.pay", "a", amount=60)
    subject = desk.mission if scope == "mission" else subject
    desk.done(calls.Kill(scope=scope, subject=subject, as_user="ana"))
    assert desk.hold(held.approval).status == ("void" if void else "pending")
    assert why(desk, held.approval) == (["kill"] if void else [])
    vote = calls.Answer(approval=held.approval, approve=True, as_user="ben")
    if void:
        assert desk.refused(vote) == "hold_settled"
    desk.done(calls.Unkill(scope=scope, subject=subject, as_user="ben"))
    again = desk.act("bank.pay", "a", amount=60)
    assert again.effect == "hold"
    assert (again.approval == held.approval) is not void


@pytest.mark.parametrize("approved", [True, False])
@pytest.mark.parametrize("end", ["close", "expire"])
def test_the_end_of_a_mission_voids_its_holds(desk: Desk, approved, end):
    short = Desk(changed(("bridle.toml", 'hold_expiry = "2h"', 'hold_expiry = "20h"')))
    held = short.decide("bank.pay", "a", amount=60)
    if approved:
        short.answer(held.approval)
    if end == "close":
        short.done(calls.MissionVerb(mission=short.mission, verb="close"))
    else:
        short.later(8 * HOUR)
    assert short.hold(held.approval).status == "void"
    assert why(short, held.approval) == ["mission"]
    assert codes(short.redeem(held.approval)) == ["approval_void"]
    assert codes(short.act("bank.pay", "a", amount=60)) in (["mission_not_active"], ["expired"])
    short.verified()


@pytest.mark.parametrize(
    ("kind", "name", "void"),
    [
        ("agent", "clerk", True),
        ("workload", "worker", True),
        ("user", "ana", True),
        ("agent", "scout", False),
        ("workload", "porter", False),
        ("user", "dora", False),
    ],
)
def test_the_retirement_of_whom_a_hold_is_about_voids_it(desk: Desk, kind, name, void):
    held = desk.decide("bank.pay", "a", amount=60)
    desk.answer(held.approval)
    desk.done(calls.IdentityVerb(kind=kind, id=name, verb="retire", as_user="ben"))
    assert desk.hold(held.approval).status == ("void" if void else "approved")
    assert why(desk, held.approval) == (["retirement"] if void else [])


@pytest.mark.parametrize("approved", [True, False])
def test_a_policy_put_back_as_it_was_revives_nothing(desk: Desk, approved):
    held = desk.decide("bank.pay", "a", amount=60)
    if approved:
        desk.answer(held.approval)
    desk.activate(changed(("policies/limits.dw", "needs a lead", "wants a lead")))
    assert desk.rows(calls.Approvals()) == []
    desk.activate(changed())
    assert why(desk, held.approval) == ["policy"]
    assert codes(desk.redeem(held.approval)) == ["approval_void"]
    again = desk.act("bank.pay", "a", amount=60)
    assert (again.effect, again.approval != held.approval) == ("hold", True)


def test_a_void_hold_is_shown_as_void_before_anyone_has_swept_it(desk: Desk):
    held = desk.decide("bank.pay", "a", amount=60)
    row = desk.hold(held.approval)
    odd = [{**c, "digest": "0" * 64} for c in row.causes]

    def earlier(turn) -> None:
        turn.tx.put(structs.replace(row, causes=odd))

    desk.core.write(earlier)
    [shown] = desk.rows(calls.Approvals())
    assert shown["status"] == "void"
    vote = calls.Answer(approval=held.approval, approve=True, as_user="ben")
    assert desk.refused(vote) == "hold_settled"


def test_the_agent_is_told_that_its_hold_is_void(desk: Desk):
    held = desk.decide("bank.pay", "a", amount=60)
    desk.done(calls.Kill(scope="all", as_user="ana"))
    [row] = desk.rows(calls.ApprovalOf(session=desk.session(), approval=held.approval))
    assert (row["status"], row["subject"], row["action"]) == ("void", "action", held.action)


def test_a_void_hold_of_a_result_is_asked_for_anew(desk: Desk):
    attempt = desk.act("note.read", "a", id=1).attempt
    release = desk.observe(attempt, '{"body":"sealed"}')
    desk.done(calls.Kill(scope="all", as_user="ana"))
    assert codes(desk.redeem_result(release.approval)) == ["killed"]
    desk.done(calls.Unkill(scope="all", as_user="ben"))
    again = desk.redeem_result(release.approval)
    assert (again.effect, again.approval != release.approval) == ("hold", True)
    desk.answer(again.approval)
    assert desk.redeem_result(again.approval).output == '{"body":"sealed"}'


# --- one approval, whoever comes first -----------------------------------------------------------


def test_an_identical_call_finds_an_approval_that_nobody_has_used(desk: Desk):
    held = desk.decide("bank.pay", "a", amount=60)
    desk.answer(held.approval)
    other = desk.act("bank.pay", "b", amount=60)
    assert (other.effect, bool(other.attempt)) == ("allow", True)
    assert desk.leaves("decision")[-1].ids["approval"] == held.approval
    assert codes(desk.redeem(held.approval)) == ["approval_void"]


def test_an_attached_call_that_ran_is_told_what_came_of_it_by_its_hold(desk: Desk):
    held = desk.decide("bank.pay", "a", amount=60)
    other = desk.decide("bank.pay", "b", amount=60)
    never = desk.decide("bank.pay", "c", amount=40)
    assert other.approval == held.approval
    desk.answer(held.approval)
    desk.observe(desk.act("bank.pay", "b", amount=60).attempt, '"paid"')
    told = desk.redeem(held.approval, action=other.action)
    assert told.outcome is not None
    assert told.outcome.output == '"paid"'
    assert codes(desk.redeem(held.approval, action=held.action)) == ["approval_void"]
    assert codes(desk.redeem(held.approval, action=never.action)) == ["not_decided"]


def test_an_identical_call_runs_with_what_humans_wrote(desk: Desk):
    held = desk.decide("bank.pay", "a", amount=60)
    desk.answer(held.approval, args='{"amount":55}')
    other = desk.act("bank.pay", "b", amount=60)
    assert (other.effect, other.args) == ("modify", '{"amount":55}')
    assert desk.act("bank.pay", "b", amount=60).reasons[0].code == "already_started"
    assert codes(desk.act("bank.pay", "b", amount=61)) == ["args_changed"]


@pytest.mark.parametrize("change", ["agent", "mission", "amount", "time", "voter"])
def test_no_other_call_finds_it(desk: Desk, change):
    held = desk.decide("bank.pay", "a", amount=60)
    desk.answer(held.approval)
    where: dict[str, str] = {}
    amount = 60
    if change == "agent":
        where = {"session": desk.session("scout")}
    elif change == "mission":
        where = {"session": desk.session(mission=desk.start_mission())}
    elif change == "amount":
        amount = 61
    elif change == "time":
        desk.later(2 * HOUR, tick=False)
    else:
        desk.done(calls.IdentityVerb(kind="user", id="ben", verb="suspend", as_user="ana"))
    other = desk.act("bank.pay", "b", amount=amount, **where)
    assert other.effect == "hold"
    assert desk.hold(held.approval).status == "approved"


def test_a_call_that_needs_more_than_was_approved_does_not_use_it_up(desk: Desk):
    held = desk.decide("bank.pay", "a", amount=60)
    desk.answer(held.approval)
    desk.later(HOUR)
    other = desk.act("bank.pay", "b", amount=60)
    assert other.effect == "hold"
    assert desk.hold(held.approval).status == "approved"


RELAXED = changed(
    ("bridle.toml", 'version = "1"', 'version = "1"\ndurability = "relaxed"'),
    ("policies/limits.dw", "",
     '@id("ask") @hold("leads") forbid (principal, action == Action::"note.read", resource);'),
)  # fmt: skip


def test_what_humans_granted_is_used_up_durably_even_where_records_may_be_late():
    desk = Desk(RELAXED)
    held = desk.decide("note.read", "a", id=7)
    assert held.receipt.durability == "relaxed"
    desk.answer(held.approval, terms=calls.Terms(count=1))
    for key in ("a", "b"):  # by the approval, then by the exception
        verdict = desk.act("note.read", key, id=7)
        assert (bool(verdict.attempt), verdict.receipt.durability) == (True, "strict")
    assert desk.act("note.read", "c", id=7).effect == "hold"
    desk.verified()


# --- how many may wait ---------------------------------------------------------------------------


def test_a_mission_has_a_cap_of_its_own(desk: Desk):
    cap = "pending_holds = 3\npending_holds_mission = 4"
    capped = Desk(changed(("bridle.toml", "pending_holds = 3", cap)))
    scout = capped.session("scout")
    for number in range(2):
        assert capped.decide("bank.pay", f"c{number}", amount=60 + number).effect == "hold"
        held = capped.decide("bank.pay", f"s{number}", session=scout, amount=60 + number)
        assert held.effect == "hold"
    full = ("deny", ["limit_exceeded"])
    assert said(capped.decide("bank.pay", "c2", amount=70)) == full
    assert said(capped.decide("bank.pay", "s2", session=scout, amount=70)) == full
    elsewhere = capped.session(mission=capped.start_mission())
    assert capped.decide("bank.pay", "k", session=elsewhere, amount=70).effect == "hold"
    capped.answer(held.approval, yes=False)
    assert capped.decide("bank.pay", "c2", amount=70).effect == "hold"
    capped.verified()


def test_pending_holds_are_counted_by_an_index_that_knows_them(desk: Desk):
    desk.decide("bank.pay", "a", amount=60)
    where = 'WHERE "mission" = ? AND "status" = ? AND "agent" = ?'
    plan = desk.core.store._connection.execute(
        f'EXPLAIN QUERY PLAN SELECT count(*) FROM "{HoldRow.TABLE}" {where}', ("m", "s", "a")
    ).fetchall()
    assert "COVERING INDEX holds_open (mission=? AND status=? AND agent=?)" in plan[0][3]
