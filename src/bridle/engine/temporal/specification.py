"""Conditions over history evaluated straight from Dogwood's specification: slow, and plainly right.

One judgement: the relation of a condition at a position, that is the rows of new bindings under
which it holds there, each with the positions of the events that made it so. A condition holds when
its relation is not empty. The incremental engine must agree with this; nothing decides by it except
a replay that asks for it.

What the specification leaves open, and what is done here (as the reference does): a sum or count
beyond a Long counts as the nearest Long; order is compared between integers only, and is false
between anything else; a comparison with something that is not there is false, `!=` too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TypeAlias, cast

from bridle.engine.temporal.atoms import LONG_MAX, LONG_MIN, Atomiser
from bridle.engine.temporal.event import ActionName, Atom, Event, Read
from bridle.language.temporal.ast import (
    And,
    Argument,
    ArrayLiteral,
    Comparison,
    Condition,
    ContextField,
    Count,
    Exists,
    Field,
    Formerly,
    Not,
    Predicate,
    Previous,
    ScopeField,
    Since,
    Sum,
    Term,
    Tp,
    Variable,
    Wildcard,
    Window,
)
from bridle.language.temporal.tree import children, conjuncts
from bridle.model.errors import UsageError

MAX_DEPTH = 150
"""Operators within operators; a chain of `&&`, of `!` or of `exists` is one."""

Bindings: TypeAlias = dict[str, Atom]
Row: TypeAlias = tuple[tuple[str, Atom], ...]
Behind: TypeAlias = AbstractSet[int]
"""The positions of the events that made something hold."""

Relation: TypeAlias = Mapping[Row, Behind]
"""Rows, sorted by name, with what is behind them."""

_Type: TypeAlias = tuple[ActionName, str]
"""An action, and the kind of event."""

_NOWHERE: Behind = frozenset[int]()
_HOLDS: Relation = {(): _NOWHERE}

_ORDER: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def holds(
    condition: Condition, history: Sequence[Event], at: int, read: Read, atomiser: Atomiser
) -> bool:
    """Whether `condition` holds at position `at` of `history`, the deciding event's own.

    `history` is the whole of what the condition may see, later positions are not looked at.
    `condition` has no macros left and is accepted (`language.temporal.acceptance`). Raises
    `UsageError` where it is nested too deep or no such condition.
    """
    return bool(_relation(condition, history, at, read, atomiser))


def witnesses(
    condition: Condition, history: Sequence[Event], at: int, read: Read, atomiser: Atomiser
) -> list[int]:
    """Return the positions of the events that make `condition` hold at `at`, in order.

    Empty where it does not hold, and where it holds because something did not happen.
    """
    relation = _relation(condition, history, at, read, atomiser)
    return sorted(_together(relation))


def _relation(
    condition: Condition, history: Sequence[Event], at: int, read: Read, atomiser: Atomiser
) -> Relation:
    if depth(condition) > MAX_DEPTH:
        raise UsageError(f"this condition is nested more than {MAX_DEPTH} deep")
    return _Evaluation(history, read, atomiser).relation(condition, at, {})


class _Evaluation:
    def __init__(self, history: Sequence[Event], read: Read, atomiser: Atomiser) -> None:
        self.history = history
        self.read = read
        self.atomiser = atomiser
        self.index = _Index(history)

    def relation(self, condition: Condition, at: int, bound: Bindings) -> Relation:
        """Return the rows of variables not yet in `bound` that make `condition` hold at `at`."""
        match condition:
            case And():
                return self._all(conjuncts(condition), at, bound)
            case Not():
                return self._not(condition, at, bound)
            case Exists():
                return self._exists(condition, at, bound)
            case Formerly() | Previous() | Since():
                return self._over_time(condition, at, bound)
            case _:
                return self._here(condition, at, bound)

    def _over_time(
        self, condition: Formerly | Previous | Since, at: int, bound: Bindings
    ) -> Relation:
        match condition:
            case Formerly(window, body):
                return self._formerly(window, body, at, bound)
            case Previous(window, body):
                seen = at > 0 and self._within(window, at, at - 1)
                return self.relation(body, at - 1, bound) if seen else {}
            case Since():
                return self._since(condition, at, bound)

    def _here(self, condition: Condition, at: int, bound: Bindings) -> Relation:
        match condition:
            case Predicate():
                return self._predicate(condition, at, bound)
            case Comparison():
                return self._comparison(condition, at, bound)
            case Tp(variable):
                return self._position(variable, at, bound)
            case _:
                raise UsageError(f"a {type(condition).__name__} is left of a macro")

    def _predicate(self, predicate: Predicate, at: int, bound: Bindings) -> Relation:
        event = self.history[at]
        name = ("::".join(predicate.namespace), predicate.action)
        if event.action != name or event.kind != predicate.kind:
            return {}
        new: Bindings = {}
        for field in predicate.fields:
            if not self._field(field, event, bound, new):
                return {}
        return {_row(new): frozenset({at})}

    def _field(self, field: Field, event: Event, bound: Bindings, new: Bindings) -> bool:
        """Whether the event's field is what is asked; binds into `new` what is not bound yet."""
        logged = event.fields.get(field.path)
        if logged is None:
            return False
        if isinstance(field.term, Wildcard):
            return True
        if isinstance(field.term, Variable) and field.term.name not in bound:
            return new.setdefault(field.term.name, logged) == logged
        return self._value(field.term, bound) == logged

    def _comparison(self, comparison: Comparison, at: int, bound: Bindings) -> Relation:
        free = [
            term.name
            for term in (comparison.left, comparison.right)
            if isinstance(term, Variable) and term.name not in bound
        ]
        left, behind_left = self._operand(comparison.left, at, bound)
        right, behind_right = self._operand(comparison.right, at, bound)
        behind = behind_left | behind_right
        if comparison.op == "==" and len(free) == 1:
            value = right if left is None else left
            return {} if value is None else {((free[0], value),): behind}
        return {(): behind} if _compare(comparison.op, left, right) else {}

    def _all(self, parts: Sequence[Condition], at: int, bound: Bindings) -> Relation:
        """Join from left to right: each conjunct sees what those before it have bound."""
        found: Relation = _HOLDS
        for conjunct in parts:
            joined: dict[Row, set[int]] = {}
            for row, behind in found.items():
                for more, behind_more in self.relation(
                    conjunct, at, {**bound, **dict(row)}
                ).items():
                    _add(joined, _row(dict(row + more)), behind | behind_more)
            found = joined
        return found

    def _not(self, condition: Condition, at: int, bound: Bindings) -> Relation:
        negated = False
        while isinstance(condition, Not):
            negated = not negated
            condition = condition.inner
        return _HOLDS if bool(self.relation(condition, at, bound)) is not negated else {}

    def _formerly(self, window: Window, body: Condition, at: int, bound: Bindings) -> Relation:
        found: dict[Row, set[int]] = {}
        for past in self._reachable(window, at, body, bound):
            for row, behind in self.relation(body, past, bound).items():
                _add(found, row, behind)
        return found

    def _since(self, since: Since, at: int, bound: Bindings) -> Relation:
        """Bind by the anchor (the right side); the left must hold at every later position."""
        found: dict[Row, set[int]] = {}
        for anchor in self._reachable(since.window, at, since.right, bound):
            for row, behind in self.relation(since.right, anchor, bound).items():
                steps = range(anchor + 1, at + 1)
                left = self._throughout(since.left, steps, {**bound, **dict(row)})
                if left is not None:
                    _add(found, row, behind | left)
        return found

    def _throughout(
        self, condition: Condition, steps: Iterable[int], bound: Bindings
    ) -> Behind | None:
        """Return the events behind `condition` at every step; None where it fails at one."""
        behind = set[int]()
        for step in steps:
            found = self.relation(condition, step, bound)
            if not found:
                return None
            behind |= _together(found)
        return behind

    def _exists(self, condition: Condition, at: int, bound: Bindings) -> Relation:
        names = set[str]()
        while isinstance(condition, Exists):
            names.add(condition.binder.name)
            condition = condition.body
        # What an outer binder of the same name is bound to must not reach the body.
        body = self.relation(condition, at, _without(bound, names))
        found: dict[Row, set[int]] = {}
        for row, behind in body.items():
            _add(found, tuple(pair for pair in row if pair[0] not in names), behind)
        return found

    def _position(self, name: str, at: int, bound: Bindings) -> Relation:
        if name not in bound:
            return {((name, at),): _NOWHERE}
        return _HOLDS if bound[name] == at else {}

    def _operand(self, term: Term, at: int, bound: Bindings) -> tuple[Atom | None, Behind]:
        if isinstance(term, Count | Sum):
            return self._aggregate(term, at, bound)
        return self._value(term, bound), _NOWHERE

    def _aggregate(self, term: Count | Sum, at: int, bound: Bindings) -> tuple[int, Behind]:
        names = {binder.name for binder in term.binders}
        body = self.relation(term.body, at, _without(bound, names))
        rows = {tuple(pair for pair in row if pair[0] in names) for row in body}
        behind = _together(body)
        total = len(rows) if isinstance(term, Count) else _sum(rows, term.variable)
        return max(LONG_MIN, min(total, LONG_MAX)), behind

    def _value(self, term: Term, bound: Bindings) -> Atom | None:
        """Return what a term stands for; None where that is nothing, or anything."""
        match term:
            case Variable(name):
                return bound.get(name)
            case ContextField(path):
                return self.read(("context", *path))
            case ScopeField(path):
                return self.read(path)
            case ArrayLiteral(items):
                values = [self._value(item, bound) for item in items]
                return None if None in values else self.atomiser.array(cast("list[Atom]", values))
            case Wildcard():
                return None
            case _:
                return self.atomiser.literal(term)

    def _reachable(self, window: Window, at: int, body: Condition, bound: Bindings) -> list[int]:
        """Return the positions within the window at which `body` may hold.

        Where a predicate is one of its conjuncts, those are positions of such events.
        """
        predicates = (each for each in conjuncts(body) if isinstance(each, Predicate))
        first = next(predicates, None)
        places = range(at + 1) if first is None else self._places(first, bound)
        return [past for past in places if past <= at and self._within(window, at, past)]

    def _places(self, predicate: Predicate, bound: Bindings) -> Sequence[int]:
        """Return positions of the predicate's events: the fewest that one known field leaves."""
        fewest = self.index.of_type(_type(predicate))
        for field in predicate.fields:
            free = isinstance(field.term, Variable) and field.term.name not in bound
            if not free and not isinstance(field.term, Wildcard):
                value = self._value(field.term, bound)
                found = self.index.of_field(_type(predicate), field.path, value)
                fewest = min(fewest, found, key=len)
        return fewest

    def _within(self, window: Window, at: int, past: int) -> bool:
        """Both ends count. The clock of a trace may go back: a later stamp is never within."""
        return 0 <= self.history[at].time - self.history[past].time <= window.seconds * 1000


class _Index:
    """Where in a history events of a type stand, and those of them with a field's value."""

    def __init__(self, history: Sequence[Event]) -> None:
        self._history = history
        self._types: dict[_Type, list[int]] = {}
        self._fields: dict[tuple[_Type, str], dict[Atom | None, list[int]]] = {}
        for position, event in enumerate(history):
            self._types.setdefault((event.action, event.kind), []).append(position)

    def of_type(self, kind: _Type) -> Sequence[int]:
        return self._types.get(kind, ())

    def of_field(self, kind: _Type, path: str, value: Atom | None) -> Sequence[int]:
        """Return the positions in order; none where the value is not there."""
        if value is None:
            return ()
        if (kind, path) not in self._fields:
            by_value = self._fields[kind, path] = {}
            for position in self.of_type(kind):
                logged = self._history[position].fields.get(path)
                by_value.setdefault(logged, []).append(position)
        return self._fields[kind, path].get(value, ())


def depth(condition: Condition) -> int:
    """Return how deep operators stand within one another: what evaluation would recurse."""
    deepest, rest = 0, list[tuple[Argument, int]]([(condition, 1)])
    while rest:
        node, level = rest.pop()
        deepest = max(deepest, level)
        chained = isinstance(node, And | Not | Exists)
        for below in children(node):
            rest.append((below, level + (not (chained and type(below) is type(node)))))
    return deepest


def _type(predicate: Predicate) -> _Type:
    return ("::".join(predicate.namespace), predicate.action), predicate.kind


def _compare(op: str, left: Atom | None, right: Atom | None) -> bool:
    if left is None or right is None:
        return False
    if op == "==":
        return left == right
    if op == "!=":
        return left != right
    return isinstance(left, int) and isinstance(right, int) and _ORDER[op](left, right)


def _sum(rows: Iterable[Row], name: str) -> int:
    """Add up what is an integer. Exact: only the total is brought into the range of a Long."""
    values = (dict(row).get(name) for row in rows)
    return sum(value for value in values if isinstance(value, int))


def _without(bound: Bindings, names: set[str]) -> Bindings:
    return {name: value for name, value in bound.items() if name not in names}


def _row(bindings: Bindings) -> Row:
    return tuple(sorted(bindings.items()))


def _together(relation: Relation) -> Behind:
    return set[int]().union(*relation.values())


def _add(relation: dict[Row, set[int]], row: Row, behind: Behind) -> None:
    kept = relation.get(row)
    if kept is None:
        relation[row] = set(behind)
    else:
        kept.update(behind)
