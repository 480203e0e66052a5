"""What humans do while a governor serves: missions, approvals, identities, the kill switch."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec import json as msgjson

import bridle

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "cli.md").read_text("utf-8")
HIDDEN = "a\u202eb\u200bc"


@pytest.fixture
def desk(bridle_, starter: Path, serving: Callable[[Path], None]) -> Path:
    serving(starter)
    return starter


def documented(section: str) -> set[str]:
    """Names in backquotes in the section of a command."""
    found = re.search(rf"^### `bridle {section}.*?(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found, section
    return set(re.findall(r"`([a-z_]+)`", found[0]))


def held(assistant: bridle.Agent, sent: list[Any], body: str = "Hello") -> bridle.Held:
    with pytest.raises(bridle.Held) as waiting:
        assistant.call(
            "mail.send",
            {"to": "lea@mail.example", "body": body},
            effect=lambda to, body: sent.append((to, body)),
        )
    return waiting.value


def test_a_mission_is_started_shown_suspended_resumed_and_closed(bridle_, desk: Path) -> None:
    prompt = desk.parent / "prompt.txt"
    prompt.write_text("Answer Lea")
    words = ("missions", "start", "desk", desk, "--user", "me", "--prompt-file", prompt)
    mission = bridle_(*words).out.strip()
    assert mission.startswith("mis_")
    (row,) = bridle_("missions", desk, "--json").json
    assert row["id"] == mission
    assert row.keys() <= documented("missions list")
    assert mission in bridle_("missions", desk).out
    for verb, status in (("suspend", "suspended"), ("resume", "active"), ("close", "closed")):
        assert bridle_("missions", verb, mission, desk).code == 0
        shown = bridle_("missions", "show", mission, desk, "--json").json
        assert shown["status"] == status
        assert shown.keys() <= documented("missions list") | documented("missions show")
    assert bridle_("missions", "resume", mission, desk).code == 3
    assert "closed" in bridle_("missions", "show", mission, desk).out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("missions", "show", "mis_none"), "not_found"),
        (("missions", "close", "mis_none"), "not_found"),
        (("missions", "start", "none", "--user", "me"), "not_found"),
        (("missions", "start", "desk", "--user", "eve"), "unknown_user"),
        (("missions", "settle", "att_none", "ok"), "not_found"),
        (("approvals", "show", "hold_none"), "not_found"),
        (("approvals", "approve", "hold_none", "--as", "me"), "not_found"),
        (("agents", "suspend", "nobody"), "not_found"),
        (("kill", "tool", "no.such"), "not_found"),
        (("kill", "all", "--as", "eve"), "unknown_user"),
        (("resume", "all"), "not_found"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_not_there_is_said_with_its_code(
    bridle_, desk: Path, words: Any, code: str
) -> None:
    refused = bridle_(*words, cwd=desk)
    assert refused.code == 3
    assert f"[{code}]" in refused.err


def test_a_hold_is_shown_approved_and_runs_as_it_was_shown(
    bridle_, desk: Path, assistant: bridle.Agent
) -> None:
    sent: list[Any] = []
    waiting = held(assistant, sent)
    (row,) = bridle_("approvals", desk, "--json").json
    assert row["id"] == waiting.approval_id
    assert row.keys() <= documented("approvals list")
    shown = bridle_("approvals", "show", row["id"], desk, "--json").json
    assert msgjson.decode(shown["args"]) == {"to": "lea@mail.example", "body": "Hello"}
    assert shown.keys() <= documented("approvals list") | documented("approvals show")
    refused = bridle_("approvals", "approve", row["id"], desk, "--as", "me", "--digest", "0" * 64)
    assert refused.code == 3
    assert "[approval_changed]" in refused.err
    assert sent == []
    words = ("approvals", "approve", row["id"], desk, "--as", "me", "--digest", row["digest"])
    approved = bridle_(*words, "--reason", "fine")
    assert approved.code == 0, approved.err
    assert row["digest"] in approved.out
    waiting.resume()
    assert sent == [("lea@mail.example", "Hello")]
    assert bridle_("approvals", desk, "--json").json == []
    (used,) = bridle_("approvals", desk, "--all", "--json").json
    assert used["votes"][0]["reason"] == "fine"


def test_a_withheld_result_is_shown_to_the_approver_and_then_released(
    bridle_, starter: Path, serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (starter / "policies" / "results.dw").write_text(
        '@id("notes-are-read-by-humans-first") @reason("a human looks first") @hold("owners")\n'
        'forbid (principal, action == Action::"notes.read:result", resource);\n'
    )
    # Its scenarios expect notes to be read at once, and a bundle begins only if they pass.
    (starter / "tests" / "desk.toml").unlink()
    serving(starter)
    monkeypatch.setenv("XDG_STATE_HOME", bridle_.environ["XDG_STATE_HOME"])
    with bridle.connect(starter) as gov:
        assistant = gov.start_mission("desk", user="me").agent("assistant")
        with pytest.raises(bridle.Held) as waiting:
            assistant.call("notes.read", {"name": "today"}, effect=lambda name: "Call\u202e Lea.")
        shown = bridle_("approvals", "show", waiting.value.approval_id, starter)
        assert "the result that is withheld" in shown.out
        assert '"Call<U+202E> Lea."' in shown.out
        words = ("approvals", "approve", waiting.value.approval_id, starter, "--as", "me")
        assert bridle_(*words).code == 0
        assert waiting.value.resume() == "Call\u202e Lea."


def test_a_denied_hold_never_runs(bridle_, desk: Path, assistant: bridle.Agent) -> None:
    sent: list[Any] = []
    waiting = held(assistant, sent)
    denied = bridle_("approvals", "deny", waiting.approval_id, desk, "--as", "me", "--json")
    assert denied.json["status"] == "denied"
    with pytest.raises(bridle.Denied) as refusal:
        waiting.resume()
    assert refusal.value.code == "approval_denied"
    assert sent == []


def test_nobody_but_an_approver_approves(bridle_, desk: Path, assistant: bridle.Agent) -> None:
    waiting = held(assistant, [])
    refused = bridle_("approvals", "approve", waiting.approval_id, desk, "--as", "eve")
    assert refused.code == 3
    assert bridle_("approvals", desk, "--json").json[0]["status"] == "pending"


def test_what_hides_in_arguments_is_spelled_out_for_the_approver(
    bridle_, desk: Path, assistant: bridle.Agent
) -> None:
    sent: list[Any] = []
    waiting = held(assistant, sent, body=HIDDEN)
    for words in (["show"], ["approve", "--as", "me"]):
        shown = bridle_("approvals", words[0], waiting.approval_id, desk, *words[1:])
        assert '"body": "a<U+202E>b<U+200B>c"' in shown.out
        assert not set("\u202e\u200b") & set(shown.out)
    waiting.resume()
    assert sent == [("lea@mail.example", HIDDEN)], "what runs is what was asked for, unchanged"


def test_the_kill_switch_stops_lists_and_is_lifted(
    bridle_, desk: Path, assistant: bridle.Agent
) -> None:
    written: list[str] = []

    def write(name: str, text: str) -> None:
        written.append(name)

    note = {"name": "today", "text": "x"}
    assistant.call("notes.write", note, effect=write)
    for scope in (
        ["all"],
        ["agent", "assistant"],
        ["tool", "notes.write"],
        ["mission", assistant.mission.id],
    ):
        stopped = bridle_("kill", *scope, desk, "--reason", "drill", "--json")
        assert stopped.json.keys() == documented(f"kill {scope[0]}") - {"bridle"}
        with pytest.raises(bridle.Denied) as refusal:
            assistant.call("notes.write", note, effect=write)
        assert refusal.value.code == "killed"
        (kill,) = bridle_("kill", "list", desk, "--json").json
        assert kill["reason"] == "drill"
        assert kill.keys() <= documented("kill list")
        assert "drill" in bridle_("kill", "list", desk).out
        assert bridle_("resume", *scope, desk).code == 0
    assert "nothing is stopped" in bridle_("kill", "list", desk).out
    assistant.call("notes.write", note, effect=write)
    assert len(written) == 2


def test_a_suspended_agent_does_nothing_and_a_retired_one_never_again(
    bridle_, desk: Path, assistant: bridle.Agent
) -> None:
    note = {"name": "today", "text": "x"}
    assert bridle_("agents", "suspend", "assistant", desk).code == 0
    assert "suspended" in bridle_("agents", desk).out
    assert assistant.decide("notes.write", note).reasons[0].code == "suspended"
    assert bridle_("agents", "resume", "assistant", desk, "--as", "me").code == 0
    assert assistant.decide("notes.write", note).effect is bridle.Effect.ALLOW
    assert bridle_("agents", "retire", "assistant", desk).code == 0
    assert bridle_("agents", "resume", "assistant", desk).code == 3
    assert bridle_("agents", desk, "--kind", "workload", "--json").json[0]["id"] == "local"
    assert bridle_("agents", "suspend", "me", desk, "--kind", "user").code == 3


def test_an_attempt_nobody_heard_of_is_listed_and_settled(
    bridle_, desk: Path, assistant: bridle.Agent
) -> None:
    verdict = assistant.begin(assistant.decide("notes.read", {"name": "today"}))
    started = bridle_("missions", "attempts", desk, "--state", "started", "--json").json
    assert [row["id"] for row in started] == [verdict.attempt]
    assert started[0].keys() <= documented("missions attempts")
    assert verdict.attempt in bridle_("missions", "show", assistant.mission.id, desk).out
    refused = bridle_("missions", "settle", verdict.attempt, "ok", desk)
    assert refused.code == 3
    assert "[attempt_state]" in refused.err


def test_a_bundle_changed_on_disk_is_told_and_counts_for_nothing(
    bridle_, desk: Path, assistant: bridle.Agent
) -> None:
    before = bridle_("status", desk, "--json").json
    assert before.keys() <= documented("status")
    assert before["changed"] is False
    (desk / "policies" / "more.dw").write_text("// nothing yet\n")
    after = bridle_("status", desk, "--json").json
    assert after["changed"] is True
    assert after["on_disk"] != after["active"]
    assert re.search(r"^changed +yes$", bridle_("status", desk).out, re.MULTILINE)
    refused = assistant.decide("notes.read", {"name": "today"})
    assert refused.reasons[0].code == "bundle_changed"
    assert bridle_("activate", desk, "--yes").code == 0
    assert assistant.decide("notes.read", {"name": "today"}).effect is bridle.Effect.ALLOW


def test_a_second_governor_for_the_store_is_refused(bridle_, desk: Path) -> None:
    second = bridle_("serve", desk)
    assert second.code == 3
    assert "[store_locked]" in second.err


def test_a_governor_without_work_leaves_when_told_so(bridle_, starter: Path) -> None:
    ran = bridle_("serve", starter, "--idle-exit", "0.2")
    assert ran.code == 0
    assert "agents.sock" in ran.out
