"""No string of a call, however odd or long, raises, half-writes, or keeps a record away."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridle.governor.ground import clear
from bridle.governor.ground.records import Entry
from bridle.ledger.leaf import MAX_BYTES
from bridle.model import calls
from bridle.model.calls import Failed, Judged, Released
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.model.record import LeafKind
from governor.desk import AGENT, ANYONE, Desk, changed, codes, said

HALF = "\ud800"
ODD = [HALF, f"a{HALF}b", "\x00", "\x00" * 70_000, "\u202e" * 5_000, "é" * 70_000, '"\\' * 40_000]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("field", ["tool", "args", "key", "adapter", "session"])
def test_an_odd_word_in_a_decision_is_a_denial(desk: Desk, field, odd):
    given = {"session": desk.session(), "tool": "note.read", "args": '{"id":1}', "key": "k"}
    given[field] = odd
    before = len(desk.leaves("decision"))
    reply = desk.ask(calls.Decide(**given, start=True), AGENT)
    assert isinstance(reply, Judged)
    assert reply.verdict.attempt == "" or field in {"adapter", "key"}
    if field != "session" and reply.verdict.effect == "deny":
        assert len(desk.leaves("decision")) == before + 1
    assert msgspec.json.encode(reply)


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_id_is_not_found_anywhere(desk: Desk, odd):
    session = desk.session()
    outcome = Outcome(OutcomeKind.OK)
    for call in (
        calls.Begin(session=session, action=odd),
        calls.Redeem(session=session, approval=odd),
        calls.Redeem(session=session, approval="hold_0", action=odd),
    ):
        reply = desk.ask(call, AGENT)
        assert isinstance(reply, Judged)
        assert reply.verdict.effect == "deny"
        assert msgspec.json.encode(reply)
    observed = desk.ask(calls.Observe(session=session, attempt=odd, outcome=outcome), AGENT)
    assert isinstance(observed, Released)
    assert observed.release.effect == "deny"
    for call in (
        calls.Beat(session=session, attempt=odd),
        calls.ApprovalOf(session=session, approval=odd),
        calls.ToolsOf(session=odd),
    ):
        assert isinstance(desk.ask(call, AGENT), Failed)


@pytest.mark.parametrize("odd", ODD)
def test_an_odd_outcome_settles_the_attempt_and_its_words_are_sealed(desk: Desk, odd):
    verdict = desk.act("note.index", "a")
    desk.observe(verdict.attempt, Outcome(OutcomeKind.ERROR, error=odd, message=odd))
    assert desk.attempt(verdict.attempt).state == "error"
    assert desk.leaves("outcome")[-1].body["error"] == "?"
    again = desk.act("note.index", "a")
    release = desk.observe(again.attempt, Outcome(OutcomeKind.OK, output=odd, message=odd))
    assert desk.attempt(again.attempt).state == "ok"
    assert msgspec.json.encode(release)
    repeated = desk.act("note.index", "a")
    assert msgspec.json.encode(repeated)
    if not clear.is_text(odd):
        assert repeated.outcome == Outcome(OutcomeKind.OK, opaque=True)


@pytest.mark.parametrize("odd", ODD)
def test_odd_words_of_humans_are_taken_down_or_refused(desk: Desk, odd):
    mission = desk.start_mission(prompt=odd)
    held = desk.decide("bank.pay", "a", amount=60)
    for call in (
        calls.AddPrompt(mission=mission, user="ana", prompt=odd),
        calls.Kill(scope="agent", subject="scout", as_user="ana", reason=odd),
        calls.Answer(approval=held.approval, approve=True, as_user="ben", reason=odd),
    ):
        reply = desk.ask(call, ANYONE)
        assert msgspec.json.encode(reply)
        assert not isinstance(reply, Failed)
    for call in (
        calls.StartMission(template=odd, user="ana"),
        calls.StartMission(template="office", user=odd),
        calls.MissionVerb(mission=mission, verb=odd),
        calls.OpenSession(mission=mission, agent=odd),
        calls.OpenSession(mission=mission, agent="clerk", executor=odd),
        calls.IdentityVerb(kind=odd, id=odd, verb="suspend", as_user="ana"),
        calls.IdentityVerb(kind="agent", id="clerk", verb=odd, as_user="ana"),
        calls.Unkill(scope=odd, subject=odd, as_user="ana"),
        calls.Answer(approval=odd, approve=True, as_user="ben"),
        calls.Answer(approval=held.approval, approve=True, as_user=odd),
        calls.Missions(mission=odd),
        calls.Agents(kind=odd),
        calls.Approvals(approval=odd),
    ):
        reply = desk.ask(call, ANYONE)
        assert isinstance(reply, Failed), call
        assert msgspec.json.encode(reply)


def test_a_settlement_in_odd_words_is_taken_down(desk: Desk):
    verdict = desk.act("note.write", "a", text="x")
    desk.later(31_000)
    outcome = Outcome(OutcomeKind.ERROR, error=HALF, message=HALF)
    desk.done(calls.Settle(attempt=verdict.attempt, outcome=outcome, as_user="ana"))
    assert desk.attempt(verdict.attempt).error == "?"


def test_a_tool_name_that_is_prose_is_recorded_under_seal(desk: Desk):
    verdict = desk.decide("please mail Dora Smith", "a")
    assert codes(verdict) == ["unknown_tool"]
    assert desk.leaves("decision")[-1].body["tool"] == "?"
    assert desk.opened_leaf(verdict.receipt.index)["tool"] == "please mail Dora Smith"
    assert desk.action(verdict).tool == "?"


def test_a_record_with_hundreds_of_policies_fits_its_leaf():
    many = "\n".join(
        f'@id("{"p" * 120}-{n}") @reason("{"r" * 300}")\n'
        f'forbid (principal, action == Action::"note.read", resource);'
        for n in range(300)
    )
    desk = Desk(changed(("policies/permits.dw", "", many)))
    verdict = desk.decide("note.read", "a", id=1)
    assert len(verdict.reasons) == 300
    assert len(desk.leaves("decision")[-1].body["policies"]) == 64
    held = "\n".join(
        f'@id("{"h" * 120}-{n}") @hold("leads")\n'
        f'forbid (principal, action == Action::"note.index", resource);'
        for n in range(300)
    )
    files = changed(("policies/permits.dw", "", held))
    wide = Desk(files)
    asked = wide.decide("note.index", "a")
    assert asked.effect == "hold"
    assert wide.answer(asked.approval) == "approved"
    assert wide.redeem(asked.approval).attempt
    for each in (desk, wide):
        each.verified()


@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=40,
    ),
    filler=st.sampled_from(["\x00", "é", "x", HALF, '"']),
    count=st.integers(0, 3_000),
)
@settings(max_examples=60)
def test_whatever_is_to_be_recorded_can_be(body: Any, filler: str, count: int):
    desk = _DESK
    entry = Entry(
        kind=LeafKind.LOG,
        chain="system",
        ids={f"id{n}": filler * count for n in range(14)},
        body={"given": body, **{f"list{n}": [filler * count] * 80 for n in range(4)}},
        fields={"sealed": filler * count},
    )
    before = len(desk.leaves())
    desk.core.write(lambda turn: turn.record(entry))
    assert len(desk.leaves()) == before + 1
    sizes = desk.core.write(lambda turn: [len(s.data) for s in turn.tx.leaves()])
    assert max(sizes) <= MAX_BYTES
    desk.verified()


_DESK = Desk()


def test_times_and_amounts_beyond_what_json_readers_share_are_refused(desk: Desk):
    for args in ('{"id":9007199254740993}', '{"id":1e3}', '{"id":99999999999999999999}'):
        assert said(desk.decide("note.read", args, args))[0] == "deny"
    late = Desk(start=2**53 - 1)
    # Grants have dates, and these times have none any more.
    assert late.decide("note.read", "a", session=late.keyless(), id=1).effect == "allow"
    late.verified()
    beyond = Desk(start=2**53 - 1)
    session = beyond.keyless()
    beyond.clock.move_to(2**53)
    assert said(beyond.decide("note.read", "a", session=session, id=1))[0] == "deny"
