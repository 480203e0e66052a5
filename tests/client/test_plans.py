"""A plan by the real governor: embedded, over `bridle serve`, and through its death."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import bridle
from client.desk import TICKET, copied, serving
from client.scripted import Sink

REFUND = {"order": 7, "amount": 300, "currency": "EUR"}
PLAN: dict[str, Any] = {
    "version": 1,
    "steps": [
        {"id": "read", "tool": "desk.read_ticket", "args": {"id": 7}},
        {
            "id": "note",
            "tool": "desk.comment",
            "args": {"id": {"$from": "read", "path": "/id"}, "body": "Done."},
        },
        {"id": "pay", "tool": "payments.refund", "args": REFUND, "after": ["note"]},
    ],
}


@pytest.fixture
def bundle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    made = copied(tmp_path, {'"payments"\neffect = "irreversible"': '"payments"\neffect = "write"'})
    with (made / "bridle.toml").open("a") as file:
        file.write("\n[boundaries]\nplan_only = true\n")
    for each in (made / "tests").glob("*.toml"):
        each.unlink()  # its scenarios know of no plan
    return made


@pytest.fixture(params=["embedded", "served"])
def governor(request: pytest.FixtureRequest, bundle: Path) -> Iterator[bridle.Bridle]:
    if request.param == "embedded":
        with bridle.open(bundle, embedded=True) as found:
            yield found
        return
    with serving(bundle), bridle.connect(bundle) as found:
        yield found


def start(governor: bridle.Bridle) -> bridle.Agent:
    return governor.start_mission("ticket-desk", user="ana").agent("triage", executor="worker-1")


def ticket(**_: Any) -> dict[str, Any]:
    return TICKET


def test_a_plan_is_carried_out_with_its_hold(governor: bridle.Bridle) -> None:
    triage, sink = start(governor), Sink()
    plan = triage.check_plan(PLAN)
    assert [step.effect.value for step in plan.steps] == ["allow", "open", "hold"]
    found = triage.call("desk.read_ticket", {"id": 7}, effect=ticket, plan=plan, step="read")
    note = {"id": found["id"], "body": "Done."}
    with pytest.raises(bridle.Denied):
        triage.call("payments.refund", REFUND, effect=sink, plan=plan, step="pay")  # too early
    triage.call("desk.comment", note, effect=sink, plan=plan, step="note")
    with pytest.raises(bridle.Held) as held:
        triage.call("payments.refund", REFUND, effect=sink, plan=plan, step="pay")
    governor.approve(held.value.approval_id, as_user="ben")
    held.value.resume()
    with pytest.raises(bridle.Denied):
        triage.call("payments.refund", REFUND, effect=sink, plan=plan, step="pay", key="again")
    assert sink.ran == 2


def test_what_was_done_of_a_plan_outlives_the_governor(bundle: Path) -> None:
    sink = Sink()
    with ExitStack() as clients:
        with serving(bundle) as served:
            governor = clients.enter_context(bridle.connect(bundle))
            triage = start(governor)
            plan = triage.check_plan(PLAN)
            triage.call("desk.read_ticket", {"id": 7}, effect=ticket, plan=plan, step="read")
            served.end(signal.SIGKILL)
        with serving(bundle):
            note = {"id": 7, "body": "Done."}
            assert triage.call("desk.comment", note, effect=sink, plan=plan, step="note") == "done"
            with pytest.raises(bridle.Denied):
                triage.call("desk.comment", note, effect=sink, plan=plan, step="note", key="x")
            with pytest.raises(bridle.Denied):
                triage.call("desk.read_ticket", {"id": 7}, effect=ticket, plan=plan, step="read",
                            key="x")  # fmt: skip
    assert sink.ran == 1


def test_a_session_that_is_closed_checks_no_plan(governor: bridle.Bridle) -> None:
    triage = start(governor)
    handle = triage.check_plan(PLAN)
    assert handle.allowed
    triage.close()
    with pytest.raises(bridle.BridleError):
        triage.check_plan(PLAN)
