"""Slicing: which policies can possibly match one action by one principal. It evaluates nothing.

A policy is dropped only where its scope (`principal`, `action`, `resource`) can statically never
match; conditions are left to Cedar, and a scope that does not match never raises an error. So a
slice gives exactly the answer of the whole set, at a cost that does not grow with the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, assert_never, cast

from cedarpy import pst
from msgspec import Struct

from bridle.engine.cedar.entities import Kin
from bridle.engine.cedar.evaluate import Prepared
from bridle.engine.temporal.history import wanted
from bridle.language.policy import Leaf, Policy
from bridle.model.errors import BundleError

BY_NAME = frozenset(("flow", "sinks"))
"""Attributes of `context` that are records by name, of which a request carries what is read."""


class Scope(Struct, frozen=True):
    """What a slice is for: one principal, action and resource, each with everything it is in.

    Where principal or resource are not known beforehand (None), any may match.
    """

    principal: Kin | None
    action: Kin
    resource: Kin | None


Prepare = Callable[[Iterator[Policy]], Prepared]


class Slice:
    """The policies that can match, split by what the algorithm asks of them. Handles are lazy.

    `enforced` are all that count for the actor. `permits` are the permits among them. `personal`
    are the enforced forbids whose answer depends on who the principal is: only they need judging
    again for the rest of a chain. `shadow` are tried apart. `history` are the leaves of all of
    them, `history_personal` those that the rest of a chain needs.
    """

    __slots__ = (
        "enforced", "history", "history_personal", "permits", "personal", "shadow",
        "shadow_personal",
    )  # fmt: skip

    def __init__(self, policies: Iterable[Policy], prepare: Prepare) -> None:
        kept = tuple(policies)
        counts = tuple(p for p in kept if not p.shadow)
        tried = tuple(p for p in kept if p.shadow)
        self.enforced = prepare(iter(counts))
        self.permits = prepare(p for p in counts if p.effect == "permit")
        self.personal = prepare(p for p in counts if p.effect == "forbid" and is_personal(p))
        self.shadow = prepare(iter(tried))
        self.shadow_personal = prepare(p for p in tried if is_personal(p))
        self.history = wanted(counts, tried)
        self.history_personal = wanted(self.personal.policies, self.shadow_personal.policies)


class Slicer:
    """Slices of one policy set, made on first use and kept. Keys are declared names, so bounded."""

    def __init__(self, policies: Iterable[Policy]) -> None:
        self._policies = tuple(policies)
        for policy in self._policies:
            _refuse_template(policy)
        self._by_action = _index(self._policies)
        self._slices: dict[object, Slice] = {}
        self._prepared: dict[tuple[str, ...], Prepared] = {}

    def slice(self, key: object, scope: Callable[[], Scope]) -> Slice:
        """Return the slice known as `key`, making it for `scope()` the first time.

        Two threads may both make it; `setdefault` lets one of the equal results win.
        """
        found = self._slices.get(key)
        if found is None:
            made = Slice(self.matching(scope()), self._prepare)
            found = self._slices.setdefault(key, made)
        return found

    def matching(self, scope: Scope) -> Iterator[Policy]:
        """Yield, in the bundle's order, the policies whose scope can match."""
        buckets = [self._by_action[a] for a in (*scope.action.within, None) if a in self._by_action]
        # A policy that names several groups of one action lies in several buckets.
        for number in sorted(set[int]().union(*buckets)):
            policy = self._policies[number]
            if matches(policy.node, scope):
                yield policy

    def _prepare(self, policies: Iterator[Policy]) -> Prepared:
        kept = tuple(policies)
        return self._prepared.setdefault(tuple(p.id for p in kept), Prepared(kept))


def matches(node: pst.Template, scope: Scope) -> bool:
    """Whether the scope of a policy matches. Exact: Cedar says the same of declared entities."""
    return (
        entity_matches(node.principal, scope.principal)
        and _action_matches(node.action, scope.action)
        and entity_matches(node.resource, scope.resource)
    )


def entity_matches(constraint: pst.PrincipalOrResourceConstraint, kin: Kin | None) -> bool:
    """Whether the `principal` or `resource` part of a scope matches; None is anyone."""
    if kin is None:
        return True
    match constraint:
        case pst.ScopeAny():
            return True
        case pst.ScopeEq(entity):
            return entity == kin.own
        case pst.ScopeIn(entity):
            return entity in kin.within
        case pst.ScopeIs(kind):
            return kind == kin.own.type
        case pst.ScopeIsIn(kind, entity):
            return kind == kin.own.type and entity in kin.within
    assert_never(constraint)


def _action_matches(constraint: pst.ActionConstraint, kin: Kin) -> bool:
    match constraint:
        case pst.ScopeAny():
            return True
        case pst.ActionEq(entity):
            return entity == kin.own
        case pst.ActionIn(entities):
            return not kin.within.isdisjoint(entities)
    assert_never(constraint)


def is_personal(policy: Policy) -> bool:
    """Whether a policy's answer can differ between two principals of the same type."""
    # INVARIANT: I5. A chain does not launder what its agents did: each has its own history.
    if any(leaf.scope == "agent" or "principal" in _roots(leaf) for leaf in policy.leaves):
        return True
    anyone = isinstance(policy.node.principal, pst.ScopeAny | pst.ScopeIs)
    return not anyone or _mentions_principal(policy.node.clauses)


def _roots(leaf: Leaf) -> frozenset[str]:
    return frozenset(path.partition(".")[0] for path in leaf.reads)


def context_reads(policy: Policy) -> frozenset[str] | None:
    """The attributes of `context` that a policy can look at; None when that could be any.

    Of those in `BY_NAME` it tells what is looked at inside as well: `flow.to`, or `flow.*` when
    that could be any.
    """
    found = {r.split(".")[1] for leaf in policy.leaves for r in leaf.reads if r[:8] == "context."}
    found |= {f"{root}.*" for root in BY_NAME & found}
    for node, above in _expressions(policy.node.clauses):
        if _is_context(node):
            if not isinstance(above, pst.GetAttr | pst.HasAttr):
                return None
            found.update(_dotted(above.attrs) if isinstance(above, pst.HasAttr) else (above.attr,))
        elif isinstance(node, pst.GetAttr) and node.attr in BY_NAME and _is_context(node.base):
            found.add(f"{node.attr}.{_inside(above)}")
    return frozenset(found)


def _is_context(node: Any) -> bool:
    return isinstance(node, pst.Var) and node.name == "context"


def _dotted(names: tuple[str, ...]) -> Iterable[str]:
    """Return what `context has a.b.c` looks at."""
    root, *rest = names
    return (root, f"{root}.{rest[0]}") if rest and root in BY_NAME else (root,)


def _inside(above: Any) -> str:
    """Return which part of a record is looked at, by what the record stands in."""
    if isinstance(above, pst.GetAttr):
        return above.attr
    return above.attrs[0] if isinstance(above, pst.HasAttr) else "*"


def _mentions_principal(clauses: tuple[pst.Clause, ...]) -> bool:
    return any(
        isinstance(node, pst.Var) and node.name == "principal" for node, _ in _expressions(clauses)
    )


def _expressions(clauses: tuple[pst.Clause, ...]) -> Iterator[tuple[Any, Any]]:
    """Yield every node of the conditions with the node it stands in."""
    stack: list[tuple[Any, Any]] = [(clause, None) for clause in clauses]
    while stack:
        node, above = stack.pop()
        yield node, above
        stack.extend((part, node) for part in _parts(node))


def _parts(node: Any) -> Iterable[Any]:
    if isinstance(node, Mapping):
        return cast("Mapping[str, Any]", node).values()
    if isinstance(node, tuple):
        return cast("tuple[Any, ...]", node)  # type: ignore[redundant-cast]
    if is_dataclass(node):
        return (getattr(node, f.name) for f in fields(node))
    return ()


def _index(policies: tuple[Policy, ...]) -> dict[pst.EntityUid | None, list[int]]:
    """Map each action or group a scope names (None: any) to the positions of its policies."""
    index: dict[pst.EntityUid | None, list[int]] = {}
    for number, policy in enumerate(policies):
        for action in _named_actions(policy.node.action):
            index.setdefault(action, []).append(number)
    return index


def _named_actions(constraint: pst.ActionConstraint) -> frozenset[pst.EntityUid | None]:
    match constraint:
        case pst.ScopeAny():
            return frozenset((None,))
        case pst.ActionEq(entity):
            return frozenset((entity,))
        case pst.ActionIn(entities):
            return frozenset(entities)
    assert_never(constraint)


def _refuse_template(policy: Policy) -> None:
    """Refuse a policy with a slot: unlinked it never matches, and a forbid must not vanish so."""
    for constraint in (policy.node.principal, policy.node.resource):
        if isinstance(getattr(constraint, "entity", None), pst.Slot):
            raise BundleError(
                f"policy {policy.id!r} is a template",
                code="template",
                hint="write the principal or resource out",
            )
