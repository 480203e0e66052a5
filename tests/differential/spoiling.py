"""Valid policies made (mostly) invalid, to see that both sides refuse the same ones."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from bridle.language.temporal import ast
from differential import rewriting, trees
from differential.policies import Policy
from differential.worlds import World

WAYS = []


def way(spoil):
    WAYS.append(spoil)
    return spoil


def spoiled(rnd: Random, world: World, policy: Policy) -> tuple[str, Policy] | None:
    """Damage one condition in one way; None where there is nothing of the kind to damage."""
    spoil = rnd.choice(WAYS)
    places = rewriting.conditions(policy)
    steps, condition = rnd.choice(places)
    made = spoil(rnd, world, condition)
    if made is None or made == condition:
        return None
    return spoil.__name__, trees.put(policy, steps, made)


def _some(rnd: Random, node: Any, *kinds: type) -> tuple[trees.Steps, Any] | None:
    found = list(trees.of_kind(node, *kinds))
    return rnd.choice(found) if found else None


def _changed(rnd: Random, condition: Any, node: type, /, **new: Any) -> Any:
    found = _some(rnd, condition, node)
    if found is None:
        return None
    steps, part = found
    return trees.put(condition, steps, msgspec.structs.replace(part, **new))


@way
def a_window_beyond_the_limit(rnd, world, condition):
    limit = world.max_window
    window = rnd.choice([ast.Window(limit, "s"), ast.Window(limit + 1, "s"), ast.Window(99, "d")])
    found = _some(rnd, condition, ast.Window)
    return found and trees.put(condition, found[0], window)


@way
def a_window_of_no_length(rnd, world, condition):
    found = _some(rnd, condition, ast.Window)
    return found and trees.put(condition, found[0], ast.Window(rnd.choice([0, -1]), "s"))


@way
def another_variable(rnd, world, condition):
    names = sorted({b.name for _, b in trees.of_kind(condition, ast.Binder)})
    return _changed(rnd, condition, ast.Variable, name=rnd.choice([*names, "nobody"]))


@way
def another_position(rnd, world, condition):
    names = sorted({b.name for _, b in trees.of_kind(condition, ast.Binder)})
    return _changed(rnd, condition, ast.Tp, variable=rnd.choice([*names, "nobody"]))


@way
def another_type(rnd, world, condition):
    kinds = [
        ("String",), ("Long",), ("Bool",), ("decimal",), ast.TIMEPOINT, world.user, world.gateway,
        ("Nothing",), (*world.namespace.split("::"), "Robot"), ("Int",), ("Boolean",),
    ]  # fmt: skip
    return _changed(rnd, condition, ast.Binder, type=rnd.choice(kinds))


@way
def a_binder_less(rnd, world, condition):
    found = _some(rnd, condition, ast.Exists)
    return found and trees.put(condition, found[0], found[1].body)


@way
def a_column_less(rnd, world, condition):
    found = _some(rnd, condition, ast.Count, ast.Sum)
    if not found or len(found[1].binders) < 2:
        return None
    left = list(found[1].binders)
    left.remove(rnd.choice(left))
    return trees.put(condition, found[0], msgspec.structs.replace(found[1], binders=tuple(left)))


@way
def a_column_more(rnd, world, condition):
    found = _some(rnd, condition, ast.Count, ast.Sum)
    if not found:
        return None
    more = (*found[1].binders, ast.Binder("more", rnd.choice([("Long",), ast.TIMEPOINT])))
    return trees.put(condition, found[0], msgspec.structs.replace(found[1], binders=more))


@way
def conjuncts_turned_round(rnd, world, condition):
    found = _some(rnd, condition, ast.And)
    return found and trees.put(condition, found[0], ast.And(found[1].right, found[1].left))


@way
def a_conjunct_less(rnd, world, condition):
    found = _some(rnd, condition, ast.And)
    return found and trees.put(condition, found[0], rnd.choice([found[1].left, found[1].right]))


@way
def negated(rnd, world, condition):
    found = _some(rnd, condition, *trees.CONDITIONS)
    return found and trees.put(condition, found[0], ast.Not(found[1]))


@way
def twice_negated(rnd, world, condition):
    found = _some(rnd, condition, *trees.CONDITIONS)
    return found and trees.put(condition, found[0], ast.Not(ast.Not(found[1])))


@way
def sides_of_since_turned_round(rnd, world, condition):
    found = _some(rnd, condition, ast.Since)
    if not found:
        return None
    steps, since = found
    return trees.put(condition, steps, ast.Since(since.right, since.window, since.left))


@way
def another_operator(rnd, world, condition):
    return _changed(rnd, condition, ast.Comparison, op=rnd.choice(["<", ">=", "==", "!="]))


@way
def a_comparison_of_what_is_given(rnd, world, condition):
    found = _some(rnd, condition, *trees.CONDITIONS)
    ground = [ast.ContextField(("tenant",)), ast.TextLiteral("a"), ast.Wildcard(),
              ast.IntegerLiteral(1), ast.ContextField(("input", "amount"))]  # fmt: skip
    op = rnd.choice(["==", "<", "!="])
    return found and trees.put(
        condition, found[0], ast.Comparison(op, rnd.choice(ground), rnd.choice(ground))
    )


@way
def another_term(rnd, world, condition):
    terms = [
        ast.IntegerLiteral(1), ast.TextLiteral("a"), ast.TruthLiteral(True), ast.Wildcard(),
        ast.DecimalLiteral("1.0"), ast.DecimalLiteral("1.23456"), ast.ContextField(("input",)),
        ast.ContextField(("input", "nope")), ast.ContextField(("input", "user")),
        ast.ContextField(("tenant", "far")), ast.ScopeField(("principal",)),
        ast.ScopeField(("resource", "nope")), ast.ScopeField(("principal", "rank")),
        ast.EntityLiteral(f"{world.namespace}::Robot", "r"),
        ast.EntityLiteral("::".join(world.user), "alice"), ast.EntityLiteral("User", "alice"),
        ast.ArrayLiteral((ast.TextLiteral("a"),)), ast.ArrayLiteral(()),
        ast.EntityLiteral(f"{world.namespace}::Action", "A"),
    ]  # fmt: skip
    return _changed(rnd, condition, ast.Field, term=rnd.choice(terms))


@way
def another_side(rnd, world, condition):
    found = _some(rnd, condition, ast.Comparison)
    terms = [ast.IntegerLiteral(1), ast.TextLiteral("a"), ast.TruthLiteral(True), ast.Wildcard(),
             ast.ContextField(("input", "user")), ast.ContextField(("input", "nope")),
             ast.ScopeField(("principal",)), ast.DecimalLiteral("1.0")]  # fmt: skip
    side = rnd.choice(["left", "right"])
    return found and trees.put(condition, (*found[0], side), rnd.choice(terms))


@way
def another_field(rnd, world, condition):
    paths = [
        "input", "output", "input.nope", "output.ok", "output.amount", "input.user", "user",
        "callerPrincipal", "requestId", "sessionId", "tenant", "input.meta", "input.meta.kind",
        "input.user.far", "nope", "context", "kind",
    ]  # fmt: skip
    return _changed(rnd, condition, ast.Field, path=rnd.choice(paths))


@way
def a_field_twice(rnd, world, condition):
    found = _some(rnd, condition, ast.Predicate)
    if not found or not found[1].fields:
        return None
    fields = (*found[1].fields, rnd.choice(found[1].fields))
    return trees.put(condition, found[0], msgspec.structs.replace(found[1], fields=fields))


@way
def another_event(rnd, world, condition):
    change = rnd.choice([
        {"kind": "request"}, {"kind": "response"}, {"kind": "held"}, {"action": "Z"},
        {"action": "every"}, {"namespace": ("Action",)}, {"namespace": ("D", "Action")},
        {"namespace": ("D", "User")}, {"namespace": ("D", "Far", "Action")}, {"action": "B"},
    ])  # fmt: skip
    return _changed(rnd, condition, ast.Predicate, **change)


@way
def an_aggregate_as_an_argument(rnd, world, condition):
    found, aggregate = (_some(rnd, condition, k) for k in (ast.Field, ast.Count))
    return found and aggregate and trees.put(condition, (*found[0], "term"), aggregate[1])


@way
def another_summand(rnd, world, condition):
    names = sorted({b.name for _, b in trees.of_kind(condition, ast.Binder)})
    return _changed(rnd, condition, ast.Sum, variable=rnd.choice([*names, "nobody"]))
