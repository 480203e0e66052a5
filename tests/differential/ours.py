"""Bridle's answers: what it refuses, and the verdicts, by each of its ways of evaluating."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

from bridle.engine.temporal import replay
from bridle.engine.temporal.replay import Evaluator
from bridle.language import program, trace, validation
from bridle.language.errors import LanguageError
from bridle.language.events import cedar_schema, default, derive
from bridle.language.events import parse as event_schemas
from bridle.language.events.ast import Events
from bridle.language.lexer import Source
from bridle.language.program import Rules
from differential.cases import Case
from differential.histories import Incremental, Interrupted

Make = Callable[[Rules, Events], Evaluator]


@lru_cache(8)
def rules(text: str) -> Rules:
    """Read a program that is known to be valid."""
    found, findings = program.read({"policy_1.dw": text})
    assert not findings, findings
    return found


@lru_cache(8)
def events(schema: str, written: str | None) -> Events:
    """Derive the events of a Cedar schema."""
    parsed = default.default()
    if written is not None:
        parsed = event_schemas.parse(Source("event.dwschema", written))
    return derive.derive(parsed, cedar_schema.read(Source("schema.cedarschema", schema)))


def findings(case: Case) -> tuple[object, ...]:
    """Say what is wrong with a program."""
    try:
        found, wrong = program.read({"policy_1.dw": case.program})
        return wrong or validation.validate(found, case.schema, case.events)
    except LanguageError as error:
        return (error.finding,)


def accepts(case: Case) -> bool:
    """Tell whether Bridle takes the program for valid."""
    return not findings(case)


def verdicts(case: Case, make: Make) -> str:
    """Return the verdict lines of an evaluator."""
    known, found = events(case.schema, case.events), rules(case.program)
    lines = trace.parse("trace_1.log", case.log)
    return "\n".join(map(str, replay.replay(found, case.schema, known, lines, make(found, known))))


MAKERS: dict[str, Make] = {
    "specification": replay.specification,
    "incremental engine": Incremental,
    "interrupted engine": Interrupted,
}
"""Each way Bridle evaluates, by name."""


def possible(case: Case) -> set[str]:
    """Name the ways that can be asked: only the specification knows time that goes back."""
    return set(MAKERS) if case.ordered else {"specification"}
