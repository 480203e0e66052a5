"""Calls of macros → what they stand for. One job: expansion of conditions over history.

A parameter is replaced by its argument as it stands; a fresh variable (`$t`) gets a name that is
nowhere else in the condition, the same for the same text. Arguments may contain calls, bodies may
not, so expansion always ends; a limit on its size keeps it from growing without end on the way.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NoReturn, TypeAlias

from msgspec import Struct

from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Source, Token
from bridle.language.temporal.ast import (
    AggregateCall,
    Argument,
    Call,
    Condition,
    Count,
    FreshBinder,
    Parameter,
    Sigil,
    Span,
    Sum,
    Term,
    Variable,
    Window,
)
from bridle.language.temporal.parse import MAX_DEPTH, too_deep
from bridle.language.temporal.rebuilding import Rebuild
from bridle.language.temporal.tree import depth, names, walk
from bridle.model.finding import Location

MAX_SIZE = 20_000
"""Conditions and terms of one expanded condition."""


class MacroKind(StrEnum):
    """Where a macro may be called: in Cedar, as a condition, or as a value that is compared."""

    CEDAR = "cedar"
    CONDITION = "condition"
    AGGREGATE = "aggregate"


class Macro(Struct, frozen=True):
    """A checked definition. `tree` is the body of a temporal one, `tokens` that of a Cedar one."""

    name: str
    kind: MacroKind
    parameters: tuple[str, ...]
    text: str
    location: Location
    tree: Condition | Count | Sum | None = None
    tokens: tuple[Token, ...] = ()


Macros: TypeAlias = Mapping[str, Macro]
"""By name."""


def expand(condition: Condition, macros: Macros, source: Source) -> Condition:
    """Return `condition` without calls, parameters and fresh variables.

    `source` is the file it stands in. Raises `LanguageError` with the place of the call.
    """
    found = _Expansion(condition, macros, source).condition(condition)
    if depth(found) > MAX_DEPTH:
        raise too_deep(source, condition.span.start)
    return found


class _Expansion(Rebuild):
    """The condition of a policy: calls are replaced, sigils have no business here."""

    def __init__(self, whole: Condition, macros: Macros, source: Source) -> None:
        self.macros, self.source = macros, source
        self.whole, self.size = whole, 0
        self._taken: set[str] | None = None
        self._numbers = dict[str, int]()

    def count(self, nodes: int) -> None:
        self.size += nodes
        if self.size > MAX_SIZE:
            self.refuse(
                self.whole.span,
                "policy_too_large",
                f"with its macros expanded this condition has more than {MAX_SIZE} parts",
                "split it into several policies",
            )

    def call(self, node: Call) -> Condition:
        found = self._substituted(node, MacroKind.CONDITION)
        if not isinstance(found, Condition):
            raise TypeError(f"{type(found).__name__} is no condition")
        return found

    def aggregate_call(self, node: AggregateCall) -> Term:
        found = self._substituted(node, MacroKind.AGGREGATE)
        if not isinstance(found, Term):
            raise TypeError(f"{type(found).__name__} is no term")
        return found

    def fresh(self, name: str) -> str:
        """Return a name like this one that stands nowhere else in the condition."""
        if self._taken is None:
            self._taken = set(names(self.whole))
            called = {n.name for n in walk(self.whole) if isinstance(n, Call | AggregateCall)}
            for macro in called & self.macros.keys():
                tree = self.macros[macro].tree
                self._taken |= names(tree) if tree is not None else frozenset()
        number = self._numbers.get(name, 1)
        while f"{name}_{number}" in self._taken:
            number += 1
        self._numbers[name] = number + 1
        return f"{name}_{number}"

    def _substituted(self, node: Call | AggregateCall, wanted: MacroKind) -> Condition | Term:
        macro = self._macro(node, wanted)
        if len(node.arguments) != len(macro.parameters):
            self.refuse(
                node.span,
                "macro_arity",
                f"`{macro.name}` takes {len(macro.parameters)} arguments, "
                f"not {len(node.arguments)}",
                f"it is defined at {macro.location}",
            )
        arguments = [self._argument(argument) for argument in node.arguments]
        bound = dict(zip(macro.parameters, arguments, strict=True))
        body, tree = _Substitution(self, macro, bound, node.span), macro.tree
        if isinstance(tree, Count | Sum):
            return body.term(tree)
        if tree is None:
            raise TypeError(f"{macro.name} has no tree")
        return body.condition(tree)

    def _macro(self, node: Call | AggregateCall, wanted: MacroKind) -> Macro:
        macro = self.macros.get(node.name)
        if macro is None:
            self.refuse(
                node.span,
                "unknown_macro",
                f"there is no macro `{node.name[:40]}`",
                "define it with `def temporal`, or see the library in the reference on history",
            )
        if macro.kind is not wanted:
            self.refuse(
                node.span,
                "macro_kind",
                f"`{macro.name}` is {_KINDS[macro.kind]}, but {_KINDS[wanted]} is wanted here",
                f"it is defined at {macro.location}",
            )
        return macro

    def _argument(self, argument: Argument) -> Argument:
        if isinstance(argument, Window):
            return argument
        if isinstance(argument, Call) and self._is_aggregate(argument.name):
            call = AggregateCall(argument.name, argument.arguments, argument.span)
            return self.aggregate_call(call)
        if isinstance(argument, Condition):
            return self.condition(argument)
        return self.term(argument)

    def _is_aggregate(self, name: str) -> bool:
        macro = self.macros.get(name)
        return macro is not None and macro.kind is MacroKind.AGGREGATE

    def window(self, window: Window, span: Span) -> Window:
        if window.parameter:
            self._stray(span, "?" + window.parameter)
        return window

    def slot(self, name: str, sigil: str, span: Span) -> str:
        if sigil:
            self._stray(span, sigil + name)
        return name

    def sigil(self, node: Sigil) -> Condition:
        self._stray(node.span, "?" + node.name)

    def parameter(self, node: Parameter | FreshBinder) -> Term:
        self._stray(node.span, ("?" if isinstance(node, Parameter) else "$") + node.name)

    def refuse(self, span: Span, code: str, message: str, hint: str = "") -> NoReturn:
        raise self.error(span, code, message, hint)

    def error(self, span: Span, code: str, message: str, hint: str) -> LanguageError:
        return fault(self.source.at(span.start), code, message, hint)

    def _stray(self, span: Span, written: str) -> NoReturn:
        self.refuse(
            span,
            "stray_parameter",
            f"`{written[:40]}` stands outside a macro",
            "parameters (`?x`) and fresh variables (`$x`) belong into the body of a `def`",
        )


class _Substitution(Rebuild):
    """The body of a macro: parameters become arguments. Everything carries the span of the call."""

    def __init__(
        self, outer: _Expansion, macro: Macro, bound: dict[str, Argument], span: Span
    ) -> None:
        self.outer, self.macro, self.bound, self.place = outer, macro, bound, span
        self._fresh = dict[str, str]()
        self._sizes = dict[str, int]()

    def count(self, nodes: int) -> None:
        self.outer.count(nodes)

    def span(self, span: Span) -> Span:  # noqa: ARG002 - the call's own
        return self.place

    def window(self, window: Window, span: Span) -> Window:  # noqa: ARG002 - the call's own
        if not window.parameter:
            return window
        found = self._bound(window.parameter)
        if not isinstance(found, Window):
            self._wrong(window.parameter, "a window such as `1h`")
        return found

    def slot(self, name: str, sigil: str, span: Span) -> str:  # noqa: ARG002 - the call's own
        if not sigil:
            return name
        if sigil == "$":
            return self._fresh_name(name)
        found = self._bound(name)
        if not isinstance(found, Variable):
            self._wrong(name, "the bare name of a variable")
        return found.name

    def sigil(self, node: Sigil) -> Condition:
        found = self._bound(node.name)
        if not isinstance(found, Condition):
            self._wrong(node.name, "a condition")
        return found

    def parameter(self, node: Parameter | FreshBinder) -> Term:
        if isinstance(node, FreshBinder):
            return Variable(self._fresh_name(node.name), self.place)
        found = self._bound(node.name)
        if not isinstance(found, Term):
            self._wrong(node.name, "a value")
        return found

    def call(self, node: Call) -> Condition:
        raise TypeError(f"the body of {self.macro.name} calls {node.name}")

    def aggregate_call(self, node: AggregateCall) -> Term:
        raise TypeError(f"the body of {self.macro.name} calls {node.name}")

    def refuse(self, span: Span, code: str, message: str, hint: str = "") -> NoReturn:  # noqa: ARG002
        self.outer.refuse(self.place, code, f"in `{self.macro.name}`: {message}", hint)

    def _fresh_name(self, name: str) -> str:
        if name not in self._fresh:
            self._fresh[name] = self.outer.fresh(name)
        return self._fresh[name]

    def _bound(self, name: str) -> Argument:
        found = self.bound[name]
        if name not in self._sizes:
            self._sizes[name] = sum(1 for _ in walk(found))
        self.count(self._sizes[name])
        return found

    def _wrong(self, name: str, wanted: str) -> NoReturn:
        self.refuse(
            self.place,
            "macro_argument",
            f"the argument for `?{name}` has to be {wanted}",
            f"it is defined at {self.macro.location}",
        )


_KINDS = {
    MacroKind.CEDAR: "a macro of Cedar's (`def cedar`)",
    MacroKind.CONDITION: "a condition over history",
    MacroKind.AGGREGATE: "an aggregate, which stands in comparisons only",
}
