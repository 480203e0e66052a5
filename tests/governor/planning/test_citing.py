"""What an action cites is held against the plan: whatever is not its step deviates from it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bridle.model import calls
from bridle.model.verdict import Effect
from bridle.store.rows import PlanRow
from governor.delegation.runs import HANDING
from governor.desk import AGENT, MINUTE, Desk, changed, judged
from governor.planning.planned import PLAN_ONLY, checked, deviates, do, effects, step, taken

READ = step("read", "note.read", id=1)
WRITE = step("write", "note.write", text=taken("read", "/body"))
PAY = step("pay", "bank.pay", amount=40)


@pytest.fixture
def desk() -> Iterator[Desk]:
    desk = Desk(PLAN_ONLY)
    yield desk
    desk.verified()
    desk.governor.close()


def read(desk: Desk, plan: str, body: str = "hello", **note: str) -> None:
    verdict = do(desk, plan, "read", "note.read", id=1)
    assert verdict.effect is Effect.ALLOW, verdict
    desk.observe(verdict.attempt, json.dumps({"body": body, **note}))


def test_a_plan_is_carried_out_step_by_step(desk: Desk) -> None:
    plan = checked(desk, READ, WRITE, PAY).digest
    read(desk, plan)
    assert do(desk, plan, "write", "note.write", text="hello").effect is Effect.ALLOW
    assert do(desk, plan, "pay", "bank.pay", amount=40).effect is Effect.ALLOW
    records = [leaf for leaf in desk.leaves("decision") if leaf.ids.get("plan")]
    assert [leaf.ids["step"] for leaf in records] == ["read", "write", "pay"]
    assert plan not in repr(desk.leaves())


def test_what_cites_no_plan_deviates(desk: Desk) -> None:
    checked(desk, READ)
    assert deviates(desk.decide("note.read", "k", id=1))


@pytest.mark.parametrize(
    ("name", "tool", "args"),
    [
        ("read", "note.read", {"id": 2}),
        ("read", "note.index", {}),
        ("pay", "bank.tip", {"amount": 40}),
        ("pay", "bank.pay", {"amount": 41}),
        ("pay", "bank.pay", {"amount": 40, "order": 1}),
        ("other", "note.read", {"id": 1}),
        ("Read", "note.read", {"id": 1}),
    ],
)
def test_another_tool_other_arguments_or_an_unknown_step_deviate(
    desk: Desk, name: str, tool: str, args: dict[str, Any]
) -> None:
    plan = checked(desk, READ, PAY).digest
    assert deviates(do(desk, plan, name, tool, **args))
    step_known, tool_fits = name in ("read", "pay"), tool in ("note.read", "bank.pay")
    why = ("arguments" if tool_fits else "tool") if step_known else "step"
    assert desk.leaves("decision")[-1].body["deviates"] == why


def test_the_same_number_written_otherwise_is_the_same_argument(desk: Desk) -> None:
    plan = checked(desk, step("pay", "bank.pay", amount=40)).digest
    call = calls.Decide(
        session=desk.session(), tool="bank.pay", args='{"amount": 40.0}', key="k", plan=plan,
        step="pay",
    )  # fmt: skip
    found = judged(desk.ask(call, AGENT))
    assert found.effect is Effect.ALLOW or not deviates(found)


def test_a_plan_that_was_never_checked_is_none(desk: Desk) -> None:
    assert deviates(do(desk, "0" * 64, "read", "note.read", id=1))
    assert desk.leaves("decision")[-1].body["deviates"] == "unregistered"


def test_a_plan_with_a_denied_step_is_none(desk: Desk) -> None:
    found = checked(desk, READ, step("gossip", "note.write", text="gossip"))
    assert not found.allowed
    assert deviates(do(desk, found.digest, "read", "note.read", id=1))


def test_a_changed_plan_is_another(desk: Desk) -> None:
    plan = checked(desk, READ).digest
    other = checked(desk, step("read", "note.read", id=2)).digest
    assert deviates(do(desk, plan, "read", "note.read", id=2))
    assert not deviates(do(desk, other, "read", "note.read", key="k2", id=2))


def test_a_plan_is_of_one_agent_and_one_mission(desk: Desk) -> None:
    plan = checked(desk, READ).digest
    scout = desk.session("scout")
    assert deviates(do(desk, plan, "read", "note.read", session=scout, id=1))
    elsewhere = desk.opened(mission=desk.start_mission())
    assert deviates(do(desk, plan, "read", "note.read", session=elsewhere, id=1))
    assert not deviates(do(desk, plan, "read", "note.read", id=1))


def test_a_helper_does_not_act_by_the_plan_of_whom_it_helps() -> None:
    desk = Desk({**HANDING, "bridle.toml": PLAN_ONLY["bridle.toml"]})
    plan = checked(desk, READ).digest
    assert deviates(do(desk, plan, "read", "note.read", session=desk.delegated(), id=1))
    desk.governor.close()


def test_a_step_before_what_it_comes_after_deviates(desk: Desk) -> None:
    plan = checked(desk, READ, step("pay", "bank.pay", after=("read",), amount=40)).digest
    early = do(desk, plan, "pay", "bank.pay", key="k1", amount=40)
    assert deviates(early)
    (row,) = desk.rows(calls.Explain(action=early.action))
    assert (row["step"], row["deviates"]) == ("pay", "order")
    verdict = do(desk, plan, "read", "note.read", id=1)
    assert deviates(do(desk, plan, "pay", "bank.pay", key="k2", amount=40))
    desk.observe(verdict.attempt, '{"body":"x"}')
    # In its turn it is the step, under the key that it was refused with as well.
    assert do(desk, plan, "pay", "bank.pay", key="k1", amount=40).effect is Effect.ALLOW
    assert deviates(do(desk, plan, "pay", "bank.pay", key="k3", amount=40))


def test_a_step_after_one_that_failed_deviates(desk: Desk) -> None:
    plan = checked(desk, READ, step("pay", "bank.pay", after=("read",), amount=40)).digest
    desk.observe(do(desk, plan, "read", "note.read", id=1).attempt, "error")
    assert deviates(do(desk, plan, "pay", "bank.pay", amount=40))


def test_a_step_is_done_once_and_asked_for_again_it_is_the_same_action(desk: Desk) -> None:
    plan = checked(desk, PAY).digest
    first = do(desk, plan, "pay", "bank.pay", start=False, amount=40)
    assert do(desk, plan, "pay", "bank.pay", start=False, amount=40).action == first.action
    assert deviates(do(desk, plan, "pay", "bank.pay", key="again", amount=40))
    started = do(desk, plan, "pay", "bank.pay", amount=40)
    desk.observe(started.attempt)
    again = do(desk, plan, "pay", "bank.pay", amount=40)
    assert again.outcome is not None
    assert deviates(do(desk, plan, "pay", "bank.pay", key="again2", amount=40))
    assert desk.leaves("decision")[-1].body["deviates"] == "repeated"
    assert desk.used("money") == 40


def test_a_step_that_never_started_may_be_done_by_another_action(desk: Desk) -> None:
    plan = checked(desk, PAY).digest
    do(desk, plan, "pay", "bank.pay", start=False, amount=40)
    desk.later(MINUTE)
    assert not deviates(do(desk, plan, "pay", "bank.pay", key="again", amount=40))


def test_a_deviating_action_does_not_take_the_place_of_its_step() -> None:
    # No rule denies it here: it runs, and is not the step.
    desk = Desk()
    plan = checked(desk, PAY).digest
    assert do(desk, plan, "pay", "bank.pay", key="other", amount=1).effect is Effect.ALLOW
    (row,) = desk.core.write(lambda turn: turn.tx.find(PlanRow))
    assert row.done == {}
    desk.governor.close()


@pytest.mark.parametrize("text", ["other", "hell", "hello ", '{"$from":"read"}'])
def test_an_argument_that_is_not_what_the_result_says_deviates(desk: Desk, text: str) -> None:
    plan = checked(desk, READ, WRITE).digest
    read(desk, plan)
    assert deviates(do(desk, plan, "write", "note.write", text=text))


def test_what_the_agent_was_given_is_what_counts(desk: Desk) -> None:
    """A result that a rule has changed is compared as it was released."""
    plan = checked(desk, READ, step("write", "note.write", text=taken("read", "/pin"))).digest
    read(desk, plan, pin="1234")
    assert deviates(do(desk, plan, "write", "note.write", text="1234"))


@pytest.mark.parametrize("body", ["burnt", "sealed"])
def test_a_result_that_was_withheld_is_nothing_to_refer_to(desk: Desk, body: str) -> None:
    plan = checked(desk, READ, WRITE).digest
    read(desk, plan, body=body)
    assert deviates(do(desk, plan, "write", "note.write", text=body))


def test_a_held_step_goes_on_as_what_it_cited(desk: Desk) -> None:
    plan = checked(desk, step("big", "bank.pay", amount=60)).digest
    held = do(desk, plan, "big", "bank.pay", amount=60)
    assert held.effect is Effect.HOLD
    desk.answer(held.approval)
    assert desk.redeem(held.approval).effect is Effect.ALLOW
    assert deviates(do(desk, plan, "big", "bank.pay", key="again", amount=60))


def test_a_human_may_edit_a_step_and_it_stays_the_step(desk: Desk) -> None:
    plan = checked(desk, step("big", "bank.pay", amount=60)).digest
    held = do(desk, plan, "big", "bank.pay", amount=60)
    desk.answer(held.approval, args='{"amount": 55}')
    found = desk.redeem(held.approval)
    assert found.effect is Effect.MODIFY
    assert json.loads(found.args) == {"amount": 55}


def test_a_held_step_that_deviates_by_then_is_denied(desk: Desk) -> None:
    plan = checked(desk, step("big", "bank.pay", amount=60)).digest
    one = do(desk, plan, "big", "bank.pay", key="one", amount=60)
    two = do(desk, plan, "big", "bank.pay", key="two", amount=60)
    assert one.approval == two.approval
    desk.answer(one.approval)
    assert desk.redeem(one.approval, action=one.action).effect is Effect.ALLOW
    assert deviates(do(desk, plan, "big", "bank.pay", key="two", amount=60))


def test_a_modified_step_may_be_asked_for_again_as_it_was_modified(desk: Desk) -> None:
    plan = checked(desk, step("write", "note.write", text="a note that is long")).digest
    first = do(desk, plan, "write", "note.write", start=False, text="a note that is long")
    assert first.effect is Effect.MODIFY
    again = do(desk, plan, "write", "note.write", start=False, **json.loads(first.args))
    assert (again.effect, again.action) == (Effect.MODIFY, first.action)


@pytest.mark.parametrize(
    ("plan", "name"),
    [("x", "read"), ("0" * 63, "read"), ("A" * 64, "read"), ("0" * 64, ""), ("", "read"),
     ("0" * 64, "s" * 257), ("0" * 64, "\ud800")],
)  # fmt: skip
def test_what_cites_nothing_that_could_be_a_plan_is_malformed(
    desk: Desk, plan: str, name: str
) -> None:
    call = calls.Decide(
        session=desk.session(), tool="note.read", args='{"id":1}', key="k", plan=plan, step=name
    )
    found = judged(desk.governor.handle(AGENT, desk.proved(call)))
    assert [r.code for r in found.reasons] == ["malformed"]


def test_an_erased_plan_has_no_steps(desk: Desk) -> None:
    plan = checked(desk, READ).digest
    (row,) = desk.core.write(lambda turn: turn.tx.find(PlanRow))
    bare = PlanRow(id=row.id, mission=row.mission, created=row.created)
    desk.core.write(lambda turn: turn.tx.put(bare))
    assert deviates(do(desk, plan, "read", "note.read", id=1))


_STEPS = st.lists(
    st.one_of(
        st.builds(lambda n: ("note.read", {"id": n}), st.integers(0, 3)),
        st.builds(
            lambda t: ("note.write", {"text": t}),
            st.sampled_from(["hi", "gossip", "a rather long note"]),
        ),
        st.builds(lambda n: ("bank.pay", {"amount": n}), st.integers(0, 70)),
        st.builds(lambda n: ("bank.tip", {"amount": n}), st.integers(0, 12)),
        st.builds(lambda n: ("bell.ring", {"times": n}), st.integers(0, 3)),
        st.just(("safe.open", {"id": 1})),
    ),
    min_size=1,
    max_size=6,
)

_RULES = changed(
    ("bridle.toml", "", "\n[boundaries]\nplan_only = true\n"),
    (
        "policies/limits.dw",
        "",
        """
@id("two-notes") @reason("two notes an hour")
forbid (principal, action == Action::"note.write", resource)
unless temporal {
    at_most(2, 1h, Action::"note.write"::request{}, Action::"note.write"::error{})
};
@id("no-ring-after-pay") @reason("no bell after a payment")
forbid (principal, action == Action::"bell.ring", resource)
when temporal { formerly within 1h Action::"bank.pay"::response{} };
@id("no-note-after-pin") @reason("a pin was read")
forbid (principal, action == Action::"note.write", resource)
when temporal { formerly within 1h Action::"note.read"::response{ output.pin: "1" } };
""",
    ),
)
_ORIGINS = changed(
    ("bridle.toml", "", "\n[boundaries]\nplan_only = true\n"),
    (
        "policies/limits.dw",
        "",
        """
@id("said-or-clean") @reason("say what was said, or read nothing before")
forbid (principal, action == Action::"note.write", resource)
unless { context.flow.text.prompted || !context.mission.untrusted };
@id("nothing-from-notes") @reason("nothing of the notes goes to the bank") @hold("leads")
forbid (principal, action == Action::"bank.tip", resource)
when { context.flow.any.sources.contains(System::"notes") };
""",
    ),
)
_RESULTS = {"note.read": ['{"body":"hi 3 gossip"}', '{"body":"x"}', '{"body":"x","pin":"1"}']}


@pytest.mark.parametrize("rules", [_RULES, _ORIGINS], ids=["history", "origins"])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_STEPS, st.data())
def test_no_step_is_foreseen_as_allowed_that_is_then_denied(
    rules: dict[str, str], steps: list[tuple[str, dict[str, Any]]], data: st.DataObject
) -> None:
    """Whatever earlier steps bring, and whether or not open and held ones come to run."""
    desk = Desk(rules)
    session = desk.opened(mission=desk.start_mission(prompt="write hi"))
    planned = [step(f"s{n}", tool, **args) for n, (tool, args) in enumerate(steps)]
    found = checked(desk, *planned, session=session)
    foreseen = effects(found)
    if found.allowed:
        for each in planned:
            tool, name = each["tool"], each["id"]
            verdict = do(desk, found.digest, name, tool, session=session, **each["args"])
            if foreseen[name] in ("allow", "modify"):
                assert verdict.effect == foreseen[name], (name, foreseen, verdict)
            if verdict.effect is Effect.HOLD and data.draw(st.booleans()):
                for user in ("ben", "cleo"):
                    row = desk.hold(verdict.approval)
                    if row.status == "pending":
                        desk.answer(verdict.approval, user)
                verdict = desk.redeem(verdict.approval, session=session)
            if verdict.attempt:
                output = data.draw(st.sampled_from(_RESULTS.get(tool, ["null"])))
                desk.observe(verdict.attempt, output, session)
    else:
        # A denied plan is registered nowhere: none of its steps is one.
        first = planned[0]
        name, tool = first["id"], first["tool"]
        assert deviates(do(desk, found.digest, name, tool, session=session, **first["args"]))
    desk.governor.close()
