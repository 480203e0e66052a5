"""The part of a body that one event alone answers: what an index can be made of.

A pattern is the first predicate of a conjunction with everything beside it that depends on nothing
but that event: tests that go into the index, fields that are looked up by (the key), and what is
left over to be evaluated at each event found.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from bridle.engine.temporal.event import Atom
from bridle.engine.temporal.index.matching import (
    Compared,
    Equal,
    NotAll,
    Present,
    Same,
    Test,
    canonical,
)
from bridle.engine.temporal.plan import terms
from bridle.engine.temporal.plan.scope import Scope, stripped, term_variables
from bridle.language.temporal.ast import (
    Comparison,
    Condition,
    Predicate,
    Term,
    Tp,
    Variable,
    Wildcard,
)

if TYPE_CHECKING:
    from bridle.engine.temporal.plan.compiler import Compiler


class KeyTerm(Struct, frozen=True):
    """A field that must equal a term known before the event is looked for."""

    index: int
    term: Term
    identity: Hashable


class Pattern(Struct, frozen=True):
    """What `rest` leaves to ask, `scope` is the scope of. `binds` gives fields to variables.

    `timed` are the slots that the position itself is bound to.
    """

    type: int
    tests: tuple[Test, ...]
    keys: tuple[KeyTerm, ...]
    binds: dict[str, int]
    timed: dict[str, int]
    rest: tuple[Condition, ...]
    scope: Scope

    @property
    def key(self) -> tuple[int, ...]:
        """The fields that are looked up by."""
        return tuple(term.index for term in self.keys)


class _Draft:
    def __init__(self, compiler: Compiler, predicate: Predicate, scope: Scope) -> None:
        self.compiler = compiler
        self.scope = scope
        self.type = compiler.type_of(predicate)
        self.tests: list[Test] = []
        self.keys: list[KeyTerm] = []
        self.binds: dict[str, int] = {}
        self.timed: dict[str, int] = {}
        for field in predicate.fields:
            self._field(compiler.index_of(self.type, field.path), field.term)

    def _field(self, index: int, term: Term) -> None:
        constant = terms.literal(self.compiler.atoms, term)
        if constant is not None:
            self.tests.append(Equal(index, constant))
            return
        self.tests.append(Present(index))
        if isinstance(term, Variable) and term.name not in self.scope.bound:
            if term.name in self.binds:
                self.tests.append(Same(self.binds[term.name], index))
            else:
                self.binds[term.name] = index
        elif not isinstance(term, Wildcard):
            self.keys.append(KeyTerm(index, term, terms.identity(term, self.scope)))

    def absorb(self, condition: Condition) -> bool:
        """Take a conjunct in if this event alone answers it."""
        match condition:
            case Tp(variable) if variable not in self.scope.bound and variable not in self.binds:
                return self.timed.setdefault(variable, self.compiler.slot()) >= 0
            case Comparison():
                return self._add(self._comparison(condition))
            case _:
                return self._negated(condition)

    def _add(self, test: Test | None) -> bool:
        if test is not None:
            self.tests.append(test)
        return test is not None

    def _comparison(self, comparison: Comparison) -> Test | None:
        left, right = self._operand(comparison.left), self._operand(comparison.right)
        if left is None or right is None:
            return None
        return Compared(comparison.op, left, right)

    def _operand(self, term: Term) -> int | tuple[Atom] | None:
        if isinstance(term, Variable):
            return None if term.name in self.scope.bound else self.binds.get(term.name)
        constant = terms.literal(self.compiler.atoms, term)
        return None if constant is None else (constant,)

    def _negated(self, condition: Condition) -> bool:
        predicate, negated = stripped(condition)
        if not negated or not isinstance(predicate, Predicate):
            return False
        if self.compiler.type_of(predicate) != self.type:
            return True
        tests: list[Test] = []
        for field in predicate.fields:
            found = self._negated_field(field.path, field.term)
            if found is None:
                return False
            tests += found
        return self._add(NotAll(canonical(tests)))

    def _negated_field(self, path: str, term: Term) -> list[Test] | None:
        """Return what a field of a negated predicate asks of the event; None: not it alone."""
        index = self.compiler.index_of(self.type, path)
        constant = terms.literal(self.compiler.atoms, term)
        if constant is not None:
            return [Equal(index, constant)]
        if isinstance(term, Wildcard):
            return [Present(index)]
        if isinstance(term, Variable) and term.name in self.binds:
            return [Same(index, self.binds[term.name])]
        same = terms.identity(term, self.scope)
        if same is not None and any(k.index == index and k.identity == same for k in self.keys):
            return []  # The event is looked up by the same value of the same field.
        return None

    def loose(self) -> _Draft:
        """Bind nothing, and look up only by what has a value before the conjunction begins."""
        self.binds, self.timed = {}, {}
        known = self.scope.bound.keys()
        self.keys = [key for key in self.keys if term_variables(key.term) <= known]
        return self

    def pattern(self, rest: Sequence[Condition]) -> Pattern:
        binds = {name: self.compiler.slot() for name in self.binds}
        scope = self.scope.binding({**binds, **self.timed})
        keys = sorted(self.keys, key=lambda term: (term.index, repr(term.identity)))
        return Pattern(
            self.type,
            canonical(self.tests),
            tuple(keys),
            self.binds,
            self.timed,
            tuple(rest),
            scope,
        )


def pattern(compiler: Compiler, parts: Sequence[Condition], scope: Scope) -> Pattern | None:
    """Return the pattern of a conjunction in `scope`; None if it has no predicate.

    What stands before the predicate may bind what the predicate asks: then all of it is left over,
    and the pattern says only which events are worth a look.
    """
    at = next((n for n, part in enumerate(parts) if isinstance(part, Predicate)), None)
    if at is None:
        return None
    predicate = parts[at]
    assert isinstance(predicate, Predicate)
    draft = _Draft(compiler, predicate, scope)
    if not all(isinstance(part, Tp) and draft.absorb(part) for part in parts[:at]):
        return _Draft(compiler, predicate, scope).loose().pattern(parts)
    return draft.pattern([part for part in parts[at + 1 :] if not draft.absorb(part)])
