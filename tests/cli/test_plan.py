"""`bridle plan`: plans judged as a whole, offline."""

import json
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import Shell

GOOD = {
    "version": 1,
    "steps": [
        {"id": "read", "tool": "desk.read_ticket", "args": {"id": 41}},
        {
            "id": "customer",
            "tool": "orders.customer",
            "args": {"customer": {"$from": "read", "path": "/customer"}},
        },
    ],
}
BAD = {"version": 1, "steps": [{"id": "burn", "tool": "desk.burn"}]}


def written(folder: Path, plan: Any) -> Path:
    path = folder / "plan.json"
    path.write_text(plan if isinstance(plan, str) else json.dumps(plan))
    return path


def test_a_plan_is_judged_step_by_step(bridle_: Shell, office: Path, tmp_path: Path) -> None:
    ran = bridle_("plan", "check", written(tmp_path, GOOD), office, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["allowed"] is True
    assert [step["effect"] for step in ran.json["steps"]] == ["allow", "open"]
    assert ran.json["steps"][1]["waits"] == ["read"]
    assert (ran.json["reference"], ran.json["receipt"]) == ("", None)
    told = bridle_("plan", "check", written(tmp_path, GOOD), office)
    assert "no step is denied" in told.out
    assert "(read)" in told.out


def test_a_plan_with_a_denied_step_fails(bridle_: Shell, starter: Path, tmp_path: Path) -> None:
    ran = bridle_("plan", "check", "-", starter, "--json", stdin=json.dumps(BAD))
    assert ran.code == 1
    assert ran.json["steps"][0]["reasons"][0]["code"] == "unknown_tool"
    assert "a step is denied" in bridle_("plan", "check", written(tmp_path, BAD), starter).out


@pytest.mark.parametrize("plan", ["", "[]", "\x00", '{"version":1,"steps":[{"id":"\u202e"}]}'])
def test_what_is_no_plan_says_where(
    bridle_: Shell, starter: Path, tmp_path: Path, plan: str
) -> None:
    ran = bridle_("plan", "check", written(tmp_path, plan), starter, "--json")
    assert ran.code == 3
    assert ran.json["error"]["code"] == "plan_invalid"


def test_nobody_unknown_has_a_plan(bridle_: Shell, starter: Path, tmp_path: Path) -> None:
    ran = bridle_("plan", "check", written(tmp_path, GOOD), starter, "--agent", "nobody", "--json")
    assert ran.code == 3
