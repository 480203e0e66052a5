"""Bridle's answers: what it refuses, and the verdicts, by each of its ways of evaluating."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from msgspec import Struct

from bridle.engine.temporal import replay
from bridle.engine.temporal.replay import Evaluator
from bridle.language import program, trace, validation
from bridle.language.errors import LanguageError
from bridle.language.events import cedar_schema, default, derive
from bridle.language.events import parse as event_schemas
from bridle.language.events.ast import Events
from bridle.language.lexer import Source
from bridle.language.program import Rules
from bridle.language.temporal import ast
from bridle.language.trace import TracedEvent
from bridle.model.finding import Finding
from differential import histories, policies, trees
from differential.cases import Case
from differential.histories import Interrupted, Together

Make = Callable[[Rules, Events], Evaluator]


@lru_cache(8)
def rules(text: str) -> Rules:
    """Read a program that is known to be valid."""
    found, findings = program.read({"policy_1.dw": text})
    assert not findings, findings
    return found


@lru_cache(8)
def lines(log: str) -> tuple[TracedEvent, ...]:
    """Read a history."""
    return trace.parse("trace_1.log", log)


@lru_cache(8)
def events(schema: str, written: str | None) -> Events:
    """Derive the events of a Cedar schema."""
    parsed = default.default()
    if written is not None:
        parsed = event_schemas.parse(Source("event.dwschema", written))
    return derive.derive(parsed, cedar_schema.read(Source("schema.cedarschema", schema)))


def findings(case: Case) -> tuple[Finding, ...]:
    """Say what is wrong with a program."""
    try:
        found, wrong = program.read({"policy_1.dw": case.program})
        return wrong or validation.validate(found, case.schema, case.events)
    except LanguageError as error:
        return (error.finding,)


def accepts(case: Case) -> bool:
    """Tell whether Bridle takes the program for valid."""
    return not findings(case)


OWN_FIELD = re.compile(r"`(?!input\.|output\.)[\w.]+` of ")


def known_difference(case: Case) -> str:
    """Name the documented difference that may make the two sides judge a program otherwise."""
    for condition in policies.markers(case.policy):
        binders = {(b.name, b.type) for _, b in trees.of_kind(condition, ast.Binder)}
        if len(binders) > len({name for name, _ in binders}):
            return "one name with two types"
    found = findings(case)
    typed = [f.code == "history_field_type" and OWN_FIELD.match(f.message) for f in found]
    return "fields of the schema's own are typed" if found and all(typed) else ""


def plans(case: Case) -> set[str]:
    """Name the ways in which the engine evaluates the case's conditions."""
    known = events(case.schema, case.events)
    return {f"plan: {name}" for name in histories.plans(rules(case.program), known)}


class Told(Struct, frozen=True):
    """The verdict lines, and where Bridle's own ways to them do not agree."""

    lines: str
    disagreements: tuple[str, ...]
    ways: tuple[str, ...]


MAKERS: dict[str, Make] = {
    "specification": replay.specification,
    "incremental engine": replay.incremental,
    "interrupted engine": Interrupted,
}
"""Each way Bridle evaluates, by name."""


def verdicts(case: Case, ways: Sequence[str] = tuple(MAKERS)) -> Told:
    """Replay a case in each of these ways that can judge it. The first one's verdicts count."""
    known, found = events(case.schema, case.events), rules(case.program)
    entries = lines(case.log)
    every = replay.choose(found, known, entries).name == "incremental"
    able = tuple(way for way in ways if every or way == "specification")
    if not able:
        return Told("", (), ())
    judges = Together({name: MAKERS[name](found, known) for name in able})
    made = replay.replay(found, case.schema, known, entries, judges)
    return Told("\n".join(map(str, made)), tuple(judges.disagreements), able)
