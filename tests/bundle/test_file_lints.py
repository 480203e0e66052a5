"""What `check` says about the TOML files, tool files and attributes: every mistake at its line."""

# ruff: noqa: E501, PLR0917
# The tables read best with one change on one line.

import json

import pytest

from bridle.model.finding import Severity

TICKET = '[tools."desk.read_ticket".input]\n'

CHANGES = [
    # file, old, new, code, what stands at the place
    ("bridle.toml", "format = 1", "format = 2", "bundle_format", "format"),
    ("bridle.toml", "format = 1\n", "", "missing_key", ""),
    ("bridle.toml", "format = 1", "format = = 1", "toml_syntax", "= 1"),
    ("bridle.toml", 'name = "support-desk"\n', "", "missing_key", ""),
    ("bridle.toml", "depth = 8", "depth = 8\ndeepness = 9", "unknown_key", "deepness"),
    ("bridle.toml", "depth = 8", "depth = 900", "bad_value", "depth"),
    ("bridle.toml", "depth = 8", "depth = true", "wrong_type", "depth"),
    ("bridle.toml", "depth = 8", 'depth = "8"', "wrong_type", "depth"),
    ("bridle.toml", '"strict"', '"lazy"', "bad_value", "durability"),
    ("bridle.toml", '"8h"', '"8 hours"', "bad_value", "hold_expiry"),
    ("bridle.toml", '["ana"]', '["ana", "zoe"]', "unknown_reference", '"zoe"'),
    ("bridle.toml", '["ana"]', '["ana", 3]', "wrong_type", "3]"),
    ("bridle.toml", '["ana"]', '["ana", "ana"]', "bad_value", '"ana"]'),
    ("bridle.toml", 'agent = "triage"', 'agent = "x"', "unknown_reference", "agent"),
    ("bridle.toml", '"C-[0-9]{6}"', '"(?=C)"', "bad_pattern", "customer_id"),
    ("bridle.toml", "customer_id =", "iban =", "bad_name", "iban"),
    ("bridle.toml", "[defaults]", '[ledger]\norigin = ""\n[defaults]', "bad_origin", "origin"),
    ("bridle.toml", "[defaults]", '[ledger]\norigin = "a b"\n[defaults]', "bad_origin", "origin"),
    ("bridle.toml", "[defaults]", '[ledger]\norigin = "a+b"\n[defaults]', "bad_origin", "origin"),
    ("bridle.toml", "[defaults]", '[ledger]\norigin = "a/"\n[defaults]', "bad_origin", "origin"),
    ("bridle.toml", "[defaults]", "[ledger]\norigin = 3\n[defaults]", "wrong_type", "origin"),
    ("bridle.toml", "[defaults]", '[ledger]\nname = "a"\n[defaults]', "unknown_key", "name"),
    (
        "bridle.toml",
        "[defaults]",
        '[ledger]\norigin = "https://a.example/b"\n[defaults]',
        "bad_origin",
        "origin",
    ),
    ("bridle.toml", "[defaults]", "[labels]\ndetect = {}\n[defaults]", "unknown_key", "detect"),
    ("bridle.toml", "[defaults]", "[labels]\ndetected = 3\n[defaults]", "wrong_type", "detected"),
    (
        "bridle.toml", "[defaults]", '[labels.detected]\ncards = ["pci"]\n[defaults]',
        "unknown_detector", "cards",
    ),
    (
        "bridle.toml", "[defaults]", '[labels.detected]\nunsearched = ["pci"]\n[defaults]',
        "unknown_detector", "unsearched",
    ),
    (
        "bridle.toml", "[defaults]", '[labels.detected]\niban = ["two words"]\n[defaults]',
        "bad_name", '"two words"',
    ),
    (
        "bridle.toml", "[defaults]", '[labels.detected]\niban = "pci"\n[defaults]',
        "wrong_type", "iban",
    ),
    ("systems.toml", 'body = { sink = "content" }', 'body = { inherits = "no" }', "wrong_type", "inherits"),
    ("missions.toml", 'expires = "8h"', 'constants = [" "]\nexpires = "8h"', "bad_value", '" "]'),
    ("missions.toml", 'expires = "8h"', 'constants = ["' + "x" * 4097 + '"]\nexpires = "8h"', "bad_value", '"xxx'),
    ("missions.toml", 'expires = "8h"', 'constants = ["a", "a"]\nexpires = "8h"', "bad_value", '"a"]'),
    (
        "missions.toml", 'expires = "8h"', f'constants = {json.dumps([str(n) for n in range(257)])}\nexpires = "8h"',
        "bad_value", "constants",
    ),
    ("systems.toml", 'domain = "finance"', 'domain = "fin"', "unknown_reference", "domain"),
    ("systems.toml", '"/srv/desk/export"', '"srv/export"', "relative_path", '"srv'),
    ("systems.toml", '"/srv/desk/export"', '"/srv/../etc"', "relative_path", '"/srv'),
    ("systems.toml", '[tools."desk.search"]', '[tools."desk search"]', "bad_tool_name", "[tools"),
    ("systems.toml", '[tools."desk.search"]', '[tools."desk:search"]', "bad_tool_name", "[tools"),
    ("systems.toml", '[tools."desk.search"]', '[tools."release"]', "bad_tool_name", "[tools"),
    ("systems.toml", 'effect = "read"\n', "", "missing_effect", '[tools."desk.read_ticket"]'),
    ("systems.toml", 'effect = "read"', 'effect = "peek"', "bad_value", "effect"),
    ("systems.toml", 'from = "tools/mail.json"\n', "", "missing_schema", '[tools."mail.send"]'),
    ("systems.toml", '"tools/mail.json"', '"tools/post.json"', "tool_file", "from"),
    ("systems.toml", '"tools/mail.json"', '"../mail.json"', "tool_file", "from"),
    ("systems.toml", '"send_mail"', '"post_mail"', "tool_file", "from"),
    ("systems.toml", "query = { type", "query = { typo = 1, type", "schema_keyword", "[tools"),
    ("systems.toml", "query = { type", "query = { definitions = {}, type", "schema_keyword", "["),
    ("systems.toml", 'query = { type = "string"', 'query = { type = "text"', "schema_invalid", "["),
    ("systems.toml", 'query = { type = "string"', 'query = { "$ref" = "#/x"', "schema_reference", ""),
    (
        "systems.toml",
        'query = { type = "string"',
        'query = { "$ref" = "https://schemas.example/x"',
        "schema_reference",
        "[",
    ),
    ("systems.toml", '"^[a-z-]{1,20}$"', '"^(?!x)[a-z]$"', "schema_pattern", "["),
    ("systems.toml", "properties.id =", "properties.__entity =", "reserved_argument", "["),
    ("systems.toml", TICKET + 'type = "object"', TICKET + 'type = "array"', "schema_invalid", "["),
    ("systems.toml", '[tools."desk.search".arguments.query]', '[tools."desk.search".arguments.q]',
     "unknown_argument", "[tools"),
    ("systems.toml", '"fields.note" =', '"fields.notes" =', "unknown_argument", '"fields.notes"'),
    ("systems.toml", '"to[]" =', '"to" = {}\n"to[][]" =', "unknown_argument", '"to[][]"'),
    ("systems.toml", 'amount = { sink = "amount" }', "reason = { int64 = true }", "toml_syntax", ""),
    ("systems.toml", 'path = { sink = "locator" }', "path = { int64 = true }", "int64_type", "int64"),
    ("systems.toml", 'sink = "locator"', 'sink = "drain"', "bad_value", "sink"),
    ("systems.toml", '["customer_id", "payment_card"]', '["customer"]', "unknown_detector", '"cust'),
    ("systems.toml", '"iban", "payment_card", "email"', '"ibans"', "unknown_detector", '"ibans"'),
    ("systems.toml", 'tier = "gold"', 'rank = "gold", tier = "gold"', "unknown_attribute", "attr"),
    ("systems.toml", 'attributes = { tier = "gold" }\n', "", "missing_attribute", "[systems.desk]"),
    ("systems.toml", 'tier = "gold"', "tier = 1", "attribute_type", "attributes"),
    ("agents.toml", 'owner = "ana"', 'owner = "zoe"', "unknown_reference", "owner"),
    ("agents.toml", 'owner = "ana"\n', "", "missing_key", "[agents.triage]"),
    ("agents.toml", 'teams = ["support"]', 'teams = ["sport"]', "unknown_reference", '"sport"'),
    ("agents.toml", "[users.ben]", '[users."ben m"]', "bad_name", "[users"),
    ("agents.toml", "need = 2", "need = 3", "approvers_short", "[approvers.finance]"),
    ("agents.toml", "need = 2", "need = 0", "bad_value", "need"),
    ("missions.toml", '"triage", ', '"triage", "x", ', "unknown_reference", '"x"'),
    ("missions.toml", '"desk.*", ', '"desk.*", "disk.*", ', "unknown_reference", '"disk'),
    ("missions.toml", '["support"]', '["supper"]', "unknown_reference", '"supper"'),
    ("missions.toml", "limit = 1000.50", "limit = 0.00005", "bad_value", "limit"),
    ("missions.toml", "limit = 1000.50", "limit = -1", "bad_value", "limit"),
    ("missions.toml", "limit = 1000.50", "limit = nan", "bad_value", "limit"),
    ("missions.toml", "limit = 1000.50\n", "", "missing_key", "[missions"),
    ("missions.toml", '"input.amount"', '"input.reason"', "bad_value", '"payments.refund"'),
    ("missions.toml", '"input.amount"', '"input.sum"', "bad_value", '"payments.refund"'),
    ("missions.toml", '"input.amount"', "-1", "bad_value", '"payments.refund"'),
    ("missions.toml", '"payments.refund" =', '"payments.pay" =', "unknown_reference", '"payments'),
    ("missions.toml", '["finance"]', '["cash"]', "unknown_reference", '"cash"'),
    ("missions.toml", "limit = 50\n", "limit = 50\nmeasure = {x=1}\n", "bad_value", "measure"),
    ("missions.toml", 'measure = { "mail.send" = 1 }', "", "missing_key", "[missions"),
    ("tests/desk.toml", 'expect = "allow"', 'expect = "maybe"', "bad_value", "expect"),
    ("tests/desk.toml", 'expect = "allow"\n', "", "missing_key", "[[scenario.step]]"),
    ("tests/desk.toml", 'expect = "allow"\n', 'expect = "allow"\nprompt = "x"\n', "bad_value", "[[scenario.step]]"),
    ("tests/desk.toml", 'expect = "allow"\n', 'expect = "allow"\nuser = "ana"\n', "bad_value", "user"),
    (
        "tests/desk.toml", "[[scenario.step]]",
        '[[scenario.step]]\nprompt = "x"\nuser = "zoe"\nexpect = "allow"\n[[scenario.step]]',
        "unknown_reference", "user",
    ),
    (
        "tests/desk.toml", "[[scenario.step]]",
        '[[scenario.step]]\nprompt = "x"\nerror = "y"\nexpect = "allow"\n[[scenario.step]]',
        "bad_value", "prompt",
    ),
    ("tests/desk.toml", 'policy = "large-refund"', 'policy = "x"', "bad_value", "policy"),
    ("tests/desk.toml", 'code = "held"', 'code = "holding"', "bad_value", "code"),
    ("tests/desk.toml", 'approve = "ben"', 'approve = "zed"', "unknown_reference", "approve"),
    ("tests/desk.toml", 'mission = "ticket-desk"', 'mission = "x"', "unknown_reference", "mission"),
    ("tests/desk.toml", "args = { id = 7 }", "args = { id = 2026-01-01 }", "bad_value", "args"),
    ("tests/desk.toml", "advance =", "advances =", "unknown_key", "advances"),
    ("schema/extra.cedarschema", "String", "Sting", "extra_schema", "Sting"),
    ("schema/extra.cedarschema", "entity System", "entity Sys", "extra_schema", "Sys"),
    ("schema/extra.cedarschema", "entity System", "action System", "extra_schema", "action"),
    ("schema/extra.cedarschema", "entity System =", "entity System in [Domain] =", "extra_schema",
     "in"),
    ("schema/extra.cedarschema", "tier", "owner", "extra_schema", "System"),
    ("schema/extra.cedarschema", "tier: String", "tier: User", "extra_schema", "User"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "code", "at"), CHANGES)
def test_a_mistake_in_a_file_is_an_error_at_its_line(desk, file, old, new, code, at) -> None:
    changed = desk.with_text(file, old, new)
    bundle, found = changed.check()
    assert bundle is None
    errors = [f for f in found if f.code == code and f.severity is Severity.ERROR]
    assert errors, [str(f) for f in found]
    place = errors[0].location
    assert place.file == file
    if at:
        line = changed.files[file].split("\n")[place.line - 1]
        assert line[place.column - 1 :].startswith(at), (place, line)


SOFT = [
    ("missions.toml", 'domains = ["support"]', 'domains = ["finance"]', "out_of_domain", "warning"),
    ("missions.toml", 'agents = ["researcher"]', "agents = []", "empty_mission", "warning"),
    ("systems.toml", 'required = ["order", "amount", "currency"]', 'required = ["order"]',
     "optional_measure", "warning"),
    ("systems.toml", "exclusiveMinimum = 0, ", "", "negative_measure", "warning"),
    ("systems.toml", 'from = "tools/mail.json"', 'input = { type = "object" }', "unused_file",
     "warning"),
    ("systems.toml", 'properties.id = { type = "integer", minimum = 1 }', "properties.id = {}",
     "untyped_argument", "info"),
    ("systems.toml", 'pattern = "^/srv', 'x-pattern = "^/srv', "loose_string", "info"),
    ("systems.toml", 'pattern = "^/srv', 'pattern = "/srv', "loose_pattern", "info"),
    ("missions.toml", '"mail.send", ', "", "no_mission", "info"),
    ("policies/permits.dw", 'action == Action::"mail.send"', 'action == Action::"desk.comment"',
     "no_permit_for_tool", "info"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "old", "new", "code", "severity"), SOFT)
def test_what_is_only_odd_is_said_and_refuses_nothing(desk, file, old, new, code, severity) -> None:
    found = desk.with_text(file, old, new).check()[1]
    assert {f.severity.value for f in found if f.code == code} == {severity}


@pytest.mark.parametrize("name", ["bridle.toml", "systems.toml", "agents.toml", "missions.toml"])
def test_the_four_files_have_to_be_there(desk, name: str) -> None:
    assert desk.without(name).only("missing_file").location.file == name


def test_tool_files_are_strict_json(desk) -> None:
    for text, why in (
        ('{"tools": [{"name": "send_mail", "name": "x"}]}', "twice"),
        ('{"tools": [{"name": "send_mail", "inputSchema": {"minimum": NaN}}]}', "no JSON"),
        ("[" * 100_000, "nested"),
        ("{}", "tools/list"),
        ('[{"name": 1}]', "without a name"),
        ('[{"name": "send_mail"}, {"name": "send_mail"}]', "twice"),
    ):
        assert why in desk.with_file("tools/mail.json", text).only("tool_file").message


def test_a_bundle_without_governance_files_gets_the_prelude(desk) -> None:
    bundle, _ = desk.without("governance/missions.dw").check()
    assert {p.id for p in bundle.policies} >= {"bridle.governance", "bridle.release"}
    whole, _ = desk.check()
    assert "bridle.governance" not in {p.id for p in whole.policies}
    assert "bridle.release" in {p.id for p in whole.policies}
