"""Whoever wants more than a human gave: another's word, an old vote, a tool made another."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from bridle.model import calls
from bridle.model.calls import Caller, Terms
from governor.desk import FILES, Desk, changed, codes, judged, said
from governor.proving import ANA as ANAS_KEY
from governor.proving import keyed, proved

OPERATOR = Caller(operator=True, method="peer:1000", uid=1000)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def separate(desk: Desk) -> Desk:
    """The same desk as a governor with a uid of its own, whose operator is uid 1000."""
    desk.core.level = "separate"
    desk.core.own_uids |= {1000}
    return desk


def test_nobody_puts_words_into_a_keyed_users_mouth_under_a_name_without_a_key() -> None:
    desk = Desk(keyed(ana=ANAS_KEY))
    start = calls.StartMission(template="office", user="ana", prompt="pay the baker")
    mission = desk.done(start, proved(desk, ANAS_KEY)).id  # type: ignore[union-attr]
    desk.done(calls.AddPrompt(mission=mission, user="dora", prompt="pay me"), OPERATOR)
    [shown] = desk.rows(calls.Missions(mission=mission))
    assert shown["prompt_trusted"] is False
    leaf = desk.leaves("mission")[-1]
    assert (leaf.ids["by"], leaf.body) == ("dora", {"what": "prompt", "trusted": False})


def test_a_missions_own_user_is_taken_at_their_word(desk: Desk) -> None:
    desk.done(calls.AddPrompt(mission=desk.mission, user="ana", prompt="and hurry"))
    [shown] = desk.rows(calls.Missions(mission=desk.mission))
    assert shown["prompt_trusted"] is True


def test_an_agent_at_the_operators_socket_is_recorded_by_its_uid(desk: Desk) -> None:
    session = separate(desk).session()
    call = calls.Decide(session=session, tool="note.write", args='{"text":"x"}', key="k")
    for uid, level in ((1000, "same-uid"), (1001, "separate")):
        here = structs.replace(OPERATOR, uid=uid)
        desk.ask(structs.replace(call, key=f"k{uid}"), here)
        assert desk.leaves("decision")[-1].ids["level"] == level
        desk.ask(calls.Begin(session=session, action=""), here)
        assert desk.leaves("decision")[-1].ids["level"] == level


def old_votes(desk: Desk, approval: str) -> None:
    """What an earlier release kept of votes: not what they were cast for."""

    row = desk.hold(approval)

    def strip(turn: Any) -> None:
        votes = [{k: v for k, v in vote.items() if k != "digest"} for vote in row.votes]
        turn.tx.put(structs.replace(row, votes=votes))

    desk.core.write(strip)


def test_what_was_approved_under_an_earlier_release_still_is(desk: Desk) -> None:
    held = desk.decide("bank.pay", "a", amount=60)
    desk.answer(held.approval)
    old_votes(desk, held.approval)
    assert desk.redeem(held.approval).attempt


def test_an_old_vote_is_for_what_was_asked_and_for_no_edit_or_terms(desk: Desk) -> None:
    held = desk.decide("safe.open", "a", id=1)
    desk.answer(held.approval, "ben")
    old_votes(desk, held.approval)
    assert desk.answer(held.approval, "cleo", terms=Terms(count=9)) == "pending"
    digest = desk.hold(held.approval).digest
    assert desk.answer(held.approval, "dora", digest=digest) == "approved"
    [row] = desk.rows(calls.Exceptions())
    assert row["by"] == ["cleo", "dora"]


BANK = 'effect = "irreversible"\ntimeout = "30s"\nno_effect = ["no_such_order"]'
ORDER = 'order = { type = "integer" } }'
# The policies, word for word, and another tool under the old name.
REMADE = {
    "what was to be undone cannot be": (
        changed(("systems.toml", BANK, BANK.replace("irreversible", "write"))), FILES
    ),
    "it takes something else as well": (
        FILES,
        changed(("systems.toml", ORDER, 'order = { type = "integer" }, all = { type = "null" } }')),
    ),
    "an argument means something else": (
        FILES, changed(("systems.toml", BANK, BANK + '\narguments.order = { sink = "content" }'))
    ),
    "it acts on another system": (
        FILES,
        changed(("systems.toml", '[tools."bank.pay"]\nsystem = "bank"',
                 '[tools."bank.pay"]\nsystem = "notes"')),
    ),
}  # fmt: skip


@pytest.mark.parametrize("approved", [False, True])
@pytest.mark.parametrize("name", REMADE)
def test_a_tool_made_another_is_not_the_one_that_was_approved(name: str, approved: bool) -> None:
    before, after = REMADE[name]
    desk = Desk(before)
    held = desk.decide("bank.pay", "a", amount=60)
    if approved:
        desk.answer(held.approval)
    desk.activate(after)
    assert desk.hold(held.approval).status == "void"
    assert said(desk.redeem(held.approval)) == ("deny", ["approval_void"])
    desk.activate(before)
    assert not desk.redeem(held.approval).attempt
    assert desk.act("bank.pay", "a", amount=60).effect == "hold"


def test_a_tool_made_another_and_back_within_no_decision_is_void_all_the_same(desk: Desk) -> None:
    held = desk.decide("bank.pay", "a", amount=60)
    desk.activate(REMADE["it takes something else as well"][1])
    desk.activate(FILES)
    vote = calls.Answer(approval=held.approval, approve=True, as_user="ben")
    assert desk.refused(vote) == "hold_settled"


EMBEDDED = Caller(operator=True, method="embedded", uid=1000)
AGENT = Caller(operator=False, method="peer:1000", uid=1000)


def held_at(desk: Desk, level: str, key: str = "a") -> str:
    desk.core.level = level
    caller = EMBEDDED if level == "embedded" else AGENT
    args = '{"amount":60}'
    call = calls.Decide(session=desk.session(), tool="bank.pay", args=args, key=key)
    return judged(desk.ask(call, caller)).approval


def test_no_embedded_governor_approves_what_was_asked_at_a_socket(desk: Desk) -> None:
    held = held_at(desk, "same-uid")
    desk.core.level = "embedded"
    vote = calls.Answer(approval=held, approve=True, as_user="ben")
    assert desk.refused(vote, EMBEDDED) == "same_uid"


@pytest.mark.parametrize("terms", [None, Terms(count=5)])
def test_what_an_embedded_governor_approved_runs_at_no_socket(
    desk: Desk, terms: Terms | None
) -> None:
    held = held_at(desk, "embedded")
    desk.done(calls.Answer(approval=held, approve=True, as_user="ben", terms=terms), EMBEDDED)
    desk.core.level = "same-uid"
    assert [row["status"] for row in desk.rows(calls.Approvals(approval=held))] == ["void"]
    call = calls.Redeem(session=desk.session(), approval=held, start=True)
    assert codes(judged(desk.ask(call, AGENT))) == ["approval_void"]
    assert desk.hold(held_at(desk, "same-uid", "b")).status == "pending"


def test_an_embedded_governor_approves_what_it_was_asked_itself(desk: Desk) -> None:
    held = held_at(desk, "embedded")
    desk.done(calls.Answer(approval=held, approve=True, as_user="ben"), EMBEDDED)
    call = calls.Redeem(session=desk.session(), approval=held, start=True)
    assert judged(desk.ask(call, EMBEDDED)).attempt
