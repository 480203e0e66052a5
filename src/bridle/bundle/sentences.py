"""Each condition over history in one plain English sentence, for people who did not write it.

A rule of the library is told by its name, anything else by its form. A sentence explains, it is
not the condition: what decides is the text of the policy.
"""

from __future__ import annotations

from msgspec import structs

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
    TextLiteral,
    Tp,
    Variable,
    Wildcard,
    Window,
)
from bridle.language.temporal.tree import conjuncts, walk

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
_OWN = {"response": "output."}
"""What a field of an event is taken for, unless its whole path is said: `input.` otherwise."""

_ID = "requestId"
_NEVER_RAN = {"denied", "not_started"}
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
            said = " and ".join(_part(part) for part in conjuncts(node))
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
        case Tp(variable):
            said = f"this is at position {_name(variable)}"
        case _:
            said = printing.text(node)
    return said


def _part(node: Condition) -> str:
    """Say a condition beside others: in brackets, where nobody could hear its end."""
    said = _condition(node)
    return f"({said})" if _is_open(node) else said


def _is_open(node: Condition) -> bool:
    match node:
        case And() | Since() | Exists() | Call() | Not(Exists()):
            return True
        case Comparison(_, left, right):
            return isinstance(left, Count | Sum) or isinstance(right, Count | Sum)
        case _:
            return False


def _negation(inner: Condition) -> str:
    match inner:
        case Formerly(window, Predicate() as event):
            return f"there was no {_bare(event)} within {_window(window)}"
        case Predicate():
            return f"this is not {_event(inner)}"
        case Exists(binder, body):
            return f"there is no {_name(binder.name)} such that {_condition(body)}"
        case _:
            return f"it is not so that ({_condition(inner)})"


def _since(left: Condition, window: Window, right: Condition) -> str:
    found = f"there was {_found(right)} within {_window(window)}"
    if isinstance(left, Not) and isinstance(left.inner, Predicate):
        return f"{found} and no {_bare(left.inner)} since then"
    return f"{found} and at every event since then ({_condition(left)})"


def _found(body: Condition) -> str:
    """Say what was found at an event: a noun, with what else held there."""
    first, *rest = conjuncts(body)
    if not isinstance(first, Predicate):
        return f"an event at which ({_condition(body)})"
    beside = " and ".join(_part(part) for part in rest)
    return _event(first) + (f" (where {beside})" if beside else "")


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
    bound = {binder.name for binder in of.binders}
    live = _live(of.body, bound)
    if live is not None:
        return live
    match of.body:
        case Formerly(window, And(Predicate() as event, Tp(position))) if position in bound:
            return f"{_event(event, many=True)} within {_window(window)}"
        case _:
            names = ", ".join(_name(b.name) for b in of.binders)
            return f"different {names} such that {_condition(of.body)}"


def _live(body: Condition, bound: set[str]) -> str | None:
    """Say which requests ran or may still run, where that is what a body looks for."""
    first, *rest = conjuncts(body)
    match first:
        case Formerly(window, Predicate(kind="request") as event):
            request = _request(event, bound)
        case _:
            return None
    codes, beside = set[str](), list[Condition]()
    for part in rest:
        code = _taken_out(part, event, request)
        if isinstance(part, Comparison):
            beside.append(part)
        elif not code or not _reaches(part, window):
            return None
        codes.add(code)
    if not request or codes - {""} != _NEVER_RAN:
        return None
    shown = structs.replace(event, fields=tuple(f for f in event.fields if f.path != _ID))
    where = " and ".join(_part(part) for part in beside)
    kept = f" (where {where})" if where else ""
    return f"{_event(shown, many=True)}{kept} within {_window(window)}, {_LIVE}"


def _request(event: Predicate, bound: set[str]) -> str:
    """Return the variable that stands for the request, if it is one that is counted."""
    ids = [f.term for f in event.fields if f.path == _ID]
    match ids:
        case [Variable(name)] if name in bound:
            return name
        case _:
            return ""


def _taken_out(part: Condition, event: Predicate, request: str) -> str:
    """Return the code of the errors that a part takes out, of just these requests."""
    match part:
        case Not(Formerly(_, Predicate(kind="error") as error)):
            terms = {f.path: f.term for f in error.fields}
            same = (error.namespace, error.action) == (event.namespace, event.action)
            match terms.pop(_ID, None), terms.pop("error.code", None):
                case Variable(name), TextLiteral(code) if same and name == request and not terms:
                    return code
                case _:
                    return ""
        case _:
            return ""


def _reaches(part: Condition, window: Window) -> bool:
    """Whether a part looks back as far as the window does."""
    match part:
        case Not(Formerly(own, _)):
            return own.seconds >= window.seconds
        case _:
            return False


# --- events and values ---------------------------------------------------------------------------


def _event(node: Predicate, *, many: bool = False) -> str:
    one, several = _KINDS.get(node.kind, (f"a {node.kind} of `{{}}`", f"{node.kind}s of `{{}}`"))
    said = (several if many else one).format(node.action)
    details = [_detail(field, _OWN.get(node.kind, "input.")) for field in node.fields]
    return said + (f" {' and '.join(details)}" if details else "")


def _bare(node: Predicate) -> str:
    return _event(node).removeprefix("a ")


def _detail(field: Field, own: str) -> str:
    name = f"`{field.path.removeprefix(own)}`"
    match field.path, field.term:
        case "callerPrincipal", ScopeField(("principal",)):
            return "by the agent that asks"
        case _, Wildcard():
            return f"with any {name}"
        case path, ContextField(read) if ".".join(read) == path:
            return f"with the same {name}"
        case _, term:
            return f"with {name} {_term(term)}"


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
    if not words or len(wanted) != len(node.arguments) or not _fits(node, wanted):
        return printing.text(node)
    said = [_argument(kind, each) for kind, each in zip(wanted, node.arguments, strict=True)]
    if None in said:
        # Called with something else than the rule is made for: shown as it is written.
        return printing.text(node)
    return words.format(*said, live=_LIVE)


def _fits(node: Call, wanted: list[str]) -> bool:
    """Whether what goes unsaid (`-`) is about the same calls as what is said before it."""
    events = [each for each in node.arguments if isinstance(each, Predicate)]
    unsaid = [each for kind, each in zip(wanted, node.arguments, strict=True) if kind == "-"]
    if not unsaid or not events:
        return not unsaid
    call = events[0]
    kinds = ["response", "error"][-len(unsaid) :]
    alone = len(unsaid) == 1  # then it is found by its request, whatever fields it names
    return call.kind == "request" and all(
        isinstance(each, Predicate)
        and (each.namespace, each.action, each.kind) == (call.namespace, call.action, kind)
        and (_fields(each) == _fields(call) or (alone and not each.fields))
        for each, kind in zip(unsaid, kinds, strict=True)
    )


def _fields(event: Predicate) -> set[tuple[str, str]]:
    return {(field.path, printing.term(field.term)) for field in event.fields}


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
