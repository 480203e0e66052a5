"""`left since right`: how far back the left side has held, and whether an anchor is that near.

For each part of the left side there is the last position where it failed. A negated predicate fails
where the predicate matches: one look-up. A predicate holds in runs of positions: one look-up. For
anything else the positions are gone through, newest first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

from bridle.engine.temporal.plan.moment import Moment
from bridle.engine.temporal.plan.patterns import pattern
from bridle.engine.temporal.plan.scope import (
    Scope,
    conjoin,
    free,
    milliseconds,
    stripped,
)
from bridle.engine.temporal.plan.seek import distinct, latest, seek, visits
from bridle.language.temporal.ast import Condition, Since
from bridle.language.temporal.tree import conjuncts

if TYPE_CHECKING:
    from bridle.engine.temporal.plan.compiler import Check, Compiler, Rows

LastFailure: TypeAlias = Callable[[Moment, int, int], int]
"""The last position, from one given back to a time, where something did not hold; -1 if none."""


def since(compiler: Compiler, condition: Since, scope: Scope) -> Check:
    """Compile `since` to whether it holds."""
    back = scope.back(condition.window)
    found = pattern(compiler, conjuncts(condition.right), back)
    names = set(found.binds) | set(found.timed) if found else free(condition.right)
    if found is None or found.rest or names & free(condition.left):
        rows, _ = since_rows(compiler, condition, scope)
        return lambda moment, position, time: any(True for _ in rows(moment, position, time))
    failure = _failure(compiler, condition.left, back)
    posting_of = seek(compiler, found, scope)
    span = milliseconds(condition.window)

    def check(moment: Moment, position: int, time: int) -> bool:
        posting = posting_of(moment)
        at = latest(posting, position)
        if posting is None or at < 0 or posting.times[at] < time - span:
            return False
        return failure(moment, position, posting.times[at]) <= posting.positions[at]

    return check


def since_rows(compiler: Compiler, condition: Since, scope: Scope) -> tuple[Rows, Scope]:
    """Compile `since` to the assignments that its anchors give, newest anchor first."""
    back = scope.back(condition.window)
    found = pattern(compiler, conjuncts(condition.right), back)
    visit, inner, rest = visits(compiler, condition.right, back, found)
    steps, bound = compiler.rows(conjoin(rest), inner) if rest else (None, inner)
    failure = _failure(compiler, condition.left, bound)
    fixed = not (bound.bound.keys() - scope.bound.keys()) & free(condition.left)
    span = milliseconds(condition.window)

    def anchored(moment: Moment, position: int, time: int) -> Iterator[None]:
        failed = failure(moment, position, time - span) if fixed else -1
        for record in visit(moment, position, time - span):
            if record.position < failed:
                return
            for _ in steps(moment, record.position, record.time) if steps else (None,):
                if fixed or failure(moment, position, record.time) <= record.position:
                    yield

    outer = Scope(bound.bound, scope.newest, scope.horizon)
    return distinct(anchored, scope, outer), outer


def _failure(compiler: Compiler, left: Condition, scope: Scope) -> LastFailure:
    parts = [_failure_of(compiler, part, scope) for part in conjuncts(left)]
    if len(parts) == 1:
        return parts[0]
    return lambda moment, position, start: max(part(moment, position, start) for part in parts)


def _failure_of(compiler: Compiler, part: Condition, scope: Scope) -> LastFailure:
    inner, negated = stripped(part)
    found = pattern(compiler, conjuncts(inner), scope)
    if found is None or found.rest:
        return _failure_by_position(compiler, part, scope)
    posting_of = seek(compiler, found, scope, runs=not negated)

    def last_match(moment: Moment, position: int, start: int) -> int:  # noqa: ARG001
        posting = posting_of(moment)
        at = latest(posting, position)
        return posting.positions[at] if posting is not None and at >= 0 else -1

    def before_run(moment: Moment, position: int, start: int) -> int:  # noqa: ARG001
        posting = posting_of(moment)
        at = latest(posting, position)
        if posting is None or at < 0 or posting.positions[at] != position:
            return position
        return posting.runs[at] - 1

    return last_match if negated else before_run


def _failure_by_position(compiler: Compiler, part: Condition, scope: Scope) -> LastFailure:
    compiler.looks_everywhere(scope.horizon)
    check = compiler.check(part, scope)

    def last(moment: Moment, position: int, start: int) -> int:
        for record in moment.back(position, start):
            if not check(moment, record.position, record.time):
                return record.position
        return -1

    return last
