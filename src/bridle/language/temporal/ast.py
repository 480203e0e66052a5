"""The syntax tree of conditions over history (Dogwood's temporal extension of Cedar).

Spans are offsets (code points) in the file the condition stands in. What a macro call has put in
its place carries the span of the call. `Call`, `Sigil`, `Refine`, `Parameter`, `FreshBinder`,
`AggregateCall` and a `Window` with a parameter exist only before macros are expanded.
"""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
"""Seconds in each unit of a window."""

TIMEPOINT = ("Timepoint",)
"""The type of a variable that `tp(…)` binds."""


class Span(Struct, frozen=True):
    """From the first character to the one after the last."""

    start: int = 0
    end: int = 0


class Window(Struct, frozen=True):
    """`within 10m`. `parameter` names a macro parameter in its place."""

    amount: int
    unit: str = "s"
    parameter: str = ""

    @property
    def seconds(self) -> int:
        """The length, both ends included."""
        return self.amount * UNITS[self.unit]


class Binder(Struct, frozen=True):
    """`(name: Type)`. `sigil` is `?` or `$` inside a macro body, otherwise empty."""

    name: str
    type: tuple[str, ...]
    sigil: str = ""
    span: Span = Span()


# --- terms ---------------------------------------------------------------------------------------


class EntityLiteral(Struct, frozen=True):
    """`Ns::Type::"id"`. `type` is the qualified name, joined by `::`."""

    type: str
    id: str


class IntegerLiteral(Struct, frozen=True):
    """A 64-bit integer."""

    value: int


class DecimalLiteral(Struct, frozen=True):
    """`decimal("1.5")`, as written."""

    text: str


class TextLiteral(Struct, frozen=True):
    """A string, its escapes decoded."""

    value: str


class TruthLiteral(Struct, frozen=True):
    """`true` or `false`."""

    value: bool


class ContextField(Struct, frozen=True):
    """`context.a.b` of the deciding request; `path` is without `context`."""

    path: tuple[str, ...]
    span: Span = Span()


class ScopeField(Struct, frozen=True):
    """`principal`, `resource`, or an attribute of them; `path` begins with which one."""

    path: tuple[str, ...]
    span: Span = Span()


class Variable(Struct, frozen=True):
    """A name that `exists` or `for` binds."""

    name: str
    span: Span = Span()


class Wildcard(Struct, frozen=True):
    """`*` or `_`: anything, as long as the field is there."""


class ArrayLiteral(Struct, frozen=True):
    """`[term, …]`."""

    items: tuple[Term, ...]


class Parameter(Struct, frozen=True):
    """`?name` where a term stands."""

    name: str
    span: Span = Span()


class FreshBinder(Struct, frozen=True):
    """`$name` where a term stands."""

    name: str
    span: Span = Span()


class Count(Struct, frozen=True):
    """`count for (x: T), …. where body`: how many distinct rows of the binders there are."""

    binders: tuple[Binder, ...]
    body: Condition
    span: Span = Span()


class Sum(Struct, frozen=True):
    """`sum x for (x: T), …. where body`: over the distinct rows. `sigil` as that of a binder."""

    variable: str
    binders: tuple[Binder, ...]
    body: Condition
    sigil: str = ""
    span: Span = Span()


class AggregateCall(Struct, frozen=True):
    """A macro call where an aggregate stands."""

    name: str
    arguments: tuple[Argument, ...]
    span: Span = Span()


Term: TypeAlias = (
    EntityLiteral
    | IntegerLiteral
    | DecimalLiteral
    | TextLiteral
    | TruthLiteral
    | ContextField
    | ScopeField
    | Variable
    | Wildcard
    | ArrayLiteral
    | Count
    | Sum
    | Parameter
    | FreshBinder
    | AggregateCall
)


# --- conditions ----------------------------------------------------------------------------------


class Field(Struct, frozen=True):
    """`input.user: term` in a predicate. `path` is the dotted path."""

    path: str
    term: Term
    span: Span = Span()


class Predicate(Struct, frozen=True):
    """`Ns::Action::"name"::kind{ … }`. `namespace` ends in `Action`; the name may be any text."""

    namespace: tuple[str, ...]
    action: str
    kind: str
    fields: tuple[Field, ...] = ()
    span: Span = Span()


class Comparison(Struct, frozen=True):
    """`left op right`; `op` is one of `==`, `!=`, `<`, `<=`, `>`, `>=`."""

    op: str
    left: Term
    right: Term
    span: Span = Span()


class And(Struct, frozen=True):
    """`left && right`; a chain leans to the left."""

    left: Condition
    right: Condition
    span: Span = Span()


class Not(Struct, frozen=True):
    """`!inner`."""

    inner: Condition
    span: Span = Span()


class Formerly(Struct, frozen=True):
    """`formerly within window body`."""

    window: Window
    body: Condition
    span: Span = Span()


class Previous(Struct, frozen=True):
    """`previous within window body`."""

    window: Window
    body: Condition
    span: Span = Span()


class Since(Struct, frozen=True):
    """`left since within window right`."""

    left: Condition
    window: Window
    right: Condition
    span: Span = Span()


class Exists(Struct, frozen=True):
    """`exists (x: T). body`."""

    binder: Binder
    body: Condition
    span: Span = Span()


class Tp(Struct, frozen=True):
    """`tp(t)`: binds `t` to the position being looked at. `sigil` as that of a binder."""

    variable: str
    sigil: str = ""
    span: Span = Span()


class Call(Struct, frozen=True):
    """A macro call where a condition stands."""

    name: str
    arguments: tuple[Argument, ...]
    span: Span = Span()


class Sigil(Struct, frozen=True):
    """`?name` where a condition stands."""

    name: str
    span: Span = Span()


class Refine(Struct, frozen=True):
    """`base{ field: term, … }`: more fields for the predicate that `base` turns out to be."""

    base: Condition
    fields: tuple[Field, ...]
    span: Span = Span()


Condition: TypeAlias = (
    Predicate
    | Comparison
    | And
    | Not
    | Formerly
    | Previous
    | Since
    | Exists
    | Tp
    | Call
    | Sigil
    | Refine
)

Argument: TypeAlias = Window | Condition | Term
"""What a macro is called with."""
