"""Which requests a policy can meet: what its `(principal, action, resource)` leaves of a schema.

Only types count: which agent or system it is, nobody knows before the request.
"""

from __future__ import annotations

from cedarpy import pst
from msgspec import Struct

from bridle.language.events.actions import Action, ActionKey, CedarActions


class Narrowing(Struct, frozen=True):
    """Entity types that a scope leaves over: all, `type` alone, or with what can lie in it."""

    type: str = ""
    members: bool = False

    def admits(self, entity: str, actions: CedarActions) -> bool:
        """Whether an entity of this type can pass."""
        if not self.type or entity == self.type:
            return True
        return self.members and self.type in actions.ancestors(entity)


class Reach(Struct, frozen=True):
    """The actions whose requests a policy can meet, and what it can meet them with."""

    actions: tuple[Action, ...]
    principal: Narrowing = Narrowing()
    resource: Narrowing = Narrowing()

    def principals(self, action: Action, actions: CedarActions) -> tuple[str, ...]:
        """Return the principal types of an action that the scope leaves over."""
        return tuple(n for n in action.principals if self.principal.admits(n, actions))

    def resources(self, action: Action, actions: CedarActions) -> tuple[str, ...]:
        """Return the resource types of an action that the scope leaves over."""
        return tuple(n for n in action.resources if self.resource.admits(n, actions))


def reach(policy: pst.Template, actions: CedarActions) -> Reach:
    """Return what a policy can meet. Actions that the schema lacks are Cedar's to report."""
    found = targets(policy, actions)
    wide = Reach(found, _narrowing(policy.principal), _narrowing(policy.resource))
    met = (a for a in found if wide.principals(a, actions) and wide.resources(a, actions))
    return Reach(tuple(met), wide.principal, wide.resource)


def targets(policy: pst.Template, actions: CedarActions) -> tuple[Action, ...]:
    """Return the judged actions that `action …` in a policy leaves over."""
    scope = policy.action
    if isinstance(scope, pst.ActionEq):
        named = actions.actions.get(_key(scope.entity))
        return () if named is None or not named.judged else (named,)
    if isinstance(scope, pst.ActionIn):
        return actions.below(_key(e) for e in scope.entities)
    return actions.judged()


def _key(entity: pst.EntityUid) -> ActionKey:
    return _name(entity.type), entity.id


def _narrowing(scope: pst.PrincipalOrResourceConstraint) -> Narrowing:
    if isinstance(scope, pst.ScopeIs | pst.ScopeIsIn):
        return Narrowing(_name(scope.entity_type))
    if isinstance(scope, pst.ScopeEq | pst.ScopeIn) and isinstance(scope.entity, pst.EntityUid):
        return Narrowing(_name(scope.entity.type), isinstance(scope, pst.ScopeIn))
    return Narrowing()


def _name(entity: pst.EntityType) -> str:
    return "::".join((*entity.namespace, entity.basename))
