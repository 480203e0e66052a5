"""`formerly` and `previous`: from the index of a pattern to the events worth a look."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeAlias, cast

from msgspec import Struct

from bridle.engine.temporal.event import Atom
from bridle.engine.temporal.index.matching import Matcher, matcher
from bridle.engine.temporal.index.postings import Key, Posting, PostingsSpec
from bridle.engine.temporal.index.record import Record
from bridle.engine.temporal.plan import terms
from bridle.engine.temporal.plan.moment import Moment
from bridle.engine.temporal.plan.patterns import KeyTerm, Pattern, pattern
from bridle.engine.temporal.plan.scope import Scope, conjoin, milliseconds
from bridle.language.temporal.ast import Condition, Formerly, Predicate, Previous
from bridle.language.temporal.tree import conjuncts

if TYPE_CHECKING:
    from bridle.engine.temporal.plan.compiler import Check, Compiler, Rows

Seek: TypeAlias = Callable[[Moment], Posting | None]
"""The posting of the key that a moment asks for; None if there is none."""

Visit: TypeAlias = Callable[[Moment, int, int], Iterator[Record]]
"""The events worth a look from a position and its time back, newest first, bound."""


class EventTests(Struct, frozen=True):
    """What a predicate asks of the event at hand, and gives to variables: (slot, field)."""

    matches: Matcher
    keys: tuple[tuple[int, terms.Value], ...]
    binds: tuple[tuple[int, int], ...]
    scope: Scope


def tests_of(compiler: Compiler, parts: Sequence[Predicate], scope: Scope) -> EventTests | None:
    """Compile a predicate for the event at hand."""
    found = pattern(compiler, parts, scope)
    if found is None:
        return None
    keys = tuple((k.index, terms.value(compiler.atoms, k.term, scope)) for k in found.keys)
    binds = tuple((found.scope.bound[name], index) for name, index in found.binds.items())
    return EventTests(matcher(found.tests), keys, binds, found.scope)


def key(
    compiler: Compiler, keys: Sequence[KeyTerm], scope: Scope
) -> Callable[[Moment], Key | None]:
    """Compile the key that a pattern is looked up by; None: something of it is not there."""
    values = [terms.value(compiler.atoms, term.term, scope) for term in keys]
    if not values:
        return lambda moment: ()  # noqa: ARG005 - one group for all

    def composed(moment: Moment) -> Key | None:
        found = tuple([value(moment) for value in values])
        return None if None in found else cast("tuple[Atom, ...]", found)

    lookup = values[0] if len(values) == 1 else composed
    name = fixed(keys)
    return lookup if name is None else compiler.once(("key", name), lookup)


def fixed(keys: Sequence[KeyTerm]) -> Hashable:
    """Return what keys have in common that are the same for a request; None for any other."""
    paths = tuple(term.identity for term in keys)
    # A variable's identity is the number of its slot: its value may differ from row to row.
    return paths if all(isinstance(path, tuple) for path in paths) else None


def seek(compiler: Compiler, found: Pattern, scope: Scope, *, runs: bool = False) -> Seek:
    """Compile the look-up of a pattern's events; its fields are compared in `scope`."""
    spec = PostingsSpec(found.type, found.tests, found.key, runs=runs)
    number = compiler.postings.setdefault(spec, len(compiler.postings))
    lookup = key(compiler, found.keys, scope)

    def posting(moment: Moment) -> Posting | None:
        wanted = lookup(moment)
        return None if wanted is None else moment.postings[number].groups.get(wanted)

    name = fixed(found.keys)
    return posting if name is None else compiler.once(("posting", number, name), posting)


def latest(posting: Posting | None, position: int) -> int:
    """Return the index of the newest event at or before `position`; -1 if there is none."""
    if posting is None:
        return -1
    stop = posting.stop(position)
    return stop - 1 if stop > posting.head else -1


def formerly(compiler: Compiler, condition: Formerly, scope: Scope) -> Check:
    """Compile `formerly` to whether it holds: one look-up where the pattern says it all."""
    inner = scope.back(condition.window)
    found = pattern(compiler, conjuncts(condition.body), inner)
    span = milliseconds(condition.window)
    if found is None or found.rest:
        return _formerly_visiting(compiler, condition, scope, found)
    posting_of = seek(compiler, found, scope)

    def newest(moment: Moment, position: int, time: int) -> bool:  # noqa: ARG001 - the last one
        posting = posting_of(moment)
        return posting is not None and posting.times[-1] >= time - span

    def anywhere(moment: Moment, position: int, time: int) -> bool:
        posting = posting_of(moment)
        at = latest(posting, position)
        return at >= 0 and posting is not None and posting.times[at] >= time - span

    return newest if scope.newest else anywhere


def _formerly_visiting(
    compiler: Compiler, condition: Formerly, scope: Scope, found: Pattern | None
) -> Check:
    visit, inner, rest = visits(compiler, condition.body, scope.back(condition.window), found)
    check = compiler.check(conjoin(rest), inner)
    span = milliseconds(condition.window)

    def held(moment: Moment, position: int, time: int) -> bool:
        for record in visit(moment, position, time - span):
            if check(moment, record.position, record.time):
                return True
        return False

    return held


def formerly_rows(compiler: Compiler, condition: Formerly, scope: Scope) -> tuple[Rows, Scope]:
    """Compile `formerly` to its assignments, newest first and each once."""
    back = scope.back(condition.window)
    found = pattern(compiler, conjuncts(condition.body), back)
    visit, inner, rest = visits(compiler, condition.body, back, found)
    span = milliseconds(condition.window)
    steps, last = compiler.rows(conjoin(rest), inner) if rest else (None, inner)

    def rows(moment: Moment, position: int, time: int) -> Iterator[None]:
        for record in visit(moment, position, time - span):
            if steps is None:
                yield
            else:
                yield from steps(moment, record.position, record.time)

    outer = Scope(last.bound, scope.newest, scope.horizon)
    return distinct(rows, scope, outer), outer


def visits(
    compiler: Compiler, body: Condition, scope: Scope, found: Pattern | None
) -> tuple[Visit, Scope, tuple[Condition, ...]]:
    """Return how to go through the events where `body` may hold, and what is left to ask there."""
    if found is None:
        compiler.looks_everywhere(scope.horizon)
        return (lambda moment, position, since: moment.back(position, since)), scope, (body,)
    compiler.looks_at(found, scope.horizon)
    posting_of = seek(compiler, found, scope)
    binds = [(found.scope.bound[name], index) for name, index in found.binds.items()]
    timed = list(found.timed.values())

    def visit(moment: Moment, position: int, since: int) -> Iterator[Record]:
        posting = posting_of(moment)
        if posting is None:
            return
        stop = posting.stop(position)
        env, records, positions = moment.env, moment.records, posting.positions
        for at in range(stop - 1, posting.start(since, stop) - 1, -1):
            moment.step()
            record = records[positions[at]]
            for slot, index in binds:
                env[slot] = record.fields[index]
            for slot in timed:
                env[slot] = record.position
            yield record

    return visit, found.scope, found.rest


def previous(compiler: Compiler, condition: Previous, scope: Scope) -> Check:
    """Compile `previous` to whether it holds."""
    check = compiler.check(condition.body, scope.back(condition.window))
    before = _before(compiler, condition, scope)

    def held(moment: Moment, position: int, time: int) -> bool:
        stamp = before(moment, position, time)
        return stamp is not None and check(moment, position - 1, stamp)

    return held


def previous_rows(compiler: Compiler, condition: Previous, scope: Scope) -> tuple[Rows, Scope]:
    """Compile `previous` to its assignments."""
    steps, inner = compiler.rows(condition.body, scope.back(condition.window))
    before = _before(compiler, condition, scope)

    def rows(moment: Moment, position: int, time: int) -> Iterator[None]:
        stamp = before(moment, position, time)
        if stamp is not None:
            yield from steps(moment, position - 1, stamp)

    return rows, Scope(inner.bound, scope.newest, scope.horizon)


def _before(
    compiler: Compiler, condition: Previous, scope: Scope
) -> Callable[[Moment, int, int], int | None]:
    """Compile the time of the position before; None where it is out of the window."""
    span = milliseconds(condition.window)

    def newest(moment: Moment, position: int, time: int) -> int | None:  # noqa: ARG001
        stamp = moment.before
        return stamp if stamp is not None and stamp >= time - span else None

    def anywhere(moment: Moment, position: int, time: int) -> int | None:
        record = moment.records.get(position - 1)
        return record.time if record is not None and record.time >= time - span else None

    if scope.newest:
        return newest
    compiler.keeps_everything(scope.horizon + span)
    return anywhere


def distinct(rows: Rows, before: Scope, after: Scope) -> Rows:
    """Let each assignment of what `after` adds to `before` through once."""
    slots = [slot for name, slot in after.bound.items() if before.bound.get(name) != slot]

    def once(moment: Moment, position: int, time: int) -> Iterator[None]:
        seen: set[tuple[Atom | None, ...]] = set()
        env = moment.env
        for _ in rows(moment, position, time):
            row = tuple([env[slot] for slot in slots])
            if row not in seen:
                seen.add(row)
                yield
                if not slots:
                    return

    return once
