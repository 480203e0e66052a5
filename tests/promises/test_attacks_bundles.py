"""A bundle that says one thing and means another: what its author wrote must count, or be refused.

Every case is the smallest bundle that shows it: one system, one tool `t`, an agent that may
call it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bridle.bundle.bundle import Bundle
from bridle.bundle.check import check, check_files
from bridle.engine.case import Case, Judgement, MissionView, Refusal
from bridle.engine.engine import Engine
from bridle.model.finding import Finding, Severity
from bridle.model.verdict import Effect

TEXT = {"type": "string"}
ALL = '@id("all") permit (principal, action in Action::"call", resource);'
STOP = '@id("stop") forbid (principal, action, resource);'


def arguments(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def files(
    given: dict[str, Any], *, output: dict[str, Any] | None = None, rules: str = "", more: str = ""
) -> dict[str, str]:
    tool = {"name": "t", "inputSchema": given}
    if output is not None:
        tool["outputSchema"] = output
    return {
        "bridle.toml": 'format = 1\nname = "attacks"\noperators = ["ben"]\n',
        "agents.toml": '[users.ana]\n[users.ben]\n[agents.bot]\nowner = "ana"\n',
        "missions.toml": '[missions.m]\nagents = ["bot"]\ntools = ["*"]\ndomains = ["d"]\n' + more,
        "systems.toml": '[domains.d]\n[systems.s]\ndomain = "d"\n'
        '[tools.t]\nsystem = "s"\neffect = "write"\nfrom = "tools/t.json"\n',
        "tools/t.json": json.dumps({"tools": [tool]}),
        "policies/rules.dw": f"{ALL}\n{rules}",
    }


def loaded(texts: dict[str, str]) -> Bundle:
    bundle, found = check_files(texts)
    assert bundle is not None, [str(f) for f in found]
    return bundle


def case(engine: Engine, text: str = "{}") -> Case | Refusal:
    typed = engine.normalise("t", text)
    if isinstance(typed, Refusal):
        return typed
    mission = MissionView("m1", "m")
    return Case(tool="t", typed=typed, agent="bot", user="ana", mission=mission, now=1)


def runs(engine: Engine, text: str) -> bool:
    asked = case(engine, text)
    return isinstance(asked, Case) and engine.judge(asked).effect.runs


def written(folder: Path, texts: dict[str, str]) -> Path:
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


# --- numbers that Cedar cannot hold --------------------------------------------------------------

MONEY = {"$defs": {"money": {"type": "number"}}}
CAP = """@id("cap") forbid (principal, action == Action::"t", resource) when {
  context.input has amount && context.input.amount.greaterThan(decimal("200.0")) };"""


@pytest.mark.parametrize(
    "amount",
    [
        {"$ref": "#/$defs/money", "type": "integer"},
        {"type": "number", "allOf": [{"multipleOf": 1}, {"type": "integer"}]},
    ],
    ids=["ref", "allOf"],
)
def test_an_amount_too_large_for_cedar_does_not_vanish_from_the_cap(amount: Any) -> None:
    engine = Engine(loaded(files({**arguments(amount=amount), **MONEY}, rules=CAP)))
    assert runs(engine, '{"amount":200}')
    for text in ("201", "922337203685477", "922337203685478", "9007199254740991"):
        asked = case(engine, f'{{"amount":{text}}}')
        code = asked.code if isinstance(asked, Refusal) else engine.judge(asked).reasons[0].code
        assert code.value in {"forbidden", "limit_exceeded"}, text


@pytest.mark.parametrize("score", ["0.50001", "5e-1", "1e30", "0.9", "1e-9"])
def test_a_result_cannot_slip_its_release_rule_with_one_digit_more(score: str) -> None:
    rule = """@id("shy") forbid (principal, action == Action::"t:result", resource) when {
      context.output has score && context.output.score.greaterThan(decimal("0.4")) };"""
    output = arguments(score={"type": "number"}, note=TEXT)
    engine = Engine(loaded(files(arguments(), output=output, rules=rule)))
    asked = case(engine)
    assert isinstance(asked, Case)
    fine = engine.release(asked, '{"score":0.25,"note":"n"}')
    assert isinstance(fine, Judgement)
    assert fine.effect is Effect.ALLOW
    answer = engine.release(asked, f'{{"score":{score},"note":"n"}}')
    assert isinstance(answer, Refusal) or answer.effect is Effect.DENY


# --- files that look like policies and are not read ----------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "policies/notice-period.dw",
        "policies/license_checks.cedar",
        "policies/user/README.dw",
        "governance/changelog.dw",
    ],
)
def test_a_policy_file_with_the_name_of_a_note_is_read(tmp_path: Path, name: str) -> None:
    bundle, found = check(written(tmp_path, {**files(arguments()), name: STOP}))
    assert bundle is not None, found
    assert "stop" in {p.id for p in bundle.policies}


@pytest.mark.parametrize(
    "name",
    [
        "policies/payments/limits.dw",
        "policies/limits.DW",
        "policies/Limits.Cedar",
        "policies/user/ana/limits.dw",
        "governance/who/limits.dw",
        "Policies/limits.dw",
        "limits.dw",
    ],
)
def test_a_policy_file_that_is_not_read_refuses_the_bundle(tmp_path: Path, name: str) -> None:
    bundle, found = check(written(tmp_path, {**files(arguments()), name: STOP}))
    assert bundle is None
    assert [f.code for f in errors(found)] == ["unread_policy"]


def errors(found: tuple[Finding, ...]) -> list[Finding]:
    return [f for f in found if f.severity is Severity.ERROR]


# --- rules that load and never fire ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("governance/g.dw", '@id("n") forbid (principal, action, resource == Mission::"m");'),
        (
            "governance/g.dw",
            '@id("n") forbid (principal, action, resource) when { resource in [Mission::"m"] };',
        ),
        ("policies/n.dw", '@id("n") forbid (principal, action == Bridle::Action::"t", resource);'),
        ("policies/n.dw", '@id("n") forbid (principal, action in [Action::"T"], resource);'),
        ("policies/n.dw", '@id("n") @Hold("x") forbid (principal, action, resource);'),
        ("policies/n.dw", '@id("n") @enforce("Shadow") forbid (principal, action, resource);'),
        ("policies/n.dw", '@id("n") @hold("") forbid (principal, action, resource);'),
        ("policies/n.dw", '@id("n") @id("o") forbid (principal, action, resource);'),
        ("policies/n.dw", '@id("n\\u{60}") forbid (principal, action, resource);'),
        ("policies/n.dw", '@id("n") forbid (principal in Agent::"b0t", action, resource);'),
    ],
)
def test_a_rule_about_what_can_never_be_is_refused(name: str, rule: str) -> None:
    bundle, found = check_files({**files(arguments()), name: rule})
    assert bundle is None, [str(f) for f in found]


FILES = {"type": "array", "items": {"type": "object"}}


@pytest.mark.parametrize(
    "condition",
    [
        "!(context.input has attachments)",
        "!(context.input has attachment)",
        '!(context.input has "to ")',
        "context.input has to || context.input has Attachments",
        "context has input.attachments",
        "!(context.facts has too)",
        "if context.input has attachments then false else true",
    ],
)
def test_a_test_for_what_cannot_be_seen_is_refused(condition: str) -> None:
    # Such a `has` is false whatever the agent sends, so a permit that negates it always permits.
    given = arguments(to=TEXT, attachments=FILES)
    texts = files(given, rules=f'@id("n") {ALL[11:-1]} when {{ {condition} }};')
    bundle, found = check_files(texts)
    assert bundle is None
    codes = {f.code for f in errors(found)}
    assert codes <= {"unseen_argument", "unknown_attribute"}, [str(f) for f in found]


# --- schemas that promise more than is checked ---------------------------------------------------


@pytest.mark.parametrize(
    ("form", "good", "bad"),
    [
        ("email", "ana@shop.example", "ana@shop.example, eve@evil.example"),
        ("ipv4", "192.0.2.7", "192.0.2.7@evil"),
        ("uuid", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "../../etc"),
        ("date", "2026-01-31", "2026-01-32"),
    ],
)
def test_a_format_that_check_takes_for_a_bound_is_one(form: str, good: str, bad: str) -> None:
    texts = files(arguments(to={**TEXT, "format": form}))
    assert "loose_string" not in {f.code for f in check_files(texts)[1]}
    engine = Engine(loaded(texts))
    assert runs(engine, json.dumps({"to": good}))
    assert not runs(engine, json.dumps({"to": bad}))


def test_a_format_that_nobody_checks_bounds_nothing() -> None:
    found = check_files(files(arguments(to={**TEXT, "format": "password"})))[1]
    assert "loose_string" in {f.code for f in found}


def test_undeclared_arguments_are_said_to_escape_the_detectors() -> None:
    given = {**arguments(body=TEXT), "additionalProperties": TEXT}
    found = [f for f in check_files(files(given))[1] if f.code == "untyped_argument"]
    assert len(found) == 1
    assert "detectors" in found[0].message
    assert "detected" not in found[0].hint


ZERO = "a\u200b"


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (arguments(x={"anyOf": [{"type": "integer"}, TEXT]}), {"x": ZERO}),
        (arguments(x={"oneOf": [arguments(y=TEXT), {"type": "null"}]}), {"x": {"y": ZERO}}),
        (arguments(x={"type": "array", "prefixItems": [TEXT]}), {"x": [ZERO]}),
        (arguments(x={"type": "array", "unevaluatedItems": TEXT}), {"x": [ZERO]}),
        (arguments(x={"type": "array", "contains": TEXT}), {"x": [ZERO]}),
        (arguments(x={"type": "object", "additionalProperties": TEXT}), {"x": {ZERO: "k"}}),
        (arguments(x={"type": "object", "patternProperties": {"^.": TEXT}}), {"x": {"k": ZERO}}),
        ({"type": "object", "unevaluatedProperties": TEXT}, {"k": ZERO}),
        ({**arguments(x=TEXT, y=True), "dependentSchemas": {"x": {"properties": {"y": TEXT}}}},
         {"x": "a", "y": ZERO}),
        (arguments(y={"not": {"type": "integer"}}), {"y": [{"z": ZERO}]}),
        (arguments(x=True), {"x": {ZERO: 1}}),
        ({**arguments(x={"$ref": "#/$defs/a"}), "$defs": {"a": {"$ref": "#/$defs/a"}}},
         {"x": ZERO}),
    ],
)  # fmt: skip
def test_no_corner_of_a_schema_lets_a_hidden_character_through(schema: Any, value: Any) -> None:
    asked = case(Engine(loaded(files(schema))), json.dumps(value))
    assert isinstance(asked, Refusal)
    assert asked.code.value in {"not_canonical", "schema_mismatch"}


# --- schemas that take for ever -------------------------------------------------------------------


def chain(keyword: str, length: int) -> dict[str, Any]:
    """A schema whose every step refers twice to the next: 2^length ways to the end."""
    steps: dict[str, Any] = {
        f"a{i}": {keyword: [{"$ref": f"#/$defs/a{i + 1}"}, {"$ref": f"#/$defs/a{i + 1}"}]}
        for i in range(length)
    }
    first = arguments(x={"$ref": "#/$defs/a0"})
    return {**first, "$defs": {**steps, f"a{length}": {"type": "integer"}}}


@pytest.mark.parametrize("keyword", ["anyOf", "oneOf", "allOf"])
def test_branches_that_double_at_each_step_are_refused(keyword: str) -> None:
    assert loaded(files(chain(keyword, 4)))
    bundle, found = check_files(files(chain(keyword, 60)))
    assert bundle is None
    assert "schema_too_large" in {f.code for f in errors(found)}


def test_a_chain_of_references_longer_than_the_stack_is_refused() -> None:
    steps: dict[str, Any] = {f"a{i}": {"$ref": f"#/$defs/a{i + 1}"} for i in range(2_000)}
    first = arguments(x={"$ref": "#/$defs/a0"})
    bundle, found = check_files(files({**first, "$defs": {**steps, "a2000": {"type": "integer"}}}))
    assert bundle is None
    assert "schema_too_large" in {f.code for f in errors(found)}


def test_a_misfit_deep_in_overlapping_branches_is_refused_at_once() -> None:
    branch = {"type": "object", "properties": {"c": {"$ref": "#/$defs/a"}}, "required": ["c"]}
    branches = [{"type": "integer"}, *({**branch, "title": str(i)} for i in range(8))]
    given = {**arguments(x={"$ref": "#/$defs/a"}), "$defs": {"a": {"anyOf": branches}}}
    engine = Engine(loaded(files(given)))
    value: Any = "no integer"
    for _ in range(14):
        value = {"c": value}
    # Explaining it would visit 8^14 ways.
    asked = case(engine, json.dumps({"x": value}))
    assert isinstance(asked, Refusal)
    assert asked.code.value == "schema_mismatch"


# --- budgets --------------------------------------------------------------------------------------


@pytest.mark.parametrize("cost", ["-5", '"input.amount.x"', '"input.note"', "true", "0.00001"])
def test_a_cost_that_pays_back_or_cannot_be_measured_is_refused(cost: str) -> None:
    given = arguments(amount={"type": "number"}, note=TEXT)
    more = f"[missions.m.budgets.money]\nlimit = 10\nmeasure = {{ t = {cost} }}\n"
    bundle, found = check_files(files(given, more=more))
    assert bundle is None, found


def test_what_check_says_of_an_absent_amount_is_so() -> None:
    more = '[missions.m.budgets.money]\nlimit = 10\nmeasure = { t = "input.amount" }\n'
    found = check_files(files(arguments(amount={"type": "number"}), more=more))[1]
    (said,) = [f for f in found if f.code == "optional_measure"]
    # The governor charges more than the limit: `tests/promises/test_attacks_calls.py`.
    assert "costs nothing" not in said.message
