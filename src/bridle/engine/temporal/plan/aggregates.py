"""`count` and `sum`: by running totals per key, by rows that stand, or over all assignments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from bridle.engine.temporal.atoms import LONG_MAX, LONG_MIN
from bridle.engine.temporal.event import Atom
from bridle.engine.temporal.index.postings import PostingsSpec
from bridle.engine.temporal.plan import standing
from bridle.engine.temporal.plan.moment import Moment
from bridle.engine.temporal.plan.patterns import Pattern, pattern
from bridle.engine.temporal.plan.scope import Scope, conjoin, free, milliseconds
from bridle.engine.temporal.plan.seek import key
from bridle.language.temporal.ast import Comparison, Condition, Count, Exists, Formerly, Sum
from bridle.language.temporal.tree import conjuncts

if TYPE_CHECKING:
    from bridle.engine.temporal.plan.compiler import Compiler

Number: TypeAlias = Callable[[Moment, int, int], Atom | None]
"""The value of an operand at a moment, a position and its time."""


def aggregate(compiler: Compiler, term: Count | Sum, outside: Scope) -> Number:
    """Compile an aggregate: exact, and brought into the range of a Long at the end."""
    names = [binder.name for binder in term.binders]
    summand = term.variable if isinstance(term, Sum) else None
    scope = outside.without(names)
    parts, inner = _unwrapped(term.body, names, scope)
    closed = [part for part in parts if free(part) <= inner.bound.keys()]
    open_ = [part for part in parts if free(part) - inner.bound.keys()]
    number = (
        _running(compiler, open_, inner, names, summand)
        or standing.number(compiler, open_, inner, names, summand)
        or _enumerated(compiler, open_, inner, names, summand)
    )
    guards = [compiler.check(part, inner) for part in closed]

    def clamped(moment: Moment, position: int, time: int) -> Atom:
        value = number(moment, position, time)
        return value if LONG_MIN <= value <= LONG_MAX else max(LONG_MIN, min(value, LONG_MAX))

    def guarded(moment: Moment, position: int, time: int) -> Atom:
        for guard in guards:
            if not guard(moment, position, time):
                return 0
        return clamped(moment, position, time)

    return guarded if guards else clamped


def _unwrapped(
    body: Condition, names: Sequence[str], scope: Scope
) -> tuple[list[Condition], Scope]:
    """Return the conjuncts under the outermost `exists`: an aggregate projects it away anyway."""
    inner, hidden = body, set[str]()
    while isinstance(inner, Exists):
        hidden.add(inner.binder.name)
        inner = inner.body
    if hidden & set(names):
        return conjuncts(body), scope
    return conjuncts(inner), scope.without(hidden)


def _running(
    compiler: Compiler,
    parts: Sequence[Condition],
    scope: Scope,
    names: Sequence[str],
    summand: str | None,
) -> standing.Total | None:
    """Each event of one pattern is a row of its own: two binary searches, at any position."""
    found = single(compiler, parts, scope)
    if found is None or not set(names) <= found[0].binds.keys() | found[0].timed.keys():
        return None
    one, span = found
    if not set(names) & one.timed.keys() or (summand and summand not in one.binds):
        return None
    value = one.binds[summand] if summand else -1
    spec = PostingsSpec(one.type, one.tests, one.key, value)
    number = compiler.postings.setdefault(spec, len(compiler.postings))
    lookup = key(compiler, one.keys, scope)

    def total(moment: Moment, position: int, time: int) -> int:
        wanted = lookup(moment)
        posting = None if wanted is None else moment.postings[number].groups.get(wanted)
        if posting is None:
            return 0
        stop = posting.stop(position)
        start = posting.start(time - span, stop)
        if value >= 0:
            return posting.sums[stop] - posting.sums[start] if start < stop else 0
        return max(0, stop - start)

    return total


def single(
    compiler: Compiler, parts: Sequence[Condition], scope: Scope
) -> tuple[Pattern, int] | None:
    """Return the pattern and window (ms) of one `formerly` with comparisons beside it.

    A comparison of what the event binds may as well stand inside.
    """
    if not parts or not isinstance(parts[0], Formerly):
        return None
    if not all(isinstance(part, Comparison) for part in parts[1:]):
        return None
    first = parts[0]
    body = [*conjuncts(first.body), *parts[1:]]
    found = pattern(compiler, body, scope.back(first.window))
    return None if found is None or found.rest else (found, milliseconds(first.window))


def _enumerated(
    compiler: Compiler,
    parts: Sequence[Condition],
    scope: Scope,
    names: Sequence[str],
    summand: str | None,
) -> standing.Total:
    """Go through all assignments of the parts, and keep the different values of the binders."""
    if not parts:
        return lambda moment, position, time: int(summand is None)  # noqa: ARG005 - one empty row
    rows, inner = compiler.rows(conjoin(parts), scope)
    slots = [inner.bound[name] for name in names if name in inner.bound]
    column = slots.index(inner.bound[summand]) if summand and summand in inner.bound else -1

    def total(moment: Moment, position: int, time: int) -> int:
        env = moment.env
        found = {tuple([env[slot] for slot in slots]) for _ in rows(moment, position, time)}
        if summand is None:
            return len(found)
        if column < 0:
            return 0
        return sum(value for row in found if isinstance(value := row[column], int))

    return total
