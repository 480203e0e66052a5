"""Rows that stand until something blocks them: which conjunctions a `Tracker` answers.

Those of one `formerly` (or the right side of one `since`), comparisons of what its event binds, and
negated `formerly` (or the left side of the `since`) that agree with it in some variable: only at
the newest position, and only where every part is about one event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from msgspec import Struct

from bridle.engine.temporal.index.tally import TallySpec
from bridle.engine.temporal.index.tracker import GuardSpec, TrackerSpec
from bridle.engine.temporal.plan.moment import Moment
from bridle.engine.temporal.plan.patterns import KeyTerm, Pattern, pattern
from bridle.engine.temporal.plan.scope import Scope, milliseconds, stripped
from bridle.engine.temporal.plan.seek import fixed, key
from bridle.language.temporal.ast import (
    Comparison,
    Condition,
    Formerly,
    Since,
    Variable,
    Window,
)
from bridle.language.temporal.tree import conjuncts

if TYPE_CHECKING:
    from bridle.engine.temporal.plan.compiler import Check, Compiler

REQUEST_ID = "requestId"
"""The field that says which request an event belongs to."""

Total: TypeAlias = Callable[[Moment, int, int], int]


class _Shape(Struct, frozen=True):
    anchor: Pattern
    window: int
    guards: tuple[GuardSpec, ...]


def some(compiler: Compiler, parts: Sequence[Condition], scope: Scope) -> Check | None:
    """Compile to whether any row stands; None if this is no such conjunction, or needs none."""
    shape = _shape(compiler, parts, scope)
    if shape is None or not shape.guards:
        return None
    names = [*shape.anchor.binds]
    total = _total(compiler, shape, scope, names, None)
    return lambda moment, position, time: total(moment, position, time) > 0


def number(
    compiler: Compiler,
    parts: Sequence[Condition],
    scope: Scope,
    names: Sequence[str],
    summand: str | None,
) -> Total | None:
    """Compile to how many rows of `names` stand, or to the sum of `summand` over them."""
    shape = _shape(compiler, parts, scope)
    if shape is None:
        return None
    anchor = shape.anchor
    if not set(names) <= anchor.binds.keys() | anchor.timed.keys():
        return None
    if summand is not None and summand not in anchor.binds:
        return None
    return _total(compiler, shape, scope, names, summand)


def _total(
    compiler: Compiler, shape: _Shape, scope: Scope, names: Sequence[str], summand: str | None
) -> Total:
    anchor = shape.anchor
    spec = TrackerSpec(
        type=anchor.type,
        tests=anchor.tests,
        group=anchor.key,
        row=tuple(sorted(anchor.binds.values())),
        output=tuple(sorted(anchor.binds[name] for name in names if name in anchor.binds)),
        timed=any(name in anchor.timed for name in names),
        value=anchor.binds[summand] if summand is not None else -1,
        window=shape.window,
        guards=shape.guards,
    )
    number = compiler.trackers.setdefault(spec, len(compiler.trackers))
    _looks_at_rows(compiler, spec)
    group = key(compiler, anchor.keys, scope)
    column = summand is not None

    def both(moment: Moment) -> tuple[int, int]:
        wanted = group(moment)
        if wanted is None:
            return 0, 0
        newest = moment.newest
        return moment.trackers[number].total(wanted, newest.time, newest)

    name = fixed(anchor.keys)
    totals = both if name is None else compiler.once(("total", number, name), both)
    return lambda moment, position, time: totals(moment)[column]  # noqa: ARG005 - at the newest


def _looks_at_rows(compiler: Compiler, spec: TrackerSpec) -> None:
    """Note that what blocks many rows at once looks at each: a mission may have so many."""
    for guard in spec.guards:
        # One request has one id, whatever an agent does.
        ids = any(compiler.path_of(spec.type, at) == REQUEST_ID for at in guard.of_row)
        several = spec.timed or not {*spec.group, *spec.row} <= {*guard.of_row}
        if several and not ids:
            share = TallySpec(spec.type, spec.tests, guard.of_row, spec.window)
            compiler.tallies[share] = None


def _shape(compiler: Compiler, parts: Sequence[Condition], scope: Scope) -> _Shape | None:
    if not scope.newest or not parts:
        return None
    first, others = parts[0], parts[1:]
    comparisons = [part for part in others if isinstance(part, Comparison)]
    negations = [part for part in others if not isinstance(part, Comparison)]
    match first:
        case Formerly(window, body):
            left: list[Condition] = []
        case Since(left_side, window, body):
            left = conjuncts(left_side)
        case _:
            return None
    anchor = pattern(compiler, [*conjuncts(body), *comparisons], scope.back(window))
    if anchor is None or anchor.rest:
        return None
    guards = [_left(compiler, part, anchor, window) for part in left]
    guards += [_absence(compiler, part, anchor) for part in negations]
    found = [guard for guard in guards if guard is not None]
    if len(found) < len(guards):
        return None
    return _Shape(anchor, milliseconds(window), tuple(sorted(set(found), key=repr)))


def _left(compiler: Compiler, part: Condition, anchor: Pattern, window: Window) -> GuardSpec | None:
    inner, negated = stripped(part)
    return _guard(compiler, inner, anchor, window, since=True) if negated else None


def _absence(compiler: Compiler, part: Condition, anchor: Pattern) -> GuardSpec | None:
    inner, negated = stripped(part)
    if not negated or not isinstance(inner, Formerly):
        return None
    return _guard(compiler, inner.body, anchor, inner.window, since=False)


def _guard(
    compiler: Compiler, body: Condition, anchor: Pattern, window: Window, *, since: bool
) -> GuardSpec | None:
    found = pattern(compiler, conjuncts(body), anchor.scope)
    if found is None or found.rest or found.timed or found.binds:
        return None
    of_row = [_of_row(term, anchor) for term in found.keys]
    known = [index for index in of_row if index is not None]
    if len(known) < len(of_row) or not set(known) & set(anchor.binds.values()):
        return None
    return GuardSpec(found.type, found.tests, found.key, tuple(known), milliseconds(window), since)


def _of_row(term: KeyTerm, anchor: Pattern) -> int | None:
    """Return the field of the row's event that a field of the blocking event must equal."""
    if isinstance(term.term, Variable) and term.term.name in anchor.binds:
        return anchor.binds[term.term.name]
    for known in anchor.keys:
        if known.identity is not None and known.identity == term.identity:
            return known.index
    return None
