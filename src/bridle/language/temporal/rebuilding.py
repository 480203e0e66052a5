"""A condition put together anew, part by part: what stays, and what becomes of sigils and calls."""

from __future__ import annotations

from typing import NoReturn

from msgspec.structs import replace

from bridle.language.temporal.ast import (
    AggregateCall,
    And,
    ArrayLiteral,
    Binder,
    Call,
    Comparison,
    Condition,
    Count,
    Exists,
    Field,
    Formerly,
    FreshBinder,
    Not,
    Parameter,
    Predicate,
    Previous,
    Refine,
    Sigil,
    Since,
    Span,
    Sum,
    Term,
    Tp,
    Window,
)


class Rebuild:
    """Copies a tree. What a copy is to say otherwise, the heirs decide."""

    def condition(self, node: Condition) -> Condition:
        """Return a condition anew."""
        self.count(1)
        match node:
            case And(left, right):
                return And(self.condition(left), self.condition(right), self.span(node.span))
            case Not(inner):
                return Not(self.condition(inner), self.span(node.span))
            case Since(left, window, right):
                window = self.window(window, node.span)
                left, right = self.condition(left), self.condition(right)
                return Since(left, window, right, self.span(node.span))
            case Formerly(window, inner) | Previous(window, inner):
                window = self.window(window, node.span)
                return type(node)(window, self.condition(inner), self.span(node.span))
            case Exists(binder, inner):
                binder = self.binder(binder)
                return Exists(binder, self.condition(inner), self.span(node.span))
            case _:
                return self.leaf(node)

    def leaf(self, node: Condition) -> Condition:
        """Return a condition that holds no other condition but in its terms."""
        match node:
            case Comparison(op, left, right):
                return Comparison(op, self.term(left), self.term(right), self.span(node.span))
            case Predicate():
                return replace(node, fields=self.fields(node.fields), span=self.span(node.span))
            case Refine(base, fields):
                return self.refine(self.condition(base), self.fields(fields), node.span)
            case Tp(name, sigil):
                return Tp(self.slot(name, sigil, node.span), "", self.span(node.span))
            case Call():
                return self.call(node)
            case Sigil():
                return self.sigil(node)
            case _:
                raise TypeError(f"{type(node).__name__} is no leaf")

    def term(self, node: Term) -> Term:
        """Return a term anew."""
        self.count(1)
        match node:
            case ArrayLiteral(items):
                return ArrayLiteral(tuple(self.term(item) for item in items))
            case Count(binders, inner):
                binders = tuple(self.binder(binder) for binder in binders)
                return Count(binders, self.condition(inner), self.span(node.span))
            case Sum(name, binders, inner, sigil):
                name = self.slot(name, sigil, node.span)
                binders = tuple(self.binder(binder) for binder in binders)
                return Sum(name, binders, self.condition(inner), "", self.span(node.span))
            case AggregateCall():
                return self.aggregate_call(node)
            case Parameter() | FreshBinder():
                return self.parameter(node)
            case _:
                return node

    def fields(self, fields: tuple[Field, ...]) -> tuple[Field, ...]:
        """Return the fields of a predicate anew."""
        return tuple(Field(f.path, self.term(f.term), self.span(f.span)) for f in fields)

    def binder(self, binder: Binder) -> Binder:
        """Return a binder with the name that it gets."""
        name = self.slot(binder.name, binder.sigil, binder.span)
        return Binder(name, binder.type, "", self.span(binder.span))

    def refine(self, base: Condition, fields: tuple[Field, ...], span: Span) -> Condition:
        """Add fields to a predicate; nothing else can have more of them."""
        if not isinstance(base, Predicate):
            self.refuse(
                span,
                "macro_argument",
                "fields can be added to a single predicate only, and this is something else",
                'pass a predicate such as `Action::"x"::request{}`',
            )
        return replace(base, fields=base.fields + fields)

    def span(self, span: Span) -> Span:
        """Return where a part is said to stand."""
        return span

    def count(self, nodes: int) -> None:
        """Take note of so many parts more. May refuse."""
        raise NotImplementedError

    def window(self, window: Window, span: Span) -> Window:
        """Return the window that stands at `span`."""
        raise NotImplementedError

    def slot(self, name: str, sigil: str, span: Span) -> str:
        """Return the name of a variable where one is bound."""
        raise NotImplementedError

    def sigil(self, node: Sigil) -> Condition:
        """Return what `?name` is as a condition."""
        raise NotImplementedError

    def parameter(self, node: Parameter | FreshBinder) -> Term:
        """Return what `?name` or `$name` is as a term."""
        raise NotImplementedError

    def call(self, node: Call) -> Condition:
        """Return what a call is as a condition."""
        raise NotImplementedError

    def aggregate_call(self, node: AggregateCall) -> Term:
        """Return what a call is as a value."""
        raise NotImplementedError

    def refuse(self, span: Span, code: str, message: str, hint: str = "") -> NoReturn:
        """Raise `LanguageError` at a place."""
        raise NotImplementedError
