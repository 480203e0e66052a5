"""Generated schemas: Cedar takes them, requests fit them, history is pinned to its partition."""

import json
import re

import cedarpy
import pytest

from bridle.bundle.packaged import SCOPES, event_schemas
from bridle.bundle.schema.cedar import quoted

ENTITIES = [
    {"uid": {"type": "User", "id": "ana"}, "attrs": {"region": "eu"}, "parents": []},
    {
        "uid": {"type": "Agent", "id": "triage"},
        "attrs": {"owner": {"__entity": {"type": "User", "id": "ana"}}, "version": "1"},
        "parents": [],
        "tags": {"stage": "live"},
    },
    {
        "uid": {"type": "System", "id": "desk"},
        "attrs": {"owner": "o", "environment": "production", "labels": [], "tier": "gold"},
        "parents": [{"type": "Domain", "id": "support"}],
    },
]
COMMON = {
    "mission": {"id": "m", "template": "ticket-desk", "purpose": "", "labels": [],
                "untrusted": True, "clearance": []},
    "user": {"__entity": {"type": "User", "id": "ana"}},
    "chain": {"depth": 0, "agents": []},
    "system": {"now": 1},
}  # fmt: skip
NOWHERE = {"sources": [], "domains": [], "labels": [], "trusted": False, "prompted": False,
           "unknown": True}  # fmt: skip
WEB = {
    **NOWHERE,
    "sources": [{"type": "System", "id": "web"}],
    "domains": [{"type": "Domain", "id": "internet"}],
}


def flow(*names: str, **sinks: dict) -> dict:
    return {"flow": dict.fromkeys((*names, "any"), WEB), "sinks": sinks}


def judge(bundle, action: str, context: dict) -> cedarpy.AuthzResult:
    schema = cedarpy.Schema.from_str(bundle.schemas.tools)
    request = {
        "principal": 'Agent::"triage"',
        "action": f"Action::{quoted(action)}",
        "resource": 'System::"desk"',
        "context": {**COMMON, **context},
    }
    entities = cedarpy.Entities.from_json_str(json.dumps(ENTITIES), schema)
    policies = 'permit (principal, action in [Action::"call", Action::"release"], resource);'
    return cedarpy.is_authorized(request, policies, entities, schema)


@pytest.fixture(scope="module")
def bundle(desk):
    return desk.check()[0]


def test_requests_for_actions_and_results_fit_the_schema(bundle) -> None:
    body = {"length": 2, "found": ["iban"]}
    comment = {"input": {"id": 1, "body": "hi"}, "facts": {"body": body}}
    comment |= flow("id", "body", content=WEB, selector=NOWHERE)
    assert judge(bundle, "desk.comment", comment).allowed
    result = {
        "input": {"id": 1},
        "output": {"id": 1, "status": "open", "body": "x", "customer": {"id": "c", "name": "n"}},
        "facts": {"body": body},
    }
    assert judge(bundle, "desk.read_ticket:result", result).allowed
    whole = {"input": {"query": "x"}, "facts": {"value": body}}
    assert judge(bundle, "desk.search:result", whole).allowed


def test_a_request_that_does_not_fit_is_no_allow(bundle) -> None:
    fits = {"input": {"id": 1, "body": "hi"}, "facts": {}, **flow("id", "body")}
    assert judge(bundle, "desk.comment", fits).allowed
    for change in (
        {"input": {"id": "1", "body": "hi"}},
        {"input": {"id": 1}},
        flow("id"),
        flow("id", "body", "other"),
        flow("id", "body", recipient=WEB),
        flow("id", "body", content={**WEB, "trusted": "no"}),
        flow("id", "body", content={**WEB, "sources": ["web"]}),
        flow("id", "body", content={**WEB, "domains": WEB["sources"]}),
    ):
        assert not judge(bundle, "desk.comment", {**fits, **change}).allowed, change


def test_effect_classes_are_disjoint_groups_within_call(bundle) -> None:
    schema = bundle.schemas.tools
    assert 'action "desk.delete_ticket" in ["irreversible"]' in schema
    assert 'action "irreversible" in ["call"]' in schema
    assert 'action "desk.delete_ticket:result" in ["release"]' in schema


def test_an_action_has_an_origin_for_each_argument_and_each_meaning(bundle) -> None:
    line = next(
        x for x in bundle.schemas.tools.splitlines() if x.startswith('action "desk.search" ')
    )
    named = '{"query": Origin, "status"?: Origin, "limit"?: Origin, "tags"?: Origin, "any": Origin}'
    assert f'"flow": {named}' in line
    assert '"sinks": {"content"?: Origin, "selector"?: Origin}' in line
    lean = next(
        x for x in bundle.schemas.judging.splitlines() if x.startswith('action "desk.search" ')
    )
    assert '"flow"?: {"query"?: Origin' in lean
    assert '"any"?: Origin}, "sinks"?: {' in lean


def test_results_have_no_origins(bundle) -> None:
    lines = [x for x in bundle.schemas.tools.splitlines() if x.startswith("action ")]
    results = [x for x in lines if ':result"' in x]
    assert len(results) == len(bundle.tools)
    assert not [x for x in results if '"flow"' in x or '"sinks"' in x]
    assert '"flow"' not in bundle.schemas.logged


def test_governance_has_a_schema_of_its_own(bundle) -> None:
    cedarpy.Schema.from_str(bundle.schemas.governance)
    assert "desk." not in bundle.schemas.governance
    actions = set(re.findall(r'^action "(\w+)" in', bundle.schemas.governance, re.MULTILINE))
    assert actions == {"start_mission", "add_prompt", "delegate", "vend_credential"}
    assert "start_mission" not in bundle.schemas.tools


def test_attributes_of_ones_own_reach_both_schemas(bundle) -> None:
    for schema in (bundle.schemas.tools, bundle.schemas.governance):
        assert '"tier": String' in schema
        assert '"region"?: String' in schema


def test_decimal_attributes_are_carried_as_text_that_cedar_reads(desk) -> None:
    extra = "entity System = { tier: String, rate: decimal, rates?: Set<decimal> };"
    files = desk.with_file("schema/extra.cedarschema", extra)
    text = files.files["systems.toml"].replace("{ tier =", "{ rate = 1.5, rates = [2.25], tier =")
    files = files.with_file("systems.toml", text)
    files = files.with_text("agents.toml", 'attributes = { region = "eu" }\n', "")
    bundle, found = files.check()
    assert bundle is not None, [str(f) for f in found]
    attributes = bundle.systems["desk"].attributes
    assert attributes == {"rate": "1.5", "rates": ["2.25"], "tier": "gold"}
    entity = {**ENTITIES[2], "attrs": {**ENTITIES[2]["attrs"], **attributes}}
    assert len(cedarpy.Entities.from_json_str(json.dumps([entity]), bundle.schemas.tools)) >= 1
    broken = files.with_text("systems.toml", "rate = 1.5", "rate = 1.23456")
    assert broken.findings("attribute_type")


def test_an_extra_schema_cannot_smuggle_declarations(desk) -> None:
    for text in (
        'entity System = { "a: String }; action \\"x\\" ": String };',
        "entity System = { tier: String }; action x;",
        "entity System = { tier: String } tags String;",
        "entity Mission = { x: String };",
        "entity System = { tier: String, tier: Long };",
        "entity System = { tier: String };\nentity System = { y: String };",
        "entity System = { tier: Set<System> };",
        "entity System = { 5: String };",
        "entity System = { tier: String",
    ):
        assert desk.with_file("schema/extra.cedarschema", text).findings("extra_schema"), text


# --- history --------------------------------------------------------------------------------------


def kinds(text: str) -> dict[str, tuple[bool, str]]:
    found = re.findall(
        r"^(decision )?event <A>::(\w+) \{\n(.*?)^\}", text, re.MULTILINE | re.DOTALL
    )
    return {kind: (bool(decides), body) for decides, kind, body in found}


@pytest.mark.parametrize("scope", SCOPES)
def test_every_scope_has_the_four_kinds_and_only_requests_decide(bundle, scope: str) -> None:
    assert bundle.schemas.events[scope] == "max_window = 86400s\n" + event_schemas()[scope]
    found = kinds(event_schemas()[scope])
    assert {kind: decides for kind, (decides, _) in found.items()} == {
        "request": True,
        "held": False,
        "response": False,
        "error": False,
    }
    assert "error: { code: String }" in found["error"][1]
    assert [kind for kind, (_, body) in found.items() if "...outputs(A)" in body] == ["response"]


@pytest.mark.parametrize(
    ("scope", "pin"),
    [
        ("mission", "mission: { pin id: String = context.mission.id }"),
        ("user", "pin user: User = context.user"),
        ("agent", "pin callerPrincipal: principalType(A) = principal"),
    ],
)
def test_a_pin_is_universal_and_names_its_own_path(scope: str, pin: str) -> None:
    for _, body in kinds(event_schemas()[scope]).values():
        assert body.count("pin ") == 1
        assert pin in body


def test_the_tenant_scope_sees_everything() -> None:
    assert "pin " not in "".join(body for _, body in kinds(event_schemas()["tenant"]).values())
