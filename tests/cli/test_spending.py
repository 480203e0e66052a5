"""`missions show` and `agents show`: what is spent, by whom, and when it starts anew."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bridle
from bridle.cli import spending

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "cli.md").read_text("utf-8")

BUDGETS = """
[users.me.budgets.calls]
limit = 20
window = "36500d"
[agents.assistant.budgets.letters]
limit = 5
unit = "letters"
measure = { "notes.write" = 1.5 }
hold = ["owners"]
"""


@pytest.fixture
def desk(starter: Path, serving: Callable[[Path], None]) -> Path:
    agents = starter / "agents.toml"
    agents.write_text(agents.read_text("utf-8") + BUDGETS, "utf-8")
    serving(starter)
    return starter


@pytest.fixture
def mission(bridle_, desk: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Two notes written, one more decided and not started."""
    monkeypatch.setenv("XDG_STATE_HOME", bridle_.environ["XDG_STATE_HOME"])
    monkeypatch.setenv("TMPDIR", bridle_.environ["TMPDIR"])
    with bridle.connect(desk) as gov:
        work = gov.start_mission("desk", user="me")
        assistant = work.agent("assistant")
        for name in ("one", "two"):
            assistant.call("notes.write", {"name": name, "text": "x"}, effect=lambda **_: None)
        verdict = assistant.begin(assistant.decide("notes.write", {"name": "three", "text": "x"}))
        assert verdict.attempt
        return work.id


def budget(rows: list[dict[str, Any]], of: str, name: str) -> dict[str, Any]:
    return next(row for row in rows if (row["of"], row["budget"]) == (of, name))


def test_a_mission_shows_everyone_who_pays(bridle_, desk: Path, mission: str) -> None:
    shown = bridle_("missions", "show", mission, desk, "--json").json["budgets"]
    assert budget(shown, "mission", "writes")["used"] == "3"
    letters = budget(shown, "agent", "letters")
    assert letters == {
        "budget": "letters", "of": "agent", "id": "assistant", "used": "4.5", "reserved": "1.5",
        "limit": "5", "unit": "letters", "window_ms": 0, "resets_at": 0}  # fmt: skip
    calls = budget(shown, "user", "calls")
    assert (calls["used"], calls["window_ms"]) == ("3", 36_500 * 86_400_000)
    assert calls["resets_at"] % 86_400_000 == 0
    for key in letters:
        assert f"`{key}`" in PAGE
    table = bridle_("missions", "show", mission, desk).out
    assert re.search(r"letters +agent +assistant +4\.5 +1\.5 +5 +letters", table)
    assert re.search(r"calls +user +me +3 +1 +20 +\S+ 00:00:00Z +36500d", table)


def test_an_identity_shows_what_it_spent_in_all_missions(bridle_, desk: Path, mission: str) -> None:
    assert mission
    row = bridle_("agents", "show", "assistant", desk, "--json").json
    assert [b["used"] for b in row["budgets"]] == ["4.5"]
    assert "4.5" in bridle_("agents", "show", "assistant", desk).out
    listed = bridle_("agents", "list", desk).out
    assert "letters 4.5/5 letters" in listed
    users = bridle_("agents", "list", desk, "--kind", "user", "--json").json
    assert users[0]["budgets"][0]["used"] == "3"
    assert bridle_("agents", "list", desk, "--kind", "workload").code == 0
    bare = bridle_("agents", "show", "local", desk, "--kind", "workload")
    assert (bare.code, "none" in bare.out) == (0, True)


def test_an_approver_sees_whose_budget_is_overdrawn_and_by_how_much(
    bridle_, desk: Path, mission: str
) -> None:
    with bridle.connect(desk) as gov:
        assistant = gov.mission(mission).agent("assistant")
        held = assistant.decide("notes.write", {"name": "four", "text": "x"})
    assert held.text == "the budget 'letters' of this agent would be overdrawn"
    shown = bridle_("approvals", "show", held.approval, desk).out
    assert "budget agent/letters (overdrawn by 1)" in shown
    [row] = bridle_("approvals", "list", desk, "--json").json
    assert [(c["id"], c["amount"]) for c in row["causes"]] == [("agent/letters", 10_000)]


def test_an_identity_that_does_not_exist_is_said_so(bridle_, desk: Path) -> None:
    missing = bridle_("agents", "show", "nobody", desk)
    assert missing.code == 3
    assert "[not_found]" in missing.err


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [
        (0, ""),
        (1, "1ms"),
        (1_500, "1500ms"),
        (90_000, "90s"),
        (3_600_000, "1h"),
        (86_400_000, "1d"),
    ],
)
def test_windows_are_shown_as_bundles_write_them(milliseconds: int, text: str) -> None:
    assert spending.window(milliseconds) == text
