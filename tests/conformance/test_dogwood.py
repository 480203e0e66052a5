"""Bridle reads, refuses and decides the published cases of the language as its interpreter does."""

from __future__ import annotations

import pytest
from dogwood import native

from bridle.engine.temporal import replay
from bridle.language import program, trace, validation
from bridle.language.errors import LanguageError
from bridle.language.events import cedar_schema, default, derive
from bridle.language.events import parse as event_schemas
from bridle.language.lexer import Source
from conformance.packs import DIFFERENT, Vector, vector, vectors
from differential.ours import MAKERS

ACCEPTED = vectors("temporal", "macros", "examples", "semantics")
ALIKE = [each for each in ACCEPTED if each.name not in DIFFERENT]
REFUSED = vectors("rejected")
NEWER = vectors("newer")

CLOCK_GOES_BACK = {"semantics/clock_going_back_hides_later_stamps": ("trace_1.log",)}
"""Histories that only the specification can judge: a governor's clock never goes back."""


def findings(case: Vector) -> tuple[object, ...]:
    try:
        rules, wrong = program.read(case.texts)
        return wrong or validation.validate(rules, case.schema, case.events)
    except LanguageError as error:
        return (error.finding,)


def verdicts(case: Vector, log: str, evaluator: str) -> str:
    rules, wrong = program.read(case.texts)
    assert not wrong
    written = default.default()
    if case.events is not None:
        written = event_schemas.parse(Source("event.dwschema", case.events))
    events = derive.derive(written, cedar_schema.read(Source("s.cedarschema", case.schema)))
    lines = trace.parse("trace.log", log)
    judge = MAKERS[evaluator](rules, events)
    return "\n".join(map(str, replay.replay(rules, case.schema, events, lines, judge)))


@pytest.mark.parametrize("case", ALIKE, ids=lambda case: case.name)
def test_a_published_policy_is_accepted(case):
    assert findings(case) == ()


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_what_the_interpreter_refuses_is_refused(case):
    assert findings(case) != ()


@pytest.mark.parametrize("evaluator", MAKERS)
@pytest.mark.parametrize("case", [*ALIKE, *NEWER], ids=lambda case: case.name)
def test_the_verdicts_are_those_published(case, evaluator):
    assert case.traces
    for each in case.traces:
        if evaluator != "specification" and each.name in CLOCK_GOES_BACK.get(case.name, ()):
            continue
        assert verdicts(case, each.log, evaluator) == each.expected, each.name


@pytest.mark.parametrize("name", [n for n in DIFFERENT if "literal_" in n and "long" in n])
def test_a_literal_beyond_a_long_is_refused_and_never_read_as_zero(name):
    assert any("64" in str(each) or "Long" in str(each) for each in findings(vector(name)))


@pytest.mark.parametrize("evaluator", MAKERS)
@pytest.mark.parametrize("name", [n for n in DIFFERENT if "escape" in n])
def test_escapes_in_literals_mean_what_they_mean_everywhere_else(name, evaluator):
    case = vector(name)
    (each,) = case.traces
    assert findings(case) == ()
    told = verdicts(case, each.log, evaluator)
    assert told != each.expected
    assert told.endswith("true"), "the literal meets the value of the trace"


def test_what_bridle_decides_otherwise_is_what_the_interpreter_itself_still_does():
    """A newer interpreter that agrees takes a name off the list."""
    for name in DIFFERENT:
        case = vector(name)
        (each,) = case.traces
        text = "\n".join(case.texts.values())
        assert native.replay(text, case.schema, each.log, case.events).strip() == each.expected
