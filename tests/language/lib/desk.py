"""Rules of the library on short histories: a policy around one call, traces, and the oracle."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dogwood import native

from bridle.engine.temporal.replay import incremental, replay, specification
from bridle.language import program as programs
from bridle.language.events import cedar_schema, derive
from bridle.language.events import parse as schemas
from bridle.language.lexer import Source
from bridle.language.trace import parse

SOURCE = Path(__file__).parents[3] / "src" / "bridle"
LIBRARY = SOURCE / "language" / "lib"
EVENTS = SOURCE / "bundle" / "events"

SCHEMA = """
entity Agent; entity System; entity User;
action "ask", "do", "undo" appliesTo {
    principal: [Agent], resource: [System],
    context: {
        input: { key: String, amount: Long, number: Long },
        output?: { ok: Bool },
        mission: { id: String }, user: User,
    },
};
"""


def library() -> str:
    """The whole library as one text."""
    return "\n".join(path.read_text("utf-8") for path in sorted(LIBRARY.glob("*.dw")))


def program(rule: str) -> str:
    """The library and the policies in one text, as the reference reads them."""
    return f"{library()}\n{policies(rule)}"


def policies(rule: str) -> str:
    """Everything is permitted, but `ask` only where the rule is kept."""
    return (
        "permit (principal, action, resource);\n"
        f'forbid (principal, action == Action::"ask", resource) unless temporal {{ {rule} }};\n'
    )


@dataclass(frozen=True)
class Happened:
    """One line of a trace: `at` seconds. `id` is the requestId."""

    at: int
    what: str
    kind: str = "request"
    id: str = ""
    key: str = "k"
    amount: int = 1
    number: int = 1
    by: str = "ann"
    mission: str = "m"
    ok: bool | None = None
    code: str = ""

    def line(self) -> str:
        """As the reference's traces have it."""
        inputs = f'input: {{ key: "{self.key}", amount: {self.amount}, number: {self.number} }}'
        who = f'callerPrincipal: Agent::"{self.by}", callerResource: System::"s"'
        rest = f', requestId: "{self.id or self.at}", mission: {{ id: "{self.mission}" }}'
        if self.kind == "response":
            rest += f", output: {{ ok: {str(self.ok is not False).lower()} }}"
        if self.kind == "error":
            rest += f', error: {{ code: "{self.code or "failed"}" }}'
        context = f'{inputs}, mission: {{ id: "{self.mission}" }}, user: User::"u"'
        return (
            f'@{self.at} scope(principal: Agent::"{self.by}", resource: System::"s") '
            f"request_context({context}) "
            f'Action::"{self.what}"::{self.kind}({inputs}, {who}{rest})'
        )


@dataclass(frozen=True)
class Story:
    """A call of the library, and what `ask` gets after each history: `kept` and `broken`."""

    rule: str
    kept: dict[str, list[Happened]] = field(default_factory=dict)
    broken: dict[str, list[Happened]] = field(default_factory=dict)


def allowed(rule: str, history: Iterable[Happened], scope: str = "mission") -> bool:
    """Whether the reference allows the last event, an `ask`."""
    lines = [each.line() for each in history]
    schema = (EVENTS / f"{scope}.dwschema").read_text("utf-8")
    verdicts = native.replay(program(rule), SCHEMA, "\n".join(lines) + "\n", schema).split("\n")
    last = [line for line in verdicts if line][-1]
    assert f"time point {len(lines) - 1})" in last, "the last event is no request"
    return last.endswith("true")


def judged(rule: str, history: Iterable[Happened], scope: str = "mission") -> bool:
    """Whether Bridle allows the last event, by both of its evaluators."""
    rules, findings = programs.read({"policy.dw": policies(rule)}, library())
    assert findings == ()
    schema = schemas.parse(Source("events", (EVENTS / f"{scope}.dwschema").read_text("utf-8")))
    events = derive.derive(schema, cedar_schema.read(Source("schema.cedarschema", SCHEMA)))
    lines = parse("trace.log", "".join(f"{each.line()}\n" for each in history))
    found = {
        replay(rules, SCHEMA, events, lines, make(rules, events))[-1].allowed
        for make in (specification, incremental)
    }
    assert len(found) == 1, "the two evaluators disagree"
    return found.pop()
