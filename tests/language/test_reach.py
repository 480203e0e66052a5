"""What the scope of a policy leaves of a schema: actions, and types of principals and resources."""

import cedarpy
import pytest
from cedarpy import pst

from bridle.language.events.cedar_schema import read
from bridle.language.lexer import Source
from bridle.language.reach import Narrowing, reach, targets

ACTIONS = read(
    Source(
        "s",
        """
        entity User in Team; entity Robot in Team; entity Team in Org; entity Org, Gate;
        action all; action some in all; action pure;
        action A in some appliesTo { principal: User, resource: Gate };
        action B in all appliesTo { principal: [User, Robot], resource: [Gate, Org] };
        action C appliesTo { principal: Robot, resource: Gate };
        """,
    )
)


def policy(scope: str) -> pst.Template:
    return next(iter(cedarpy.policies_to_pst(f"permit({scope});").static_policies.values()))


@pytest.mark.parametrize(
    ("scope", "names"),
    [
        ("principal, action, resource", "ABC"),
        ('principal, action == Action::"A", resource', "A"),
        ('principal, action in Action::"all", resource', "AB"),
        ('principal, action in [Action::"some", Action::"C"], resource', "AC"),
        ('principal, action == Action::"all", resource', ""),
        ('principal, action in Action::"pure", resource', ""),
        ('principal, action == Action::"Z", resource', ""),
        ('principal, action == N::Action::"A", resource', ""),
        ("principal, action in [], resource", ""),
        ("principal is Robot, action, resource", "BC"),
        ('principal == Robot::"r", action, resource', "BC"),
        ('principal == Team::"t", action, resource', ""),
        ('principal in Team::"t", action, resource', "ABC"),
        ('principal in Org::"o", action, resource', "ABC"),
        ('principal in User::"u", action, resource', "AB"),
        ('principal is User in Org::"o", action, resource', "AB"),
        ("principal, action, resource is Org", "B"),
        ("principal is Robot, action, resource is Org", "B"),
        ("principal is User, action, resource is Team", ""),
    ],
)
def test_a_scope_reaches_what_some_request_could_meet(scope: str, names: str) -> None:
    assert sorted(a.key[1] for a in reach(policy(scope), ACTIONS).actions) == sorted(names)


def test_types_that_a_scope_leaves_out_are_left_out() -> None:
    found = reach(policy('principal in Robot::"r", action, resource is Gate'), ACTIONS)
    b = ACTIONS.actions["Action", "B"]
    assert found.principals(b, ACTIONS) == ("Robot",)
    assert found.resources(b, ACTIONS) == ("Gate",)


def test_the_targets_of_an_action_are_not_narrowed_by_who_acts() -> None:
    scope = policy('principal is Robot, action in Action::"all", resource')
    assert {a.key[1] for a in targets(scope, ACTIONS)} == {"A", "B"}


def test_a_type_can_lie_in_what_its_groups_lie_in_only_where_membership_is_asked_for() -> None:
    assert Narrowing("Org", members=True).admits("User", ACTIONS)
    assert not Narrowing("Org").admits("User", ACTIONS)
    assert Narrowing().admits("Nobody", ACTIONS)
