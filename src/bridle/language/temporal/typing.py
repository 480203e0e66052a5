"""Whether a condition says something that its events and requests can be (spec §5.5, §5.7).

Names of events and fields, windows, entity types, paths of `context`, `principal` and `resource`,
and the types of what is compared. Paths and types are held against every action whose requests the
policy can meet. As with acceptance, what is refused here would silently never match.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from msgspec import Struct

from bridle.language.events.actions import Action, CedarActions
from bridle.language.events.ast import Events
from bridle.language.events.pins import inject
from bridle.language.lexer import Source
from bridle.language.reach import Reach
from bridle.language.temporal.ast import (
    Comparison,
    Condition,
    ContextField,
    EntityLiteral,
    Formerly,
    Predicate,
    Previous,
    ScopeField,
    Since,
    Span,
    Term,
    Window,
)
from bridle.language.temporal.meaning.comparing import compare
from bridle.language.temporal.meaning.findings import Findings
from bridle.language.temporal.meaning.kinds import Kind
from bridle.language.temporal.meaning.paths import Lost, in_context, in_scope
from bridle.language.temporal.tree import nodes, terms
from bridle.model.finding import Finding

MAX_SECONDS = 2**63 - 1
_SHOWN = 8
_SEARCHED = 500


class View(Struct, frozen=True):
    """What requests of some actions look like to a condition: the kind at each path it reads.

    A path that is not there has no kind, and neither has one whose kind nobody can say.
    """

    at: Mapping[tuple[str, ...], Kind]


def check(
    condition: Condition, events: Events, reach: Reach, actions: CedarActions, source: Source
) -> list[Finding]:
    """Return what is wrong with an accepted condition of a policy; empty if nothing is.

    What its pins read must be there in every request, too. A pin's type is not compared: one that
    can never match hides what it should.
    """
    findings = Findings(source)
    pinned = inject(condition, events)
    for node in nodes(pinned):
        _check_names(node, events, findings)
        _check_window(node, events.max_window, findings)
        for term in terms(node):
            if isinstance(term, EntityLiteral):
                _check_entity(term, node.span, actions, findings)
    for view in _views(pinned, reach, actions, findings):
        compare(condition, events, view.at, findings)
    return findings.found


# --- events and fields ---------------------------------------------------------------------------


def _check_names(node: Condition, events: Events, findings: Findings) -> None:
    if not isinstance(node, Predicate):
        return
    space = "::".join(node.namespace)
    event = events.events.get((space, node.action, node.kind))
    if event is None:
        _unknown_event(node, space, events, findings)
        return
    for field in node.fields:
        if field.path in event.fields:
            continue
        if field.path in event.groups:
            findings.add(
                field.span,
                "history_field_group",
                f"`{field.path}` is a group of fields of {event.written}, not one of them",
                f"name a field inside it: `{field.path}.FIELD`",
            )
        else:
            near = _near(field.path, event.fields)
            findings.add(
                field.span,
                "history_unknown_field",
                f"{event.written} has no field `{field.path}`",
                near or f"its fields are {_listed(event.fields)}",
            )


def _unknown_event(node: Predicate, space: str, events: Events, findings: Findings) -> None:
    kinds_there = [k for (s, a, k) in events.events if (s, a) == (space, node.action)]
    if kinds_there:
        hint = f'{space}::"{node.action}" has {_listed(kinds_there)}'
        message = f"there is no event of kind `{node.kind}`"
    else:
        ids = [a for (s, a, k) in events.events if s == space and k == node.kind]
        hint = _near(node.action, ids) or "the Cedar schema declares the actions"
        message = f'there is no action {space}::"{node.action}"'
    findings.add(node.span, "history_unknown_event", message, hint)


def _near(name: str, names: Iterable[str]) -> str:
    known = [n for _, n in zip(range(_SEARCHED), names, strict=False)]
    found = get_close_matches(name[:200], known, 1)
    return f"did you mean `{found[0]}`?" if found else ""


def _listed(names: Iterable[str]) -> str:
    every = sorted(names)
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return (", ".join(f"`{n}`" for n in every[:_SHOWN]) or "none") + more


# --- windows and entities ------------------------------------------------------------------------


def _check_window(node: Condition, most: int, findings: Findings) -> None:
    if not isinstance(node, Formerly | Previous | Since):
        return
    window: Window = node.window
    if window.amount <= 0:
        message = "a window must be longer than zero; this one would match nothing"
        hint = "write how far back to look, such as `within 10m`"
    elif window.seconds > min(most, MAX_SECONDS):
        message = f"this window looks back further than the {duration(most)} that are kept"
        hint = f"shorten it to at most {duration(most)}, or raise `max_window`"
    else:
        return
    findings.add(node.span, "history_window", message, hint)


def duration(seconds: int) -> str:
    """Return a length of time as conditions write it, in the largest unit that fits."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds % length == 0 and seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _check_entity(
    term: EntityLiteral, span: Span, actions: CedarActions, findings: Findings
) -> None:
    if term.type.rpartition("::")[2] == "Action":
        return
    declared = actions.entities.get(term.type)
    if declared is None:
        hint = _near(term.type, actions.entities)
        findings.add(
            span,
            "history_unknown_entity",
            f"there is no entity type `{term.type}`",
            hint or f"the Cedar schema declares {_listed(actions.entities)}",
        )
    elif declared.ids is not None and term.id not in declared.ids:
        findings.add(
            span,
            "history_entity_id",
            f'`{term.type}` has no entity "{term.id}": its ids are fixed',
            f"use one of {_listed(declared.ids)}",
        )


# --- what the request holds ----------------------------------------------------------------------


def _views(
    condition: Condition, reach: Reach, actions: CedarActions, findings: Findings
) -> list[View]:
    """Resolve every path for every action; report those that lead nowhere."""
    read = _paths(condition)
    lost = dict[tuple[tuple[str, ...], str], list[str]]()
    views = dict[tuple[Kind | None, ...], View]()
    for action in reach.actions:
        at = dict[tuple[str, ...], Kind]()
        for path, term in read.items():
            found = _resolve(term, action, reach, actions)
            if isinstance(found, Lost):
                lost.setdefault((path, found.why), []).append(action.written)
            elif found is not None:
                at[path] = found
        views.setdefault(tuple(at.get(path) for path in read), View(at))
    for (path, why), where in lost.items():
        _report_lost(read[path], path, why, where, findings)
    return list(views.values()) or [View({})]


def _paths(condition: Condition) -> dict[tuple[str, ...], ContextField | ScopeField]:
    """Return the paths a condition reads of the request, each with its first place."""
    found = dict[tuple[str, ...], ContextField | ScopeField]()
    for node in nodes(condition):
        if isinstance(node, Predicate | Comparison):
            for term in terms(node):
                if isinstance(term, ContextField | ScopeField):
                    found.setdefault(path_of(term), term)
    return found


def path_of(term: ContextField | ScopeField) -> tuple[str, ...]:
    """Return a path with what it starts at."""
    return ("context", *term.path) if isinstance(term, ContextField) else term.path


def _resolve(term: Term, action: Action, reach: Reach, actions: CedarActions) -> Kind | Lost | None:
    if isinstance(term, ContextField):
        return in_context(term.path, action)
    if isinstance(term, ScopeField):
        principal = term.path[0] == "principal"
        types = reach.principals(action, actions) if principal else reach.resources(action, actions)
        return in_scope(term.path, types, actions)
    return None


def _report_lost(
    term: ContextField | ScopeField,
    path: tuple[str, ...],
    why: str,
    where: list[str],
    findings: Findings,
) -> None:
    shown = ", ".join(where[:3]) + (f" and {len(where) - 3} more" if len(where) > 3 else "")
    context = path[0] == "context"
    findings.add(
        term.span,
        "history_context_path" if context else "history_scope_path",
        f"`{'.'.join(path)}` means nothing in requests of {shown}: {why}",
        "narrow the policy's `action`, or correct the name"
        if context
        else f"narrow the policy's scope with `{path[0]} is TYPE`, or correct the name",
    )
