"""Whether a program of rules, with its schemas, is one that the reference accepts.

Three judges: Cedar's own strict validation of the lowered rules, acceptance of each condition over
history, and its check against events and requests. Nothing here decides anything.
"""

from __future__ import annotations

import re
from typing import Any

import cedarpy
from msgspec import Struct

from bridle.language.errors import LanguageError, fault
from bridle.language.events import cedar_schema
from bridle.language.events.actions import ActionKey, CedarActions
from bridle.language.events.ast import Events
from bridle.language.events.augment import augmented
from bridle.language.events.default import default
from bridle.language.events.derive import derive
from bridle.language.events.parse import parse
from bridle.language.lexer import Source
from bridle.language.program import Rule, Rules
from bridle.language.reach import reach, targets
from bridle.language.temporal.acceptance import accept
from bridle.language.temporal.typing import check
from bridle.model.finding import Finding, Location

_PREFIX = re.compile(r"^for policy `[^`]*`, ")
_QUOTED = re.compile(r"`([^`]*)`")
_WORD = re.compile(r"\w+")
_INTERNAL = "__temporal_"


class Schemas(Struct, frozen=True):
    """The two schemas of a program: what requests there are, and what is kept of them."""

    actions: CedarActions
    events: Events


def schemas(schema: Source, event_schema: Source | None = None) -> Schemas:
    """Read both schemas; without an event schema the built-in one holds.

    Raises `LanguageError`.
    """
    actions = cedar_schema.read(schema)
    declared = default() if event_schema is None else parse(event_schema)
    return Schemas(actions, derive(declared, actions))


def validate(
    rules: Rules, schema: Source | str, event_schema: Source | str | None = None
) -> tuple[Finding, ...]:
    """Return what is wrong with a program whose rules were read without findings."""
    try:
        known = schemas(
            _source(schema, "schema.cedarschema"),
            None if event_schema is None else _source(event_schema, "event.dwschema"),
        )
    except LanguageError as error:
        return (error.finding,)
    found = list(_cedar(rules, known.actions))
    for rule in rules.rules:
        found += conditions(rule, known)
    return tuple(dict.fromkeys(found))


def conditions(rule: Rule, known: Schemas) -> list[Finding]:
    """Return what is wrong with the conditions over history of one rule."""
    found = list[Finding]()
    for leaf in rule.lowered.leaves:
        refused = accept(leaf.condition, rule.source)
        met = reach(rule.node, known.actions)
        found += refused or check(leaf.condition, known.events, met, known.actions, rule.source)
    return found


def augmented_schema(rules: Rules, actions: CedarActions) -> str:
    """Return the Cedar schema that the lowered rules are valid under, as text."""
    truths = dict[ActionKey, dict[str, None]]()
    for rule in rules.rules:
        names = [leaf.name for leaf in rule.lowered.leaves]
        for action in targets(rule.node, actions) if names else ():
            truths.setdefault(action.key, {}).update(dict.fromkeys(names))
    return augmented(actions, truths)


def _source(text: Source | str, name: str) -> Source:
    return Source(name, text) if isinstance(text, str) else text


def _cedar(rules: Rules, actions: CedarActions) -> list[Finding]:
    if not rules.rules:
        return []
    handle = cedarpy.Schema.from_str(augmented_schema(rules, actions))
    binding: Any = cedarpy
    result: cedarpy.ValidationResult = binding.validate_policies(rules.text, handle)
    found = [(_rule(rules, e.policy_id), _PREFIX.sub("", e.error)) for e in result.errors]
    # What Cedar says of a truth over history only repeats what it says of the action.
    plain = [each for each in found if _INTERNAL not in each[1]] or found
    return [_complaint(rule, message) for rule, message in plain]


def _rule(rules: Rules, policy_id: str) -> Rule:
    number = policy_id.removeprefix("policy")
    index = int(number) if number.isdigit() else 0
    return rules.rules[index if index < len(rules.rules) else 0]


def _complaint(rule: Rule, message: str) -> Finding:
    return fault(
        _place(rule, message),
        "policy_type",
        message[:400],
        "the Cedar schema says what there is, and of which type",
    ).finding


def _place(rule: Rule, message: str) -> Location:
    """Return where the last name that Cedar mentions stands in the rule, else the rule's place."""
    named = {w for quote in _QUOTED.findall(message) for w in _WORD.findall(quote)[-1:]}
    for word in rule.lowered.words:
        if word.text.strip('"') in named:
            return rule.source.at(word.origin)
    return rule.statement.location
