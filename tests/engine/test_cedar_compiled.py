"""Compiled policies say what Cedar says, and leave to it whatever they do not know exactly."""

from collections import Counter
from pathlib import Path
from random import Random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridle.bundle.load import load
from bridle.engine.cedar import evaluate
from bridle.engine.cedar.answer import Answer, PolicyFault, Request
from bridle.engine.cedar.compiled import program, schema
from bridle.engine.cedar.compiled.values import Unsupported
from bridle.engine.cedar.entities import entities, uid
from bridle.engine.cedar.evaluate import Prepared, World
from bridle.engine.engine import Engine
from bridle.model.verdict import Effect
from engine import cedar_differ, judging, pairs, random_cedar

ROOT = Path(__file__).parents[2]
BUNDLES = [
    ROOT / "src" / "bridle" / "cli" / "demo" / "bundle",
    ROOT / "tests" / "bundles" / "desk",
    ROOT / "tests" / "bundles" / "bypass",
]
WORLD = cedar_differ.world()
PERMIT = '@id("ok") permit (principal, action, resource);'
CONTEXT = {
    "must": 1, "s": "a*b", "n": 2**63 - 1, "t": True, "d": "1.50", "u": uid("User", "ana"),
    "set": [1, 2], "texts": [], "flags": [True], "sets": [[1], []], "rec": {"a": 1, "b": True},
    "users": [uid("User", "ben")], "boxes": [{"a": 1}, {"b": True}],
}  # fmt: skip


def request(context=CONTEXT, **change):
    fields = {
        "principal": uid("Agent", "triage"),
        "action": uid("Action", "go"),
        "resource": uid("System", "mail"),
        "context": context,
    }
    return Request(**{**fields, **change})


def prepared(text):
    return Prepared(judging.policies(text))


def when(condition):
    return prepared(f'@id("p") permit (principal, action, resource) when {{ {condition} }};')


def both(condition, question=None):
    """The compiled answer to one condition, after Cedar has given the same."""
    asked = question or request()
    assert not pairs.difference(WORLD, when(condition), asked)
    return pairs.compiled(WORLD, when(condition), asked)


# --- at random ------------------------------------------------------------------------------------


def test_some_hundreds_of_random_questions_get_cedars_answers():
    tally = Counter()
    for seed in range(25):
        assert not cedar_differ.first_difference(Random(seed), tally)
    assert tally.total() == 25 * 9 * 5
    assert tally["type error"]
    assert tally[True, True]


@given(st.randoms(use_true_random=False))
def test_any_expression_means_what_it_means_to_cedar(rnd):
    assert not cedar_differ.first_difference(rnd)


# --- by hand --------------------------------------------------------------------------------------

HOLD = (
    "context.n - 1 < context.n",
    "1 != true && [1] != [true] && {a: 1} != {a: true} && [{a: 0}] != [{a: false}]",
    "![1].contains(true) && ![true].contains(1) && ![[1]].contains([true])",
    "![1, 0].containsAll([true]) && ![1, 0].containsAny([true, false])",
    "[1, 1, 2] == [2, 1] && [] == [] && [].isEmpty() && ![[]].isEmpty()",
    '1 != "1" && decimal("1.0") != 1 && User::"ana" != "ana" && User::"ana" != Agent::"ana"',
    'decimal("1.5") == decimal("1.50") && decimal("-0.0") == decimal("0.0")',
    'context.d == decimal("1.5") && decimal("-0.5").lessThan(decimal("-0.4"))',
    '{type: "User", id: "ana"} != User::"ana"',
    "false && 1 || true",
    "true || 1",
    "!(false && context.missing)",
    "if true then true else context.missing == 1",
    "!(context has missing) && context has rec.a && !(context has rec.c.a)",
    '!(User::"ghost" has name) && !User::"ghost".hasTag("k")',
    'User::"ghost" in User::"ghost" && !(User::"ghost" in Team::"all")',
    'principal in Team::"all" && principal in [Team::"none", Team::"leads"]',
    "!(principal in [])",
    "!(principal is User in 1)",
    'principal is Agent in Team::"support"',
    'action in Action::"call" && action in Action::"write" && action == Action::"go"',
    r'context.s like "a\*b" && context.s like "*" && !(context.s like "a") && "" like "*"',
    r'!("aba" like "ab*ba") && "ab" like "a**b" && "a" like "a" && !("" like "a*")',
    '"Ü" != "U\\u{308}" && "Ü" like "*" && "\\u{1f600}" like "*\\u{1f600}"',
    'principal.hasTag("k") && principal.getTag("k") == "a"',
    'User::"ana".box["in"].c == "a" && User::"ana".boss.level == 9223372036854775807',
    "-9223372036854775808 < 0 && 0 - 9223372036854775807 - 1 == -9223372036854775808",
    'context.users.contains(User::"ben") && User::"ben" in context.users',
    "context == context && context.boxes == [{b: true}, {a: 1}, {a: 1}]",
)
FAIL = (
    ("context.n + 1 > 0", "integer overflow"),
    ("-(-9223372036854775807 - 1) == 0", "integer overflow"),
    ("context.n * 2 > 0", "integer overflow"),
    ("1", "type error"),
    ("true && 1", "type error"),
    ("1 && true", "type error"),
    ("false || 1", "type error"),
    ("if 1 then true else false", "type error"),
    ("true < 2", "type error"),
    ('"a" < "b"', "type error"),
    ('decimal("1.0") < decimal("2.0")', "type error"),
    ('1 + "1" == 2', "type error"),
    ('principal in [Team::"all", 1]', "type error"),
    ("principal in true", "type error"),
    ('"x" in Team::"all"', "type error"),
    ("1 is User", "type error"),
    ('1 like "1"', "type error"),
    ("1 has a", "type error"),
    ("context.s.a == 1", "type error"),
    ("1.contains(1)", "type error"),
    ("[1].containsAll(1)", "type error"),
    ("context.t has a", "type error"),
    ("context.rec has a.b", "type error"),
    ("1.isEmpty()", "type error"),
    ('context.hasTag("k")', "type error"),
    ("principal.hasTag(1)", "type error"),
    ("decimal(1) == 1", "type error"),
    ('1.lessThan(decimal("1.0"))', "type error"),
    ('context.s.lessThan(decimal("1.0"))', "type error"),
    ("{b: 1 + true, a: context.missing} == 1", "reads an attribute that is not there"),
    ("(1 + true) == context.missing", "type error"),
    ("1.contains(context.missing)", "reads an attribute that is not there"),
    ("principal.missing == 1", "reads an attribute that is not there"),
    ('User::"ghost".name == ""', "names an entity that does not exist"),
    ('principal.getTag("missing") == ""', "reads a tag that is not there"),
    ('User::"ghost".getTag("k") == ""', "names an entity that does not exist"),
    *((f"decimal({random_cedar.quoted(t)}) == 1", "an extension function failed")
      for t in random_cedar.BAD_DECIMALS if t != "0" * 30 + "1.0"),
)  # fmt: skip


@pytest.mark.parametrize("condition", HOLD)
def test_what_holds_of_cedars_values_holds_here(condition):
    assert both(condition) == Answer(allowed=True, matched=("p",))


@pytest.mark.parametrize(("condition", "why"), FAIL)
def test_what_is_an_error_to_cedar_is_a_fault_here(condition, why):
    assert both(condition) == Answer(allowed=False, faults=(PolicyFault("p", why),))


def test_a_forbid_that_fails_beside_a_permit_that_matches_is_a_fault():
    text = PERMIT + '@id("no") forbid (principal, action, resource) when { context.n + 1 > 0 };'
    answer = pairs.compiled(WORLD, prepared(text), request())
    assert answer == Answer(True, ("ok",), (PolicyFault("no", "integer overflow"),))
    assert not pairs.difference(WORLD, prepared(text), request())


def test_many_wildcards_take_no_longer_than_the_text_is_long():
    pattern, text = "*a" * 400 + "*b", "a" * 20_000
    assert both(f'!("{text[:500]}" like "{pattern}")').allowed
    asked = request({**CONTEXT, "s": text})
    assert not pairs.compiled(WORLD, when(f'context.s like "{pattern}"'), asked).allowed


# --- what is left to Cedar ------------------------------------------------------------------------


@pytest.mark.parametrize("name", [*CONTEXT, "extra"])
def test_what_cedar_would_refuse_is_never_judged_here(name):
    policies = prepared(PERMIT)
    for value in random_cedar.HOSTILE:
        asked = request({**CONTEXT, name: value})
        if WORLD._asked(policies, asked).faults:
            assert pairs.compiled(WORLD, policies, asked) is None
            assert WORLD.evaluate(policies, asked).faults
        assert not pairs.difference(WORLD, policies, asked)


@pytest.mark.parametrize(
    "change",
    [
        {"principal": {}},
        {"principal": {"type": "Agent"}},
        {"principal": uid("System", "mail")},
        {"principal": uid("Nothing", "x")},
        {"principal": uid("Agent", "\ud800")},
        {"action": uid("Action", "Go")},
        {"action": uid("Action", "call")},
        {"action": uid("Agent", "go")},
        {"resource": uid("Domain", "inside")},
        {"context": b"{}"},
        {"context": None},
        {"context": []},
        {"context": "{"},
        {"context": {}},
        {"context": {"must": 1, "n": float("nan")}},
    ],
)
def test_a_request_that_does_not_fit_is_refused_by_cedar(change):
    asked = request(**change)
    assert pairs.compiled(WORLD, prepared(PERMIT), asked) is None
    answer = WORLD.evaluate(prepared(PERMIT), asked)
    assert not answer.allowed
    assert [f.policy for f in answer.faults] == [""]


@pytest.mark.parametrize(
    "condition",
    [
        'ip("10.0.0.1").isLoopback()',
        'ip("10.0.0.1") == ip("10.0.0.1")',
        'ip("10.0.0.1").isInRange(ip("10.0.0.0/8"))',
        'datetime("2026-01-01") < datetime("2026-01-02")',
        'datetime("2026-01-01").offset(duration("1d")) == datetime("2026-01-02")',
        'duration("1h").toMinutes() == 60',
        'false && ip("10.0.0.1").isIpv4()',
    ],
)
def test_a_set_with_an_operator_we_do_not_know_is_cedars_as_a_whole(condition):
    text = PERMIT + f'@id("odd") forbid (principal, action, resource) when {{ {condition} }};'
    assert pairs.compiled(WORLD, prepared(text), request()) is None
    assert WORLD.evaluate(prepared(text), request()) == WORLD._asked(prepared(text), request())


def test_two_policies_under_one_id_are_cedars():
    (one,) = judging.policies(PERMIT)
    assert pairs.compiled(WORLD, Prepared([one, one]), request()) is None


@pytest.mark.parametrize(
    "text",
    [
        'entity User { "a": Long };',
        "namespace A { entity User; }",
        "type T = { a: T };",
        "type T = Long; type T = Long;",
        "type T = Long; entity T;",
        "type Long = String;",
        "type T = datetime;",
        "type T = Long",
        "entity User = { a: T }; type T = Long;",
        'entity E enum ["a"];',
        "entity User = { a: datetime };",
        "entity User = { a: ipaddr };",
        "entity User = { a: Unknown };",
        "entity decimal; entity User = { a: decimal };",
        'entity User = { "__entity": Long };',
        'entity User = { "\\u{301}": Long };',
        "entity User = { a: Long, a: Long };",
        "entity User",
        "entity User = { a:",
        "entity User = { a: Set<",
        "entity ;",
        "entity User in [;",
        'action "a" appliesTo { principal: [User], resource: [User], context: {} };',
        'entity User; action "a" appliesTo { principal: [User], resource: [User], context: T };',
        'entity User; action "a" appliesTo { principal: User, resource: [User], context: {} };',
        "entity User = " + "{ a: " * 60 + "Long" + "}" * 60 + ";",
        "\x00",
        '"',
    ],
)
def test_a_schema_that_is_not_understood_is_not_read_at_all(text):
    with pytest.raises(Unsupported):
        schema.requests(text)


@pytest.mark.parametrize(
    "more", ['entity Odd enum ["a"];', "type T = { a: ipaddr };", "entity Odd = { a: datetime };"]
)
def test_in_a_world_that_is_not_understood_cedar_answers_everything(more):
    office = World(random_cedar.SCHEMA + more, random_cedar.ENTITIES)
    assert pairs.compiled(office, prepared(PERMIT), request()) is None
    assert office.evaluate(prepared(PERMIT), request()) == Answer(True, ("ok",))


def test_when_our_own_evaluation_breaks_down_cedar_answers(monkeypatch):
    def broken(*_):
        raise RuntimeError

    monkeypatch.setattr(program.Rule, "applies", broken)
    assert WORLD.evaluate(prepared(PERMIT), request()) == Answer(True, ("ok",))


def test_cedar_is_not_called_where_compiled_policies_answer(monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr(evaluate.cedar, "is_authorized", never)
    assert WORLD.evaluate(prepared(PERMIT), request()).allowed
    assert cedar_differ.world(compiled=False).evaluate(prepared(PERMIT), request()).faults


def test_a_set_is_compiled_for_the_world_it_is_asked_in():
    policies = when('principal in Team::"support"')
    moved = msgspec.json.decode(msgspec.json.encode(random_cedar.ENTITIES))
    for entity in moved:
        entity["parents"] = []
    assert WORLD.evaluate(policies, request()).allowed
    assert not World(random_cedar.SCHEMA, moved).evaluate(policies, request()).allowed
    assert WORLD.evaluate(policies, request()).allowed


# --- the house ------------------------------------------------------------------------------------


@pytest.mark.parametrize("root", BUNDLES, ids=lambda p: p.name)
def test_bundles_of_the_house_are_compiled_as_a_whole(root):
    office = load(root)
    for text, wanted in (
        (office.schemas.judging, "tools"),
        (office.schemas.governance, "governance"),
    ):
        evaluator = World(text, entities(office))._evaluator
        assert evaluator is not None
        for policy in office.policies:
            if policy.set.value == wanted:
                assert evaluator.program([policy]) is not None, policy.id


def test_an_engine_without_compiled_policies_judges_alike():
    text = (
        PERMIT + '@id("no") forbid (principal, action, resource) when { context.chain.depth > 0 };'
    )
    office = judging.bundle(text, '@id("g") permit (principal, action, resource);')
    for compiled in (True, False):
        engine = Engine(office, compiled=compiled)
        assert engine.judge(judging.case(engine)).effect is Effect.ALLOW
        assert engine.judge(judging.case(engine, chain=("boss",))).effect is Effect.DENY
        assert engine.governance(judging.governance_case()).effect is Effect.ALLOW
