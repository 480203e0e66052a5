"""Whether a condition over history can be monitored at all, whatever the schema (spec §5.4).

A condition is evaluated from left to right: each conjunct may use what those before it have bound,
and binds more. So every variable must be bound by something that yields finitely many values,
before it is used, and every part that is looked at over time must be able to change over time. What
is refused here would not fail when evaluated; it would be silently false, and so would a `forbid`.
"""

from __future__ import annotations

from collections.abc import Iterable

from bridle.language.lexer import Source
from bridle.language.temporal.ast import (
    AggregateCall,
    And,
    ArrayLiteral,
    Call,
    Comparison,
    Condition,
    Count,
    Exists,
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
    Variable,
)
from bridle.language.temporal.meaning.findings import Findings
from bridle.language.temporal.meaning.variables import (
    RESERVED,
    Names,
    bound_by_equality,
    free,
    free_in_term,
    restricted,
)
from bridle.language.temporal.tree import conjuncts, nesting, nodes, terms, within
from bridle.model.finding import Finding

MAX_DEPTH = 150
"""Conditions within one another; a `&&` chain is one level."""


def accept(condition: Condition, source: Source) -> list[Finding]:
    """Return what is wrong with a condition whose macros are expanded; empty if nothing is."""
    findings = Findings(source)
    if nesting(condition) > MAX_DEPTH:
        findings.add(
            condition.span,
            "history_too_deep",
            f"this condition is nested more than {MAX_DEPTH} deep",
            "split it into several policies",
        )
        return findings.found
    # Each step only makes sense of what the ones before it let through.
    for step in (_concrete, _closed, _placed, _scoped, _ordered, _varies):
        step(condition, findings)
        if findings.found:
            break
    return findings.found


def _concrete(condition: Condition, findings: Findings) -> None:
    for node in nodes(condition):
        macro = isinstance(node, Call | Sigil | Refine)
        if macro or any(
            isinstance(t, Parameter | FreshBinder | AggregateCall) for t in terms(node)
        ):
            findings.add(
                node.span,
                "history_parameter",
                "`?name` and `$name` mean nothing outside the body of a macro",
                "write the value, or move this into a `def temporal`",
            )


def _closed(condition: Condition, findings: Findings) -> None:
    for name in sorted(free(condition)):
        findings.add(
            condition.span,
            "history_unbound",
            f"nothing binds `{name}` in this condition",
            f"write `exists ({name}: TYPE). (…)` around it, or `*` where any value will do",
        )


# --- where terms may stand -----------------------------------------------------------------------


def _placed(condition: Condition, findings: Findings) -> None:
    for node in nodes(condition):
        match node:
            case Predicate(fields=fields):
                for field in fields:
                    _refuse(field.term, field.span, findings)
            case Comparison(left=left, right=right):
                for operand in (left, right):
                    if not isinstance(operand, Count | Sum):
                        _refuse(operand, node.span, findings)
            case Exists(binder=binder):
                _check_name(binder.name, binder.span, findings)
            case Tp(variable=name):
                _check_name(name, node.span, findings)
            case _:
                pass


def _refuse(term: Term, span: Span, findings: Findings) -> None:
    """Refuse what no event can be compared with."""
    waiting = [term]
    while waiting:
        found = waiting.pop()
        if isinstance(found, Count | Sum):
            findings.add(
                found.span if found.span.end else span,
                "history_aggregate_place",
                "`count` and `sum` stand only on one side of a comparison",
                "bind its value first: `exists (n: Long). ((count …) == n && …)`",
            )
        elif isinstance(found, ArrayLiteral):
            findings.add(
                span,
                "history_array",
                "a condition over history cannot hold an array",
                "name one value, or a field of `context` that holds a set",
            )
            waiting.extend(found.items)


def _check_name(name: str, span: Span, findings: Findings) -> None:
    if name in RESERVED:
        findings.add(
            span,
            "history_reserved_name",
            f"`{name}` means the request here, so it cannot name a variable",
            "choose another name",
        )


# --- what binders and aggregates need ------------------------------------------------------------


def _scoped(condition: Condition, findings: Findings) -> None:
    for node in nodes(condition):
        match node:
            case Exists(binder=binder, body=body) if binder.name not in restricted(body):
                findings.add(
                    binder.span if binder.span.end else node.span,
                    "history_unrestricted",
                    f"nothing in the body of this `exists` says what `{binder.name}` can be",
                    _WAYS.format(name=binder.name),
                )
            case Comparison(left=left, right=right):
                for operand in (left, right):
                    if isinstance(operand, Count | Sum):
                        _check_aggregate(operand, findings)
            case _:
                pass


_WAYS = (
    "bind it by a field (`{{ f: {name} }}`), by `tp({name})` or by `… == {name}`; what stands "
    "under `!` or to the left of `since` binds nothing"
)


def _check_aggregate(aggregate: Count | Sum, findings: Findings) -> None:
    listed = [b.name for b in aggregate.binders]
    for binder in aggregate.binders:
        _check_name(binder.name, binder.span, findings)
    if isinstance(aggregate, Sum) and aggregate.variable not in listed:
        findings.add(
            aggregate.span,
            "history_sum_variable",
            f"`{aggregate.variable}` is summed and is not in the `for` list",
            f"add `({aggregate.variable}: Long)` to the list",
        )
    used, bound = free(aggregate.body), restricted(aggregate.body)
    for name in dict.fromkeys(listed):
        if name not in used:
            findings.add(
                aggregate.span,
                "history_unused_variable",
                f"`{name}` is in the `for` list and nowhere in the `where` body",
                "use it there, or take it out of the list",
            )
        elif name not in bound:
            findings.add(
                aggregate.span,
                "history_unrestricted",
                f"nothing in the `where` body says what `{name}` can be",
                _WAYS.format(name=name),
            )


# --- the order of conjuncts ----------------------------------------------------------------------


def _ordered(condition: Condition, findings: Findings) -> None:
    _chain(condition, Names(), findings)


def _chain(condition: Condition, before: Names, findings: Findings) -> None:
    known = Names(before)
    for part in conjuncts(condition):
        _demands(part, known, findings)
        _inner_chains(part, known, findings)
        known.add(restricted(part))


def _demands(part: Condition, known: Names, findings: Findings) -> None:
    """Report the variables that one conjunct uses before anything has bound them."""
    match part:
        case Comparison(left=left, right=right):
            name = bound_by_equality(part)
            if name is None:
                _require(free_in_term(left) | free_in_term(right), known, part, findings)
                return
            value = right if isinstance(left, Variable) and left.name == name else left
            for unmet in known.lacking(free_in_term(value)):
                findings.add(
                    part.span,
                    "history_order",
                    f"`{unmet}` is used inside the aggregate that `{name}` is set to, "
                    "before anything has bound it",
                    f"put the part that binds `{unmet}` before this one, inside the same `exists`",
                )
        case Not(inner):
            _require(free(inner), known, part, findings)
        case Since(left=left, right=right):
            for unmet in known.lacking(free(left) - restricted(right)):
                findings.add(
                    left.span,
                    "history_since_left",
                    f"`{unmet}` is used to the left of `since`, and neither its right side "
                    "nor anything before has bound it",
                    f"bind `{unmet}` on the right side of `since`, or in a part before it",
                )
        case _:
            pass


def _require(names: Iterable[str], known: Names, part: Condition, findings: Findings) -> None:
    for unmet in known.lacking(names):
        findings.add(
            part.span,
            "history_order",
            f"`{unmet}` is compared or negated before anything has bound it",
            f"put the part that binds `{unmet}` before this one; parts are read left to right",
        )


def _inner_chains(part: Condition, known: Names, findings: Findings) -> None:
    match part:
        case Not(inner) if isinstance(inner, And):
            _chain(inner, known, findings)
        case Not(inner):
            _inner_chains(inner, known, findings)
        case Formerly(body=body) | Previous(body=body):
            _chain(body, known, findings)
        case Exists(binder=binder, body=body):
            _chain(body, Names(known, without=(binder.name,)), findings)
        case Since(left=left, right=right):
            anchored = Names(known)
            anchored.add(restricted(right))
            _chain(left, anchored, findings)
            _chain(right, known, findings)
        case Comparison(left=left, right=right):
            for operand in (left, right):
                if isinstance(operand, Count | Sum):
                    listed = tuple(b.name for b in operand.binders)
                    _chain(operand.body, Names(known, without=listed), findings)
        case _:
            pass


# --- what can change over time -------------------------------------------------------------------


def _varies(condition: Condition, findings: Findings) -> None:
    bound = Names()
    bound.add(_seen_in_events(condition))
    for part in conjuncts(condition):
        if not _changes(part, bound, findings):
            _constant(part, "this part of the condition", findings)


def _seen_in_events(condition: Condition) -> set[str]:
    """Return the variables of predicates, but for those under `!` and inside aggregates."""
    found, waiting = set[str](), [condition]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Predicate):
            found |= {f.term.name for f in node.fields if isinstance(f.term, Variable)}
        elif not isinstance(node, Not | Comparison):
            waiting.extend(within(node))
    return found


def _changes(node: Condition, bound: Names, findings: Findings) -> bool:
    """Whether a condition can be true at one position and false at the next."""
    match node:
        case Comparison(left=left, right=right):
            for operand in (left, right):
                if isinstance(operand, Count | Sum):
                    _check_rows(operand, bound, findings)
            return _term_changes(left, bound) or _term_changes(right, bound)
        case And():
            # Each part is looked at, for the sake of its findings.
            return sum(_changes(part, bound, findings) for part in conjuncts(node)) > 0
        case Not(inner):
            return _changes(inner, bound, findings)
        case Formerly(body=body) | Previous(body=body):
            _check_body(body, "what is looked for in the past", bound, findings)
        case Since(left=left, right=right):
            _check_body(left, "the left side of `since`", bound, findings)
            _check_body(right, "the right side of `since`", bound, findings)
        case Exists(binder=binder, body=body):
            inside = Names(bound)
            inside.add((binder.name,))
            _check_body(body, "the body of this `exists`", inside, findings)
        case _:
            pass
    return True


def _check_rows(aggregate: Count | Sum, bound: Names, findings: Findings) -> None:
    inside = Names(bound)
    if isinstance(aggregate, Sum):
        inside.add((aggregate.variable,))
    _check_body(aggregate.body, "the `where` body of this aggregate", inside, findings)


def _check_body(body: Condition, what: str, bound: Names, findings: Findings) -> None:
    if not _changes(body, bound, findings):
        _constant(body, what, findings)


def _constant(node: Condition, what: str, findings: Findings) -> None:
    findings.add(
        node.span,
        "history_constant",
        f"{what} says nothing of any event, so it never changes over time",
        "name an event in it; what only concerns the request belongs into `when { … }`",
    )


def _term_changes(term: Term, bound: Names) -> bool:
    waiting = [term]
    while waiting:
        match waiting.pop():
            case Count() | Sum():
                return True
            case Variable(name=name) if name in bound:
                return True
            case ArrayLiteral(items=items):
                waiting.extend(items)
            case _:
                pass
    return False
