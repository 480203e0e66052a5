"""What `check` says about policies: every mistake at its place, and nothing about good ones."""

# ruff: noqa: E501, ISC004
# The tables read best with one policy on one line.

from collections.abc import Callable

import pytest

from bridle.model.finding import Severity

PERMIT = "permit (principal, action, resource)"
FORBID = "forbid (principal, action, resource)"
COMMENT = 'forbid (principal, action == Action::"desk.comment", resource)'
MAIL = 'forbid (principal, action == Action::"mail.send", resource)'
SEARCH = 'forbid (principal, action == Action::"desk.search", resource)'
READ = 'forbid (principal, action == Action::"desk.read_ticket:result", resource)'
REFUND = 'forbid (principal, action == Action::"payments.refund", resource)'
LIMIT = "when { context.input has limit }"

ERRORS = [
    # --- the text ---------------------------------------------------------------------------------
    (f"{PERMIT};", "missing_id", 1, "permit"),
    (f'@id("a b") {PERMIT};', "bad_id", 1, '@id("a b'),
    (f'@id("bridle.x") {PERMIT};', "bad_id", 1, '@id("bridle.x'),
    (f'@id("n") @severity("high") {PERMIT};', "unknown_annotation", 1, '@severity("high'),
    (f'@id("n") @doc("a") @doc("b") {PERMIT};', "annotation_twice", 1, '@doc("b'),
    (f'@id("n") {PERMIT} when temporal {{ formerly }};', "history_syntax", 1, "}"),
    (f'@id("n")\n{FORBID}\nunless\ntemporal {{ x }};', "history_syntax", 4, "}"),
    ("def temporal once(?x) { formerly };", "history_syntax", 1, "}"),
    (f'@temporal @id("n") {PERMIT};', "unknown_annotation", 1, "@"),
    ("lorem ipsum;", "not_a_policy", 1, "lorem"),
    (f'@id("n") {PERMIT}; }}', "not_a_policy", 1, "}"),
    (f'@id("n") {PERMIT} when {{ "é" == 1 \u200b}};', "hidden_character", 1, "\u200b"),
    ('@id("n") permit (principal == ?principal, action, resource);', "template", 1, "?principal"),
    (f'@id("n") {PERMIT} when {{ 1 == 9223372036854775808 }};', "integer_range", 1, "9223372036854775808"),
    (f'@id("n") {PERMIT} when {{ {"(" * 60}1{")" * 60} == 1 }};', "policy_too_large", 1, "("),
    (f'@id("n") {PERMIT} when {{ true{" && true" * 600} }};', "policy_too_large", 1, "&&"),
    (f'@id("n") {PERMIT} when {{ contxt.x == 1 }};', "policy_syntax", 1, "contxt"),
    # --- annotations ------------------------------------------------------------------------------
    (f'@id("n") @enforce("log") {FORBID};', "enforce_value", 1, '@enforce("log'),
    (f'@id("n") @enforce("shadow") {PERMIT};', "shadow_permit", 1, '@enforce("shadow'),
    (f'@id("n") @hold("finance") {PERMIT};', "remedy_on_permit", 1, '@hold("finance'),
    (f'@id("n") @modify("drop input.cc") {PERMIT};', "remedy_on_permit", 1, '@modify("drop input.cc'),
    (f'@id("n") @modify("drop input.cc") @hold("finance") {MAIL};', "remedy_conflict", 1, '@hold("finance'),
    (f'@id("n") @modify("drop input.cc") @enforce("shadow") {MAIL};', "shadow_modify", 1, '@modify("drop input.cc'),
    (f'@id("n") @hold("nobody") {FORBID};', "unknown_approvers", 1, "forbid"),
    (f'@id("n") @hold("support-leads:3") {FORBID};', "approvers_short", 1, "forbid"),
    (f'@id("n") @hold("finance:0") {FORBID};', "hold_syntax", 1, "0"),
    (f'@id("n") @modify("shred input.cc") {MAIL};', "modify_syntax", 1, "shred"),
    (f'@id("n") @modify("replace input.subject /(?=a)/ -> b") {MAIL};', "bad_pattern", 1, "/(?=a)/"),
    # --- names ------------------------------------------------------------------------------------
    (
        '@id("n") permit (principal == Agent::"nobody", action, resource);',
        "unknown_entity", 1, '"nobody"',
    ),
    (
        '@id("n") permit (principal in Team::"x", action, resource);',
        "unknown_entity", 1, '"x"',
    ),
    (
        '@id("n") permit (principal, action, resource) when { resource in Domain::"x" };',
        "unknown_entity", 1, '"x"',
    ),
    (
        '@id("n") permit (principal, action == Action::"desk.read", resource);',
        "unknown_entity", 1, '"desk.read"',
    ),
    ('@id("n") permit (principal is Robot, action, resource);', "unknown_entity", 1, "permit"),
    (
        '@id("n") permit (principal, action == Action::"start_mission", resource);',
        "wrong_policy_set", 1, '"start_mission"',
    ),
    # --- types ------------------------------------------------------------------------------------
    (f'@id("n") {SEARCH} when {{ context.input.limit > 5 }};', "unguarded", 1, "limit"),
    (
        '@id("n") forbid (principal, action in Action::"write", resource)\n'
        'when { context.input.subject == "x" };',
        "unguarded", 2, "subject",
    ),
    (f'@id("n") {SEARCH} when {{ context.input.limits > 5 }};', "unknown_attribute", 1, "limits"),
    (f'@id("n") {FORBID} when {{ principal.rank > 5 }};', "unknown_attribute", 1, "rank"),
    (f'@id("n") {FORBID} when {{ resource.tier > 5 }};', "policy_type", 1, "forbid"),
    (
        f'@id("n") {COMMENT} when {{ context.facts has body && '
        'context.facts.body.found.contains("cards") };',
        "unknown_detector", 1, "body",
    ),
    # --- remedies ---------------------------------------------------------------------------------
    (f'@id("n") @modify("clamp input.max 1..5") {SEARCH} {LIMIT};', "remedy_path", 1, '@modify("clamp input.max 1..5'),
    (f'@id("n") @modify("clamp output.limit 1..5") {SEARCH} {LIMIT};', "remedy_path", 1, '@modify("clamp output.limit 1..5'),
    (f'@id("n") @modify("drop input.limit") {FORBID} {LIMIT};', "remedy_path", 1, '@modify("drop input.limit'),
    (f'@id("n") @modify("drop input") {SEARCH} {LIMIT};', "remedy_path", 1, '@modify("drop input'),
    (f'@id("n") @modify("mask input.limit keep 1") {SEARCH} {LIMIT};', "remedy_type", 1, '@modify("mask input.limit keep 1'),
    (f'@id("n") @modify("clamp input.limit ..1.5") {SEARCH} {LIMIT};', "remedy_type", 1, '@modify("clamp input.limit ..1.5'),
    (f'@id("n") @modify("set input.limit 501") {SEARCH} {LIMIT};', "remedy_type", 1, '@modify("set input.limit 501'),
    (f'@id("n") @modify("redact input.limit: iban") {SEARCH} {LIMIT};', "remedy_type", 1, '@modify("redact input.limit'),
    (f'@id("n") @modify("redact input.query: ssn") {SEARCH} {LIMIT};', "unknown_detector", 1, '@modify("redact input.query'),
    (
        f'@id("n") @modify("drop input.query") {SEARCH} when {{ context.input.query == "" }};',
        "remedy_type", 1, '@modify("drop input.query',
    ),
    (f'@id("n") @modify("drop input.tags") {SEARCH} {LIMIT};', "remedy_blind", 1, '@modify("drop input.tags'),
    (f'@id("n") @modify("truncate input.body 9") {MAIL};', "remedy_blind", 1, '@modify("truncate input.body 9'),
    (
        '@id("n") @modify("redact output.x: iban") forbid (principal, action == '
        'Action::"desk.search:result", resource) when { context.facts has value };',
        "remedy_path", 1, '@modify("redact output.x',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "code", "line", "word"), ERRORS)
def test_a_mistake_is_an_error_at_its_place(
    policy: Callable, text: str, code: str, line: int, word: str
) -> None:
    changed = policy(text)
    bundle, found = changed.check()
    errors = [f for f in found if f.severity is Severity.ERROR]
    assert bundle is None
    assert {f.code for f in errors} == {code}, [str(f) for f in found]
    place = errors[0].location
    assert (place.file, place.line) == ("policies/new.dw", line)
    assert text.split("\n")[line - 1][place.column - 1 :].startswith(word)


GOOD = [
    f'@id("n") @doc("free text") {PERMIT};',
    f'@id("n") {SEARCH} when {{ context.input has limit && context.input.limit > 5 }};',
    f'@id("n") {FORBID} when {{ resource.tier == "gold" && principal.hasTag("stage") }};',
    f'@id("n") @reason("r") @hold("finance, support-leads:1") {FORBID};',
    # Only mail has a subject: `has` leaves the other tools out.
    '@id("n") @reason("r") @modify("truncate input.subject 9") forbid (principal, action in '
    'Action::"write", resource) when { context.input has subject && '
    "context.facts has subject && context.facts.subject.length > 9 };",
    # ... or the resource does.
    '@id("n") @reason("r") @modify("drop input.cc") forbid (principal, action in Action::"write", '
    'resource in Domain::"internet") when { context.input has cc };',
    f'@id("n") @reason("r") @modify("redact output: email") {READ}\n'
    'when { context.facts has body && context.facts.body.found.contains("email") };',
    f'@id("n") @reason("r") @modify("mask output.customer.phone keep 2") {READ}\n'
    'when { context.output.customer has phone && !(context.output.customer.phone like "**") };',
    f'@id("n") @reason("r") @modify("clamp input.amount ..99.5") {REFUND}\n'
    'when { context.input.amount.greaterThan(decimal("99.5")) };',
    f'@id("n") @reason("r") @modify("set input.fields.priority \\"low\\"") {COMMENT}\n'
    'when { context.input has fields && context.input.fields.priority == "high" };',
    f'@id("n") @reason("r") @modify("drop input.to[]; drop input.cc") {MAIL}\n'
    "when { context.input has cc };",
    '@id("n") permit (principal, action in Action::"release", resource);',
]


@pytest.mark.parametrize("text", GOOD)
def test_a_good_policy_raises_no_finding(desk, policy: Callable, text: str) -> None:
    bundle, found = policy(text).check()
    assert bundle is not None
    assert set(found) - set(desk.check()[1]) == set()


NEVER = [
    f'@id("n") {FORBID} when {{ false }};',
    f'@id("n") {FORBID} unless {{ true }};',
    f'@id("n") {FORBID} when {{ principal is User }};',
    f'@id("n") {FORBID} when {{ 1 == "x" }};',
    '@id("n") forbid (principal is User, action, resource);',
    '@id("n") forbid (principal, action == Action::"call", resource);',
    '@id("n") forbid (principal, action == Action::"mail.send", resource == System::"desk");',
    '@id("n") forbid (principal, action in Action::"read", resource in Domain::"internet");',
    '@id("n") forbid (principal, action in Action::"read", resource) '
    "when { context.input has subject };",
    '@id("n") forbid (principal, action, resource == Agent::"triage");',
]


@pytest.mark.parametrize("text", NEVER)
def test_a_policy_that_can_never_apply_is_pointed_out(policy: Callable, text: str) -> None:
    found = policy(text).only("never_applies")
    assert found.severity is Severity.WARNING
    assert found.location.file == "policies/new.dw"


def test_an_unconstrained_action_never_reaches_governance_and_is_fine(policy: Callable) -> None:
    assert policy(f'@id("n") {PERMIT};').check()[0] is not None


@pytest.mark.parametrize("action", ['action == Action::"desk.search"', 'action in Action::"call"'])
def test_governance_cannot_speak_about_tools(desk, action: str) -> None:
    text = f'@id("n") permit (principal, {action}, resource);'
    found = desk.with_file("governance/new.dw", text).only("wrong_policy_set")
    assert str(found.location).startswith("governance/new.dw:1:")


@pytest.mark.parametrize("remedy", ['@hold("finance")', '@modify("drop input.cc")'])
def test_governance_knows_no_remedies(desk, remedy: str) -> None:
    text = f'@id("n") {remedy} forbid (principal, action == Action::"add_prompt", resource);'
    assert desk.with_file("governance/new.dw", text).findings("remedy_in_governance")


def test_a_group_policy_that_forgot_has_names_tools_attribute_and_guard(policy: Callable) -> None:
    text = (
        '@id("n") forbid (principal, action in Action::"write", resource)\n'
        'when { context.input.subject == "x" };'
    )
    found = policy(text).only("unguarded")
    assert "archive.export, desk.comment" in found.message or (
        "desk.comment, archive.export" in found.message
    )
    assert "context.input.subject" in found.message
    assert "context.input has subject &&" in found.hint


def test_a_detector_that_does_not_run_is_pointed_out(desk, policy: Callable) -> None:
    text = (
        f'@id("n") {COMMENT} when {{ context.facts has fields && '
        'context.facts.fields.found.contains("email") };'
    )
    found = policy(text).only("detector_not_run")
    assert found.severity is Severity.WARNING
    assert "`fields` of desk.comment" in found.message
    results = text.replace('desk.comment"', 'desk.read_ticket:result"').replace("fields", "body")
    assert policy(results.replace("email", "iban")).findings("detector_not_run") == []
    assert policy(results.replace("email", "phone")).findings("detector_not_run")


def test_a_remedy_without_a_reason_is_worth_knowing(policy: Callable) -> None:
    found = policy(f'@id("n") @hold("finance") {FORBID};').only("missing_reason")
    assert found.severity is Severity.INFO


def test_every_mistake_of_a_file_is_reported_not_only_the_first(policy: Callable) -> None:
    text = f'{PERMIT};\nlorem;\n@id("n") {PERMIT} when {{ a.b == 1 }};\n@foo @id("m") {PERMIT};\n'
    found = [f for f in policy(text).check()[1] if f.location.file == "policies/new.dw"]
    assert [(f.code, f.location.line) for f in found] == [
        ("missing_id", 1),
        ("not_a_policy", 2),
        ("policy_syntax", 3),
        ("unknown_annotation", 4),
    ]


def test_ten_thousand_mistakes_are_not_ten_thousand_findings(policy: Callable) -> None:
    assert len(policy("x;" * 10_000).findings("not_a_policy")) == 50
