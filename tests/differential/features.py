"""What a case makes use of, so that a run can show that it met everything."""

from __future__ import annotations

from typing import Any

from bridle.language.temporal import ast
from differential import policies, traces, trees
from differential.cases import Case
from differential.policies import Policy
from differential.worlds import UNIVERSAL, World

NODES = {
    ast.Formerly: "formerly", ast.Previous: "previous", ast.Since: "since", ast.Exists: "exists",
    ast.Count: "count", ast.Sum: "sum", ast.Tp: "tp", ast.Not: "not", ast.And: "and",
    ast.Wildcard: "wildcard", ast.ContextField: "context", ast.ScopeField: "scope",
    ast.DecimalLiteral: "decimal", ast.EntityLiteral: "entity", ast.TruthLiteral: "truth",
    ast.Call: "macro", ast.AggregateCall: "macro of an aggregate", ast.Refine: "refinement",
    ast.FreshBinder: "fresh binder",
}  # fmt: skip

OPERATORS = ["<", "<=", ">", ">=", "==", "!="]


def of_program(world: World, policy: Policy) -> set[str]:
    """Name what a policy makes use of."""
    found = _of_tree(policy)
    conditions = policies.markers(policy)
    found.add(f"nesting {min(max(map(trees.depth, conditions)), 4)}")
    found |= {f for c in conditions for f in _shapes(c)}
    found |= {f"pins: {world.pinned}", policy.effect, *(c.keyword for c in policy.clauses)}
    found.add("own partition" if world.pinned in UNIVERSAL else "whole history")
    found |= {"near the ends of Long"} if world.wide else set()
    found |= {"inline marker"} if any(trees.of_kind(policy, policies.Joined)) else set()
    deciding = sum(k.deciding for k in world.kinds)
    return found | {"several kinds decide"} if deciding > 1 else found


def _of_tree(tree: Any) -> set[str]:
    parts = [part for _, part in trees.places(tree)]
    found = {NODES[type(part)] for part in parts if type(part) in NODES}
    return found | {p.op for p in parts if isinstance(p, ast.Comparison)}


def of_history(case: Case) -> set[str]:
    """Name what a history shows, beside the policy."""
    times = [e.time for e in case.trace]
    found = set() if traces.in_order(case.trace) else {"clock going back"}
    found |= {"equal stamps"} if len(set(times)) < len(times) else set()
    for entry in case.trace:
        found.add(f"event {entry.kind}")
        found |= {"no context"} if entry.context is None else set()
        found |= {"null"} if "None" in str(entry.logged) else set()
        outputs = case.world.kind(entry.kind).outputs
        found |= {"missing output"} if outputs and "output" not in entry.logged else set()
        found |= {"missing input"} if "input" not in entry.logged else set()
    gaps = {b - a for n, a in enumerate(times) for b in times[n:]}
    windows = {w.seconds for _, w in trees.of_kind(case.policy, ast.Window)}
    return found | {"window boundary"} if gaps & windows else found


def _shapes(condition: Any) -> set[str]:
    found = set()
    for _, node in trees.places(condition):
        match node:
            case ast.Since(left=ast.Not()):
                found.add("since, negated left")
            case ast.Since():
                found.add("since, positive left")
            case ast.And(left=left, right=right) if not isinstance(right, ast.Not):
                shared = trees.free(left) & trees.free(right)
                found |= {"join"} if shared else set()
            case ast.And(right=ast.Not(inner=inner), left=left):
                shared = trees.free(left) & trees.free(inner)
                found |= {"anti-join"} if shared else set()
            case ast.Count(body=body) | ast.Sum(body=body):
                found |= {"correlated aggregate"} if trees.free(node) else set()
                found |= {"nested aggregate"} if _aggregates(body) else set()
            case ast.Not(inner=ast.Exists()):
                found.add("no such value")
    return found


def _aggregates(body: Any) -> bool:
    return any(trees.of_kind(body, ast.Count, ast.Sum))
