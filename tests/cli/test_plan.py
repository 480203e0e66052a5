"""`bridle plan`: plans judged as a whole, offline."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridle.governor.delegation import roots
from bridle.trust.holder import Holder
from cli.conftest import Shell
from governor.desk import Desk
from governor.planning.planned import checked, step, text

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


FLOWS = [
    {"id": "n1", "type": "inject", "wires": [["n2"]], "repeat": ""},
    {"id": "n2", "type": "ticket", "number": 41, "wires": [["n3"]]},
    {"id": "n3", "type": "customer", "wires": []},
]
MAP = """
[kinds.inject]
skip = true
ignore = ["repeat"]
[kinds.ticket]
tool = "desk.read_ticket"
args = { number = "id" }
[kinds.customer]
tool = "orders.customer"
takes = { customer = "/customer" }
"""


def imported(bridle_: Shell, folder: Path, flows: Any, mapping: str = MAP) -> Any:
    (folder / "flows.json").write_text(json.dumps(flows))
    (folder / "map.toml").write_text(mapping)
    words = ("--from", "node-red", "--map", folder / "map.toml", "--json")
    return bridle_("plan", "import", folder / "flows.json", *words)


def test_flows_are_imported_and_then_checked(bridle_: Shell, office: Path, tmp_path: Path) -> None:
    ran = imported(bridle_, tmp_path, FLOWS)
    assert ran.code == 0, ran.err
    checked = bridle_("plan", "check", "-", office, "--json", stdin=ran.out)
    assert [step["effect"] for step in checked.json["steps"]] == ["allow", "open"]


@pytest.mark.parametrize(
    ("flows", "mapping"), [([*FLOWS, FLOWS[0]], MAP), (FLOWS, ""), ("x", MAP), (FLOWS, "[")]
)
def test_what_cannot_be_imported_says_where(
    bridle_: Shell, tmp_path: Path, flows: Any, mapping: str
) -> None:
    ran = imported(bridle_, tmp_path, flows, mapping)
    assert ran.code == 3
    assert ran.json["error"]["code"] == "import_refused"


def test_a_dag_of_ten_megabytes_is_refused_before_anything_is_started(
    bridle_: Shell, tmp_path: Path
) -> None:
    (tmp_path / "dag.py").write_bytes(b"#" * (10 << 20))
    (tmp_path / "map.toml").write_text(MAP)
    words = ("--from", "airflow", "--map", tmp_path / "map.toml", "--json")
    ran = bridle_("plan", "import", tmp_path / "dag.py", *words)
    assert ran.code == 3
    assert ran.json["error"]["code"] == "import_refused"


@pytest.fixture
def word() -> Iterator[tuple[str, str]]:
    """A governor's word on a plan, and its key."""
    desk = Desk()
    yield (
        checked(desk, *PLANNED).reference,
        desk.core.write(lambda turn: roots.rows(turn)[0].key),
    )
    desk.governor.close()


PLANNED = [step("read", "note.read", id=1)]


def test_a_word_is_verified_without_a_governor(
    bridle_: Shell, tmp_path: Path, word: tuple[str, str]
) -> None:
    reference, key = word
    file = written(tmp_path, text(*PLANNED))
    good = bridle_("plan", "verify", file, "--word", reference, "--root", key, "--json")
    assert (good.code, good.json["good"], good.json["agent"]) == (0, True, "clerk")
    assert "is the plan" in bridle_("plan", "verify", file, "--word", reference, "--root", key).out
    file = written(tmp_path, text(step("read", "note.read", id=2)))
    other = bridle_("plan", "verify", file, "--word", reference, "--root", key, "--json")
    assert (other.code, other.json["good"]) == (1, False)


def test_a_word_by_another_key_or_none_is_refused(
    bridle_: Shell, tmp_path: Path, word: tuple[str, str]
) -> None:
    reference, _ = word
    file, key = written(tmp_path, text(*PLANNED)), Holder.generate().public
    for said in (reference, reference[:-4], "", "x.y.z"):
        ran = bridle_("plan", "verify", file, "--word", said, "--root", key, "--json")
        assert ran.code == 3, said
        assert "error" in ran.json
