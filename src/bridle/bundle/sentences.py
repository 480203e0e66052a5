"""Each condition over history in one plain English sentence, for people who did not write it.

A rule of the library is told by its name, anything else by its form. A sentence explains, it is
not the condition: what decides is the text of the policy.
"""

from __future__ import annotations

from bridle.language.policy import Leaf
from bridle.language.temporal import printing
from bridle.language.temporal.ast import (
    AggregateCall,
    And,
    Argument,
    Call,
    Comparison,
    Condition,
    ContextField,
    Count,
    Exists,
    Field,
    Formerly,
    IntegerLiteral,
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
from bridle.language.temporal.tree import walk
from bridle.language.temporal.walk import conjuncts

_MOST = 400
_LIVE = "counting those that ran or may still run"
_WHERE = {
    "mission": "in this mission",
    "user": "for this user",
    "agent": "for this agent",
    "tenant": "anywhere",
}
_UNITS = {"s": "second", "m": "minute", "h": "hour", "d": "day"}
_KINDS = {
    "request": ("a request for `{}`", "requests for `{}`"),
    "held": ("a hold of `{}`", "holds of `{}`"),
    "response": ("a success of `{}`", "successes of `{}`"),
    "error": ("a failure of `{}`", "failures of `{}`"),
}
_AMOUNTS = {
    "<": "fewer than {}",
    "<=": "at most {}",
    "==": "exactly {}",
    ">=": "at least {}",
    ">": "more than {}",
    "!=": "other than {}",
}
_RELATIONS = {
    "<": "is less than",
    "<=": "is at most",
    "==": "is",
    ">=": "is at least",
    ">": "is more than",
    "!=": "is not",
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def sentence(leaf: Leaf) -> str:
    """Return what a condition says is true, as a sentence that begins with whose history it is."""
    said = _condition(_readable(leaf))
    text = f"{_WHERE[leaf.scope].capitalize()}, {said}"
    return (text if len(text) <= _MOST else text[: _MOST - 1].rstrip() + "…") + "."


def _readable(leaf: Leaf) -> Condition:
    """Return a condition as it is written, if all it calls has words here; else written out."""
    written = leaf.written
    if written is None:
        return leaf.condition
    calls = (n for n in walk(written) if isinstance(n, AggregateCall | Call))
    return written if all(n.name in LIBRARY for n in calls) else leaf.condition


# --- conditions ----------------------------------------------------------------------------------


def _condition(node: Condition) -> str:
    match node:
        case And():
            said = " and ".join(_condition(part) for part in conjuncts(node) if _speaks(part))
        case Not(inner):
            said = _negation(inner)
        case Formerly(window, body):
            said = f"there was {_found(body)} within {_window(window)}"
        case Previous(window, body):
            said = f"the event just before, within {_window(window)}, was {_found(body)}"
        case Since(left, window, right):
            said = _since(left, window, right)
        case Exists(binder, body):
            said = f"there is some {_name(binder.name)} such that {_condition(body)}"
        case Comparison():
            said = _comparison(node)
        case Call():
            said = _call(node)
        case Predicate():
            said = f"this is {_event(node)}"
        case _:
            said = printing.text(node)
    return said


def _speaks(part: Condition) -> bool:
    return not isinstance(part, Tp)


def _negation(inner: Condition) -> str:
    match inner:
        case Formerly(window, Predicate() as event):
            return f"there was no {_bare(event)} within {_window(window)}"
        case Predicate():
            return f"this is not {_event(inner)}"
        case Exists(binder, body):
            return f"there is no {_name(binder.name)} such that {_condition(body)}"
        case _:
            return f"it is not so that {_condition(inner)}"


def _since(left: Condition, window: Window, right: Condition) -> str:
    found = f"there was {_found(right)} within {_window(window)}"
    if isinstance(left, Not) and isinstance(left.inner, Predicate):
        return f"{found} and no {_bare(left.inner)} since then"
    return f"{found} and at every event since then {_condition(left)}"


def _found(body: Condition) -> str:
    """Say what was found at an event: a noun, with what else held there."""
    parts = [p for p in conjuncts(body) if _speaks(p)]
    if parts and isinstance(parts[0], Predicate):
        rest = [_condition(p) for p in parts[1:]]
        return ", where ".join([_event(parts[0]), *([" and ".join(rest)] if rest else [])])
    return f"an event at which {_condition(body)}"


def _comparison(node: Comparison) -> str:
    left, op, right = node.left, node.op, node.right
    if isinstance(right, Count | Sum) and not isinstance(left, Count | Sum):
        left, op, right = right, _TURNED[op], left
    match left:
        case Count():
            return f"there are {_AMOUNTS[op].format(_term(right))} {_rows(left)}"
        case Sum():
            related = f"{_RELATIONS[op]} {_term(right)}"
            return f"the sum of {_name(left.variable)} {related} over {_rows(left)}"
        case _:
            return f"{_term(left)} {_RELATIONS[op]} {_term(right)}"


def _rows(of: Count | Sum) -> str:
    """Say what is counted. Rows that bind a position or a request are events."""
    live = _live(of.body)
    if live is not None:
        return f"{_event(live[0], many=True)} within {_window(live[1])}, {_LIVE}"
    match of.body:
        case Formerly(window, body):
            parts = [p for p in conjuncts(body) if _speaks(p)]
            counts_events = len(parts) < len(conjuncts(body))
            if counts_events and len(parts) == 1 and isinstance(parts[0], Predicate):
                return f"{_event(parts[0], many=True)} within {_window(window)}"
        case _:
            pass
    names = ", ".join(_name(b.name) for b in of.binders)
    return f"different {names} such that {_condition(of.body)}"


def _live(body: Condition) -> tuple[Predicate, Window] | None:
    """Return the requests that ran or may still run, where that is what a body looks for."""
    parts = conjuncts(body)
    codes = set[str]()
    for part in parts[1:]:
        match part:
            case Not(Formerly(_, Predicate(kind="error", fields=fields))):
                codes |= {printing.term(f.term) for f in fields if f.path == "error.code"}
            case Comparison():
                pass
            case _:
                return None
    match parts[0]:
        case Formerly(window, Predicate(kind="request") as event) if codes == {
            '"denied"',
            '"not_started"',
        }:
            return event, window
        case _:
            return None


# --- events and values ---------------------------------------------------------------------------


def _event(node: Predicate, *, many: bool = False) -> str:
    one, several = _KINDS.get(node.kind, (f"a {node.kind} of `{{}}`", f"{node.kind}s of `{{}}`"))
    said = (several if many else one).format(node.action)
    details = [text for field in node.fields if (text := _detail(field))]
    return said + (f" {_listed(details)}" if details else "")


def _bare(node: Predicate) -> str:
    return _event(node).removeprefix("a ")


def _detail(field: Field) -> str:
    name = f"`{field.path.partition('.')[2] or field.path}`"
    match field.path, field.term:
        case "callerPrincipal", ScopeField(("principal",)):
            return "by the agent that asks"
        case _, Wildcard():
            return f"with any {name}"
        case "requestId", Variable():
            return ""
        case _, Variable(variable):
            return f"with some {name} {_name(variable)}"
        case path, ContextField(read) if ".".join(read) == path:
            return f"with the same {name}"
        case _, term:
            return f"with {name} {_term(term)}"


def _listed(details: list[str]) -> str:
    return " and ".join(details)


def _term(node: Term) -> str:
    match node:
        case ContextField(path):
            return f"`{'.'.join(('context', *path))}` of this action"
        case Variable(name):
            return _name(name)
        case Count() | Sum():
            return f"({printing.aggregate(node)})"
        case _:
            return printing.term(node)


def _name(variable: str) -> str:
    return f"`{variable}`"


def _window(window: Window) -> str:
    unit = _UNITS[window.unit]
    return f"{window.amount} {unit}{'' if window.amount == 1 else 's'}"


# --- rules of the library ------------------------------------------------------------------------

_RULES = {
    "requires_before": ("window one", "there was {1} within {0}"),
    "requires_since": ("window one bare", "there was {1} within {0} and no {2} since then"),
    "forbidden_after": ("window bare -", "there was no {1} within {0}, {live}"),
    "ordered": ("window one one", "there was {2} within {0}, and {1} within {0} before it"),
    "first_time": ("window bare", "there was no {1} within {0} yet"),
    "quiet_period": ("window bare - -", "no {1} began or ended within {0}"),
    "at_most": ("value window many -", "there are at most {0} {2} within {1}, {live}"),
    "sum_at_most": (
        "value window value many -",
        "the {2} of {3} adds up to at most {0} within {1}, {live}",
    ),
    "distinct_at_most": (
        "value window value many -",
        "there are at most {0} different {2} among {3} within {1}, {live}",
    ),
    "cooldown": ("window many -", "this is the only one of all {1} within {0}, {live}"),
    "no_repeat_failure": (
        "value window many",
        "there are fewer than {0} {2} within {1}, not counting what was denied or never started",
    ),
    "open_close": (
        "window value one one",
        "for each {1}, {2} within {0} was followed by {3}",
    ),
    "open_close_number": (
        "window value one one",
        "for each {1}, {2} within {0} was followed by {3}",
    ),
    "distinct_actors": ("window one", "there was {1} within {0}, and none by the agent that asks"),
}
"""What each parameter of a rule is, and the rule in words."""

LIBRARY = frozenset(_RULES)
"""Names of the rules that have a wording of their own."""


def _call(node: Call) -> str:
    kinds, words = _RULES.get(node.name, ("", ""))
    wanted = kinds.split()
    if not words or len(wanted) != len(node.arguments):
        return printing.text(node)
    said = [_argument(kind, each) for kind, each in zip(wanted, node.arguments, strict=True)]
    if None in said:
        # Called with something else than the rule is made for: shown as it is written.
        return printing.text(node)
    return words.format(*said, live=_LIVE)


def _argument(kind: str, argument: Argument) -> str | None:
    said: str | None = None
    match kind, argument:
        case "-", _:
            said = ""
        case "window", Window():
            said = _window(argument)
        case "one" | "bare" | "many", Predicate():
            said = _event(argument, many=kind == "many")
            said = said.removeprefix("a ") if kind == "bare" else said
        case "value", Variable(name):
            said = _name(name)
        case "value", IntegerLiteral(number):
            said = str(number)
        case _:
            pass
    return said
