"""A slice holds exactly the policies whose scope matches, whatever way the scope is written."""

import json
from dataclasses import replace
from itertools import product

import cedarpy
import msgspec
import pytest
from cedarpy import pst

from bridle.engine.cedar.entities import entities, kin_of_agent, kin_of_system
from bridle.engine.cedar.slicer import Scope, Slicer, is_personal
from bridle.engine.parties import action_kin
from bridle.model.errors import BundleError
from engine import judging

PRINCIPALS = [
    "principal",
    'principal == Agent::"triage"',
    'principal == Agent::"nobody"',
    'principal == User::"ana"',
    'principal in Agent::"triage"',
    'principal in Team::"support"',
    'principal in Team::"leads"',
    'principal in User::"ana"',
    "principal is Agent",
    "principal is User",
    "principal is Workload",
    'principal is Agent in Team::"support"',
    'principal is User in Team::"support"',
]
ACTIONS = [
    "action",
    'action == Action::"mail.send"',
    'action == Action::"mail.send:result"',
    'action == Action::"write"',
    'action in Action::"mail.send"',
    'action in Action::"write"',
    'action in Action::"call"',
    'action in Action::"release"',
    'action in [Action::"read", Action::"irreversible"]',
    'action in [Action::"desk.read", Action::"mail.send", Action::"write"]',
    "action in []",
]
RESOURCES = [
    "resource",
    'resource == System::"mail"',
    'resource == System::"bank"',
    'resource == Domain::"internet"',
    'resource in System::"mail"',
    'resource in Domain::"internet"',
    'resource in Domain::"finance"',
    "resource is System",
    "resource is Domain",
    'resource is System in Domain::"internet"',
    'resource is Domain in Domain::"internet"',
]
DEEP = '[1, if context.chain.depth > 0 then {"a": principal.rank}.a else 2].contains(1)'


@pytest.fixture(scope="module")
def office():
    return judging.bundle("")


@pytest.fixture(scope="module")
def handles(office):
    schema = cedarpy.Schema.from_str(office.schemas.tools)
    text = json.dumps(json.loads(msgspec.json.encode(list(entities(office)))))
    return schema, cedarpy.Entities.from_json_str(text, schema)


def scope(office, tool, agent, *, result=False):
    declared = office.tools[tool]
    return Scope(
        kin_of_agent(office, agent),
        action_kin(tool, declared.effect.value, result=result),
        kin_of_system(office, declared.system),
    )


def written(principals, actions, resources):
    texts = [
        f'@id("p{n}") permit ({", ".join(parts)});'
        for n, parts in enumerate(product(principals, actions, resources))
    ]
    return judging.policies("\n".join(texts))


def cedar_says(handles, policy, tool, agent, *, result):
    """Ask Cedar itself about one scope: a permit without conditions allows where it matches."""
    schema, graph = handles
    name = f"{tool}:result" if result else tool
    context = {
        "input": {"to": [], "body": ""} if tool == "mail.send" else {"order": 1, "amount": 1},
        "facts": {},
        "mission": judging.MISSION.context(),
        "user": {"type": "User", "id": "ana"},
        "chain": {"depth": 0, "agents": []},
        "system": {"now": 1},
    }
    if not result:
        context |= judging.whence(tool, tuple(context["input"]))
    if result and tool == "mail.send":
        context["output"] = {"id": "1"}
    answer = cedarpy.is_authorized(
        {
            "principal": {"type": "Agent", "id": agent},
            "action": {"type": "Action", "id": name},
            "resource": {"type": "System", "id": judging.SYSTEM_OF[tool]},
            "context": context,
        },
        policy.text,
        graph,
        schema,
    )
    assert answer.decision is not cedarpy.Decision.NoDecision, answer.diagnostics.errors
    return answer.allowed


@pytest.mark.parametrize("result", [False, True])
@pytest.mark.parametrize("agent", ["triage", "boss", "loner"])
@pytest.mark.parametrize("tool", ["mail.send", "pay.refund"])
def test_a_slice_is_exactly_what_cedar_would_match(office, handles, tool, agent, result):
    made = (
        *written(PRINCIPALS, ["action"], ["resource"]),
        *written(["principal"], ACTIONS, ["resource"]),
        *written(["principal"], ["action"], RESOURCES),
    )
    made = tuple(msgspec.structs.replace(p, id=f"q{n}") for n, p in enumerate(made))
    kept = {p.id for p in Slicer(made).matching(scope(office, tool, agent, result=result))}
    expected = {p.id for p in made if cedar_says(handles, p, tool, agent, result=result)}
    assert kept == expected


def test_all_parts_of_a_scope_must_match_together(office):
    made = written(PRINCIPALS, ACTIONS, RESOURCES)
    kept = [p.id for p in Slicer(made).matching(scope(office, "mail.send", "triage"))]
    alone = [
        {p for p, text in enumerate(texts) if _matches_alone(office, part, text)}
        for part, texts in enumerate((PRINCIPALS, ACTIONS, RESOURCES))
    ]
    wanted = [
        f"p{n}"
        for n, parts in enumerate(
            product(*(range(len(t)) for t in (PRINCIPALS, ACTIONS, RESOURCES)))
        )
        if all(i in good for i, good in zip(parts, alone, strict=True))
    ]
    assert kept == wanted


def _matches_alone(office, part, text):
    parts = ["principal", "action", "resource"]
    parts[part] = text
    made = judging.policies(f'@id("p") permit ({", ".join(parts)});')
    return bool(list(Slicer(made).matching(scope(office, "mail.send", "triage"))))


def test_a_policy_named_by_two_groups_of_one_action_is_kept_once(office):
    made = judging.policies(
        '@id("p") permit (principal, action in [Action::"write", Action::"call"], resource);'
    )
    assert len(list(Slicer(made).matching(scope(office, "mail.send", "triage")))) == 1


def test_an_unknown_resource_may_match_anything():
    office = judging.bundle("")
    wide = Scope(
        kin_of_agent(office, "triage"), action_kin("mail.send", "write", result=False), None
    )
    made = written(["principal"], ["action"], RESOURCES)
    assert len(list(Slicer(made).matching(wide))) == len(RESOURCES)


def test_a_template_is_refused_and_never_dropped():
    (plain,) = judging.policies('@id("t") forbid (principal, action, resource);')
    for part in ("principal", "resource"):
        for kind in (pst.ScopeEq, pst.ScopeIn):
            node = replace(plain.node, **{part: kind(pst.Slot(part))})
            with pytest.raises(BundleError) as caught:
                Slicer([msgspec.structs.replace(plain, node=node)])
            assert caught.value.code == "template"


def test_a_slice_is_made_once_for_a_key(office):
    slicer = Slicer(judging.policies('@id("p") permit (principal, action, resource);'))
    wanted = scope(office, "mail.send", "triage")
    assert slicer.slice("k", lambda: wanted) is slicer.slice("k", lambda: wanted)


def test_equal_slices_share_one_prepared_set(office):
    slicer = Slicer(judging.policies('@id("p") permit (principal, action, resource);'))
    one = slicer.slice(1, lambda: scope(office, "mail.send", "triage"))
    two = slicer.slice(2, lambda: scope(office, "pay.refund", "boss"))
    assert one.enforced is two.enforced


@pytest.mark.parametrize(
    ("text", "personal"),
    [
        ("forbid (principal, action, resource);", False),
        ("forbid (principal is Agent, action, resource);", False),
        ('forbid (principal == Agent::"a", action, resource);', True),
        ('forbid (principal in Team::"t", action, resource);', True),
        ('forbid (principal is Agent in Team::"t", action, resource);', True),
        ('forbid (principal, action, resource) when { principal.version == "1" };', True),
        ("forbid (principal, action, resource) unless { principal has rank };", True),
        (f"forbid (principal, action, resource) when {{ {DEEP} }};", True),
        ("forbid (principal, action, resource) when { context.chain.depth > 3 };", False),
        ('forbid (principal, action, resource) when { "principal" == context.user.name };', False),
    ],
)
def test_only_policies_that_look_at_the_principal_are_personal(text, personal):
    (policy,) = judging.policies('@id("p") ' + text)
    assert is_personal(policy) is personal
