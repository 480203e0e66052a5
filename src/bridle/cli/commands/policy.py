"""`bridle policy`: policies with conditions over history, apart from any bundle.

Speaks as the reference interpreter does, so that policies can be tried on both: the same files, the
same verdict lines, and its lax way of asking Cedar. What a governor decides is `bridle decide`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from msgspec import Struct

from bridle.cli import choice, findings, terminal
from bridle.cli.root import FINDINGS, Group
from bridle.cli.texts import Texts
from bridle.language.errors import LanguageError
from bridle.model.finding import Finding, Severity

if TYPE_CHECKING:
    from bridle.language.program import Rules
    from bridle.language.trace import TracedEvent
    from bridle.language.validation import Schemas

Function = TypeVar("Function", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)


class _Given(Struct, frozen=True):
    """The files of a program, as named on the command line."""

    policies: tuple[Path, ...]
    policy_schema: Path
    event_schema: Path | None
    macros: Path | None
    trace: Path | None = None


class _Program(Struct, frozen=True):
    """A program that was read and, apart from `found`, understood."""

    rules: Rules
    schema: str
    known: Schemas
    found: tuple[Finding, ...]
    trace: tuple[TracedEvent, ...]

    @property
    def good(self) -> bool:
        """Whether nothing in it is refused."""
        return not any(each.severity is Severity.ERROR for each in self.found)


@click.group(cls=Group)
def policy() -> None:
    """Check, lower and replay policies over history, apart from a bundle."""


def _of_program(function: Function) -> Function:
    """Add the files of a program: policies, Cedar schema, event schema, macros."""
    for add in (
        click.option("--macros", type=_FILE, metavar="FILE", help="Macros instead of the usual."),
        click.option(
            "--event-schema", type=_FILE, metavar="FILE", help="Instead of the built-in one."
        ),
        click.option(
            "--policy-schema", type=_FILE, metavar="FILE", required=True, help="The Cedar schema."
        ),
        click.argument("policies", nargs=-1, required=True, type=_FILE, metavar="POLICY..."),
    ):
        function = add(function)
    return function


@policy.command("validate")
@_of_program
@choice.as_json
def validate(*, as_json: bool, **given: Any) -> None:
    """Check policies and their conditions over history against a Cedar schema.

    The files are one program, in the order given. `-` reads standard input. Exit code 1 when
    something is refused.
    """
    program = _read(_Given(**given), as_json=as_json)
    rules = program.rules.rules
    leaves = sum(len(rule.lowered.leaves) for rule in rules)
    if as_json:
        _document(program.found, policies=len(rules), conditions=leaves)
    else:
        findings.show(program.found)
        told = [terminal.counted(len(rules), "policy"), terminal.counted(leaves, "condition")]
        terminal.line(f"{terminal.styled('✓', 'ok')} {', '.join(told)} over history")


@policy.command("lower")
@_of_program
@click.option("--schema", is_flag=True, help="Print the schema with the conditions' truths.")
@choice.as_json
def lower(*, schema: bool, as_json: bool, **given: Any) -> None:
    """Print the plain Cedar policies that a program comes down to.

    Each condition over history is a truth of the context there, under the reference's name for it.
    With --schema the Cedar schema that declares those, instead.
    """
    from bridle.language.validation import augmented_schema

    program = _read(_Given(**given), as_json=as_json)
    augmented = augmented_schema(program.rules, program.known.actions)
    if as_json:
        _document(program.found, policies=_lowered(program.rules), schema=augmented)
    elif schema:
        terminal.line(_shown(augmented))
    else:
        terminal.line(_shown(program.rules.text))


@policy.command("replay")
@_of_program
@click.option("--trace", type=_FILE, metavar="FILE", required=True, help="Events, one a line.")
@click.option("--reference", is_flag=True, help="Judge straight from the specification: slow.")
@choice.as_json
def replay(*, reference: bool, as_json: bool, **given: Any) -> None:
    """Put a trace to a program: the verdict of every event of a deciding kind, in order.

    Verdicts are those of the reference: requests are not checked against the schema, and a policy
    that cannot be evaluated is skipped (--json shows where). A program that `validate` refuses is
    not replayed: exit code 1.
    """
    from bridle.engine.temporal import replay as replaying

    program = _read(_Given(**given), as_json=as_json)
    rules, events = program.rules, program.known.events
    chosen = replaying.choose(rules, events, program.trace, reference=reference)
    verdicts = replaying.replay(rules, program.schema, events, program.trace, chosen.evaluator)
    if as_json:
        faults = sum(bool(verdict.errors) for verdict in verdicts)
        told = {"evaluator": chosen.name, "why": chosen.why, "faults": faults}
        _document(program.found, **told, unknown=_unknown(program), verdicts=verdicts)
    else:
        for verdict in verdicts:
            terminal.line(str(verdict))
        _warn_of(_unknown(program))


def _read(given: _Given, *, as_json: bool) -> _Program:
    """Read and validate a program; where something is refused, show it and exit."""
    found: tuple[Finding, ...]
    try:
        program = _understood(given)
    except LanguageError as error:
        found = (error.finding,)
    else:
        if program.good:
            return program
        found = program.found
    if as_json:
        _document(found)
    else:
        findings.show(found)
    raise click.exceptions.Exit(FINDINGS)


def _understood(given: _Given) -> _Program:
    from bridle.language import program, trace, validation
    from bridle.language.lexer import Source
    from bridle.language.library import reference_text

    texts = Texts()
    written = texts.read_all(given.policies)
    macros = texts.read(given.macros)[1] if given.macros else reference_text()
    schema = Source(*texts.read(given.policy_schema))
    kinds = Source(*texts.read(given.event_schema)) if given.event_schema else None
    lines = trace.parse(*texts.read(given.trace)) if given.trace else ()
    known = validation.schemas(schema, kinds)
    rules, found = program.read(written, macros)
    found = found or validation.validate(rules, schema, kinds)
    return _Program(rules, schema.text, known, found, lines)


def _unknown(program: _Program) -> list[int]:
    """Return the lines of the trace that no condition can speak of: no schema declares them."""
    known = program.known.events.events
    return [
        each.line
        for each in program.trace
        if ("::".join(each.namespace), each.action, each.kind) not in known
    ]


def _warn_of(lines: list[int]) -> None:
    if lines:
        told = terminal.counted(len(lines), "event")
        terminal.complain(
            f"no schema declares {told} of this trace, line {lines[0]} first",
            "unknown_event",
            "the Cedar schema has the actions, the event schema the kinds",
        )


def _shown(text: str) -> str:
    return terminal.visible(text.replace("\r\n", "\n"), lines=True).rstrip("\n")


def _lowered(rules: Rules) -> list[dict[str, Any]]:
    from bridle.language.temporal.printing import text

    return [
        {
            "id": rule.id,
            "text": rule.lowered.text,
            "conditions": {leaf.name: text(leaf.condition) for leaf in rule.lowered.leaves},
        }
        for rule in rules.rules
    ]


def _document(found: tuple[Finding, ...], **told: Any) -> None:
    good = not any(each.severity is Severity.ERROR for each in found)
    rows = [findings.row(each) for each in found]
    terminal.document({"ok": good, **told, **findings.counts(found), "findings": rows})
