"""Cedar answers, faults and refusals: whatever is not a clean decision is a fault."""

import json
from dataclasses import replace

import msgspec
import pytest
from cedarpy import _internal

from bridle.engine.cedar.entities import entities, uid
from bridle.engine.cedar.evaluate import Answer, PolicyFault, Prepared, Request, World
from bridle.model.errors import BundleError
from engine import judging

PERMIT = '@id("ok") permit (principal, action, resource);'


def context(**change):
    full = {
        "input": {"to": ["x@y.example"], "body": "hello", "count": 5, "rate": "1.5"},
        "facts": {"body": {"length": 5, "found": []}},
        **judging.whence(),
        "mission": judging.MISSION.context(),
        "user": uid("User", "ana"),
        "chain": {"depth": 0, "agents": [uid("Agent", "triage")]},
        "system": {"now": judging.NOW},
    }
    return {**full, **change}


def ask(text, given=None, **change):
    world = World(judging.TOOLS_SCHEMA, entities(judging.bundle("")))
    fields = {
        "principal": uid("Agent", "triage"),
        "action": uid("Action", "mail.send"),
        "resource": uid("System", "mail"),
        "context": given if isinstance(given, str) else json.dumps(given or context()),
    }
    return world.evaluate(Prepared(judging.policies(text)), Request(**{**fields, **change}))


def forbid(condition, name="no"):
    return f'@id("{name}") forbid (principal, action, resource) when {{ {condition} }};'


def test_a_permit_allows_and_is_named():
    assert ask(PERMIT) == Answer(allowed=True, matched=("ok",))


def test_a_forbid_beats_a_permit_and_alone_is_named():
    assert ask(PERMIT + forbid("context.input.count > 4")) == Answer(allowed=False, matched=("no",))


def test_nothing_permits_nothing():
    assert ask("") == Answer(allowed=False)


def test_a_group_of_actions_is_known():
    group = PERMIT + '@id("no") forbid (principal, action in Action::"write", resource);'
    assert ask(group) == Answer(allowed=False, matched=("no",))


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ('context.input.tone == "kind"', "reads an attribute that is not there"),
        ("context.input.count + 9223372036854775807 > 0", "integer overflow"),
        ('context.input.count < "9"', "type error"),
        ('User::"nobody-knows".level > 1', "names an entity that does not exist"),
        ('principal.getTag("missing") == "x"', "reads a tag that is not there"),
        ('decimal(context.input.body).lessThan(decimal("1.0"))', "an extension function failed"),
    ],
)
def test_an_erroring_forbid_beside_a_matching_permit_is_a_fault(condition, why):
    answer = ask(PERMIT + forbid(condition))
    assert answer.allowed, "Cedar itself skips the forbid: this is the trap"
    assert answer.faults == (PolicyFault("no", why),)


def test_an_error_never_repeats_a_value():
    secret = 8_123_456_789_012_345_678
    given = context(input={"to": [], "body": "hello", "count": secret})
    answer = ask(PERMIT + forbid("context.input.count + context.input.count > 0"), given)
    assert str(secret) not in str(answer.faults)


def test_an_id_with_a_backtick_in_it_is_still_found():
    (plain,) = judging.policies(forbid('context.input.tone == "kind"', name="a"))
    world = World(judging.TOOLS_SCHEMA, entities(judging.bundle("")))
    odd = [msgspec.structs.replace(plain, id=i) for i in ("a", "a`: b", "a` b")]
    request = Request(
        uid("Agent", "triage"),
        uid("Action", "mail.send"),
        uid("System", "mail"),
        json.dumps(context()),
    )
    answer = world.evaluate(Prepared(odd), request)
    assert {f.policy for f in answer.faults} == {"a", "a`: b", "a` b"}


@pytest.mark.parametrize(
    "given",
    [
        context(input={"to": [], "body": "hello", "count": 1.5}),
        context(input={"to": [], "body": None}),
        context(input={"to": [], "body": "hello", "count": 2**63}),
        context(input={"to": [], "body": "hello", "extra": 1}),
        context(input={"to": []}),
        context(input={"to": [], "body": {"__entity": {"type": "User", "id": "ana"}}}),
        context(input={"to": [], "body": {"__extn": {"fn": "ip", "arg": "10.0.0.1"}}}),
        context(input={"to": [], "body": uid("User", "ana")}),
        "{",
        "",
        "[]",
        "null",
        "{}",
    ],
)
def test_a_context_that_does_not_fit_the_schema_is_a_fault_and_no_exception(given):
    answer = ask(PERMIT, given)
    assert not answer.allowed
    assert [f.policy for f in answer.faults] == [""]


@pytest.mark.parametrize(
    "change",
    [
        {"principal": {}},
        {"principal": {"type": "Agent"}},
        {"principal": uid("User", "ana")},
        {"principal": uid("No such type", "ana")},
        {"action": uid("Action", "mail.Send")},
        {"action": uid("Action", "write")},
        {"resource": uid("Domain", "internet")},
        {"context": b"{}"},
    ],
)
def test_a_request_cedar_does_not_take_is_a_fault_and_no_exception(change):
    answer = ask(PERMIT, **change)
    assert not answer.allowed
    assert answer.faults


def test_odd_characters_in_an_id_stay_inside_it():
    text = PERMIT + '@id("no") forbid (principal == Agent::"triage", action, resource);'
    odd = 'x"] || true || ["'
    assert ask(text, principal=uid("Agent", odd)).matched == ("ok",)


def test_no_decision_is_a_fault_whatever_word_comes(monkeypatch):
    for word in ("NoDecision", "allow", "ALLOW", "", "Maybe"):
        raw = json.dumps({"decision": word, "diagnostics": {"reason": ["ok"], "errors": []}})
        monkeypatch.setattr(_internal, "is_authorized", lambda *_, raw=raw: raw)
        answer = ask(PERMIT)
        assert not answer.allowed
        assert answer.faults


@pytest.mark.parametrize("raw", ["", "{}", "[]", '{"decision": "Allow"}', '{"decision": 1}'])
def test_an_answer_that_cannot_be_read_is_a_fault(monkeypatch, raw):
    monkeypatch.setattr(_internal, "is_authorized", lambda *_: raw)
    assert ask(PERMIT).faults


def test_a_panic_of_the_engine_is_a_fault(monkeypatch):
    class PanicException(BaseException):
        pass

    def panic(*_):
        raise PanicException

    monkeypatch.setattr(_internal, "is_authorized", panic)
    assert ask(PERMIT).faults == (PolicyFault("", "no decision (PanicException)"),)


def test_an_interrupt_is_not_swallowed(monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(_internal, "is_authorized", interrupt)
    with pytest.raises(KeyboardInterrupt):
        ask(PERMIT)


def test_every_call_passes_the_schema(monkeypatch):
    seen = []
    real = _internal.is_authorized
    monkeypatch.setattr(_internal, "is_authorized", lambda *a: seen.append(a[3]) or real(*a))
    ask(PERMIT)
    assert [type(s) for s in seen] == [_internal.Schema]


def test_a_malformed_schema_is_a_typed_error():
    with pytest.raises(BundleError) as caught:
        World("entity {", [])
    assert caught.value.hint


def test_an_entity_the_schema_does_not_know_is_a_typed_error():
    extra = {"uid": uid("User", "dan"), "attrs": {"height": 2}, "parents": []}
    with pytest.raises(BundleError):
        World(judging.TOOLS_SCHEMA, [extra])


def test_declared_fields_win_over_attributes_of_the_same_name():
    office = judging.bundle("")
    agent = msgspec.structs.replace(
        office.agents["triage"], attributes={"owner": uid("User", "ben"), "version": "9"}
    )
    office = msgspec.structs.replace(office, agents={**office.agents, "triage": agent})
    (made,) = [e for e in entities(office) if e["uid"] == uid("Agent", "triage")]
    assert made["attrs"]["owner"] == uid("User", "ana")
    assert made["attrs"]["version"] == "1"


def test_an_annotation_changes_no_answer():
    plain = ask(PERMIT + forbid("context.input.count > 4"))
    for annotation in ('@hold("leads")', '@reason("r")', '@modify("set input.count 1")'):
        assert ask(PERMIT + annotation + forbid("context.input.count > 4")) == plain


def test_a_set_that_cannot_be_prepared_is_a_fault():
    (good,) = judging.policies(PERMIT)
    bad = msgspec.structs.replace(good, node=replace(good.node, effect="maybe"))
    world = World(judging.TOOLS_SCHEMA, entities(judging.bundle("")))
    request = Request(uid("Agent", "a"), uid("Action", "mail.send"), uid("System", "mail"), "{}")
    assert world.evaluate(Prepared([bad]), request).faults
