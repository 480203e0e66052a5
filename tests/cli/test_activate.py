"""Nothing of a changed bundle counts before a human activated exactly what they were shown."""

from pathlib import Path

import pytest


@pytest.fixture(params=["served", "alone"])
def desk(request: pytest.FixtureRequest, bridle_, starter: Path) -> Path:
    """A bundle whose store exists, with a governor serving it or without."""
    if request.param == "served":
        request.getfixturevalue("serving")(starter)
    else:
        assert bridle_("activate", starter, "--yes").code == 0
    return starter


def test_the_first_activation_shows_every_file_and_asks(bridle_, starter: Path) -> None:
    refused = bridle_("activate", starter, stdin="y\n")
    assert refused.code == 3
    assert bridle_("audit", "verify", starter).code == 3, "nothing is made before a yes"
    first = bridle_("activate", starter, "--yes", "--as", "me", "--json").json
    assert first["activated"] is True
    assert "policies/desk.dw" in first["changes"]["added"]
    assert bridle_("audit", "verify", starter).code == 0


def change(desk: Path) -> None:
    policies = desk / "policies" / "desk.dw"
    policies.write_text(policies.read_text("utf-8").replace("@shop.example", "@office.example"))
    tests = desk / "tests" / "desk.toml"
    tests.write_text(tests.read_text("utf-8").replace("@shop.example", "@office.example"))
    (desk / "policies" / "more.dw").write_text("// nothing yet\n")


def test_the_changes_are_shown_and_the_digest_becomes_active(bridle_, desk: Path) -> None:
    change(desk)
    digest = bridle_("check", desk, "--json").json["digest"]
    shown = bridle_("activate", desk, "--yes", "--json")
    assert shown.code == 0, shown.err
    assert shown.json == {
        "digest": digest,
        "activated": True,
        "changes": {
            "added": ["policies/more.dw"],
            "changed": ["policies/desk.dw", "tests/desk.toml"],
            "removed": [],
        },
        "history": [],
    }
    (desk / "policies" / "more.dw").unlink()
    again = bridle_("activate", desk, "--yes")
    assert "- policies/more.dw" in again.out
    assert "is active" in again.out


def test_what_is_active_already_changes_nothing(bridle_, desk: Path) -> None:
    again = bridle_("activate", desk)
    assert again.code == 0
    assert "no file differs" in again.out
    assert "active already" in again.out


def test_nobody_there_to_say_yes_is_no_yes(bridle_, desk: Path) -> None:
    change(desk)
    refused = bridle_("activate", desk, stdin="y\n")
    assert refused.code == 3
    assert "--yes" in refused.err
    assert bridle_("activate", desk, "--yes", "--json").json["activated"] is True


def test_a_failing_scenario_keeps_the_bundle_out(bridle_, desk: Path) -> None:
    tests = desk / "tests" / "desk.toml"
    tests.write_text(tests.read_text("utf-8").replace('expect = "deny"', 'expect = "allow"', 1))
    refused = bridle_("activate", desk, "--yes")
    assert refused.code == 1
    assert "[scenarios_fail]" in refused.err


def test_who_is_no_operator_activates_nothing(bridle_, desk: Path) -> None:
    change(desk)
    refused = bridle_("activate", desk, "--yes", "--as", "eve")
    assert refused.code == 3
    assert "[unknown_user]" in refused.err


def test_a_bundle_that_locks_humans_out_is_refused(bridle_, desk: Path) -> None:
    agents = desk / "agents.toml"
    agents.write_text(
        agents.read_text("utf-8").replace('users = ["me"]\nneed = 1', "users = []\nneed = 1")
    )
    refused = bridle_("activate", desk, "--yes")
    assert refused.code in (1, 3)
    assert bridle_("audit", "verify", desk).code == 0
