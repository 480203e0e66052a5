"""The text of a condition over history → its tree. One job: syntax.

Recursive descent on the lexer's tokens; no choice is tried twice, so it is linear in the text, and
depth and size have limits, so it ends on any text. What the grammar of record lets through only to
refuse it later (a parameter outside a macro, a window of no length) is let through here too.
Stricter than that grammar in one point: words may not be written together (`tp` and `within` begin
where a word begins).
"""

from __future__ import annotations

from typing import TypeVar

from bridle.language.lexer import Kind, Source
from bridle.language.temporal.ast import (
    AggregateCall,
    And,
    Argument,
    Call,
    Comparison,
    Condition,
    Count,
    EntityLiteral,
    Exists,
    Field,
    Formerly,
    Not,
    Predicate,
    Previous,
    Refine,
    Sigil,
    Since,
    Sum,
    Term,
    Tp,
)
from bridle.language.temporal.cursor import MAX_DEPTH, MAX_TOKENS, too_deep
from bridle.language.temporal.terms import Aggregate, Terms
from bridle.language.temporal.tree import depth

__all__ = ["MAX_DEPTH", "MAX_TOKENS", "body", "condition", "too_deep"]

_OPERATORS = {"==", "!=", "<", "<=", ">", ">="}

Tree = TypeVar("Tree", bound=Argument)


def condition(source: Source, start: int, end: int) -> Condition:
    """Parse the text between two offsets of a file. Raises `LanguageError` with the place."""
    reader = _Conditions(source, start, end)
    found = reader.condition()
    reader.finish()
    return _bounded(source, start, found)


def body(source: Source, start: int, end: int) -> Condition | Aggregate:
    """Parse the body of a `def temporal`: a condition, or an aggregate alone.

    Raises `LanguageError` with the place.
    """
    reader = _Conditions(source, start, end)
    if reader.text in {"tp", "decimal"} and reader.ahead(1).text == "(":
        # The grammar of record tries a macro's call first, and takes these for one.
        message = f"the body of a macro does not begin with `{reader.text}`"
        reader.fail(message, hint="put it in parentheses")
    found = reader.aggregate() if reader.at_aggregate() else reader.condition()
    reader.finish("an aggregate that is compared to something goes in parentheses")
    return _bounded(source, start, found)


def _bounded(source: Source, start: int, found: Tree) -> Tree:
    if depth(found) > MAX_DEPTH:
        raise too_deep(source, start)
    return found


class _Conditions(Terms):
    """Reads conditions. Each method reads one rule of the grammar."""

    def condition(self) -> Condition:
        found = self.either()
        if isinstance(found, Term):
            self.missing_operator()
        return found

    def either(self) -> Condition | Term:
        """Read a condition, or a value that ends before `,`, `)` or the end."""
        start = self.at
        found = self._negated()
        if isinstance(found, Term):
            if self.text in {",", ")", ""}:
                return found
            self.missing_operator()
        found, length = self._since(found, start), 0
        while self.accept("&&"):
            length += 1
            if length >= MAX_DEPTH:
                raise too_deep(self.source, start)
            begin = self.at
            right = self._negated()
            if isinstance(right, Term):
                self.missing_operator()
            right = self._since(right, begin)
            found = And(found, right, self.since(start))
        return found

    def _since(self, left: Condition, start: int) -> Condition:
        if self.text != "since":
            return left
        self.take()
        window = self.within()
        return Since(left, window, self._atom(), self.since(start))

    def _negated(self) -> Condition | Term:
        start, bangs = self.at, 0
        while self.accept("!"):
            bangs += 1
        if bangs >= MAX_DEPTH:
            raise too_deep(self.source, start)
        found = self._conjunct()
        if not bangs:
            return found
        if isinstance(found, Term):
            self.missing_operator()
        for _ in range(bangs):
            found = Not(found, self.since(start))
        return found

    def _conjunct(self) -> Condition | Term:
        self.enter()
        token, following = self.token, self.ahead(1).text
        found: Condition | Term
        if token.text == "(":
            found = self._parenthesised()
        elif token.text in {"formerly", "previous"} and following == "within":
            found = self._operator()
        elif token.text == "exists" and following == "(" and self.ahead(3).text == ":":
            found = self._exists()
        elif token.text == "tp" and following == "(":
            found = self._tp()
        else:
            found = self._compared(self._simple(), token.start)
        self.level -= 1
        return found

    def _simple(self) -> Condition | Term:
        """Read what begins with no keyword and no bracket: a call, a predicate, a term."""
        token, following = self.token, self.ahead(1).text
        if token.text[:1] == "?" and token.kind is Kind.SIGIL and following not in _OPERATORS:
            return self._refined(self._sigil())
        if token.kind is Kind.WORD and following == "::":
            return self._entity_or_predicate()
        if token.kind is Kind.WORD and following == "(" and token.text != "decimal":
            return Call(*self.call())
        return self.term()

    def _compared(self, left: Condition | Term, start: int) -> Condition | Term:
        """Read the operator and the right side of a comparison, if they follow."""
        if self.text not in _OPERATORS:
            return left
        if isinstance(left, Call):
            left = AggregateCall(left.name, left.arguments, left.span)
        if not isinstance(left, Term):
            self.fail("only values can be compared, and what stands before this is a condition")
        operator = self.take().text
        return Comparison(operator, left, self.term(), self.since(start))

    def _parenthesised(self) -> Condition | Term:
        start = self.take().start
        bare = self.text != "("
        inner = self.either()
        self.expect(")")
        if isinstance(inner, Term):
            if not bare or not isinstance(inner, Count | Sum):
                self.missing_operator()
            return self._compared(inner, start)
        return self._compared(inner, start) if bare and isinstance(inner, Call) else inner

    def _operator(self) -> Condition:
        start, name = self.at, self.take().text
        window = self.within()
        inner = self._atom()
        kind = Formerly if name == "formerly" else Previous
        return kind(window, inner, self.since(start))

    def _atom(self) -> Condition:
        """Read what a temporal operator stands before: in parentheses unless it is simple."""
        self.enter()
        token = self.token
        if token.text == "(":
            found = self._parenthesised_atom()
        elif token.text == "tp" and self.ahead(1).text == "(":
            found = self._tp()
        elif token.kind is Kind.SIGIL and token.text[0] == "?":
            found = self._refined(self._sigil())
        else:
            found = self._simple()
            if isinstance(found, Term):
                found = self._compared(found, token.start)
        if isinstance(found, Term):
            self.missing_operator("put what an operator applies to in parentheses")
        self.level -= 1
        return found

    def _parenthesised_atom(self) -> Condition | Term:
        start = self.take().start
        bare = self.text != "("
        inner = self.either()
        self.expect(")")
        if isinstance(inner, Count | Sum) and bare:
            return self._compared(inner, start)
        return inner

    def _exists(self) -> Condition:
        start = self.take().start
        binder = self.binder()
        self.expect(".")
        return Exists(binder, self.condition(), self.since(start))

    def _tp(self) -> Condition:
        start = self.take().start
        self.expect("(")
        name, sigil = self.slot()
        self.expect(")")
        return Tp(name, sigil, self.since(start))

    # --- predicates ------------------------------------------------------------------------------

    def _entity_or_predicate(self) -> Condition | Term:
        start = self.at
        path, name = self.qualified()
        if self.text != "::":
            return EntityLiteral("::".join(path), name)
        self.take()
        kind = self.word("the kind of an event, such as `request`").text
        fields = self._fields()
        found = Predicate(path, name, kind, fields, self.since(start))
        return self._refined(found)

    def _sigil(self) -> Condition:
        token = self.take()
        return Sigil(token.text[1:], self.since(token.start))

    def _refined(self, base: Condition) -> Condition:
        start, fields = base.span.start, list[Field]()
        while self.text == "{":
            fields += self._fields()
        return Refine(base, tuple(fields), self.since(start)) if fields else base

    def _fields(self) -> tuple[Field, ...]:
        self.expect("{")
        return self.separated("}", self._field)

    def _field(self) -> Field:
        start = self.at
        path = (self.word("the name of a field").text, *self.members())
        self.expect(":")
        return Field(".".join(path), self.term(), self.since(start))
