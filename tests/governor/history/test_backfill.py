"""A rule that is added later knows of what happened before, or says until when it does not."""

from typing import Any

import pytest
from msgspec import structs

from bridle.governor.history import backfill
from bridle.model import calls
from bridle.model.outcome import Outcome, OutcomeKind
from bridle.store.rows import EventRow, GlobalRow, HistoryRow, PartitionRow, SnapshotRow
from governor.desk import FILES as PLAIN
from governor.desk import HOUR, MINUTE, Desk, said
from governor.history.past import AGENT, FILES, USER, LongDesk, edited

SILENT = {name: text for name, text in FILES.items() if text not in (USER, AGENT)}
SILENT["policies/limits.dw"] = PLAIN["policies/limits.dw"]


def act(desk: Desk) -> None:
    """Everything that can become of an action."""
    desk.observe(desk.act("note.write", "w1", text="much too long a note").attempt)
    desk.decide("note.write", "w2", text="gossip")
    desk.decide("note.write", "w3", "{")
    desk.decide("note.gone", "g")
    desk.later(SECONDS)
    desk.decide("bank.tip", "t1", amount=1)
    desk.later(MINUTE)
    desk.observe(desk.act("bank.tip", "t1", amount=1).attempt, "not_started")
    twice = desk.act("bank.tip", "t2", amount=2).attempt
    desk.observe(twice, "not_started")
    desk.observe(twice, "null")
    desk.observe(desk.act("bank.tip", "t3", amount=2).attempt, Outcome(OutcomeKind.ERROR))
    held = desk.decide("bank.pay", "p1", amount=60)
    row = desk.rows(calls.Approvals(approval=held.approval))[0]
    desk.answer(held.approval, args='{"amount":55}', digest=row["digest"])
    desk.observe(desk.redeem(held.approval).attempt)
    desk.observe(desk.act("note.read", "r1", id=1).attempt, '{"body":"hello","pin":"1"}')
    lost = desk.act("bell.ring", "b1").attempt
    desk.act("safe.open", "s1", id=1)
    desk.later(2 * MINUTE)
    desk.observe(lost)
    gone = desk.act("note.read", "r2", id=2).attempt
    desk.later(2 * MINUTE)
    desk.done(calls.Settle(attempt=gone, outcome=Outcome(OutcomeKind.OK), as_user="ana"))


SECONDS = 20_000


def kept(desk: Desk) -> dict[str, Any]:
    def look(turn: Any) -> dict[str, Any]:
        events = turn.tx.find(EventRow, limit=1_000_000)
        found = {row.id: structs.replace(row, salt="") for row in events}
        # The chain goes over the salts too, which are random.
        rows = turn.tx.find(PartitionRow)
        return found | {row.id: structs.replace(row, head="", base="") for row in rows}

    return desk.core.write(look)


def test_what_is_read_back_is_what_was_kept() -> None:
    desk = LongDesk()
    act(desk)
    before = kept(desk)
    assert len(desk.events()) > 25
    desk.activate(SILENT)
    assert kept(desk) == {}
    desk.activate(FILES)
    assert kept(desk) == before
    desk.verified()


def test_rules_added_later_count_what_was_before() -> None:
    desk = LongDesk(SILENT)
    for number in range(5):
        desk.observe(desk.act("bell.ring", f"b{number}").attempt)
    desk.activate(FILES)
    assert said(desk.act("bell.ring", "b5")) == ("deny", ["forbidden"])
    (row,) = desk.core.write(lambda turn: turn.tx.find(HistoryRow))[2:]
    assert (row.scope, row.complete) == ("user", 0)


def test_the_activation_says_what_was_read_back() -> None:
    desk = LongDesk(SILENT)
    desk.observe(desk.act("bell.ring", "b").attempt)
    desk.activate(FILES)
    told = desk.leaves("policy")[-1].body["history"]
    assert [(each["scope"], each["events"], each["answerable"]) for each in told] == [
        ("agent", 2, 0),
        ("mission", 2, 0),
        ("user", 2, 0),
    ]


def test_events_of_missions_that_are_over_enter_the_past_of_their_user() -> None:
    desk = LongDesk(SILENT)
    for number in range(5):
        desk.observe(desk.act("bell.ring", f"b{number}").attempt)
    desk.done(calls.MissionVerb(mission=desk.mission, verb="close", as_user="ana"))
    desk._mission = desk.start_mission()
    desk.activate(FILES)
    assert desk.events() == []
    assert said(desk.act("bell.ring", "b5")) == ("deny", ["forbidden"])


def test_a_scope_that_goes_on_keeps_its_events_and_a_new_rule_in_it_sees_them() -> None:
    desk = LongDesk()
    desk.observe(desk.act("note.read", "r", id=1).attempt, '{"body":"x"}')
    before = kept(desk)
    desk.activate(edited(("policies/limits.dw", "", QUIET)))
    assert kept(desk) == before
    assert said(desk.act("note.index", "i")) == ("deny", ["forbidden"])


QUIET = """
@id("quiet") @reason("no index after reading")
forbid (principal, action == Action::"note.index", resource)
when temporal { formerly within 2h Action::"note.read"::request{} };
"""


def test_what_was_erased_is_unknown_until_no_rule_could_see_it() -> None:
    desk = LongDesk(SILENT)
    old = desk.mission
    desk.observe(desk.act("bell.ring", "b").attempt)
    desk.done(calls.MissionVerb(mission=old, verb="close", as_user="ana"))
    desk.done(calls.Redact(mission=old, basis="test", as_user="ana"))
    desk._mission = desk.start_mission()
    desk.later(MINUTE)
    desk.activate(FILES)
    asked = desk.act("bell.ring", "b1")
    assert said(asked) == ("deny", ["history_incomplete"])
    assert "2026-01-01T01:00:01Z" in asked.text
    # What looks back on others goes on.
    scout = desk.session("scout")
    assert desk.decide("note.index", "i", "{}", session=scout).effect.runs
    theirs = desk.start_mission(user="ben")
    session = desk.opened(mission=theirs)
    assert desk.decide("bell.ring", "b2", session=session).effect.runs
    desk.later(HOUR)
    # The very same action, asked for again.
    assert desk.act("bell.ring", "b1").effect.runs


def test_more_records_than_are_read_back_leave_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill, "MOST", 6)
    desk = LongDesk(SILENT)
    for number in range(8):
        desk.observe(desk.act("bell.ring", f"b{number}").attempt)
        desk.later(MINUTE)
    desk.activate(FILES)
    assert said(desk.act("bell.ring", "late")) == ("deny", ["history_incomplete"])
    told = desk.leaves("policy")[-1].body["history"]
    assert all(each["answerable"] > desk.clock.now() for each in told)
    desk.later(HOUR)
    assert desk.act("bell.ring", "later").effect.runs


def test_records_of_an_older_version_say_nothing_of_history() -> None:
    desk = LongDesk(SILENT)
    for number in range(5):
        desk.observe(desk.act("bell.ring", f"b{number}").attempt)

    def older(turn: Any) -> None:
        turn.tx.put(structs.replace(turn.tx.get(GlobalRow, "global"), told=-1))

    desk.core.write(older)
    desk.later(MINUTE)
    desk.activate(FILES)
    assert said(desk.act("bell.ring", "b5")) == ("deny", ["history_incomplete"])
    desk.later(HOUR + 1)
    assert desk.act("bell.ring", "b6").effect.runs


def test_a_scope_that_no_rule_looks_back_on_keeps_nothing() -> None:
    desk = LongDesk()
    act(desk)
    without = {name: text for name, text in FILES.items() if text != AGENT}
    desk.activate(without)
    scopes = {row.scope for row in desk.core.write(lambda turn: turn.tx.find(PartitionRow))}
    assert scopes == {"mission", "user"}
    assert desk.core.write(lambda turn: turn.tx.count(SnapshotRow)) == 0
    desk.verified()


def test_an_attempt_that_was_started_before_the_rule_ends_after_it() -> None:
    desk = LongDesk(SILENT)
    attempt = desk.act("note.read", "r", id=1).attempt
    desk.activate(FILES)
    desk.observe(attempt, '{"body":"x"}')
    assert desk.happened() == ["note.read request", "note.read response"]
    assert len(set(desk.ids())) == 1
    assert said(desk.act("bank.pay", "p", amount=1)) == ("deny", ["forbidden"])


def test_what_ends_while_its_tool_is_gone_is_still_the_past_of_its_mission_and_user() -> None:
    """A rule over a read was blind to one that ended under a bundle without the tool."""
    desk = LongDesk(SEEN)
    attempt = desk.act("note.read", "r", id=1).attempt
    desk.activate(WITHOUT)
    desk.observe(attempt, '{"body":"x"}')
    desk.activate(SEEN)
    assert said(desk.act("bank.pay", "p", amount=1)) == ("deny", ["forbidden"])
    assert said(desk.act("bank.tip", "t", amount=1)) == ("deny", ["forbidden"])


BY_USER = """
@id("no-tip-after-read") @reason("no tip after a note was read")
forbid (principal, action == Action::"bank.tip", resource)
when temporal { formerly within 1h Action::"note.read"::response{} };
"""
SEEN = {**edited(("policies/user/rings.dw", "", BY_USER))}
READ = SEEN["systems.toml"][
    SEEN["systems.toml"].index('[tools."note.read"]') : SEEN["systems.toml"].index(
        '[tools."note.write"]'
    )
]
FIRST = SEEN["policies/limits.dw"][
    SEEN["policies/limits.dw"].index('@id("no-pay-after-read")') : SEEN["policies/limits.dw"].index(
        '@id("three-tips")'
    )
]
WITHOUT = {
    **SEEN,
    "systems.toml": SEEN["systems.toml"].replace(READ, ""),
    "policies/limits.dw": SEEN["policies/limits.dw"].replace(FIRST, ""),
    "policies/results.dw": "",
    "policies/user/rings.dw": USER,
    "missions.toml": SEEN["missions.toml"].split("[missions.reading]")[0],
}
