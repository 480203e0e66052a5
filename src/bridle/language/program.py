"""Texts → the rules of one program, as the reference joins files: one after another.

A definition in any of the texts holds in all of them. Each rule is lowered on its own and keeps its
place; its conditions are named as the reference names them. Bundles have rules of their own for
what belongs together (see `compile`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from cedarpy import pst
from msgspec import Struct

from bridle.language import cedar
from bridle.language.definitions import define, twice
from bridle.language.errors import LanguageError
from bridle.language.lexer import Source
from bridle.language.library import read as read_macros
from bridle.language.lowering import Lowered, Room, lower
from bridle.language.source import Contents, Statement, contents
from bridle.language.temporal.ast import Condition
from bridle.language.temporal.macros import Macro, Macros
from bridle.model.finding import Finding


class Rule(Struct, frozen=True):
    """One policy of a program. `id` is `policy_<number>`, and the id of `node`."""

    id: str
    number: int
    source: Source
    statement: Statement
    lowered: Lowered
    node: pst.Template


class Rules(Struct, frozen=True):
    """A program: its policies in order, and every macro they could call."""

    rules: tuple[Rule, ...]
    macros: Macros

    @property
    def text(self) -> str:
        """The program as plain Cedar."""
        return "\n".join(rule.lowered.text for rule in self.rules)


def read(texts: Mapping[str, str], library: str = "") -> tuple[Rules, tuple[Finding, ...]]:
    """Read a program from its texts by name, in the order given.

    `library` is a text of macros that the program's own win over. A policy with a finding is
    absent from the rules, so rules count only if there are no findings.
    """
    macros, wrong = read_macros({"<macros>": library})
    files = [(source, contents(source)) for source in (Source(*each) for each in texts.items())]
    findings = [*wrong, *(finding for _, file in files for finding in file.findings)]
    own, more = _definitions(files)
    findings += more
    found, all_macros, room = list[Rule](), {**macros, **own}, Room()
    statements = [(source, each) for source, file in files for each in file.statements]
    for number, (source, statement) in enumerate(statements):
        try:
            found.append(_rule(number, source, statement, all_macros, room))
        except LanguageError as error:
            findings.append(error.finding)
    return Rules(tuple(found), all_macros), tuple(findings)


def reference_name(policy: int, leaf: int, _condition: Condition) -> str:
    """Return the name the reference gives a condition over history."""
    return f"policy_{policy}__temporal_{leaf}"


def _definitions(
    files: list[tuple[Source, Contents]],
) -> tuple[dict[str, Macro], list[Finding]]:
    found, findings = dict[str, Macro](), list[Finding]()
    for source, file in files:
        own, wrong = define(source, file.definitions)
        findings += wrong
        findings += [twice(own[name], found[name]).finding for name in own.keys() & found.keys()]
        found = {**own, **found}
    return found, findings


def _rule(number: int, source: Source, statement: Statement, macros: Macros, room: Room) -> Rule:
    lowered = room.lowered(
        statement,
        lambda: lower(source, statement, macros, reference_name, number=number, record=()),
    )
    node = cedar.parse(source, lowered.text, lowered.words)
    name = f"policy_{number}"
    return Rule(name, number, source, statement, lowered, dataclasses.replace(node, id=name))
