"""A condition → its canonical text. One job: one text for one tree, that parses back to it.

Spans are not printed; everything else is, so that equal texts mean equal conditions. What it prints
uses more parentheses than a human would: no reader has to know how strongly `!` binds.
"""

from __future__ import annotations

from bridle.language.temporal.ast import (
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
    Sum,
    Term,
    TextLiteral,
    Tp,
    TruthLiteral,
    Variable,
    Wildcard,
    Window,
)

_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}

_SIGILS: dict[type, str] = {Variable: "", Parameter: "?", FreshBinder: "$"}


def text(condition: Condition) -> str:
    """Return the canonical text of a condition."""
    match condition:
        case And(left, right):
            return f"{_operand(left, chain=True)} && {_operand(right)}"
        case Since(left, window, right):
            return f"{_operand(left)} since within {_window(window)} {_atom(right)}"
        case Not(inner):
            return f"!{_operand(inner) if isinstance(inner, Not) else _atom(inner)}"
        case Formerly(window, inner) | Previous(window, inner):
            name = "formerly" if isinstance(condition, Formerly) else "previous"
            return f"{name} within {_window(window)} {_atom(inner)}"
        case Exists(binder, inner):
            return f"exists {_binder(binder)}. {text(inner)}"
        case _:
            return _leaf(condition)


def term(value: Term) -> str:
    """Return the canonical text of a term."""
    match value:
        case Count() | Sum():
            return f"({aggregate(value)})"
        case AggregateCall(name, arguments):
            return f"{name}({_arguments(arguments)})"
        case ArrayLiteral(items):
            return f"[{', '.join(term(item) for item in items)}]"
        case ContextField(path) | ScopeField(path):
            return ".".join(("context", *path) if isinstance(value, ContextField) else path)
        case Variable(name) | Parameter(name) | FreshBinder(name):
            return _SIGILS[type(value)] + name
        case _:
            return literal(value)


def literal(value: Term) -> str:
    """Return the text of a literal or a wildcard."""
    match value:
        case Wildcard():
            return "_"
        case EntityLiteral(kind, name):
            return f"{kind}::{quoted(name)}"
        case IntegerLiteral(number):
            return str(number)
        case DecimalLiteral(written):
            return f"decimal({quoted(written)})"
        case TextLiteral(string):
            return quoted(string)
        case TruthLiteral(truth):
            return "true" if truth else "false"
        case _:
            raise TypeError(f"{type(value).__name__} is no literal")


def aggregate(value: Count | Sum) -> str:
    """Return the text of an aggregate, without parentheses."""
    domain = ", ".join(_binder(binder) for binder in value.binders)
    name = f"sum {value.sigil}{value.variable}" if isinstance(value, Sum) else "count"
    return f"{name} for {domain}. where {text(value.body)}"


def quoted(string: str) -> str:
    """Return a string as a literal: printable ASCII as it is, everything else escaped."""
    return '"' + "".join(_character(char) for char in string) + '"'


def _character(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    return char if " " <= char <= "~" else f"\\u{{{ord(char):x}}}"


def _leaf(condition: Condition) -> str:
    match condition:
        case Comparison(op, left, right):
            return f"{term(left)} {op} {term(right)}"
        case Predicate():
            path = "::".join(condition.namespace)
            name = f"{path}::{quoted(condition.action)}::{condition.kind}"
            return name + _fields(condition.fields)
        case Refine(base, fields):
            return text(base) + _fields(fields)
        case Tp(variable, sigil):
            return f"tp({sigil}{variable})"
        case Call(name, arguments):
            return f"{name}({_arguments(arguments)})"
        case Sigil(name):
            return f"?{name}"
        case _:
            raise TypeError(f"{type(condition).__name__} is no leaf")


def _operand(condition: Condition, *, chain: bool = False) -> str:
    """Print an operand of `&&` or `since`, or the inside of a double negation."""
    if isinstance(condition, Exists) or (isinstance(condition, And | Since) and not chain):
        return f"({text(condition)})"
    return text(condition)


def _atom(condition: Condition) -> str:
    if isinstance(condition, Predicate | Refine | Tp | Call | Sigil):
        return text(condition)
    return f"({text(condition)})"


def _fields(fields: tuple[Field, ...]) -> str:
    if not fields:
        return "{}"
    return "{ " + ", ".join(f"{field.path}: {term(field.term)}" for field in fields) + " }"


def _arguments(arguments: tuple[Argument, ...]) -> str:
    return ", ".join(argument(each) for each in arguments)


def argument(value: Argument) -> str:
    """Return the text of what a macro is called with."""
    if isinstance(value, Window):
        return _window(value)
    if isinstance(value, Condition):
        return text(value)
    return term(value)


def _window(window: Window) -> str:
    return f"?{window.parameter}" if window.parameter else f"{window.amount}{window.unit}"


def _binder(binder: Binder) -> str:
    return f"({binder.sigil}{binder.name}: {'::'.join(binder.type)})"
