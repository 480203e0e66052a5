"""A bundle until it may be activated: `init`, `check`, `test`, and what broken ones get told."""

from collections.abc import Callable
from pathlib import Path

import pytest


def replaced(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), "utf-8")


def test_a_new_bundle_checks_strictly_and_its_scenarios_pass(bridle_, tmp_path: Path) -> None:
    bundle = tmp_path / "my-desk"
    made = bridle_("init", bundle)
    assert made.code == 0, made.err
    checked = bridle_("check", bundle, "--strict", "--json")
    assert checked.json["findings"] == []
    assert checked.code == 0
    tested = bridle_("test", bundle, "--json")
    assert tested.code == 0, tested.out
    assert len(tested.json["scenarios"]) >= 5
    assert all(each["passed"] for each in tested.json["scenarios"])
    assert 'name = "my-desk"' in (bundle / "bridle.toml").read_text("utf-8")


def test_the_demos_bundle_checks_strictly_and_its_scenarios_pass(bridle_, office: Path) -> None:
    checked = bridle_("check", office, "--strict", "--json")
    assert checked.json["findings"] == []
    tested = bridle_("test", office)
    assert tested.code == 0, tested.out
    assert "0 failed" in tested.out


def test_check_says_what_each_condition_over_history_does_to_the_action(
    bridle_, office: Path
) -> None:
    (office / "policies" / "more.dw").write_text(
        """@id("again") @reason("once")
forbid (principal, action == Action::"payments.refund", resource)
when temporal { formerly within 1h Action::"payments.refund"::response{} };""",
        "utf-8",
    )
    told = bridle_("check", office, "--json").json["sentences"]
    speaks = {each["policy"]: each["speaks"] for each in told}
    assert (speaks["again"], speaks["refunds-per-customer"]) == ("against", "for")
    text = bridle_("check", office, "-v").out
    assert "again (forbid): In this mission, there was a success of `payments.refund`" in text
    assert "within 1 hour. Where true, it speaks against the action." in text


def test_every_shown_policy_has_an_id_and_a_reason(starter: Path, office: Path) -> None:
    for file in [*starter.rglob("*.dw"), *office.rglob("*.dw")]:
        text = file.read_text("utf-8")
        policies = text.count("permit (") + text.count("forbid (")
        assert text.count("@id(") == text.count("@reason(") == policies > 0, file


def test_init_names_the_files_it_wrote(bridle_, tmp_path: Path) -> None:
    made = bridle_("init", tmp_path / "new", "--name", "desk of mine", "--json")
    assert made.json["name"] == "desk-of-mine"
    written = {
        str(file.relative_to(tmp_path / "new"))
        for file in (tmp_path / "new").rglob("*")
        if file.is_file()
    }
    assert set(made.json["files"]) == written


def test_init_touches_no_folder_that_holds_something(bridle_, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    refused = bridle_("init", tmp_path)
    assert refused.code == 3
    assert "[not_empty]" in refused.err
    assert [file.name for file in tmp_path.iterdir() if file.name != "home"] == ["mine.txt"]


def test_check_writes_nothing_unless_asked(bridle_, starter: Path) -> None:
    before = {file: file.stat().st_mtime_ns for file in starter.rglob("*")}
    assert bridle_("check", starter).code == 0
    assert {file: file.stat().st_mtime_ns for file in starter.rglob("*")} == before
    assert bridle_("check", starter, "--write-schemas").code == 0
    assert 'action "mail.send"' in (starter / "schema" / "tools.cedarschema").read_text("utf-8")


BREAKAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "toml": (
        lambda b: replaced(b / "systems.toml", "[domains.office]", "[domains.office"),
        "systems.toml",
    ),
    "unknown key": (lambda b: replaced(b / "agents.toml", "owner =", "ownr ="), "agents.toml"),
    "policy syntax": (
        lambda b: replaced(b / "policies/desk.dw", "permit (", "permitt ("),
        "policies/desk.dw",
    ),
    "policy types": (
        lambda b: replaced(
            b / "policies/desk.dw", "context.facts has body", "context.input.nobody"
        ),
        "policies/desk.dw",
    ),
    "twice the same id": (
        lambda b: replaced(
            b / "policies/desk.dw", '"project-codes-stay"', '"assistant-sends-mail"'
        ),
        "policies/desk.dw",
    ),
    "unknown detector": (
        lambda b: replaced(
            b / "policies/desk.dw", "redact input.body: payment_card", "redact input.body: cards"
        ),
        "policies/desk.dw",
    ),
    "unknown approvers": (
        lambda b: replaced(b / "policies/desk.dw", '@hold("owners")', '@hold("nobody")'),
        "policies/desk.dw",
    ),
    "history": (
        lambda b: replaced(b / "policies/desk.dw", "when {", "when temporal {"),
        "policies/desk.dw",
    ),
    "schema": (
        lambda b: replaced(
            b / "systems.toml", "pattern = '^[a-z0-9-]{1,60}$'", "pattern = '(?=x)'"
        ),
        "systems.toml",
    ),
    "undeclared agent": (
        lambda b: replaced(b / "missions.toml", 'agents = ["assistant"]', 'agents = ["ghost"]'),
        "missions.toml",
    ),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_a_broken_bundle_is_told_what_and_where(bridle_, starter: Path, name: str) -> None:
    breaks, place = BREAKAGES[name]
    breaks(starter)
    found = bridle_("check", starter, "--json")
    assert found.code == 1
    assert found.json["ok"] is False
    errors = [each for each in found.json["findings"] if each["severity"] == "error"]
    assert place in {each["file"] for each in errors}
    assert all(each["code"] and each["message"] for each in errors)
    assert any(each["line"] for each in errors)


def test_a_finding_carries_its_way_out(bridle_, starter: Path) -> None:
    BREAKAGES["unknown key"][0](starter)
    found = bridle_("check", starter)
    findings = bridle_("check", starter, "--json").json["findings"]
    (finding, *_) = [each for each in findings if each["hint"]]
    assert finding["hint"].splitlines()[0] in found.out
    assert f"agents.toml:{finding['line']}:{finding['column']}: error: " in found.out


def test_a_warning_fails_only_where_it_is_asked_to(bridle_, starter: Path) -> None:
    replaced(starter / "missions.toml", 'agents = ["assistant"]', "agents = []")
    loose, strict = bridle_("check", starter), bridle_("check", starter, "--strict")
    assert "missions.toml:3:1: warning: " in loose.out
    assert "1 warning" in loose.out
    assert (loose.code, strict.code) == (0, 1)


@pytest.mark.parametrize("command", ["test", "activate", "serve"])
def test_no_command_uses_a_broken_bundle(bridle_, starter: Path, command: str) -> None:
    replaced(starter / "policies" / "desk.dw", "permit (", "permitt (")
    refused = bridle_(command, starter, *(["--yes"] if command == "activate" else []))
    assert refused.code == 1
    assert "policies/desk.dw:" in refused.err


def test_a_failing_scenario_is_told_with_its_place(bridle_, starter: Path) -> None:
    replaced(starter / "tests" / "desk.toml", 'expect = "deny"', 'expect = "allow"')
    failed = bridle_("test", starter)
    assert failed.code == 1
    assert "tests/desk.toml" in failed.out
    assert "1 failed" in failed.out
    assert bridle_("test", starter, "-k", "notes are").code == 0


def test_naming_no_scenario_is_no_success(bridle_, starter: Path) -> None:
    nothing = bridle_("test", starter, "-k", "no such thing")
    assert nothing.code == 1
    assert "no such thing" in nothing.err
