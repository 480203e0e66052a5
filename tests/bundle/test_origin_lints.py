"""What `check` says about policies over where values came from, and what they may say freely."""

# ruff: noqa: E501
# The tables read best with one policy on one line.

from collections.abc import Callable

import pytest

from bridle.model.finding import Severity

CALL = 'forbid (principal, action in Action::"call", resource)'
COMMENT = 'forbid (principal, action == Action::"desk.comment", resource)'
PERMIT = 'permit (principal, action == Action::"desk.comment", resource)'
EVERY = "forbid (principal, action, resource)"

GOOD = [
    f"{COMMENT} when {{ !context.flow.id.trusted }};",
    f"{COMMENT} when {{ context.flow has fields && context.flow.fields.unknown }};",
    f"{COMMENT} when {{ !context.flow.any.prompted && context.mission.untrusted }};",
    f"{CALL} when {{ context.sinks has content && !context.sinks.content.trusted }};",
    f"{CALL} when {{ context.sinks has content.labels && !context.mission.clearance.containsAll(context.sinks.content.labels) }};",
    f'{CALL} when {{ context.flow.any.sources.contains(System::"mail") }};',
    f'{CALL} when {{ context.flow.any.domains.containsAny([Domain::"internet", Domain::"support"]) }};',
    f"{CALL} when {{ !context.flow.any.domains.isEmpty() }};",
    f'{CALL} when {{ context.flow.any.labels.contains("personal") }};',
    f'{CALL} when {{ ["personal", "financial"].containsAll(context.mission.labels) }};',
    f'{EVERY} when {{ context has flow && context.flow.any.labels == ["personal"] }};',
    f"{PERMIT} when {{ context.flow.id.trusted && !context.flow.any.unknown }};",
    f"{PERMIT} when {{ !context.flow.id.unknown && context.flow has body && context.flow.body.prompted }};",
    f"{COMMENT} when {{ context.flow.any.unknown }};",
    f'@reason("r") @modify("drop input.fields.note") {COMMENT} when {{ context.input has fields && context.flow has fields && !context.flow.fields.trusted }};',
]

LABELLED = [
    f'@reason("r") @modify("redact input.body: iban") {COMMENT} when {{ context.sinks has content && context.sinks.content.labels.contains("personal") }};',
    f'@reason("r") @modify("redact input.body: iban") {COMMENT} when {{ context.flow.any.labels.contains("personal") }};',
    f'@reason("r") @modify("redact input.body: iban") {COMMENT} when {{ context.flow.body.labels.contains("personal") }};',
]

ERRORS = [
    (f"{CALL} when {{ !context.sinks.content.trusted }};", "unguarded", "content"),
    (f"{CALL} when {{ !context.flow.body.trusted }};", "unguarded", "body"),
    (f"{EVERY} when {{ !context.flow.any.trusted }};", "unguarded", "flow"),
    (f"{COMMENT} when {{ context.flow.fields.trusted }};", "unguarded", "fields"),
    (f"{COMMENT} when {{ context.flow has boby && context.flow.boby.trusted }};", "unknown_attribute", "boby"),
    (f"{COMMENT} when {{ context.flow.body.safe }};", "unknown_attribute", "safe"),
    (f"{COMMENT} when {{ context.flow.body.trusted == 1 || context.flow.body.labels }};", "policy_type", "forbid"),
    (f'{COMMENT} when {{ context.flow.body.sources.contains(Domain::"internet") }};', "policy_type", "forbid"),
    (f'{COMMENT} when {{ context.flow.body.sources.contains(System::"web") }};', "unknown_entity", '"web"'),
    (f"{CALL} when {{ context.sinks has recepient && !context.sinks.recepient.trusted }};", "unknown_sink", "recepient"),
    (f'@modify("drop input.fields") {COMMENT} when {{ !context.flow.body.trusted }};', "remedy_blind", "@modify"),
    (f'{COMMENT} when temporal {{ formerly within 1h Action::"desk.comment"::request{{ input.internal: context.flow.body.trusted }} }};', "flow_in_history", "context"),
    (f'{COMMENT} when temporal {{ formerly within 1h Action::"desk.comment"::error{{ input.internal: context.sinks.content.unknown }} }};', "flow_in_history", "context"),
]  # fmt: skip


def policy_of(text: str) -> str:
    return f'@id("n") {text}'


@pytest.mark.parametrize("text", GOOD)
def test_what_policies_can_say_of_origins_raises_no_finding(
    desk, policy: Callable, text: str
) -> None:
    bundle, found = policy(policy_of(text)).check()
    new = [str(f) for f in set(found) - set(desk.check()[1])]
    assert not new
    assert bundle is not None


@pytest.mark.parametrize(("text", "code", "word"), ERRORS)
def test_a_mistake_about_origins_is_an_error_at_its_place(
    policy: Callable, text: str, code: str, word: str
) -> None:
    bundle, found = policy(policy_of(text)).check()
    errors = [f for f in found if f.severity is Severity.ERROR]
    assert bundle is None
    assert {f.code for f in errors} == {code}, [str(f) for f in found]
    place = errors[0].location
    assert place.file == "policies/new.dw"
    assert policy_of(text)[place.column - 1 :].startswith(word)


@pytest.mark.parametrize("text", LABELLED)
def test_a_redaction_for_a_label_that_the_mission_leaves_there_is_pointed_out(
    policy: Callable, text: str
) -> None:
    changed = policy(policy_of(text))
    found = changed.only("inherited_label")
    assert found.severity is Severity.WARNING
    assert found.location.file == "policies/new.dw"
    assert "inherits = false" in found.hint
    relaxed = changed.with_text(
        "systems.toml",
        'body = { sink = "content" }',
        'body = { sink = "content", inherits = false }',
    )
    assert not relaxed.findings("inherited_label")
    assert relaxed.check()[0] is not None


@pytest.mark.parametrize(
    "text",
    [
        f'@modify("redact input.body: iban") {COMMENT} when {{ context.flow.body.unknown }};',
        f'@modify("redact input.body: iban") {COMMENT} when {{ context.flow.id.labels.contains("personal") && context.flow.body.unknown }};',
        f'@modify("drop input.fields") {COMMENT} when {{ context.flow has fields && context.flow.fields.labels.contains("personal") }};',
    ],
)
def test_other_changes_are_not(policy: Callable, text: str) -> None:
    assert not policy(policy_of(f'@reason("r") {text}')).findings("inherited_label")


def test_results_have_no_origins_to_ask_for(policy: Callable) -> None:
    text = policy_of(
        'forbid (principal, action == Action::"desk.read_ticket:result", resource) '
        "when { !context.flow.any.trusted };"
    )
    assert policy(text).only("unknown_attribute").severity is Severity.ERROR


def test_a_rule_over_recipients_that_nobody_declared_is_pointed_out(desk) -> None:
    text = policy_of(
        'forbid (principal, action in Action::"write", resource) '
        "when { context.sinks has recipient && !context.sinks.recipient.trusted };"
    )
    bare = desk.with_file(
        "systems.toml", desk.files["systems.toml"].replace('"recipient"', '"selector"')
    )
    found = bare.with_file("policies/new.dw", text).only("unused_sink")
    assert found.severity is Severity.WARNING
    assert 'sink = "recipient"' in found.hint
    assert not desk.with_file("policies/new.dw", text).findings("unused_sink")


@pytest.mark.parametrize(
    "condition",
    [
        'context.flow.any.labels.contains("persnal")',
        'context.flow.body.labels.containsAny(["personal", "persnal"])',
        'context.mission.labels.contains("persnal")',
        '!context.mission.clearance.contains("persnal")',
        '["persnal"].containsAll(context.mission.labels)',
        'context.flow.any.labels == ["persnal"]',
        'resource.labels.contains("persnal")',
    ],
)
def test_a_label_that_nothing_carries_is_pointed_out(policy: Callable, condition: str) -> None:
    found = policy(policy_of(f"{COMMENT} when {{ {condition} }};")).only("unknown_label")
    assert found.severity is Severity.WARNING
    assert "'persnal'" in found.message
    assert "personal" in found.hint


def test_a_label_that_only_detectors_or_missions_give_is_known(desk, policy: Callable) -> None:
    rule = policy_of(f'{COMMENT} when {{ context.flow.any.labels.containsAny(["pci", "hr"]) }};')
    assert len(policy(rule).findings("unknown_label")) == 2
    told = policy(rule).with_text(
        "bridle.toml", "[defaults]", '[labels.detected]\niban = ["pci"]\n[defaults]'
    )
    assert "'hr'" in told.only("unknown_label").message
    told = told.with_text("missions.toml", 'expires = "8h"', 'expires = "8h"\nclearance = ["hr"]')
    assert not told.findings("unknown_label")


def test_governance_is_told_of_unknown_labels_as_well(desk) -> None:
    text = policy_of(
        'forbid (principal, action == Action::"add_prompt", resource) '
        'when { context.mission.untrusted && context.mission.labels.contains("persnal") };'
    )
    changed = desk.with_file("governance/new.dw", text)
    assert changed.only("unknown_label").location.file == "governance/new.dw"
    assert changed.check()[0] is not None


@pytest.mark.parametrize(
    "condition",
    [
        "!context.flow.any.unknown",
        "context.flow.body.unknown == false && context.input.id < 5",
        "context.sinks has content && !context.sinks.content.unknown",
    ],
)
def test_a_permit_for_whatever_has_been_read_is_pointed_out(
    policy: Callable, condition: str
) -> None:
    found = policy(policy_of(f"{PERMIT} when {{ {condition} }};")).only("unknown_is_not_trust")
    assert found.severity is Severity.INFO
    assert "trusted" in found.hint


def test_what_is_declared_of_arguments_and_missions_is_read(desk) -> None:
    changed = desk.with_text(
        "systems.toml",
        'body = { sink = "content" }',
        'body = { sink = "content", inherits = false }',
    )
    changed = changed.with_text(
        "missions.toml", 'expires = "8h"', 'constants = ["ops@desk.example"]'
    )
    changed = changed.with_text(
        "bridle.toml", "[defaults]", '[labels.detected]\niban = ["pci", "pii"]\n[defaults]'
    )
    before, after = desk.check()[0], changed.check()[0]
    assert before is not None
    assert after is not None
    assert all(a.inherits for t in before.tools.values() for a in t.arguments)
    relaxed = [a.path for t in after.tools.values() for a in t.arguments if not a.inherits]
    assert relaxed == ["body"]
    assert after.missions["ticket-desk"].constants == ("ops@desk.example",)
    assert after.manifest.detected == {"iban": ("pci", "pii")}
    name = "desk.comment"
    assert before.tools[name].shape != after.tools[name].shape


def test_trust_in_whatever_hosts_answer_is_pointed_out(desk) -> None:
    added = (
        '\n[systems.web]\ndomain = "internet"\nhosts = ["*.example.com"]\n'
        'attributes = { tier = "bronze" }\n'
        '[tools."web.get"]\nsystem = "web"\neffect = "read"\ntrusted = true\negress = {}\n'
    )
    text = desk.files["systems.toml"] + added
    found = desk.with_file("systems.toml", text).only("trusted_egress")
    assert found.severity is Severity.WARNING
    plain = text.replace('effect = "read"\ntrusted = true\negress', 'effect = "read"\negress')
    assert not desk.with_file("systems.toml", plain).findings("trusted_egress")
