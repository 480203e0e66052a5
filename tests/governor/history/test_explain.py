"""Why an action was judged as it was: each condition, its truth, and the events behind it."""

from typing import Any

import pytest

from bridle.governor.history import explaining
from bridle.model import calls
from governor.desk import HOUR, MINUTE
from governor.history.past import FILES, LongDesk, edited


def explained(desk: LongDesk, action: str) -> dict[str, Any]:
    (row,) = desk.rows(calls.Explain(action=action))
    return row


def condition(row: dict[str, Any], policy: str) -> dict[str, Any]:
    (found,) = [each for each in row["conditions"] if each["policy"] == policy]
    return found


def test_the_event_that_decided_is_named_by_record_and_age() -> None:
    desk = LongDesk()
    read = desk.act("note.read", "r", id=4_711)
    desk.observe(read.attempt, '{"body":"secret"}')
    desk.later(MINUTE)
    verdict = desk.act("bank.pay", "p", amount=1)
    row = explained(desk, verdict.action)
    assert (row["effect"], row["tool"], row["agent"]) == ("deny", "bank.pay", "clerk")
    found = condition(row, "no-pay-after-read")
    assert (found["truth"], found["spoke"], found["history"]) == (True, True, "kept")
    (event,) = found["events"]
    assert desk.leaves()[event["record"]].kind == "outcome"
    assert (event["kind"], event["tool"], event["age_ms"]) == ("response", "note.read", MINUTE)
    assert "note.read" in found["sentence"]
    assert "secret" not in str(row)
    assert "4711" not in str(row)


def test_a_condition_that_was_false_names_nothing() -> None:
    desk = LongDesk()
    verdict = desk.act("bank.pay", "p", amount=1)
    found = condition(explained(desk, verdict.action), "no-pay-after-read")
    assert (found["truth"], found["spoke"], found["events"]) == (False, False, [])


def test_only_policies_that_could_speak_are_told_of() -> None:
    desk = LongDesk()
    row = explained(desk, desk.act("bell.ring", "b").action)
    assert [each["policy"] for each in row["conditions"]] == ["five-rings"]
    assert explained(desk, desk.act("note.write", "w", text="x").action)["conditions"] == []


def test_what_counted_is_named_across_missions() -> None:
    desk = LongDesk()
    for number in range(5):
        session = desk.opened(mission=desk.start_mission())
        desk.decide("bell.ring", f"b{number}", "{}", session=session, start=True)
    verdict = desk.act("bell.ring", "b5")
    found = condition(explained(desk, verdict.action), "five-rings")
    assert found["scope"] == "user"
    assert len(found["events"]) == 6
    assert [event["this"] for event in found["events"]] == [False] * 5 + [True]
    assert len({event["mission"] for event in found["events"]}) == 6


def test_it_is_told_as_it_was_then_and_under_the_rules_of_then() -> None:
    desk = LongDesk()
    verdict = desk.act("bank.pay", "p", amount=1)
    desk.observe(desk.act("note.read", "r", id=1).attempt, '{"body":"x"}')
    desk.activate(edited(("policies/limits.dw", "within 1h", "within 2h")))
    found = condition(explained(desk, verdict.action), "no-pay-after-read")
    assert (found["truth"], found["events"]) == (False, [])
    assert "1 hour" in found["sentence"]


def test_the_number_of_a_record_will_do() -> None:
    desk = LongDesk()
    verdict = desk.act("bank.pay", "p", amount=1)
    assert verdict.receipt is not None
    row = explained(desk, str(verdict.receipt.index))
    assert row["conditions"] == explained(desk, verdict.action)["conditions"]


def test_what_is_no_longer_kept_is_said_to_be_so() -> None:
    desk = LongDesk()
    desk.observe(desk.act("note.read", "r", id=1).attempt, '{"body":"x"}')
    verdict = desk.act("bank.pay", "p", amount=1)
    desk.done(calls.MissionVerb(mission=desk.mission, verb="close", as_user="ana"))
    found = condition(explained(desk, verdict.action), "no-pay-after-read")
    assert (found["truth"], found["events"]) == (True, [])
    assert found["history"] == "no longer kept"


def test_what_was_erased_is_not_told() -> None:
    desk = LongDesk()
    verdict = desk.act("bell.ring", "b")
    desk.observe(verdict.attempt)
    desk.done(calls.MissionVerb(mission=desk.mission, verb="close", as_user="ana"))
    desk.done(calls.Redact(mission=desk.mission, basis="test", as_user="ana"))
    found = condition(explained(desk, verdict.action), "five-rings")
    assert (found["truth"], found["events"], found["history"]) == (None, [], "no longer kept")


def test_too_many_events_are_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(explaining, "MOST", 3)
    desk = LongDesk()
    for number in range(5):
        desk.act("bell.ring", f"b{number}")
    found = condition(explained(desk, desk.act("bell.ring", "b5").action), "five-rings")
    assert (found["truth"], found["history"]) == (True, "too many to look at again")


@pytest.mark.parametrize("action", ["", "act_0", "999999", "-1", "1", "²", "0" * 40, "\ud800"])
def test_what_was_never_judged_cannot_be_explained(action: str) -> None:
    desk = LongDesk()
    desk.decide("note.read", "r", "{")
    assert desk.refused(calls.Explain(action=action)) in ("not_found", "malformed")


def test_a_kill_has_no_conditions_to_explain() -> None:
    desk = LongDesk()
    desk.done(calls.Kill(scope="tool", subject="note.read", as_user="ana"))
    verdict = desk.act("note.read", "r", id=1)
    assert desk.refused(calls.Explain(action=verdict.action)) == "not_found"


def test_an_action_outside_all_windows_still_has_its_truths() -> None:
    desk = LongDesk(FILES)
    verdict = desk.act("bell.ring", "b")
    for day in range(3):
        desk.later(20 * HOUR)
        session = desk.opened(mission=desk.start_mission())
        desk.decide("bell.ring", f"b{day}", "{}", session=session, start=True)
    found = condition(explained(desk, verdict.action), "five-rings")
    assert found["truth"] is False
    assert found["history"] == "no longer kept"
