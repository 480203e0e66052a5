"""`def …` → checked macros.

One job: what is wrong with a definition is found where it stands, called or not.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

from bridle.language import cedar
from bridle.language.errors import LanguageError, fault
from bridle.language.lexer import Kind, Source, Token
from bridle.language.lowering import Word
from bridle.language.source import Definition
from bridle.language.temporal.ast import (
    AggregateCall,
    Argument,
    Call,
    Count,
    Exists,
    Formerly,
    Parameter,
    Previous,
    Sigil,
    Since,
    Sum,
    Tp,
)
from bridle.language.temporal.macros import Macro, MacroKind
from bridle.language.temporal.parse import body
from bridle.language.temporal.tree import walk
from bridle.model.finding import Finding

BUILT_IN = frozenset({"decimal", "datetime", "duration", "ip"})
"""Functions of Cedar."""

RESERVED = BUILT_IN | {
    *("let", "where", "for", "sum", "count", "tp", "formerly", "previous", "since", "within"),
    *("exists", "true", "false", "if", "then", "else", "in", "has", "like", "is", "when", "unless"),
    *("permit", "forbid", "def", "temporal", "guardrails", "principal", "action", "resource"),
    "context",
}
"""Words that no macro may be called."""

_HEAD = "permit (principal, action, resource) when {"
_SLOTS = {"principal", "resource"}


def define(
    source: Source, definitions: Iterable[Definition]
) -> tuple[dict[str, Macro], tuple[Finding, ...]]:
    """Check the definitions of one file. Those with a finding are absent."""
    found, findings = dict[str, Macro](), list[Finding]()
    for definition in definitions:
        try:
            macro = _macro(source, definition)
            if macro.name in found:
                raise twice(macro, found[macro.name])
        except LanguageError as error:
            findings.append(error.finding)
        else:
            found[macro.name] = macro
    return found, tuple(findings)


def twice(macro: Macro, first: Macro) -> LanguageError:
    """Return (not raise) the refusal of a second macro of one name."""
    return fault(
        macro.location,
        "duplicate_macro",
        f"the macro `{macro.name}` is defined already, at {first.location}",
        "give one of the two another name",
    )


def _macro(source: Source, definition: Definition) -> Macro:
    name = definition.name.text
    if name in RESERVED:
        raise fault(
            definition.location,
            "reserved_macro",
            f"`{name}` is a word of the language and cannot name a macro",
            "choose another name",
        )
    parameters = _parameters(source, definition)
    made = Macro(name, MacroKind.CEDAR, parameters, definition.text, definition.location)
    if definition.kind == "cedar":
        return _cedar(source, definition, made)
    tree = body(source, *definition.inside)
    _Body(source, frozenset(parameters)).check(tree)
    if isinstance(tree, AggregateCall):
        raise TypeError("a call was let through as the body of a macro")
    kind = MacroKind.AGGREGATE if isinstance(tree, Count | Sum) else MacroKind.CONDITION
    return Macro(name, kind, parameters, made.text, made.location, tree)


def _parameters(source: Source, definition: Definition) -> tuple[str, ...]:
    names = list[str]()
    for token in definition.parameters:
        name = token.text[1:]
        if name in names or (definition.kind == "cedar" and name in _SLOTS):
            raise fault(
                source.at(token.start),
                "macro_parameter",
                f"`{token.text[:40]}` cannot be a parameter here",
                "parameters have different names, and ?principal and ?resource are templates",
            )
        names.append(name)
    return tuple(names)


def _cedar(source: Source, definition: Definition, made: Macro) -> Macro:
    """Check the body of a `def cedar` by having Cedar parse it with something for each parameter.

    What Cedar accepts in parentheses is an expression, so no argument can change how the rest of
    the body is read.
    """
    words, declared = list[Word](), set(made.parameters)
    text = _HEAD
    for index, token in enumerate(definition.body):
        written = token.text
        if token.kind is Kind.SIGIL:
            _declared(source, token.text, token.start, declared)
            written = "(context.x)"
        _refuse_call(source, definition.body, index)
        text += f" {written}"
        words.append(Word(token.kind, token.text, token.start, len(text)))
    closing = definition.inside[1]
    for tail in ("}", ";"):
        text += tail
        words.append(Word(Kind.PUNCTUATION, tail, closing, len(text)))
    if not definition.body:
        raise fault(source.at(closing), "macro_syntax", "the body of this macro is empty")
    cedar.parse(source, text, words)
    return Macro(
        made.name, made.kind, made.parameters, made.text, made.location, None, definition.body
    )


def _refuse_call(source: Source, tokens: tuple[Token, ...], index: int) -> None:
    """Refuse what a Cedar macro may not hold: other macros, providers, conditions over history."""
    token = tokens[index]
    following = tokens[index + 1].text if index + 1 < len(tokens) else ""
    before = tokens[index - 1].text if index else ""
    if token.text == "temporal" and following == "{" and before != ".":
        raise fault(
            source.at(token.start),
            "macro_in_macro",
            "a macro of Cedar's cannot hold a condition over history",
            "write it where the macro is called",
        )
    if token.kind is not Kind.WORD or following != "(" or before == ".":
        return
    if before == "::" or token.text not in BUILT_IN | _OPERATORS:
        _macro_in_macro(source, token.start, token.text)


_OPERATORS = {"if", "then", "else", "in", "has", "like", "is"}


def _macro_in_macro(source: Source, offset: int, name: str) -> NoReturn:
    raise fault(
        source.at(offset),
        "macro_in_macro",
        f"the body of a macro calls `{name[:40]}`; macros do not call macros",
        "pass the call as an argument, or write out what it stands for",
    )


def _declared(source: Source, written: str, offset: int, declared: Iterable[str]) -> None:
    if written[0] == "?" and written[1:] in declared:
        return
    raise fault(
        source.at(offset),
        "macro_parameter",
        f"`{written[:40]}` is no parameter of this macro",
        "its parameters are " + (", ".join(f"?{name}" for name in declared) or "none"),
    )


class _Body:
    """Checks the body of a `def temporal`."""

    def __init__(self, source: Source, declared: frozenset[str]) -> None:
        self.source, self.declared = source, declared

    def check(self, tree: Argument) -> None:
        for node in walk(tree):
            match node:
                case Call() | AggregateCall():
                    _macro_in_macro(self.source, node.span.start, node.name)
                case Parameter() | Sigil():
                    self._known(node.name, node.span.start)
                case Formerly() | Previous() | Since() if node.window.parameter:
                    self._known(node.window.parameter, node.span.start)
                case Tp(name, "?"):
                    self._known(name, node.span.start)
                case Exists():
                    self._slot(node.binder.sigil, node.binder.name, node.binder.span.start)
                case Count() | Sum():
                    self._aggregate(node)
                case _:
                    pass

    def _aggregate(self, node: Count | Sum) -> None:
        if isinstance(node, Sum):
            self._slot(node.sigil, node.variable, node.span.start)
        for binder in node.binders:
            self._slot(binder.sigil, binder.name, binder.span.start)

    def _slot(self, sigil: str, name: str, offset: int) -> None:
        if sigil == "?":
            self._known(name, offset)

    def _known(self, name: str, offset: int) -> None:
        _declared(self.source, f"?{name}", offset, sorted(self.declared))
