"""The text of a condition over history → its tree. One job: syntax.

Recursive descent on the lexer's tokens; no choice is tried twice, so it is linear in the text, and
depth and size have limits, so it ends on any text. What the grammar of record lets through only to
refuse it later (a parameter outside a macro, a window of no length) is let through here too.
Stricter than that grammar in one point: words may not be written together (`tp` and `within` begin
where a word begins).
"""

from __future__ import annotations

from typing import NoReturn, TypeAlias

from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Kind, Source, Token, tokens, unescape
from bridle.language.temporal.ast import (
    UNITS,
    AggregateCall,
    And,
    Argument,
    ArrayLiteral,
    Binder,
    Call,
    Comparison,
    Condition,
    ContextField,
    Count,
    DecimalLiteral,
    EntityLiteral,
    Exists,
    Field,
    Formerly,
    FreshBinder,
    IntegerLiteral,
    Not,
    Parameter,
    Predicate,
    Previous,
    Refine,
    ScopeField,
    Sigil,
    Since,
    Span,
    Sum,
    Term,
    TextLiteral,
    Tp,
    TruthLiteral,
    Variable,
    Wildcard,
    Window,
)
from bridle.language.temporal.tree import Tree, depth

MAX_DEPTH = 64
"""Conditions and terms within one another; every `&&` of a chain and every `!` is a level, too."""

MAX_TOKENS = 20_000
"""Tokens of one condition."""

_OPERATORS = {"==", "!=", "<", "<=", ">", ">="}
_LONG = 2**63
_SCOPE = {"principal", "resource"}

Aggregate: TypeAlias = Count | Sum | AggregateCall
"""What stands for a number over history."""

_TERMS = (
    EntityLiteral,
    IntegerLiteral,
    DecimalLiteral,
    TextLiteral,
    TruthLiteral,
    ContextField,
    ScopeField,
    Variable,
    Wildcard,
    ArrayLiteral,
    Count,
    Sum,
    Parameter,
    FreshBinder,
    AggregateCall,
)


def condition(source: Source, start: int, end: int) -> Condition:
    """Parse the text between two offsets of a file. Raises `LanguageError` with the place."""
    reader = _Reader(source, start, end)
    found = reader.condition()
    reader.finish()
    return _bounded(source, start, found)


def body(source: Source, start: int, end: int) -> Condition | Aggregate:
    """Parse the body of a `def temporal`: a condition, or an aggregate alone.

    Raises `LanguageError` with the place.
    """
    reader = _Reader(source, start, end)
    if not reader.at_aggregate():
        found: Condition | Aggregate = reader.condition()
    else:
        found = reader.aggregate()
    reader.finish("an aggregate that is compared to something goes in parentheses")
    return _bounded(source, start, found)


def _bounded(source: Source, start: int, found: Tree) -> Tree:
    if depth(found) > MAX_DEPTH:
        raise too_deep(source, start)
    return found


def too_deep(source: Source, offset: int) -> LanguageError:
    """Return (not raise) the refusal of a condition that is nested too deeply."""
    return fault(
        source.at(offset),
        "policy_too_large",
        f"this condition over history is nested more than {MAX_DEPTH} deep",
        "split it into several policies; every && of a chain counts",
    )


class _Reader:
    """A position in the tokens of one condition. Each method reads one rule of the grammar."""

    def __init__(self, source: Source, start: int, end: int) -> None:
        self.source = source
        self.words = tokens(source, start, end)
        self.next = 0
        self.depth = 0
        self.stop = Token(Kind.PUNCTUATION, "", end, end)
        if len(self.words) > MAX_TOKENS:
            self.fail(
                f"a condition over history has more than {MAX_TOKENS} words", "policy_too_large"
            )

    # --- conditions ------------------------------------------------------------------------------

    def condition(self) -> Condition:
        found = self._either()
        if isinstance(found, _TERMS):
            self._missing_operator()
        return found

    def _either(self) -> Condition | Term:
        """Read a condition, or a value that ends before `,`, `)` or the end."""
        start = self.at
        found = self._negated()
        if isinstance(found, _TERMS):
            if self.text in {",", ")", ""}:
                return found
            self._missing_operator()
        found, length = self._since(found, start), 0
        while self._accept("&&"):
            length += 1
            if length >= MAX_DEPTH:
                raise too_deep(self.source, start)
            begin = self.at
            right = self._negated()
            if isinstance(right, _TERMS):
                self._missing_operator()
            right = self._since(right, begin)
            found = And(found, right, Span(start, self.behind))
        return found

    def _since(self, left: Condition, start: int) -> Condition:
        if self.text != "since":
            return left
        self.take()
        window = self._within()
        return Since(left, window, self._atom(), Span(start, self.behind))

    def _negated(self) -> Condition | Term:
        start, bangs = self.at, 0
        while self._accept("!"):
            bangs += 1
        if bangs >= MAX_DEPTH:
            raise too_deep(self.source, start)
        found = self._conjunct()
        if not bangs:
            return found
        if isinstance(found, _TERMS):
            self._missing_operator()
        for _ in range(bangs):
            found = Not(found, Span(start, self.behind))
        return found

    def _conjunct(self) -> Condition | Term:
        self._enter()
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
        self.depth -= 1
        return found

    def _simple(self) -> Condition | Term:
        """Read what begins with no keyword and no bracket: a call, a predicate, a term."""
        token, following = self.token, self.ahead(1).text
        if token.text[:1] == "?" and token.kind is Kind.SIGIL and following not in _OPERATORS:
            return self._refined(Sigil(token.text[1:], self._span(self.take())))
        if token.kind is Kind.WORD and following == "::":
            return self._entity_or_predicate()
        if token.kind is Kind.WORD and following == "(" and token.text != "decimal":
            return Call(*self._call())
        return self.term()

    def _compared(self, left: Condition | Term, start: int) -> Condition | Term:
        """Read the operator and the right side of a comparison, if they follow."""
        if self.text not in _OPERATORS:
            return left
        if isinstance(left, Call):
            left = AggregateCall(left.name, left.arguments, left.span)
        if not isinstance(left, _TERMS):
            self.fail("only values can be compared, and what stands before this is a condition")
        operator = self.take().text
        return Comparison(operator, left, self.term(), Span(start, self.behind))

    def _parenthesised(self) -> Condition | Term:
        start = self.take().start
        bare = self.text != "("
        inner = self._either()
        self.expect(")")
        if isinstance(inner, _TERMS):
            if not bare or not isinstance(inner, Count | Sum):
                self._missing_operator()
            return self._compared(inner, start)
        return self._compared(inner, start) if bare and isinstance(inner, Call) else inner

    def _operator(self) -> Condition:
        start, name = self.at, self.take().text
        window = self._within()
        inner = self._atom()
        kind = Formerly if name == "formerly" else Previous
        return kind(window, inner, Span(start, self.behind))

    def _atom(self) -> Condition:
        """Read what a temporal operator stands before: in parentheses unless it is simple."""
        self._enter()
        token = self.token
        if token.text == "(":
            found = self._parenthesised_atom()
        elif token.text == "tp" and self.ahead(1).text == "(":
            found = self._tp()
        elif token.kind is Kind.SIGIL and token.text[0] == "?":
            found = self._refined(Sigil(token.text[1:], self._span(self.take())))
        else:
            found = self._simple()
            if isinstance(found, _TERMS):
                found = self._compared(found, token.start)
        if isinstance(found, _TERMS):
            self._missing_operator("put what an operator applies to in parentheses")
        self.depth -= 1
        return found

    def _parenthesised_atom(self) -> Condition | Term:
        start = self.take().start
        bare = self.text != "("
        inner = self._either()
        self.expect(")")
        if isinstance(inner, Count | Sum) and bare:
            return self._compared(inner, start)
        return inner

    def _exists(self) -> Condition:
        start = self.take().start
        binder = self._binder()
        self.expect(".")
        return Exists(binder, self.condition(), Span(start, self.behind))

    def _tp(self) -> Condition:
        start = self.take().start
        self.expect("(")
        name, sigil = self._slot()
        self.expect(")")
        return Tp(name, sigil, Span(start, self.behind))

    def _call(self) -> tuple[str, tuple[Argument, ...], Span]:
        self._enter()
        name = self.take()
        self.expect("(")
        arguments = list[Argument]()
        while self.text != ")":
            arguments.append(self._argument())
            if not self._accept(","):
                break
            if self.text == ")":
                self.fail("another argument has to follow this comma")
        self.expect(")")
        self.depth -= 1
        return name.text, tuple(arguments), Span(name.start, self.behind)

    def _argument(self) -> Argument:
        amount = 1 + (self.text == "-")
        if self.ahead(amount - 1).kind is Kind.NUMBER and self.ahead(amount).text in UNITS:
            return self._interval()
        return self._either()

    # --- predicates ------------------------------------------------------------------------------

    def _entity_or_predicate(self) -> Condition | Term:
        start = self.at
        path, name = self._qualified()
        if self.text != "::":
            return EntityLiteral("::".join(path), name)
        self.take()
        kind = self.word("the kind of an event, such as `request`").text
        fields = self._fields()
        found = Predicate(path, name, kind, fields, Span(start, self.behind))
        return self._refined(found)

    def _qualified(self) -> tuple[tuple[str, ...], str]:
        path = list[str]()
        while self.token.kind is not Kind.STRING or not path:
            path.append(self.word("the name of a type or namespace").text)
            self.expect("::")
        return tuple(path), self._string(self.take())

    def _refined(self, base: Condition) -> Condition:
        start, fields = base.span.start, list[Field]()
        while self.text == "{":
            fields += self._fields()
        return Refine(base, tuple(fields), Span(start, self.behind)) if fields else base

    def _fields(self) -> tuple[Field, ...]:
        self.expect("{")
        found = list[Field]()
        while self.text != "}":
            found.append(self._field())
            if not self._accept(","):
                break
            if self.text == "}":
                self.fail("another field has to follow this comma")
        self.expect("}")
        return tuple(found)

    def _field(self) -> Field:
        start = self.at
        path = [self.word("the name of a field").text, *self._members()]
        self.expect(":")
        return Field(".".join(path), self.term(), Span(start, self.behind))

    def _members(self) -> list[str]:
        found = list[str]()
        while self._accept("."):
            found.append(self.word("a name").text)
        return found

    # --- aggregates, windows, binders ------------------------------------------------------------

    def at_aggregate(self) -> bool:
        """Whether `count for …` or `sum x for …` begins here."""
        following = self.ahead(1)
        if self.text == "count":
            return following.text == "for"
        return self.text == "sum" and following.kind in {Kind.WORD, Kind.SIGIL}

    def aggregate(self) -> Aggregate:
        self._enter()
        start, summed = self.at, self.take().text == "sum"
        name, sigil = self._slot() if summed else ("", "")
        binders = self._domain()
        inner = self.condition()
        self.depth -= 1
        span = Span(start, self.behind)
        return Sum(name, binders, inner, sigil, span) if summed else Count(binders, inner, span)

    def _domain(self) -> tuple[Binder, ...]:
        self.expect("for")
        found = [self._binder()]
        while self._accept(","):
            found.append(self._binder())
        self.expect(".")
        self.expect("where")
        return tuple(found)

    def _binder(self) -> Binder:
        start = self.at
        self.expect("(")
        name, sigil = self._slot()
        self.expect(":")
        path = [self.word("the name of a type").text]
        while self._accept("::"):
            path.append(self.word("the name of a type").text)
        self.expect(")")
        return Binder(name, tuple(path), sigil, Span(start, self.behind))

    def _slot(self) -> tuple[str, str]:
        token = self.take()
        if token.kind is Kind.SIGIL:
            return token.text[1:], token.text[0]
        if token.kind is not Kind.WORD:
            self.next -= 1
            self.fail("expected the name of a variable")
        return token.text, ""

    def _within(self) -> Window:
        self.expect("within", "every temporal operator says how far back it looks: `within 10m`")
        if self.token.kind is Kind.SIGIL and self.text[0] == "?":
            return Window(0, "s", self.take().text[1:])
        return self._interval()

    def _interval(self) -> Window:
        amount = self._integer("a window such as `10m`")
        if self.text not in UNITS:
            self.fail("expected a unit of time", hint="units are s, m, h and d")
        return Window(amount, self.take().text)

    # --- terms -----------------------------------------------------------------------------------

    def term(self) -> Term:
        """Read a value."""
        self._enter()
        found = self._term()
        self.depth -= 1
        return found

    def _term(self) -> Term:
        token = self.token
        if token.kind is Kind.WORD:
            return self._named()
        if token.kind is Kind.STRING:
            return TextLiteral(self._string(self.take()))
        if token.kind is Kind.SIGIL:
            kind = Parameter if token.text[0] == "?" else FreshBinder
            return kind(token.text[1:], self._span(self.take()))
        if token.kind is Kind.NUMBER or token.text == "-":
            return IntegerLiteral(self._integer("a number"))
        if token.text == "[":
            return self._array()
        if self._accept("*"):
            return Wildcard()
        if token.text == "(":
            return self._parenthesised_aggregate()
        self.fail("expected a value")

    def _named(self) -> Term:
        token, following = self.token, self.ahead(1).text
        if following == "::":
            path, name = self._qualified()
            return EntityLiteral("::".join(path), name)
        if self.at_aggregate():
            return self.aggregate()
        if following == "(":
            return self._decimal() if token.text == "decimal" else AggregateCall(*self._call())
        self.take()
        if token.text in {"true", "false"}:
            return TruthLiteral(token.text == "true")
        if token.text == "_":
            return Wildcard()
        if token.text in _SCOPE:
            return ScopeField((token.text, *self._members()), Span(token.start, self.behind))
        if token.text == "context" and following == ".":
            return ContextField(tuple(self._members()), Span(token.start, self.behind))
        return Variable(token.text, self._span(token))

    def _parenthesised_aggregate(self) -> Term:
        self.take()
        if not self.at_aggregate() and self.ahead(1).text != "(":
            self.fail("only an aggregate stands in parentheses where a value is expected")
        found = self.aggregate() if self.at_aggregate() else AggregateCall(*self._call())
        self.expect(")")
        return found

    def _array(self) -> Term:
        self.take()
        found = list[Term]()
        while self.text != "]":
            found.append(self.term())
            if not self._accept(","):
                break
            if self.text == "]":
                self.fail("another element has to follow this comma")
        self.expect("]")
        return ArrayLiteral(tuple(found))

    def _decimal(self) -> Term:
        self.take()
        self.expect("(")
        if self.token.kind is not Kind.STRING:
            self.fail("a decimal is written as a string", hint='write `decimal("1.5")`')
        text = self._string(self.take())
        self.expect(")")
        return DecimalLiteral(text)

    def _integer(self, wanted: str) -> int:
        sign = self.token
        negative = self._accept("-")
        token = self.token
        if token.kind is not Kind.NUMBER or (negative and token.start != sign.end):
            self.fail(f"expected {wanted}")
        digits = token.text.lstrip("0")
        value = int(digits or "0") if len(digits) < 20 else _LONG + 1
        value = -value if negative else value
        if not -_LONG <= value < _LONG:
            self.fail("this integer does not fit into 64 bits", "integer_range")
        self.take()
        return value

    def _string(self, token: Token) -> str:
        return unescape(self.source, token)[0]

    # --- tokens ----------------------------------------------------------------------------------

    @property
    def token(self) -> Token:
        """The token to be read next; an empty one at the end."""
        return self.ahead(0)

    @property
    def text(self) -> str:
        """The text of the next token, quotes and all."""
        return self.token.text

    @property
    def at(self) -> int:
        """Where the next token begins."""
        return self.token.start

    @property
    def behind(self) -> int:
        """Where the last token that was read ends."""
        return self.words[self.next - 1].end if self.next else self.at

    def ahead(self, count: int) -> Token:
        """Look `count` tokens beyond the next one."""
        place = self.next + count
        return self.words[place] if place < len(self.words) else self.stop

    def take(self) -> Token:
        """Read the next token, whatever it is."""
        token = self.token
        self.next = min(self.next + 1, len(self.words))
        return token

    def word(self, wanted: str) -> Token:
        """Read a name. Raises `LanguageError` where none stands."""
        if self.token.kind is not Kind.WORD:
            self.fail(f"expected {wanted}")
        return self.take()

    def expect(self, text: str, hint: str = "") -> None:
        """Read exactly this token. Raises `LanguageError` where another one stands."""
        if not self._accept(text):
            self.fail(f"expected `{text}`", hint=hint)

    def finish(self, hint: str = "") -> None:
        """Raise `LanguageError` unless all has been read."""
        if self.next < len(self.words):
            self.fail("expected `&&`, `since` or the end of the condition", hint=hint)

    def fail(self, message: str, code: str = "history_syntax", hint: str = "") -> NoReturn:
        """Refuse the condition at the next token."""
        token = self.token
        if code == "history_syntax":
            message += f", found {_shown(token.text)}"
            behind = self.words[self.next - 1].text if self.next else ""
            hint = _HINTS_BEHIND.get(behind) or _HINTS.get(token.text) or hint
        raise fault(self.source.at(token.start), code, message, hint)

    def _missing_operator(self, hint: str = "") -> NoReturn:
        self.fail("a value alone is no condition: expected a comparison", hint=hint)

    def _accept(self, text: str) -> bool:
        if self.text != text:
            return False
        self.take()
        return True

    def _enter(self) -> None:
        self.depth += 1
        if self.depth > 2 * MAX_DEPTH:
            raise too_deep(self.source, self.at)

    def _span(self, token: Token) -> Span:
        return Span(token.start, token.end)


_HINTS = {
    "||": "a condition over history has no `||`: write two policies, or `!(!a && !b)`",
    "=": "equality is `==`",
    "formerly": "put it in parentheses: operators apply to something simple or in parentheses",
    "previous": "put it in parentheses: operators apply to something simple or in parentheses",
    "exists": "put it in parentheses",
}

_HINTS_BEHIND = {
    "let": "there is no `let`: bind the value with `exists (n: Long). ((count …) == n && …)`",
    "formerly": "say how far back it looks: `formerly within 10m …`",
    "previous": "say how far back it looks: `previous within 10m …`",
}


def _shown(text: str) -> str:
    if not text:
        return "the end"
    return f"`{text}`" if len(text) <= 40 else f"`{text[:37]}…`"
