"""Make a case that shows a difference as small as it goes, by leaving out and by simplifying."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from bridle.language.temporal import ast
from differential import rewriting, traces, trees
from differential.cases import Case
from differential.policies import Clause, Joined, Marker, Plain, Policy
from differential.traces import Entry
from differential.worlds import World

replace = msgspec.structs.replace

SIMPLE = (ast.TextLiteral("a"), ast.IntegerLiteral(1), ast.TruthLiteral(value=True))
SECONDS = 60


def smallest(case: Case, differs: Callable[[Case], bool], seconds: float = SECONDS) -> Case:
    """Return a case that differs, none of whose simplifications does."""
    until = time.monotonic() + seconds
    progress = True
    while progress and time.monotonic() < until:
        progress = False
        for smaller in simpler(case):
            if time.monotonic() > until:
                break
            if size(smaller) < size(case) and differs(smaller):
                case, progress = smaller, True
                break
    return case


def size(case: Case) -> tuple[int, ...]:
    """Measure a case: fewer events first, then a smaller policy, then plainer values."""
    nodes = sum(1 for _ in trees.places(case.policy))
    ages = sum(w.seconds for _, w in trees.of_kind(case.policy, ast.Window))
    return (
        len(case.trace) * 4 + nodes,
        sum(len(e.logged) + len(str(e.logged)) + len(e.attributes) for e in case.trace),
        len(str(case.world)) + len(case.policy.constraint),
        ages + sum(e.time for e in case.trace) + len(str(case.trace)) + len(str(case.policy)),
    )


def simpler(case: Case) -> Iterator[Case]:
    """Give simplifications, the coarse ones first."""
    yield from (replace(case, trace=t) for t in _shorter(case.trace))
    yield from (replace(case, policy=p) for p in _policies(case.policy))
    yield from (replace(case, trace=t) for t in _plainer(case))
    worlds = (replace(case, world=w) for w in _worlds(case.world))
    yield from (smaller for smaller in worlds if _declared(smaller))


def _declared(case: Case) -> bool:
    """Tell whether all that happened is something the schema knows."""
    actions = {a.name for a in case.world.actions}
    kinds = {k.name for k in case.world.kinds}
    return all(e.action in actions and e.kind in kinds for e in case.trace)


def _shorter(trace: tuple[Entry, ...]) -> Iterator[tuple[Entry, ...]]:
    step = len(trace) // 2
    while step:
        for start in range(0, len(trace), step):
            yield trace[:start] + trace[start + step :]
        step //= 2


def _policies(policy: Policy) -> Iterator[Policy]:
    if policy.effect == "forbid":
        yield replace(policy, effect="permit")
    if policy.constraint != "action":
        yield replace(policy, constraint="action")
    if len(policy.clauses) > 1:
        for n in range(len(policy.clauses)):
            yield replace(policy, clauses=policy.clauses[:n] + policy.clauses[n + 1 :])
    for steps, part in list(trees.of_kind(policy, Clause, Joined)):
        yield from (trees.put(policy, steps, made) for made in _parts(part))
    for steps, condition in rewriting.conditions(policy):
        for inner, node in list(trees.places(condition)):
            where = (*steps, *inner)
            yield from (trees.put(policy, where, made) for made in _nodes(node))


def _parts(part: Clause | Joined) -> Iterator[Any]:
    if isinstance(part, Clause):
        if part.keyword == "unless":
            yield Clause("when", part.part)
        return
    yield from part.parts
    for n, inner in enumerate(part.parts):
        if not isinstance(inner, Plain) or inner.text not in {"true", "false"}:
            for text in ("true", "false"):
                made = (*part.parts[:n], Plain(text), *part.parts[n + 1 :])
                yield Joined(part.op, made)
        if isinstance(inner, Marker):
            continue


def _nodes(node: Any) -> Iterator[Any]:  # noqa: C901, PLR0912 - one for each node
    match node:
        case ast.And(left=left, right=right):
            yield from (left, right)
        case ast.Not(inner=inner):
            yield inner
        case ast.Formerly(window=window, body=body) | ast.Previous(window=window, body=body):
            yield body
            if isinstance(node, ast.Previous):
                yield ast.Formerly(window, body)
        case ast.Since(left=left, window=window, right=right):
            yield from (right, left, ast.Formerly(window, right))
        case ast.Exists(body=body):
            yield body
        case ast.Comparison(op=op, left=left, right=right):
            yield from (s.body for s in (left, right) if isinstance(s, ast.Count | ast.Sum))
            yield from (ast.Comparison("==", left, right),) if op != "==" else ()
        case ast.Predicate(fields=fields):
            yield from (
                replace(node, fields=fields[:n] + fields[n + 1 :]) for n in range(len(fields))
            )
        case ast.Window():
            yield from (ast.Window(n, "s") for n in (1, 2, 5, 10) if n < node.seconds)
        case ast.Sum(binders=binders, body=body):
            yield ast.Count(binders, body)
            yield from _columns(node)
        case ast.Count():
            yield from _columns(node)
        case ast.ContextField() | ast.ScopeField() | ast.DecimalLiteral() | ast.EntityLiteral():
            yield from SIMPLE
        case ast.IntegerLiteral(value=value) if value not in {0, 1}:
            yield from (ast.IntegerLiteral(0), ast.IntegerLiteral(1))
        case ast.TextLiteral(value=value) if value != "a":
            yield ast.TextLiteral("a")


def _columns(node: Any) -> Iterator[Any]:
    for n in range(len(node.binders)):
        if len(node.binders) > 1:
            yield replace(node, binders=node.binders[:n] + node.binders[n + 1 :])


def _plainer(case: Case) -> Iterator[tuple[Entry, ...]]:
    trace = case.trace
    for n, entry in enumerate(trace):
        own = set(traces.own(case.world, case.world.kind(entry.kind)))
        yield from ((*trace[:n], made, *trace[n + 1 :]) for made in _entries(entry, own))
    earlier = min((e.time for e in trace), default=0)
    if earlier:
        yield tuple(replace(e, time=e.time - earlier) for e in trace)
    for n in range(1, len(trace)):
        gap = trace[n].time - trace[n - 1].time
        for less in {gap, gap - 1, gap // 2}:
            if less > 0:
                yield (*trace[:n], *(replace(e, time=e.time - less) for e in trace[n:]))


def _entries(entry: Entry, own: set[str]) -> Iterator[Entry]:
    names = entry.logged.keys() - own
    yield from (replace(entry, logged=_without(entry.logged, name)) for name in sorted(names))
    yield from (replace(entry, attributes=_without(entry.attributes, n)) for n in entry.attributes)
    for group, record in entry.logged.items():
        if isinstance(record, dict):
            for name in record:
                logged = {**entry.logged, group: _without(record, name)}
                yield replace(entry, logged=logged)


def _without(record: dict[str, Any], name: str) -> dict[str, Any]:
    return {n: v for n, v in record.items() if n != name}


def _worlds(world: World) -> Iterator[World]:
    for n in range(len(world.actions)):
        if len(world.actions) > 1:
            yield replace(world, actions=world.actions[:n] + world.actions[n + 1 :])
    for n in range(len(world.kinds)):
        if world.custom and len(world.kinds) > 1:
            yield replace(world, kinds=world.kinds[:n] + world.kinds[n + 1 :])
    for n, kind in enumerate(world.kinds):
        if world.custom and kind.pins:
            made = replace(kind, pins=kind.pins[1:])
            yield replace(world, kinds=(*world.kinds[:n], made, *world.kinds[n + 1 :]))
    for n, action in enumerate(world.actions):
        for group in ("inputs", "outputs"):
            slots = getattr(action, group)
            for m in range(len(slots)):
                made = replace(action, **{group: slots[:m] + slots[m + 1 :]})
                yield replace(world, actions=(*world.actions[:n], made, *world.actions[n + 1 :]))
