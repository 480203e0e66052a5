"""One case: a schema, a policy and a history, and the text of each."""

from __future__ import annotations

from random import Random

import msgspec
from msgspec import Struct

from bridle.language.temporal import ast
from differential import policies, traces, trees, worlds
from differential.policies import Policy
from differential.traces import Entry
from differential.worlds import UNIVERSAL, World

BASE = "permit (principal, action, resource);\n"
COSTLY = 1e7
"""Steps of the reference beyond which a case is left out: it searches again at each decision."""


class Case(Struct, frozen=True):
    """What is asked of both sides."""

    world: World
    policy: Policy
    trace: tuple[Entry, ...]

    @property
    def program(self) -> str:
        """The policy; beside a forbid stands a permit of everything."""
        return policies.text(self.policy) + (BASE if self.policy.effect == "forbid" else "")

    @property
    def schema(self) -> str:
        return worlds.cedar_schema(self.world)

    @property
    def events(self) -> str | None:
        return worlds.event_schema(self.world)

    @property
    def log(self) -> str:
        return traces.text(self.world, self.trace)

    @property
    def ordered(self) -> bool:
        return traces.in_order(self.trace)


def texts(case: Case) -> str:
    """Print a case as the files of a conformance case."""
    parts = {
        "schema.cedarschema": case.schema, "event.dwschema": case.events or "(built in)\n",
        "policy_1.dw": case.program, "trace_1.log": case.log,
    }  # fmt: skip
    return "\n".join(f"--- {name}\n{text}" for name, text in parts.items())


def effort(case: Case) -> float:
    """Estimate the reference's steps for a case."""
    keyed = case.world.pinned in UNIVERSAL
    decisions = sum(case.world.kind(e.kind).deciding for e in case.trace)
    size = max(len(case.trace), 1)
    return decisions * sum(_steps(c, size, keyed) for c in policies.markers(case.policy))


def _steps(  # noqa: PLR0911 - one for each operator
    node: object, size: int, keyed: bool
) -> float:
    match node:
        case ast.Formerly(body=body):
            return size * _steps(body, size, keyed) / 2
        case ast.Previous(body=body):
            return (size * size if keyed else 1) * _steps(body, size, keyed)
        case ast.Since(left=left, right=right):
            inner = size * _steps(left, size, keyed) / 3
            again = size * size / 2 if keyed and not isinstance(left, ast.Not) else 1
            return size * (_steps(right, size, keyed) + inner * again) / 2
        case ast.And(left=left, right=right):
            rows = size / 4 if isinstance(left, ast.Formerly | ast.Since | ast.And) else 1
            return _steps(left, size, keyed) + rows * _steps(right, size, keyed)
        case ast.Comparison(left=left, right=right):
            return 1 + _steps(left, size, keyed) + _steps(right, size, keyed)
        case ast.Count(body=body) | ast.Sum(body=body) | ast.Exists(body=body):
            return 2 * _steps(body, size, keyed)
        case ast.Not(inner=inner):
            return _steps(inner, size, keyed)
        case _:
            return 1


def bearable(case: Case) -> Case:
    """Shorten the history until the reference can be asked."""
    while effort(case) > COSTLY:
        case = msgspec.structs.replace(case, trace=case.trace[: len(case.trace) * 2 // 3])
    return case


def settled(case: Case) -> Case:
    """Put the clock right where the reference contradicts its own specification.

    Under pins that part histories it rewrites `previous`, and `since` but for plain negations. What
    it rewrites them to is the same only as long as time does not go back.
    """
    rewritten = any(trees.of_kind(case.policy, ast.Previous, ast.Since))
    if case.ordered or not rewritten or case.world.pinned not in UNIVERSAL:
        return case
    return msgspec.structs.replace(case, trace=traces.straightened(case.trace))


def length(rnd: Random) -> int:
    """Say how long a history is to be: mostly short, now and then long."""
    return rnd.choice([3, 6, 10, 15, 20, 25, 25, 40] if rnd.random() < 0.9 else [60])
