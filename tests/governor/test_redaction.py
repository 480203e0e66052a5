"""What humans erase is gone, on record, and nothing else is; what is left answers clearly."""

import json
from typing import Any

import pytest

from bridle.governor.ground.vault import Kept
from bridle.ledger import leaf
from bridle.model import calls
from bridle.model.calls import Caller
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.store.base import StoredLeaf
from bridle.store.rows import ActionRow, ExceptionRow, HoldRow, PayloadKeyRow
from governor.desk import AGENT, ANYONE, Desk, codes, said
from governor.proving import BEN, HUMAN, keyed, proved

BASIS = "request 2026-17"


def stored(desk: Desk) -> list[StoredLeaf]:
    return desk.core.write(lambda turn: list(turn.tx.leaves()))


def sealed(desk: Desk, mission: str) -> int:
    return sum(bool(each.sealed) for each in stored(desk) if each.chain == mission)


def redact(desk: Desk, caller: Caller = ANYONE, **what: Any) -> dict[str, Any]:
    what = {"basis": BASIS, "as_user": "ana", **what}
    reply = desk.done(calls.Redact(**what), caller)
    assert isinstance(reply, calls.Listing)
    [row] = reply.rows
    return row


def refused(desk: Desk, caller: Caller = ANYONE, **what: Any) -> str:
    """The code of a refusal, which changed nothing and recorded nothing."""
    what = {"basis": BASIS, "as_user": "ana", **what}
    before = stored(desk)
    code = desk.refused(calls.Redact(**what), caller)
    assert stored(desk) == before
    return code


@pytest.fixture
def desk() -> Desk:
    """A desk whose mission ran, was paid for by exception, held a result, and is over."""
    desk = Desk()
    desk._mission = desk.start_mission(prompt="pay what ana owes")
    ran = desk.act("note.read", "r1", id=7)
    assert ran.attempt
    desk.observe(ran.attempt, '{"body":"the note of ana"}')
    held = desk.decide("bank.pay", "p1", amount=60, order=9)
    terms = calls.Terms(count=3, free=("order",))
    shown = desk.rows(calls.Approvals(approval=held.approval))[0]["digest"]
    desk.answer(held.approval, digest=shown, terms=terms)
    paid = desk.redeem(held.approval)
    desk.observe(paid.attempt, "ok")
    refusal = desk.decide("note.write", "w1", text="gossip")
    assert said(refusal) == ("deny", ["forbidden"])
    close(desk)
    return desk


def close(desk: Desk, mission: str = "") -> None:
    desk.done(calls.MissionVerb(mission=mission or desk.mission, verb="close", as_user="ana"))


def test_every_value_of_a_mission_is_gone_and_the_log_still_verifies(desk: Desk) -> None:
    mission = desk.mission
    kept = [each.data for each in stored(desk)]
    many = sealed(desk, mission)
    assert many > 5
    row = redact(desk, mission=mission)
    assert (row["mission"], row["records"], row["scrubbed"]) == (mission, many, True)
    assert sealed(desk, mission) == 0
    assert [each.data for each in stored(desk)][: len(kept)] == kept
    desk.verified()


def test_rows_keep_names_and_states_and_no_word_of_anybody(desk: Desk) -> None:
    redact(desk, mission=desk.mission)

    def look(turn: Any) -> tuple[list[ActionRow], list[HoldRow], list[ExceptionRow], Any]:
        tx = turn.tx
        key = tx.get(PayloadKeyRow, desk.mission)
        return tx.find(ActionRow), tx.find(HoldRow), tx.find(ExceptionRow), key

    actions, holds, exceptions, key = desk.core.write(look)
    assert key is None
    assert len(actions) == 3
    assert len(holds) == len(exceptions) == 1
    for action in actions:
        assert (action.sealed, action.requested, action.judged) == (b"", "", "")
        assert {reason["text"] for reason in action.reasons} <= {""}
    [hold] = holds
    assert (hold.sealed, hold.digest, hold.bind, hold.terms) == (b"", "", "", None)
    assert [(vote["user"], vote["reason"]) for vote in hold.votes] == [("ben", "")]
    assert exceptions[0].sealed == b""


def test_the_record_says_what_was_erased_by_whom_and_why(desk: Desk) -> None:
    size = len(stored(desk))
    row = redact(desk, mission=desk.mission)
    [record] = desk.leaves("redaction")
    assert (record.chain, row["leaf"]) == (desk.mission, size)
    assert record.body == {
        "what": "mission", "below": size, "records": row["records"], "basis": BASIS,
    }  # fmt: skip
    assert (record.ids["by"], record.ids["method"], record.ids["user"]) == ("ana", "offline", "ana")
    assert record.commit == {}


def test_erasing_twice_erases_nothing_more_and_leaves_one_record(desk: Desk) -> None:
    redact(desk, mission=desk.mission)
    size = len(stored(desk))
    again = redact(desk, mission=desk.mission)
    assert (again["records"], again["rows"], again["leaf"]) == (0, 0, -1)
    assert again["scrubbed"]
    assert len(stored(desk)) == size


def test_what_others_said_stays(desk: Desk) -> None:
    other = desk.start_mission(prompt="what ben wants", user="ben")
    before = sealed(desk, other)
    redact(desk, mission=desk.mission)
    assert sealed(desk, other) == before == 1
    index = next(each.index for each in stored(desk) if each.chain == other)
    assert desk.opened_leaf(index) == {"prompt": "what ben wants"}


def test_a_repeat_of_an_erased_action_is_denied_and_runs_nothing(desk: Desk) -> None:
    redact(desk, mission=desk.mission)
    for key, tool, args in [
        ("r1", "note.read", {"id": 7}),
        ("p1", "bank.pay", {"amount": 60, "order": 9}),
        ("w1", "note.write", {"text": "gossip"}),
        ("w1", "note.write", {"text": "another"}),
    ]:
        assert said(desk.act(tool, key, **args)) == ("deny", ["erased"])
    desk.verified()


def test_a_late_report_of_an_erased_action_gets_a_clear_answer(desk: Desk) -> None:
    attempt = next(leaf.ids["attempt"] for leaf in desk.leaves("started"))
    redact(desk, mission=desk.mission)
    assert said(desk.observe(attempt, '{"body":"the note of ana"}')) == ("deny", ["erased"])


def test_what_is_said_after_an_erasure_is_sealed_under_a_new_key_and_erased_as_well(
    desk: Desk,
) -> None:
    attempt = next(leaf.ids["attempt"] for leaf in desk.leaves("started"))
    redact(desk, mission=desk.mission)
    late = Outcome(OutcomeKind.ERROR, error="broke", message="late words")
    assert codes(desk.observe(attempt, late)) == ["needs_human"]
    assert desk.opened_leaf(len(stored(desk)) - 1)["message"] == "late words"
    desk.verified()
    assert redact(desk, mission=desk.mission)["records"] == 1
    assert sealed(desk, desk.mission) == 0
    desk.verified()


def test_humans_are_shown_what_is_left_of_erased_holds_and_exceptions(desk: Desk) -> None:
    redact(desk, mission=desk.mission)
    [hold] = desk.rows(calls.Approvals(all=True))
    shown = desk.rows(calls.Approvals(approval=hold["id"]))[0]
    assert (shown["args"], shown["requested"]) == ("", "")
    assert [vote["counts"] for vote in shown["votes"]] == [True]
    [exception] = desk.rows(calls.Exceptions(all=True))
    assert exception["args"] == ""


# --- one record -----------------------------------------------------------------------------------


def index_of(desk: Desk, kind: str) -> int:
    return next(n for n, each in enumerate(desk.leaves()) if each.kind == kind)


def test_a_field_of_a_record_goes_and_the_others_still_open(desk: Desk) -> None:
    index = index_of(desk, "decision")
    opened = desk.opened_leaf(index)
    row = redact(desk, record=index, fields=("args",))
    assert (row["record"], row["records"], row["fields"]) == (index, 1, ("args",))
    assert desk.opened_leaf(index) == {k: v for k, v in opened.items() if k != "args"}
    [record] = desk.leaves("redaction")
    assert record.body == {
        "what": "record",
        "record": index,
        "fields": ["args"],
        "sealed": leaf.sealed_digest(stored(desk)[index].sealed),
        "basis": BASIS,
    }
    desk.verified()


def test_a_record_loses_field_after_field_until_nothing_is_left(desk: Desk) -> None:
    index = index_of(desk, "decision")
    names = sorted(desk.opened_leaf(index))
    for number, name in enumerate(names, 1):
        row = redact(desk, record=index, fields=(name,))
        assert row["fields"] == tuple(names[:number])
        desk.verified()
    assert stored(desk)[index].sealed == b""
    assert desk.leaves("redaction")[-1].body["sealed"] == ""
    assert redact(desk, record=index)["leaf"] == -1


def test_a_whole_record_goes_and_the_rest_of_its_mission_stays(desk: Desk) -> None:
    index, many = index_of(desk, "outcome"), sealed(desk, desk.mission)
    row = redact(desk, record=index)
    assert (row["records"], row["fields"]) == (1, ("output",))
    assert sealed(desk, desk.mission) == many - 1
    desk.verified()


def test_what_a_row_keeps_of_a_record_goes_with_it(desk: Desk) -> None:
    decision = index_of(desk, "decision")
    assert desk.leaves()[decision].body["tool"] == "note.read"
    redact(desk, record=decision, fields=("args",))
    rows = desk.core.write(lambda turn: turn.tx.find(ActionRow))
    kept = {
        row.tool: desk.core.write(lambda turn, r=row: turn.unseal(r.mission, r.id, r.sealed))
        for row in rows
    }
    assert kept["note.read"] == Kept()
    assert "60" in kept["bank.pay"].args
    assert said(desk.act("note.read", "r1", id=7)) == ("deny", ["erased"])


def test_what_an_exception_keeps_goes_with_the_record_that_granted_it(desk: Desk) -> None:
    index = next(n for n, each in enumerate(desk.leaves()) if "predicate" in each.commit)
    assert redact(desk, record=index)["rows"] == 1
    [exception] = desk.rows(calls.Exceptions(all=True))
    assert exception["args"] == ""
    desk.verified()


def test_a_record_of_no_mission_can_be_erased_by_itself_only() -> None:
    desk = Desk()
    desk.done(calls.Kill(scope="tool", subject="note.read", reason="ana said so", as_user="ben"))
    index = index_of(desk, "kill")
    assert redact(desk, record=index)["fields"] == ("reason",)
    desk.verified()
    assert refused(desk, mission="system") == "not_found"


# --- who may, and what ----------------------------------------------------------------------------


def test_an_agent_erases_nothing(desk: Desk) -> None:
    assert refused(desk, AGENT, mission=desk.mission) == "operator_only"


def test_who_is_no_operator_erases_nothing(desk: Desk) -> None:
    assert refused(desk, mission=desk.mission, as_user="cleo") == "not_an_operator"
    assert refused(desk, mission=desk.mission, as_user="") == "who_are_you"


def test_an_operator_with_a_key_erases_with_it_and_nobody_in_their_name() -> None:
    desk = Desk(keyed())
    mission = desk.start_mission(prompt="pay")
    close(desk, mission)
    assert refused(desk, HUMAN, mission=mission) == "key_needed"
    ben = proved(desk, BEN)
    assert refused(desk, ben, mission=mission) == "not_you"
    assert redact(desk, ben, mission=mission, as_user="ben")["records"] == 1
    assert desk.leaves("redaction")[0].ids["method"] == ben.method


def test_a_suspended_operator_erases_nothing(desk: Desk) -> None:
    call = calls.IdentityVerb(kind="user", id="ana", verb="suspend", as_user="ben")
    desk.done(call)
    assert refused(desk, mission=desk.mission) == "suspended"


def test_a_mission_that_goes_on_keeps_what_decisions_stand_on() -> None:
    desk = Desk()
    desk.act("note.read", "r1", id=7)
    index = index_of(desk, "decision")
    assert refused(desk, mission=desk.mission) == "mission_not_over"
    assert refused(desk, record=index) == "mission_not_over"


def test_what_is_still_running_or_in_doubt_is_not_erased() -> None:
    desk = Desk()
    started = desk.act("note.write", "w1", text="short")
    close(desk)
    assert refused(desk, mission=desk.mission) == "mission_open"
    desk.observe(started.attempt, "unknown")
    assert refused(desk, mission=desk.mission) == "mission_open"
    settled = calls.Settle(
        attempt=started.attempt, outcome=Outcome(OutcomeKind.ERROR), as_user="ana"
    )
    desk.done(settled)
    assert redact(desk, mission=desk.mission)["records"]


@pytest.mark.parametrize("basis", ["", "  ", "x" * 201, "\ud800"])
def test_an_erasure_without_a_basis_is_refused(desk: Desk, basis: str) -> None:
    assert refused(desk, mission=desk.mission, basis=basis) in ("basis_missing", "malformed")


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ({}, "usage"),
        ({"mission": "mis_x"}, "not_found"),
        ({"mission": "mis_x", "record": 3}, "usage"),
        ({"record": -2}, "usage"),
        ({"record": 10_000}, "not_found"),
        ({"record": 2**62}, "not_found"),
        ({"record": 0}, "nothing_sealed"),
    ],
)
def test_what_is_not_there_is_not_erased(desk: Desk, what: dict[str, Any], code: str) -> None:
    assert refused(desk, **what) == code


def test_fields_that_a_record_does_not_have_are_refused(desk: Desk) -> None:
    index = index_of(desk, "decision")
    assert refused(desk, record=index, fields=("args", "password")) == "unknown_field"
    assert refused(desk, record=index, fields=("\ud800",)) == "unknown_field"
    assert refused(desk, mission=desk.mission, fields=("args",)) == "usage"


def test_a_preview_tells_the_same_and_erases_nothing(desk: Desk) -> None:
    before = stored(desk)
    seen = redact(desk, mission=desk.mission, preview=True)
    assert stored(desk) == before
    assert (seen["leaf"], seen["scrubbed"]) == (-1, False)
    done = redact(desk, mission=desk.mission)
    assert {**seen, "leaf": 0, "scrubbed": True} == {**done, "leaf": 0}
    assert refused(desk, record=0, preview=True) == "nothing_sealed"
    assert json.dumps(done)


# --- keys -----------------------------------------------------------------------------------------


def test_each_mission_seals_under_a_key_of_its_own_and_each_record_names_its_payload() -> None:
    desk = Desk()
    first, second = desk.start_mission(prompt="one"), desk.start_mission(prompt="two")

    def look(turn: Any) -> list[PayloadKeyRow]:
        return [turn.tx.get(PayloadKeyRow, mission) for mission in (first, second)]

    one, two = desk.core.write(look)
    assert one.sealed != two.sealed
    said = [each for each in stored(desk) if each.sealed]
    assert [each.sealed[1:9] for each in said] == [
        desk.core.keyring.sealer(row.chain, row.sealed).key_id for row in (one, two)
    ]
    for each in said:
        assert leaf.parse(each.data).body["sealed"] == leaf.sealed_digest(each.sealed)


def test_the_record_that_seals_first_speaks_for_the_key_it_was_sealed_under() -> None:
    desk = Desk()
    mission = desk.start_mission(prompt="one")
    [record] = [leaf.parse(each.data) for each in stored(desk) if each.chain == mission]
    assert f"payload_keys/{mission}" in record.body["rows"]


def test_a_mission_whose_key_was_taken_away_opens_nothing_and_allows_nothing(desk: Desk) -> None:
    """Whoever deletes the row of a key makes nothing readable, and nothing run."""
    open_ = desk.start_mission()
    session = desk.session(mission=open_)
    held = desk.decide("safe.open", "s1", id=1, session=session)
    assert held.effect == "hold"
    desk.core.store.write(lambda tx: tx.delete(PayloadKeyRow, open_))
    reply = desk.ask(calls.Approvals(approval=held.approval))
    assert isinstance(reply, calls.Failed)
    vote = calls.Answer(approval=held.approval, approve=True, as_user="ben")
    assert isinstance(desk.ask(vote), calls.Failed)
