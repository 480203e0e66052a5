"""Conditions → checks and rows, operator by operator, at any position.

What an index answers at once is left to `seek`, `continuity`, `aggregates` and `standing`.
A check says whether a condition holds at a position for some values of the variables that have none
yet. Rows yield once for each such assignment, having written it into the environment. Both follow
the order in which the language binds: from left to right, the right side of `since` first.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from typing import TypeAlias, TypeVar, cast

from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.index.matching import comparer
from bridle.engine.temporal.index.postings import PostingsSpec
from bridle.engine.temporal.index.record import EventType
from bridle.engine.temporal.index.tally import ANY, TallySpec
from bridle.engine.temporal.index.tracker import TrackerSpec
from bridle.engine.temporal.plan import aggregates, continuity, seek, standing, terms
from bridle.engine.temporal.plan.collect import named
from bridle.engine.temporal.plan.moment import UNKNOWN, Moment
from bridle.engine.temporal.plan.patterns import Pattern
from bridle.engine.temporal.plan.scope import Scope, free, stripped
from bridle.language.temporal.ast import (
    And,
    Comparison,
    Condition,
    Count,
    Exists,
    Formerly,
    Not,
    Predicate,
    Previous,
    Since,
    Sum,
    Term,
    Tp,
    Variable,
)
from bridle.language.temporal.tree import conjuncts
from bridle.model.errors import UsageError

Check: TypeAlias = Callable[[Moment, int, int], bool]
"""At a moment, a position and its time."""

Rows: TypeAlias = Callable[[Moment, int, int], Iterator[None]]

T = TypeVar("T")


class Compiler:
    """Compiles the conditions of one program, and collects the indexes that they need."""

    def __init__(self, types: tuple[EventType, ...], atoms: Atomiser) -> None:
        self.atoms = atoms
        self.ticks = -1
        self.slots = 0
        self.postings: dict[PostingsSpec, int] = {}
        self.trackers: dict[TrackerSpec, int] = {}
        self.tallies: dict[TallySpec, None] = {}
        self._common: dict[Hashable, Callable[[Moment], object]] = {}
        self._types = types
        self._numbers = {(t.action, t.kind): n for n, t in enumerate(types)}
        self._paths = [{path: n for n, path in enumerate(t.paths)} for t in types]

    def type_of(self, predicate: Predicate) -> int:
        """Return the number of the events that `predicate` is about."""
        return self._numbers[named(predicate)]

    def index_of(self, number: int, path: str) -> int:
        """Return where a type of event keeps a field."""
        return self._paths[number][path]

    def path_of(self, number: int, index: int) -> str:
        """Return which field of a type of event that is."""
        return self._types[number].paths[index]

    def slot(self) -> int:
        """Return a new place in the environment."""
        self.slots += 1
        return self.slots - 1

    @property
    def shared(self) -> int:
        """How many parts conditions have in common, or could have."""
        return len(self._common)

    def once(self, name: Hashable, compute: Callable[[Moment], T]) -> Callable[[Moment], T]:
        """Return `compute` for all that ask for it by this name: done once for each moment.

        It must depend on nothing but the request and the history.
        """
        found = self._common.get(name)
        if found is None:
            found = self._common[name] = _remembered(len(self._common), compute)
        return cast("Callable[[Moment], T]", found)

    def looks_at(self, found: Pattern, horizon: int) -> None:
        """Note that a condition looks at each of these events: a mission may have so many."""
        self.tallies[TallySpec(found.type, found.tests, found.key, horizon)] = None

    def looks_everywhere(self, horizon: int) -> None:
        """Note that a condition looks at each position: a mission may have so many."""
        self.keeps_everything(horizon)
        self.tallies[TallySpec(ANY, (), (), horizon)] = None

    def keeps_everything(self, horizon: int) -> None:
        """Note that all events must be kept, for their positions and times."""
        self.ticks = max(self.ticks, horizon)

    def check(  # noqa: PLR0911 - one for each operator
        self, condition: Condition, scope: Scope
    ) -> Check:
        """Compile to whether `condition` holds."""
        match condition:
            case Predicate():
                return self._predicate(condition, scope)[0]
            case Comparison():
                return self._comparison(condition, scope)
            case And():
                return self._conjunction(conjuncts(condition), scope)
            case Not():
                return self._not(condition, scope)
            case Formerly():
                return seek.formerly(self, condition, scope)
            case Previous():
                return seek.previous(self, condition, scope)
            case Since():
                found = standing.some(self, [condition], scope)
                return found or continuity.since(self, condition, scope)
            case Exists(binder, body):
                return self.check(body, scope.without([binder.name]))
            case Tp(variable):
                return _at(scope.bound.get(variable))
            case _:
                raise UsageError(f"a {type(condition).__name__} is left of a macro")

    def rows(  # noqa: PLR0911 - one for each operator
        self, condition: Condition, scope: Scope
    ) -> tuple[Rows, Scope]:
        """Compile to the assignments of the variables not in `scope`, which then are."""
        if free(condition) <= scope.bound.keys():
            return _once(self.check(condition, scope)), scope
        match condition:
            case Predicate():
                check, inner = self._predicate(condition, scope)
                return _once(check), inner
            case Comparison():
                return self._binding(condition, scope)
            case And():
                return self._join(conjuncts(condition), scope)
            case Formerly():
                return seek.formerly_rows(self, condition, scope)
            case Previous():
                return seek.previous_rows(self, condition, scope)
            case Since():
                return continuity.since_rows(self, condition, scope)
            case Exists(binder, body):
                return self._exists(binder.name, body, scope)
            case Tp(variable):
                slot = self.slot()
                return _here(slot), scope.binding({variable: slot})
            case _:
                return _once(self.check(condition, scope)), scope

    def _predicate(self, predicate: Predicate, scope: Scope) -> tuple[Check, Scope]:
        """The event at the position itself; binds what has no value yet."""
        number = self.type_of(predicate)
        parts = seek.tests_of(self, [predicate], scope)
        assert parts is not None
        matches, keys, binds = parts.matches, parts.keys, parts.binds

        def check(moment: Moment, position: int, time: int) -> bool:  # noqa: ARG001
            record = moment.records.get(position)
            if record is None or record.type != number or not matches(record.fields):
                return False
            for index, value in keys:
                if value(moment) != record.fields[index]:
                    return False
            for slot, index in binds:
                moment.env[slot] = record.fields[index]
            return True

        return check, parts.scope

    def _conjunction(self, parts: list[Condition], scope: Scope) -> Check:
        closed = [part for part in parts if free(part) <= scope.bound.keys()]
        open_ = [part for part in parts if free(part) - scope.bound.keys()]
        checks = [self.check(part, scope) for part in closed]
        if open_:
            found = standing.some(self, open_, scope)
            checks.append(found or self._some(open_, scope))
        return checks[0] if len(checks) == 1 else _every(checks)

    def _some(self, parts: list[Condition], scope: Scope) -> Check:
        """Whether some assignment makes all parts hold: the last need not say which."""
        if len(parts) == 1:
            return self.check(parts[0], scope)
        rows, inner = self._join(parts[:-1], scope)
        last = self.check(parts[-1], inner)

        def check(moment: Moment, position: int, time: int) -> bool:
            for _ in rows(moment, position, time):  # noqa: SIM110 - no generator in a generator
                if last(moment, position, time):
                    return True
            return False

        return check

    def _join(self, parts: list[Condition], scope: Scope) -> tuple[Rows, Scope]:
        steps: list[Rows] = []
        for part in parts:
            rows, scope = self.rows(part, scope)
            steps.append(rows)
        return (steps[0] if len(steps) == 1 else _product(steps)), scope

    def _not(self, condition: Not, scope: Scope) -> Check:
        inner, negated = stripped(condition)
        check = self.check(inner, scope)
        if not negated:
            return check
        return lambda moment, position, time: not check(moment, position, time)

    def _exists(self, name: str, body: Condition, scope: Scope) -> tuple[Rows, Scope]:
        """The rows of the body; the variable is not seen outside, nor the outer one inside."""
        rows, inner = self.rows(body, scope.without([name]))
        outer = inner.without([name])
        if name in scope.bound:
            outer = outer.binding({name: scope.bound[name]})
        return seek.distinct(rows, scope, outer), outer

    def _operand(self, term: Term, scope: Scope) -> aggregates.Number:
        if isinstance(term, Count | Sum):
            return aggregates.aggregate(self, term, scope)
        value = terms.value(self.atoms, term, scope)
        return lambda moment, position, time: value(moment)  # noqa: ARG005 - the same everywhere

    def _comparison(self, comparison: Comparison, scope: Scope) -> Check:
        if self._unbound(comparison, scope) is not None:
            rows, _ = self._binding(comparison, scope)
            return lambda moment, position, time: any(True for _ in rows(moment, position, time))
        left = self._operand(comparison.left, scope)
        holds = comparer(comparison.op)
        constant = terms.literal(self.atoms, comparison.right)
        if constant is not None:
            return lambda moment, position, time: holds(left(moment, position, time), constant)
        right = self._operand(comparison.right, scope)
        return lambda moment, position, time: holds(
            left(moment, position, time), right(moment, position, time)
        )

    def _unbound(self, comparison: Comparison, scope: Scope) -> str | None:
        """Return the variable that an equality gives a value; None if it gives none."""
        sides = (comparison.left, comparison.right)
        names = [s.name for s in sides if isinstance(s, Variable) and s.name not in scope.bound]
        return names[0] if comparison.op == "==" and len(names) == 1 else None

    def _binding(self, comparison: Comparison, scope: Scope) -> tuple[Rows, Scope]:
        name = self._unbound(comparison, scope)
        if name is None:
            return _once(self._comparison(comparison, scope)), scope
        mirrored = isinstance(comparison.left, Variable) and comparison.left.name == name
        other = self._operand(comparison.right if mirrored else comparison.left, scope)
        slot = self.slot()

        def rows(moment: Moment, position: int, time: int) -> Iterator[None]:
            value = other(moment, position, time)
            if value is not None:
                moment.env[slot] = value
                yield

        return rows, scope.binding({name: slot})


def _remembered(number: int, compute: Callable[[Moment], T]) -> Callable[[Moment], T]:
    def known(moment: Moment) -> T:
        found = moment.known[number]
        if found is UNKNOWN:
            found = moment.known[number] = compute(moment)
        return cast("T", found)

    return known


def _every(checks: list[Check]) -> Check:
    def check(moment: Moment, position: int, time: int) -> bool:
        for part in checks:  # noqa: SIM110 - a generator costs more than most checks
            if not part(moment, position, time):
                return False
        return True

    return check


def _once(check: Check) -> Rows:
    def rows(moment: Moment, position: int, time: int) -> Iterator[None]:
        if check(moment, position, time):
            yield

    return rows


def _here(slot: int) -> Rows:
    def rows(moment: Moment, position: int, time: int) -> Iterator[None]:  # noqa: ARG001
        moment.env[slot] = position
        yield

    return rows


def _at(slot: int | None) -> Check:
    if slot is None:
        return lambda moment, position, time: True  # noqa: ARG005 - some position is this one
    return lambda moment, position, time: moment.env[slot] == position  # noqa: ARG005


def _product(steps: list[Rows]) -> Rows:
    """Nested loops over the steps, without recursion: chains may be long."""
    last = len(steps) - 1

    def rows(moment: Moment, position: int, time: int) -> Iterator[None]:
        open_ = [steps[0](moment, position, time)]
        while open_:
            for _ in open_[-1]:
                if len(open_) > last:
                    yield
                else:
                    open_.append(steps[len(open_)](moment, position, time))
                    break
            else:
                open_.pop()

    return rows
