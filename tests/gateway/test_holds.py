"""Held calls and held results: pending, approved, gone on with, over restarts as well."""

import pytest

from gateway.office import Front, Office, said


def held(text: str) -> str:
    """The approval that a tool error names."""
    assert "is pending" in text
    return text.split("Approval ")[1].split(maxsplit=1)[0]


def test_an_approved_call_runs_when_it_is_repeated_and_only_once(front: Front):
    approval = held(said(front.call("pay", amount=7)))
    assert held(said(front.call("pay", amount=7))) == approval, "repeating asks nobody anew"
    front.office.approve(approval)
    assert front.call("pay", amount=7)["content"][0]["text"] == "done"
    assert front.office.calls("pay") == [{"amount": 7}]
    assert held(said(front.call("pay", amount=7))) != approval, "the next one is a new action"


def test_the_same_arguments_in_another_order_are_the_same_call(front: Front):
    approval = held(said(front.call("pay", amount=8, text="x")))
    front.office.approve(approval)
    assert "isError" not in front.call("pay", text="x", amount=8)
    assert len(front.office.calls("pay")) == 1


@pytest.mark.parametrize("other", [{"amount": 9, "text": ""}, {"amount": 10}, {}])
def test_one_changed_argument_is_another_call(fresh: Front, other: dict):
    front = fresh
    approval = held(said(front.call("pay", amount=9)))
    front.office.approve(approval)
    assert held(said(front.call("pay", **other))) != approval
    assert front.office.calls("pay") == []


def test_a_refused_call_says_so_once_and_then_asks_anew(front: Front):
    approval = held(said(front.call("pay", amount=11)))
    front.office.refuse(approval)
    assert "(approval_denied)" in said(front.call("pay", amount=11))
    assert held(said(front.call("pay", amount=11))) != approval
    assert front.office.calls("pay") == []


def test_an_approval_outlives_the_proxy(office: Office):
    with office.front() as first:
        approval = held(said(first.call("pay", amount=12)))
    office.approve(approval)
    with office.front("--mission-id", first.mission) as second:
        assert second.mission == first.mission
        assert second.call("pay", amount=12)["content"][0]["text"] == "done"
    assert office.calls("pay").count({"amount": 12}) == 1


def test_an_approval_outlives_the_governor(alone: Office):
    with alone.serving(), alone.front() as front:
        approval = held(said(front.call("pay", amount=13)))
        mission = front.mission
    with alone.serving():
        alone.approve(approval)
        with alone.front("--mission-id", mission) as front:
            assert "isError" not in front.call("pay", amount=13)
    assert alone.calls("pay") == [{"amount": 13}]


def test_a_running_proxy_goes_on_with_a_governor_that_was_restarted(alone: Office):
    with alone.serving() as governor:
        front = Front(alone)
        front.greet()
        approval = held(said(front.call("pay", amount=14)))
        governor.kill()
        governor.wait()
        text = said(front.call("echo", text="x"))
        assert "Nothing has run" in text
        assert alone.calls("echo") == []
    with alone.serving():
        alone.approve(approval)
        assert "isError" not in front.call("pay", amount=14)
        assert front.end() == 0
    assert alone.calls("pay") == [{"amount": 14}]


def test_a_call_can_wait_for_its_approval_and_tells_the_client_meanwhile(office: Office):
    with office.front("--wait", "60") as front:
        params = {"name": "pay", "arguments": {"amount": 15}, "_meta": {"progressToken": "p"}}
        number = front.request("tools/call", params)
        progress = front.receive()
        assert progress["method"] == "notifications/progress"
        assert progress["params"]["progressToken"] == "p"
        approval = progress["params"]["message"].split()[-1]
        office.approve(approval)
        while (answer := front.receive()).get("id") != number:
            assert answer["method"] == "notifications/progress"
        assert answer["result"]["content"][0]["text"] == "done"


def test_a_wait_that_is_over_says_what_is_pending(office: Office):
    with office.front("--wait", "0.05") as front:
        approval = held(said(front.call("pay", amount=16)))
        office.approve(approval)
        assert "isError" not in front.call("pay", amount=16)


def test_a_waiting_call_does_not_keep_others_waiting(office: Office):
    with office.front("--wait", "60") as front:
        waiting = front.request("tools/call", {"name": "pay", "arguments": {"amount": 17}})
        assert "isError" not in front.call("echo", text="meanwhile")
        cancel = {"requestId": waiting, "reason": "never mind"}
        front.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel})
        assert "isError" not in front.call("echo", text="afterwards")
        assert {"amount": 17} not in front.office.calls("pay")


# --- results -------------------------------------------------------------------------------------

SECRET = "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"


def test_a_held_result_is_fetched_by_repeating_the_call_which_does_not_run_again(front: Front):
    first = said(front.call("peek", text=SECRET))
    assert SECRET not in first
    assert "The call ran" in first
    approval = held(first)
    again = said(front.call("peek", text=SECRET))
    assert held(again) == approval
    front.office.approve(approval)
    result = front.call("peek", text=SECRET)
    assert result["content"] == [{"type": "text", "text": SECRET}]
    assert front.office.calls("peek") == [{"text": SECRET}]


def test_a_refused_result_stays_withheld(front: Front):
    approval = held(said(front.call("peek", text=SECRET)))
    front.office.refuse(approval)
    text = said(front.call("peek", text=SECRET))
    assert "(approval_denied)" in text
    assert front.office.calls("peek") == [{"text": SECRET}]


def test_an_approval_of_one_mission_is_worth_nothing_in_another(office: Office):
    with office.front() as one, office.front() as other:
        first, second = (held(said(f.call("pay", amount=18))) for f in (one, other))
        assert first != second
        office.approve(first)
        assert "is pending" in said(other.call("pay", amount=18))
        assert "isError" not in one.call("pay", amount=18)
