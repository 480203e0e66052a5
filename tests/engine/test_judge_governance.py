"""Governance actions are decided by `governance/` alone."""

import msgspec
import pytest

from bridle.engine.case import Handover, ShadowHit
from bridle.engine.engine import Engine
from bridle.model.verdict import Effect
from engine import judging
from engine.judging import codes, governance_case, ids

ANYTHING = '@id("all") permit (principal, action, resource);\n'
PERMITTED = '@id("ok") permit (principal, action, resource) '
START = '@id("start") permit (principal, action == Action::"start_mission", resource);\n'


def decide(governance, *case, tools=ANYTHING):
    return Engine(judging.bundle(tools, governance)).governance(governance_case(*case))


def test_a_permit_in_policies_never_reaches_governance():
    assert codes(decide("")) == {"no_permit"}


def test_a_forbid_in_policies_never_reaches_governance():
    text = '@id("no") forbid (principal, action, resource);'
    assert decide(START, tools=text).effect is Effect.ALLOW


def test_a_permit_in_governance_never_reaches_tools():
    engine = Engine(judging.bundle("", '@id("g") permit (principal, action, resource);'))
    assert codes(engine.judge(judging.case(engine))) == {"no_permit"}


def test_each_action_needs_its_own_permit():
    assert decide(START).effect is Effect.ALLOW
    assert codes(decide(START, "add_prompt")) == {"no_permit"}
    group = '@id("g") permit (principal, action in Action::"governance", resource);'
    assert decide(group, "add_prompt").effect is Effect.ALLOW


def test_a_forbid_denies_and_is_named():
    text = ANYTHING + '@id("no") @reason("not you") forbid (principal, action, resource) '
    verdict = decide(text.replace("all", "ok") + 'when { principal in Team::"support" };')
    assert (codes(verdict), ids(verdict)) == ({"forbidden"}, ["no"])
    assert verdict.reasons[0].text == "not you"


def test_users_are_told_apart_by_team_and_attribute():
    text = '@id("ok") permit (principal in Team::"leads", action, resource);'
    assert decide(text, "start_mission", "ben").effect is Effect.ALLOW
    assert codes(decide(text, "start_mission", "ana")) == {"no_permit"}
    text = PERMITTED + "when { principal has level && principal.level > 2 };"
    assert decide(text, "start_mission", "ben").effect is Effect.ALLOW
    assert codes(decide(text, "start_mission", "ana")) == {"no_permit"}


def test_the_mission_is_seen():
    text = PERMITTED + 'when { context.mission.template == "desk" };'
    assert decide(text).effect is Effect.ALLOW
    assert codes(decide(text.replace('"desk"', '"other"'))) == {"no_permit"}
    named = '@id("ok") permit (principal, action, resource == Mission::"m-1");'
    assert decide(named).effect is Effect.ALLOW


def test_an_error_denies():
    text = START + '@id("bad") forbid (principal, action, resource) when { principal.level > 1 };'
    assert codes(decide(text, "start_mission", "cyd")) == {"policy_error"}


@pytest.mark.parametrize(
    ("action", "user"),
    [
        ("start_mission", "stranger"),
        ("start_mission", ""),
        ("delegate", "ana"),
        ("mail.send", "ana"),
    ],
)
def test_a_stranger_or_another_action_is_denied(action, user):
    text = '@id("g") permit (principal, action, resource);'
    assert decide(text, action, user).effect is Effect.DENY


def test_a_remedy_in_governance_meets_nothing():
    office = judging.bundle(ANYTHING, START + '@id("no") forbid (principal, action, resource);')
    changed = tuple(
        msgspec.structs.replace(p, hold=(("leads", 0),)) if p.id == "no" else p
        for p in office.policies
    )
    engine = Engine(msgspec.structs.replace(office, policies=changed))
    assert codes(engine.governance(governance_case())) == {"forbidden"}


def test_a_shadow_policy_is_recorded_and_changes_nothing():
    verdict = decide(START + '@id("try") @enforce("shadow") forbid (principal, action, resource);')
    assert (verdict.effect, verdict.shadow) == (Effect.ALLOW, (ShadowHit("try"),))


HAND = '@id("hand") permit (principal == Agent::"clerk", action == Action::"delegate", resource);\n'


def hand_over(governance, **changes):
    given = Handover(
        agent="clerk",
        to="loner",
        depth=1,
        tools=("mail.send",),
        effects=("write",),
        expires_ms=60_000,
    )
    case = msgspec.structs.replace(
        governance_case("delegate"), handover=msgspec.structs.replace(given, **changes)
    )
    return Engine(judging.bundle(ANYTHING, governance)).governance(case)


def test_nothing_permits_handing_on_by_itself():
    assert codes(hand_over("")) == {"no_permit"}
    assert codes(hand_over(START)) == {"no_permit"}
    assert hand_over(HAND).effect is Effect.ALLOW
    assert codes(hand_over(HAND, agent="boss")) == {"no_permit"}


@pytest.mark.parametrize(
    ("condition", "another"),
    [
        ('context.to == Agent::"loner"', {"to": "boss"}),
        ("context.depth < 2", {"depth": 2}),
        ('["mail.send"].containsAll(context.tools)', {"tools": ("mail.send", "desk.read")}),
        ('context.effects == ["write"]', {"effects": ("write", "irreversible")}),
        ("context.expires_ms <= 60000", {"expires_ms": 60_001}),
        ("!context.task", {"task": True}),
    ],
)
def test_what_is_handed_on_is_seen(condition, another):
    permit = HAND.replace(";", f" when {{ {condition} }};")
    assert hand_over(permit).effect is Effect.ALLOW
    assert codes(hand_over(permit, **another)) == {"no_permit"}


def test_what_an_ancestor_may_not_hand_on_nobody_below_it_may():
    text = HAND + '@id("no-boss") forbid (principal == Agent::"boss", action, resource);'
    assert hand_over(text).effect is Effect.ALLOW
    assert ids(hand_over(text, chain=("boss",))) == ["no-boss"]


@pytest.mark.parametrize("strange", [{"agent": "x"}, {"to": "x"}, {"chain": ("x",)}])
def test_a_stranger_hands_on_and_takes_up_nothing(strange):
    assert codes(hand_over('@id("g") permit (principal, action, resource);', **strange)) == {
        "no_permit"
    }


def test_a_user_s_own_action_is_never_judged_as_a_handover():
    case = governance_case("start_mission")
    given = Handover(agent="clerk", to="loner", depth=1, tools=(), effects=(), expires_ms=1)
    engine = Engine(judging.bundle(ANYTHING, START))
    assert codes(engine.governance(msgspec.structs.replace(case, handover=given))) == {"no_permit"}
