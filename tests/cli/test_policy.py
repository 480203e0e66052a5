"""`bridle policy` from the outside: beside the reference's own command line."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

VECTORS = Path(__file__).resolve().parents[1] / "data" / "dogwood"
CASE = VECTORS / "examples" / "write_after_read_formerly"
KINDS = VECTORS / "examples" / "login_attempt_custom_kind"
REFUSED = VECTORS / "rejected" / "decimal_ordering"


@pytest.fixture
def case(tmp_path: Path) -> Path:
    """A program and its trace in a folder of its own."""
    return Path(shutil.copytree(CASE, tmp_path / "case"))


def reference(command: str, *args: str | Path, cwd: Path) -> str:
    words = [sys.executable, "-m", "dogwood.cli", command, *map(str, args)]
    return subprocess.run(words, cwd=cwd, capture_output=True, check=True, text=True).stdout


def test_replay_prints_what_the_reference_prints_for_the_same_words(bridle_, case):
    words = ("policy.dw", "--policy-schema", "schema.cedarschema", "--trace", "trace.log")
    ran = bridle_("policy", "replay", *words, cwd=case)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == reference("replay", *words, cwd=case)
    assert ran.out.strip() == (case / "expected_1.out").read_text().strip()
    assert bridle_("policy", "replay", *words, "--reference", cwd=case).out == ran.out


def test_an_event_schema_has_kinds_of_its_own(bridle_):
    words = ("policy.dw", "--policy-schema", "schema.cedarschema", "--trace", "trace_1.log",
             "--event-schema", "event.dwschema")  # fmt: skip
    ran = bridle_("policy", "replay", *words, cwd=KINDS)
    assert ran.out == reference("replay", *words, cwd=KINDS)
    without = bridle_("policy", "replay", *words[:-2], cwd=KINDS)
    assert without.code == 1
    assert "attempt" in without.out


def test_replay_tells_everything_as_json(bridle_, case):
    words = ("policy.dw", "--policy-schema", "schema.cedarschema", "--trace", "-", "--json")
    told = bridle_(
        "policy", "replay", *words, cwd=case, stdin=(case / "trace.log").read_text()
    ).json
    assert told["ok"] is True
    assert (told["evaluator"], told["why"], told["faults"]) == ("incremental", "", 0)
    assert told["verdicts"][1] == {
        "time": 10,
        "point": 1,
        "allowed": True,
        "policies": ["write_after_read"],
        "errors": [],
        "leaves": {"policy_0__temporal_0": True},
    }
    asked = bridle_("policy", "replay", *words, "--reference", cwd=case, stdin="")
    assert (asked.json["evaluator"], asked.json["why"]) == ("specification", "asked")


def test_a_policy_that_errs_is_skipped_and_counted(bridle_, case):
    policy = case / "policy.dw"
    policy.write_text(
        "permit (principal, action, resource);\n"
        'forbid (principal, action == Drupe::Action::"Read", resource)\n'
        'when { context.input.document == "stop" };\n'
    )
    text = (case / "trace.log").read_text()
    (case / "trace.log").write_text(text.replace("request_context(input", "request_context(other"))
    words = ("policy.dw", "--policy-schema", "schema.cedarschema", "--trace", "trace.log")
    ran = bridle_("policy", "replay", *words, "--json", cwd=case)
    told = ran.json
    assert all(verdict["allowed"] for verdict in told["verdicts"])
    assert told["faults"] == sum(bool(v["errors"]) for v in told["verdicts"]) > 0
    plain = bridle_("policy", "replay", *words, cwd=case)
    assert plain.out == reference("replay", *words, cwd=case)


def test_files_are_one_program_in_their_order_and_one_of_them_may_be_standard_input(bridle_, case):
    first = 'forbid (principal, action == Drupe::Action::"Read", resource);\n'
    words = ("--policy-schema", "schema.cedarschema")
    told = bridle_(
        "policy", "lower", "-", "policy.dw", *words, "--json", cwd=case, stdin=first
    ).json
    assert [each["id"] for each in told["policies"]] == ["policy_0", "policy_1"]
    assert list(told["policies"][1]["conditions"]) == ["policy_1__temporal_0"]
    twice = bridle_("policy", "validate", "-", "-", *words, cwd=case, stdin=first)
    assert twice.code == 3
    assert "named twice" in twice.err


def test_lower_prints_cedar_that_the_printed_schema_takes(bridle_, case):
    import cedarpy

    words = ("policy.dw", "--policy-schema", "schema.cedarschema")
    policies = bridle_("policy", "lower", *words, cwd=case).out
    schema = bridle_("policy", "lower", *words, "--schema", cwd=case).out
    assert "temporal {" not in policies
    assert "context.policy_0__temporal_0" in policies
    assert cedarpy.validate_policies(policies, schema).validation_passed
    plain = (case / "schema.cedarschema").read_text()
    assert not cedarpy.validate_policies(policies, plain).validation_passed
    assert "context.policy_0__temporal_0" in reference("lower", *words, cwd=case)


def test_validate_says_what_it_looked_at(bridle_, case):
    words = ("policy.dw", "--policy-schema", "schema.cedarschema")
    ran = bridle_("policy", "validate", *words, cwd=case)
    assert (ran.code, ran.out) == (0, "✓ 1 policy, 1 condition over history\n")
    told = bridle_("policy", "validate", *words, "--json", cwd=case).json
    assert (told["ok"], told["policies"], told["conditions"], told["findings"]) == (True, 1, 1, [])


@pytest.mark.parametrize("command", ["validate", "lower", "replay"])
def test_what_is_refused_is_refused_by_every_command_with_its_place(bridle_, command, tmp_path):
    (tmp_path / "t.log").write_text("")
    words = ["policy_1.dw", "--policy-schema", "schema.cedarschema"]
    words += ["--trace", str(tmp_path / "t.log")] if command == "replay" else []
    ran = bridle_("policy", command, *words, cwd=REFUSED)
    assert ran.code == 1
    assert ran.out.startswith("policy_1.dw:2:")
    told = bridle_("policy", command, *words, "--json", cwd=REFUSED)
    assert told.code == 1
    assert told.json["ok"] is False
    assert told.json["findings"][0]["file"] == "policy_1.dw"


@pytest.mark.parametrize(
    ("broken", "text", "place"),
    [
        ("policy.dw", "permit (", "policy.dw:1:"),
        ("schema.cedarschema", "entity", "schema.cedarschema:1:"),
        ("event.dwschema", "event", "event.dwschema:1:"),
        ("trace.log", "@0 nothing", "trace.log:1:4"),
        ("macros.dw", "permit (principal, action, resource);", "<macros>:1:1"),
    ],
)
def test_each_file_is_refused_at_its_own_place(bridle_, case, broken, text, place):
    (case / "event.dwschema").write_text("decision event <A>::request { ...inputs(A) }\n")
    (case / "macros.dw").write_text("")
    (case / broken).write_text(text)
    ran = bridle_(
        *("policy", "replay", "policy.dw", "--policy-schema", "schema.cedarschema"),
        *("--event-schema", "event.dwschema", "--macros", "macros.dw", "--trace", "trace.log"),
        cwd=case,
    )
    assert ran.code == 1
    assert place in ran.out


def test_a_file_that_is_no_text_is_refused_with_its_line(bridle_, case):
    (case / "policy.dw").write_bytes(b"// one\n// \xff\n")
    words = ("policy.dw", "--policy-schema", "schema.cedarschema")
    ran = bridle_("policy", "validate", *words, cwd=case)
    assert ran.code == 1
    assert ran.out.startswith("policy.dw:2:1: error")
    gone = bridle_("policy", "validate", "gone.dw", *words[1:], cwd=case)
    assert gone.code == 1
    assert "unreadable" in gone.out


def test_the_usual_macros_are_there_and_can_be_replaced(bridle_, case):
    window = 'Drupe::Action::"Read"::request{}'
    (case / "policy.dw").write_text(
        'permit (principal, action == Drupe::Action::"Write", resource)\n'
        f"when temporal {{ count_within(1h, {window}) > 0 }};\n"
    )
    words = ("policy.dw", "--policy-schema", "schema.cedarschema", "--json")
    usual = bridle_("policy", "lower", *words, cwd=case)
    (case / "none.dw").write_text("")
    none = bridle_("policy", "lower", *words, "--macros", "none.dw", cwd=case)
    assert (usual.code, none.code) == (0, 1), usual.out
    assert "count_within" not in json.dumps(usual.json["policies"][0]["conditions"])
    assert "count_within" in none.json["findings"][0]["message"]


def test_events_that_no_schema_declares_are_told_of_beside_the_verdicts(bridle_, case):
    trace = case / "trace.log"
    lines = trace.read_text().splitlines()
    lines.insert(1, lines[0].replace('Action::"Read"::request', 'Action::"Read"::requst'))
    trace.write_text("\n".join(lines))
    words = ("policy.dw", "--policy-schema", "schema.cedarschema", "--trace", "trace.log")
    ran = bridle_("policy", "replay", *words, cwd=case)
    assert ran.code == 0
    assert ran.out == reference("replay", *words, cwd=case)
    assert "1 event of this trace, line 2 first" in ran.err
    assert bridle_("policy", "replay", *words, "--json", cwd=case).json["unknown"] == [2]
