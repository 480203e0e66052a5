"""`[boundaries]`: rules by name become policies, and a mistake is found where it was made."""

# ruff: noqa: E501
# The tables read best with one mistake on one line.

import pytest

from bridle.bundle.boundaries import FILE, Rule, policy
from bridle.bundle.check import check as check_folder
from bridle.bundle.check import check_files
from bridle.bundle.parse.boundaries import RULES
from bridle.bundle.write_schemas import write_schemas
from bridle.language.compile import compile_file
from bridle.language.policy import PolicySetName
from bridle.model.finding import Location, Severity

EACH = {
    "no_untrusted_recipient": "true",
    "trusted_locator_only": '{ tools = ["archive.*"] }',
    "no_label_to_domain": '{ labels = ["personal"], domains = ["internet"] }',
    "untrusted_context_needs_approval": '{ hold = "support-leads" }',
    "clearance": "true",
    "read_before_write": '{ read = "desk.read_ticket", write = "desk.comment", key = "id" }',
    "plan_only": '{ effects = ["irreversible"] }',
}


def bounded(desk, *lines: str):
    text = desk.files["bridle.toml"] + "\n[boundaries]\n" + "\n".join(lines) + "\n"
    return desk.with_file("bridle.toml", text)


def made(desk, *lines: str):
    """The policies that these lines stand for, by id, without any finding about them."""
    bundle, found = bounded(desk, *lines).check()
    assert bundle is not None, [str(f) for f in found]
    assert [str(f) for f in found if f.severity is not Severity.INFO] == []
    return {p.id: p for p in bundle.policies if p.id.startswith("boundary.")}


def test_every_rule_is_one_line(desk) -> None:
    assert set(EACH) == set(RULES)
    found = made(desk, *(f"{name} = {value}" for name, value in EACH.items()))
    assert set(found) == {
        "boundary.no_untrusted_recipient",
        "boundary.trusted_locator_only",
        "boundary.no_label_to_domain",
        "boundary.untrusted_context_needs_approval",
        "boundary.clearance.read.external",
        "boundary.clearance.read.financial",
        "boundary.clearance.read.personal",
        "boundary.clearance.write",
        "boundary.read_before_write",
        "boundary.plan_only",
    }
    assert all(p.effect == "forbid" and p.reason for p in found.values())
    assert all(p.set is PolicySetName.TOOLS for p in found.values())
    held = {p.id for p in found.values() if p.hold}
    assert held == {"boundary.untrusted_context_needs_approval"}


@pytest.mark.parametrize("name", RULES)
def test_every_rule_can_be_on_trial_for_another_reason(desk, name: str) -> None:
    value = EACH[name] if EACH[name] != "true" else "{ }"
    line = f'{name} = {value[:-1].rstrip()}{"," if len(value) > 3 else ""} shadow = true, reason = "not so" }}'
    assert {(p.shadow, p.reason) for p in made(desk, line).values()} == {(True, "not so")}


def test_a_rule_may_stand_several_times(desk) -> None:
    found = made(
        desk,
        "no_untrusted_recipient = [",
        '  { domains = ["internet"] },',
        '  { domains = ["finance", "support"], effects = ["irreversible", "write"], hold = "support-leads:2" },',
        "]",
    )
    first, second = found.values()
    assert (first.id, second.id) == (
        "boundary.no_untrusted_recipient.1",
        "boundary.no_untrusted_recipient.2",
    )
    assert 'resource in Domain::"internet"' in first.text
    assert 'resource in [Domain::"finance", Domain::"support"]' in second.text
    assert 'Action::"irreversible", Action::"write"' in second.text
    assert second.hold == (("support-leads", 2),)


def test_tools_and_effects_narrow_each_other(desk) -> None:
    [only] = made(desk, 'no_untrusted_recipient = { tools = ["*"], effects = ["write"] }').values()
    assert 'Action::"mail.send"' in only.text
    assert 'Action::"desk.read_ticket"' not in only.text


def test_a_rule_is_part_of_the_digest(desk) -> None:
    without, _ = desk.check()
    with_it, _ = bounded(desk, "no_untrusted_recipient = true").check()
    assert without is not None
    assert with_it is not None
    assert without.digest != with_it.digest
    assert without.boundaries == ""


WRONG = [
    ("no_untrusted_recipients = true", "unknown_key", "23:1"),
    ("no_untrusted_recipient = false", "bad_value", "23:1"),
    ('no_untrusted_recipient = "yes"', "bad_value", "23:1"),
    ("no_untrusted_recipient = [true]", "wrong_type", "23:27"),
    ("no_untrusted_recipient = { sink = 1 }", "unknown_key", "23:28"),
    ('no_untrusted_recipient = { tools = ["nothing.*"] }', "unknown_reference", "23:37"),
    ('no_untrusted_recipient = { tools = ["desk.read_ticket"], effects = ["write"] }', "unknown_reference", "23:37"),
    ('no_untrusted_recipient = { effects = ["writes"] }', "unknown_reference", "23:39"),
    ('no_untrusted_recipient = { domains = ["nowhere"] }', "unknown_reference", "23:39"),
    ('no_untrusted_recipient = { from = ["nothing"] }', "unknown_reference", "23:36"),
    ("no_untrusted_recipient = { from = [] }", "bad_value", "23:28"),
    ('clearance = { from = ["desk"] }', "unknown_key", "23:15"),
    ("no_untrusted_recipient = { tools = [] }", "bad_value", "23:28"),
    ("no_untrusted_recipient = { effects = [] }", "bad_value", "23:28"),
    ("no_untrusted_recipient = { domains = [] }", "bad_value", "23:28"),
    ('no_untrusted_recipient = { hold = "nobody" }', "unknown_approvers", "23:1"),
    ('no_untrusted_recipient = { hold = "a b" }', "hold_syntax", "23:1"),
    ('no_untrusted_recipient = { shadow = "yes" }', "wrong_type", "23:28"),
    ("no_label_to_domain = true", "missing_key", "23:1"),
    ('no_label_to_domain = { labels = ["personal"] }', "missing_key", "23:1"),
    ('no_label_to_domain = { labels = [], domains = ["internet"] }', "missing_key", "23:1"),
    ('no_label_to_domain = { labels = ["a\\" || true"], domains = ["internet"] }', "bad_name", "23:34"),
    ('no_label_to_domain = { labels = ["persnal"], domains = ["internet"] }', "unknown_label", "23:1"),
    ("untrusted_context_needs_approval = true", "missing_key", "23:1"),
    ('clearance = { tools = ["*"] }', "unknown_key", "23:15"),
    ('read_before_write = { read = "desk.read_ticket", write = "desk.comment" }', "missing_key", "23:1"),
    ('read_before_write = { read = "desk.read", write = "desk.comment", key = "id" }', "unknown_reference", "23:23"),
    ('read_before_write = { read = "desk.read_ticket", write = "desk.comment", key = "nr" }', "bad_value", "23:74"),
    ('read_before_write = { read = "desk.read_ticket", write = "desk.comment", key = "id == 1" }', "bad_value", "23:74"),
    ('read_before_write = { read = "desk.read_ticket", write = "desk.comment", key = "id", read_key = "x" }', "bad_value", "23:86"),
    ('read_before_write = { read = "desk.read_ticket", write = "desk.comment", key = "id", within = "1500ms" }', "bad_value", "23:86"),
    ('read_before_write = { read = "desk.read_ticket", write = "desk.comment", key = "id", within = "9999d" }', None, "23:1"),
]  # fmt: skip


@pytest.mark.parametrize(("line", "code", "place"), WRONG)
def test_a_mistake_is_found_at_its_place_in_bridle_toml(desk, line, code, place) -> None:
    _, found = bounded(desk, line).check()
    wrong = [f for f in found if f.severity is not Severity.INFO]
    assert any(
        code in {None, f.code} and f"{f.location}" == f"bridle.toml:{place}" for f in wrong
    ), [str(f) for f in wrong]
    assert {f.location.file for f in wrong} == {"bridle.toml"}


def test_an_id_that_a_rule_has_is_taken(desk, policy) -> None:
    text = '@id("boundary.no_untrusted_recipient") forbid (principal, action, resource);'
    taken = bounded(desk.with_file("policies/new.dw", text), "no_untrusted_recipient = true")
    assert taken.only("duplicate_id").location.file == "bridle.toml"


def test_no_macro_of_the_bundle_changes_what_a_rule_says(desk) -> None:
    weaker = "def temporal requires_before(?window, ?done) { !(formerly within ?window ?done) };"
    own = desk.with_file("macros/own.dw", weaker)
    line = f"read_before_write = {EACH['read_before_write']}"
    plain, _ = bounded(desk, line).check()
    changed, _ = bounded(own, line).check()
    digests = [
        next(p.digest for p in bundle.policies if p.id == "boundary.read_before_write")
        for bundle in (plain, changed)
        if bundle is not None
    ]
    assert len(digests) == 2
    assert digests[0] == digests[1]


@pytest.mark.parametrize(
    "text", ['"; permit (principal, action, resource);//', "\\", '\\"', "a\nb", "\u2028", "\x00", "\U0001f512"]
)  # fmt: skip
def test_a_reason_is_a_text_whatever_stands_in_it(text: str) -> None:
    rule = Rule(id="boundary.x", place=Location("x"), reason=text, action="action")
    [only], wrong = compile_file(FILE, policy(rule), PolicySetName.TOOLS)
    assert wrong == ()
    assert (only.reason, only.effect) == (text, "forbid")


def test_the_policies_are_written_for_people_to_read(desk, tmp_path) -> None:
    bundle, _ = bounded(desk, "no_untrusted_recipient = true").check()
    assert bundle is not None
    for name, text in bundle.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, "utf-8")
    assert tmp_path / FILE in write_schemas(bundle, tmp_path)
    assert '@id("boundary.no_untrusted_recipient")' in (tmp_path / FILE).read_text("utf-8")
    again, found = check_folder(tmp_path)
    assert again is not None
    assert again.digest == bundle.digest
    assert not [f for f in found if f.location.file == FILE]


def test_what_looks_generated_and_is_not_from_the_rules_counts_for_nothing(desk) -> None:
    files = {**desk.files, FILE: '@id("x") permit (principal, action, resource);'}
    bundle, _ = check_files(files)
    assert bundle is not None
    assert FILE not in bundle.files
    assert "x" not in {p.id for p in bundle.policies}
