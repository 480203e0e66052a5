"""The terms of conditions over history: literals, fields, variables, aggregates, and their parts.

One job: reading what stands for a value. What is a condition, the heir says.
"""

from __future__ import annotations

from typing import NoReturn, TypeAlias

from bridle.language.lexer import Kind
from bridle.language.temporal.ast import (
    UNITS,
    AggregateCall,
    Argument,
    ArrayLiteral,
    Binder,
    Condition,
    ContextField,
    Count,
    DecimalLiteral,
    EntityLiteral,
    FreshBinder,
    IntegerLiteral,
    Parameter,
    ScopeField,
    Span,
    Sum,
    Term,
    TextLiteral,
    TruthLiteral,
    Variable,
    Wildcard,
    Window,
)
from bridle.language.temporal.cursor import Cursor

Aggregate: TypeAlias = Count | Sum | AggregateCall
"""What stands for a number over history."""

_LONG = 2**63
_SCOPE = {"principal", "resource"}
_CONSTANTS: dict[str, Term] = {
    "true": TruthLiteral(value=True),
    "false": TruthLiteral(value=False),
    "_": Wildcard(),
}


class Terms(Cursor):
    """Reads values, windows and binders. Each method reads one rule of the grammar."""

    def condition(self) -> Condition:
        """Read a condition."""
        raise NotImplementedError

    def either(self) -> Condition | Term:
        """Read a condition, or a value that ends before `,`, `)` or the end."""
        raise NotImplementedError

    def term(self) -> Term:
        """Read a value."""
        self.enter()
        start, kind = self.at, self.token.kind
        if kind is Kind.WORD:
            found = self._named()
        elif kind is Kind.STRING:
            found = TextLiteral(self.string())
        elif kind is Kind.SIGIL:
            text = self.take().text
            variant = Parameter if text[0] == "?" else FreshBinder
            found = variant(text[1:], self.since(start))
        elif kind is Kind.NUMBER or self.text == "-":
            found = IntegerLiteral(self._integer("a number"))
        else:
            found = self._bracketed()
        self.level -= 1
        return found

    def _bracketed(self) -> Term:
        if self.accept("["):
            return ArrayLiteral(self.separated("]", self.term))
        if self.accept("*"):
            return Wildcard()
        if self.text != "(":
            self._no_value()
        if not self.at_aggregate(1) and self.ahead(2).text != "(":
            self.fail("only an aggregate stands in parentheses where a value is expected")
        self.take()
        found = self.aggregate() if self.at_aggregate() else AggregateCall(*self.call())
        self.expect(")")
        return found

    def _no_value(self) -> NoReturn:
        self.fail("expected a value")

    def _named(self) -> Term:
        token, following = self.token, self.ahead(1).text
        if following == "::":
            return EntityLiteral(*self._entity())
        if self.at_aggregate():
            return self.aggregate()
        if following == "(":
            return self._decimal() if token.text == "decimal" else AggregateCall(*self.call())
        return self._word()

    def _word(self) -> Term:
        token = self.take()
        if token.text in _CONSTANTS:
            return _CONSTANTS[token.text]
        if token.text == "context" and self.text == ".":
            return ContextField(self.members(), self.since(token.start))
        if token.text in _SCOPE:
            return ScopeField((token.text, *self.members()), self.since(token.start))
        return Variable(token.text, self.since(token.start))

    def members(self) -> tuple[str, ...]:
        """Read `.a.b`, as far as it goes."""
        found = list[str]()
        while self.accept("."):
            found.append(self.word("a name").text)
        return tuple(found)

    def qualified(self) -> tuple[tuple[str, ...], str]:
        """Read `Ns::Type::"id"`."""
        path = list[str]()
        while self.token.kind is not Kind.STRING or not path:
            path.append(self.word("the name of a type or namespace").text)
            self.expect("::")
        return tuple(path), self.string()

    def _entity(self) -> tuple[str, str]:
        path, name = self.qualified()
        return "::".join(path), name

    def _decimal(self) -> Term:
        self.take()
        self.expect("(")
        if self.token.kind is not Kind.STRING:
            self.fail("a decimal is written as a string", hint='write `decimal("1.5")`')
        text = self.string()
        self.expect(")")
        return DecimalLiteral(text)

    def _integer(self, wanted: str) -> int:
        sign = self.token
        negative = self.accept("-")
        token = self.token
        if token.kind is not Kind.NUMBER or (negative and token.start != sign.end):
            self.fail(f"expected {wanted}")
        digits = token.text.lstrip("0")
        # Python takes its time over very long numbers, or refuses them with another error.
        value = int(digits or "0") if len(digits) < 20 else _LONG + 1
        value = -value if negative else value
        if not -_LONG <= value < _LONG:
            self.fail("this integer does not fit into 64 bits", "integer_range")
        self.take()
        return value

    # --- calls -----------------------------------------------------------------------------------

    def call(self) -> tuple[str, tuple[Argument, ...], Span]:
        """Read `name(argument, …)`."""
        self.enter()
        name = self.take()
        self.expect("(")
        arguments = self.separated(")", self._argument)
        self.level -= 1
        return name.text, arguments, self.since(name.start)

    def _argument(self) -> Argument:
        place = 1 if self.text == "-" else 0
        if self.ahead(place).kind is Kind.NUMBER and self.ahead(place + 1).text in UNITS:
            return self._interval()
        return self.either()

    # --- aggregates, windows, binders ------------------------------------------------------------

    def at_aggregate(self, ahead: int = 0) -> bool:
        """Whether `count for …` or `sum x for …` begins here, or so many tokens ahead."""
        token, following = self.ahead(ahead), self.ahead(ahead + 1)
        if token.text == "count":
            return following.text == "for"
        return token.text == "sum" and following.kind in {Kind.WORD, Kind.SIGIL}

    def aggregate(self) -> Count | Sum:
        """Read `count for …` or `sum x for …`."""
        self.enter()
        start, summed = self.at, self.take().text == "sum"
        name, sigil = self.slot() if summed else ("", "")
        self.expect("for")
        binders = [self.binder()]
        while self.accept(","):
            binders.append(self.binder())
        self.expect(".")
        self.expect("where")
        inner = self.condition()
        self.level -= 1
        if summed:
            return Sum(name, tuple(binders), inner, sigil, self.since(start))
        return Count(tuple(binders), inner, self.since(start))

    def binder(self) -> Binder:
        """Read `(x: Ns::Type)`."""
        start = self.at
        self.expect("(")
        name, sigil = self.slot()
        self.expect(":")
        path = [self.word("the name of a type").text]
        while self.accept("::"):
            path.append(self.word("the name of a type").text)
        self.expect(")")
        return Binder(name, tuple(path), sigil, self.since(start))

    def slot(self) -> tuple[str, str]:
        """Read the name of a variable, and its sigil."""
        if self.token.kind is Kind.SIGIL:
            text = self.take().text
            return text[1:], text[0]
        return self.word("the name of a variable").text, ""

    def within(self) -> Window:
        """Read `within 10m`."""
        self.expect("within", "every temporal operator says how far back it looks: `within 10m`")
        if self.token.kind is Kind.SIGIL and self.text[0] == "?":
            return Window(0, "s", self.take().text[1:])
        return self._interval()

    def _interval(self) -> Window:
        amount = self._integer("a window such as `10m`")
        if self.text not in UNITS:
            self.fail("expected a unit of time", hint="units are s, m, h and d")
        return Window(amount, self.take().text)
