"""A plan is judged as a whole, on the decision path, and nothing of it has happened."""

import json
from typing import Any

import pytest

from bridle.governor.delegation import roots
from bridle.governor.planning import register
from bridle.model import calls
from bridle.model.plan import Foreseen
from bridle.model.reason import ReasonCode
from bridle.store.rows import ActionRow, HoldRow, PlanRow
from bridle.trust import plan_word
from bridle.trust.grants.codes import GrantError
from bridle.trust.grants.roots import Roots
from governor.delegation.runs import HANDING
from governor.desk import AGENT, HOUR, Desk, changed
from governor.planning.planned import checked, do, effects, step, taken, text

NOTHING = '\n@id("no") forbid (principal, action, resource);'
READ = step("read", "note.read", id=1)


def test_each_step_is_foreseen_as_it_would_be_judged(desk: Desk) -> None:
    found = checked(
        desk,
        READ,
        step("write", "note.write", text="a note that is long"),
        step("pay", "bank.pay", amount=55),
        step("gossip", "note.write", text="gossip"),
        step("wrong", "note.read", id="x"),
        step("none", "note.burn"),
    )
    assert effects(found) == {
        "read": "allow", "write": "modify", "pay": "hold", "gossip": "deny", "wrong": "deny",
        "none": "deny",
    }  # fmt: skip
    assert not found.allowed
    assert found.reference == ""
    by = {each.step: each for each in found.steps}
    assert json.loads(by["write"].args) == {"text": "a note tha"}
    assert [r.policy for r in by["gossip"].reasons] == ["no-gossip"]
    assert [r.code for r in by["none"].reasons] == [ReasonCode.UNKNOWN_TOOL]
    assert [r.code for r in by["wrong"].reasons] == [ReasonCode.SCHEMA_MISMATCH]


def test_nothing_of_a_plan_has_happened(desk: Desk) -> None:
    desk.session()
    before = desk.leaves()
    held = step("held", "bank.pay", amount=55)
    found = checked(desk, READ, step("pay", "bank.pay", amount=40), held)
    assert effects(found)["pay"] == "allow"
    (record,) = desk.leaves()[len(before) :]
    assert record.kind == "plan"
    assert desk.used("money") == 0
    rows = desk.core.write(lambda turn: (turn.tx.find(ActionRow), turn.tx.find(HoldRow)))
    assert rows == ([], [])


def test_one_record_tells_of_a_plan_and_keeps_what_it_says_sealed(desk: Desk) -> None:
    found = checked(desk, READ, step("pay", "bank.pay", amount=40))
    (record,) = desk.leaves("plan")
    assert found.receipt is not None
    assert record.body == {
        "what": "check", "allowed": True, "steps": 2, "effects": ["allow"], "codes": [],
    }  # fmt: skip
    assert found.digest not in repr(record)
    kept = desk.opened_leaf(found.receipt.index)
    assert json.loads(kept["plan"])["steps"][0]["tool"] == "note.read"
    assert [each["step"] for each in json.loads(kept["forecast"])] == ["read", "pay"]


def test_budgets_count_in_sum(desk: Desk) -> None:
    pays = [step(f"p{n}", "bank.pay", amount=40) for n in range(3)]
    found = checked(desk, *pays)
    assert effects(found) == {"p0": "allow", "p1": "allow", "p2": "deny"}
    assert [r.code for r in found.steps[2].reasons] == [ReasonCode.BUDGET_EXHAUSTED]


def test_what_takes_a_result_is_open(desk: Desk) -> None:
    found = checked(desk, READ, step("write", "note.write", text=taken("read", "/body")))
    assert effects(found) == {"read": "allow", "write": "open"}
    assert found.steps[1].waits == ("read",)
    assert found.allowed


def test_what_takes_a_result_is_denied_where_no_argument_could_change_that(desk: Desk) -> None:
    desk.done(calls.Kill(scope="tool", subject="note.write", as_user="ana"))
    found = checked(desk, READ, step("write", "note.write", text=taken("read", "/body")))
    assert effects(found) == {"read": "allow", "write": "deny"}
    assert [r.code for r in found.steps[1].reasons] == [ReasonCode.KILLED]


def test_a_step_after_an_open_one_that_spends_is_open_too(desk: Desk) -> None:
    found = checked(
        desk,
        READ,
        step("pay", "bank.pay", amount=taken("read", "/body")),
        step("again", "bank.pay", amount=1),
        step("write", "note.write", text="hello"),
    )
    assert effects(found) == {"read": "allow", "pay": "open", "again": "open", "write": "allow"}


def test_what_waits_for_a_human_is_counted_as_spent(desk: Desk) -> None:
    found = checked(desk, step("held", "bank.pay", amount=60), step("more", "bank.pay", amount=45))
    assert effects(found) == {"held": "hold", "more": "deny"}


HISTORY = changed(
    (
        "policies/limits.dw",
        "",
        """
@id("two-notes") @reason("two notes an hour")
forbid (principal, action == Action::"note.write", resource)
unless temporal {
    at_most(2, 1h, Action::"note.write"::request{}, Action::"note.write"::error{})
};

@id("read-first") @reason("read before you pay")
forbid (principal, action == Action::"bank.tip", resource)
unless temporal { formerly within 1h Action::"note.read"::response{} };

@id("not-after-secret") @reason("a secret was read")
forbid (principal, action == Action::"bell.ring", resource)
when temporal { formerly within 1h Action::"note.read"::response{ output.body: "secret" } };
""",
    )
)


@pytest.fixture
def past() -> Any:
    desk = Desk(HISTORY)
    yield desk
    desk.verified()
    desk.governor.close()


def test_earlier_steps_are_history_to_later_ones(past: Desk) -> None:
    notes = [step(f"n{n}", "note.write", text=f"note {n}") for n in range(3)]
    assert effects(checked(past, *notes)) == {"n0": "allow", "n1": "allow", "n2": "deny"}
    tip = step("tip", "bank.tip", amount=1)
    assert effects(checked(past, tip)) == {"tip": "deny"}
    assert effects(checked(past, READ, tip)) == {"read": "allow", "tip": "allow"}
    # And none of that was told to anybody.
    assert effects(checked(past, *notes)) == {"n0": "allow", "n1": "allow", "n2": "deny"}


def test_what_asks_of_a_result_to_come_is_open(past: Desk) -> None:
    ring = step("ring", "bell.ring")
    assert effects(checked(past, ring)) == {"ring": "allow"}
    found = checked(past, READ, ring)
    assert effects(found) == {"read": "allow", "ring": "open"}
    assert found.steps[1].waits == ("read",)


def test_what_asks_of_a_step_that_may_not_come_is_open(past: Desk) -> None:
    found = checked(
        past,
        READ,
        step("n0", "note.write", text=taken("read", "/body")),
        step("n1", "note.write", text="one"),
        step("n2", "note.write", text="two"),
    )
    assert effects(found) == {"read": "allow", "n0": "open", "n1": "open", "n2": "open"}


FLOW = changed(
    (
        "policies/limits.dw",
        "",
        """
@id("trusted-text") @reason("say what was said")
forbid (principal, action == Action::"note.write", resource)
unless { context.flow.text.prompted };
""",
    )
)


def test_what_asks_where_values_come_from_is_open_once_something_is_read() -> None:
    desk = Desk(FLOW)
    session = desk.opened(mission=desk.start_mission(prompt="write hello"))
    write = step("write", "note.write", text="hello")
    assert effects(checked(desk, write, session=session)) == {"write": "allow"}
    assert effects(checked(desk, READ, write, session=session))["write"] == "open"
    other = step("write", "note.write", text="goodbye")
    assert effects(checked(desk, other, session=session)) == {"write": "deny"}
    desk.governor.close()


def test_a_forbid_that_no_result_can_lift_denies_for_good() -> None:
    desk = Desk(FLOW)
    found = checked(desk, READ, step("write", "note.write", text="gossip"))
    assert effects(found)["write"] == "deny"
    desk.governor.close()


def test_a_plan_is_registered_and_signed_unless_a_step_is_denied(desk: Desk) -> None:
    found = checked(desk, READ)
    keys = desk.core.write(lambda turn: [row.key for row in roots.rows(turn)])
    now = desk.clock.now() // 1_000
    word = plan_word.read(found.reference, Roots(keys), now)
    assert (word.pln, word.mis, word.act) == (found.digest, desk.mission, "clerk")
    assert word.bdl == found.bundle
    rows = desk.core.write(lambda turn: turn.tx.find(PlanRow))
    assert [row.mission for row in rows] == [desk.mission]
    assert not any(found.digest in repr(row) for row in rows)
    checked(desk, step("gossip", "note.write", text="gossip"))
    assert len(desk.core.write(lambda turn: turn.tx.find(PlanRow))) == 1


def test_a_word_on_a_plan_that_was_touched_is_none(desk: Desk) -> None:
    reference = checked(desk, READ).reference
    keys = Roots(desk.core.write(lambda turn: [row.key for row in roots.rows(turn)]))
    now = desk.clock.now() // 1_000
    for at in range(0, len(reference), 7):
        other = "A" if reference[at] != "A" else "B"
        with pytest.raises(GrantError):
            plan_word.read(reference[:at] + other + reference[at + 1 :], keys, now)
    with pytest.raises(GrantError):
        plan_word.read(reference, Roots([]), now)
    with pytest.raises(GrantError):
        plan_word.claims("x" * 5_000)


def test_the_same_plan_is_one_plan_however_often_it_is_checked(desk: Desk) -> None:
    assert checked(desk, READ).digest == checked(desk, READ).digest
    assert len(desk.core.write(lambda turn: turn.tx.find(PlanRow))) == 1


def test_a_mission_has_so_many_plans_at_most(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(register, "MOST", 2)
    checked(desk, READ)
    checked(desk, step("a", "note.read", id=2))
    call = calls.CheckPlan(session=desk.session(), plan=text(step("a", "note.read", id=3)))
    assert desk.refused(call, AGENT) == "limit_exceeded"
    checked(desk, READ)


def test_who_cannot_prove_the_session_checks_no_plan(desk: Desk) -> None:
    call = calls.CheckPlan(session=desk.session(), plan=text(READ))
    reply = desk.governor.handle(calls.Caller(operator=False, method="peer:7", uid=7), call)
    assert isinstance(reply, calls.Failed)
    assert reply.code == ReasonCode.PROOF_MISSING
    assert desk.leaves("plan") == []


@pytest.mark.parametrize(
    ("session", "plan", "code"),
    [("nobody", text(READ), "no_session"), ("", "{}", "plan_invalid"), ("", "\ud800", "malformed")],
)
def test_what_cannot_be_judged_is_refused(desk: Desk, session: str, plan: str, code: str) -> None:
    call = calls.CheckPlan(session=session or desk.session(), plan=plan)
    if plan == "\ud800":
        reply = desk.governor.handle(AGENT, call)
        assert isinstance(reply, calls.Failed)
        return
    assert desk.refused(call, AGENT) == code


def test_what_needs_a_key_is_denied_to_a_session_without_one(desk: Desk) -> None:
    session = desk.keyless()
    found = checked(desk, READ, step("pay", "bank.pay", amount=1), session=session)
    assert effects(found) == {"read": "allow", "pay": "deny"}
    assert [r.code for r in found.steps[1].reasons] == [ReasonCode.PROOF_MISSING]


def test_a_helper_has_only_its_grant_foreseen() -> None:
    desk = Desk(HANDING)
    session = desk.delegated()
    found = checked(desk, READ, step("pay", "bank.pay", amount=1), session=session)
    assert effects(found) == {"read": "allow", "pay": "deny"}
    assert [r.code for r in found.steps[1].reasons] == [ReasonCode.NOT_GRANTED]
    desk.governor.close()


def test_an_activation_between_judging_and_recording_has_it_judged_anew(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bridle.governor.planning import checking, forecast

    stricter = changed(("policies/permits.dw", "", NOTHING))
    first = forecast.of_plan
    activated: list[bool] = []

    def meanwhile(*given: Any) -> Any:
        found = first(*given)
        activated.append(True)
        return found

    write = desk.core.write

    def written(job: Any, **how: Any) -> Any:
        if activated == [True]:
            activated.append(False)
            desk.activate(stricter)
        return write(job, **how)

    monkeypatch.setattr(checking.forecast, "of_plan", meanwhile)
    monkeypatch.setattr(desk.core, "write", written)
    found = checked(desk, READ)
    monkeypatch.undo()
    assert effects(found) == {"read": "deny"}
    (record,) = desk.leaves("plan")
    assert record.ids["bundle"] == found.bundle == desk.core.write(lambda t: t.globals.active)


def test_a_policy_put_in_force_after_the_check_judges_the_steps(desk: Desk) -> None:
    found = checked(desk, READ)
    assert found.steps[0].effect is Foreseen.ALLOW
    desk.activate(changed(("policies/limits.dw", "", NOTHING)))
    assert not do(desk, found.digest, "read", "note.read", id=1).effect.runs


def test_time_that_has_passed_is_judged_as_well(desk: Desk) -> None:
    pay = step("pay", "bank.pay", amount=1)
    assert effects(checked(desk, pay)) == {"pay": "allow"}
    desk.later(HOUR)
    assert effects(checked(desk, pay)) == {"pay": "hold"}


def test_erasing_the_record_of_a_plan_erases_the_plan(desk: Desk) -> None:
    found = checked(desk, READ)
    assert found.receipt is not None
    desk.done(calls.MissionVerb(mission=desk.mission, verb="close", as_user="ana"))
    desk.done(calls.Redact(record=found.receipt.index, basis="request 1", as_user="ana"))
    (row,) = desk.core.write(lambda turn: turn.tx.find(PlanRow))
    assert (row.sealed, row.done) == (b"", {})


def test_erasing_a_mission_erases_its_plans(desk: Desk) -> None:
    checked(desk, READ)
    desk.done(calls.MissionVerb(mission=desk.mission, verb="close", as_user="ana"))
    desk.done(calls.Redact(mission=desk.mission, basis="request 1", as_user="ana"))
    (row,) = desk.core.write(lambda turn: turn.tx.find(PlanRow))
    assert row.sealed == b""
