"""Conditions over history against the bundle: the events there are, their fields, types, windows.

The folder of a policy says which event schema holds. What is refused here would otherwise be false
in silence, and so would the forbid that asks for it.
"""

from __future__ import annotations

from bridle.bundle.bundle import Bundle
from bridle.bundle.parse.table import Findings
from bridle.language.errors import LanguageError
from bridle.language.events import cedar_schema
from bridle.language.events.actions import CedarActions
from bridle.language.events.ast import Events
from bridle.language.events.derive import derive
from bridle.language.events.parse import parse
from bridle.language.lexer import Source
from bridle.language.policy import Policy
from bridle.language.reach import reach
from bridle.language.temporal import typing
from bridle.language.temporal.acceptance import accept


def check(bundle: Bundle, findings: Findings) -> None:
    """Check every condition of every policy, each under the event schema of its scope."""
    looking = [p for p in bundle.policies if p.leaves]
    if not looking:
        return
    try:
        checker = _Checker(bundle)
    except LanguageError as error:
        # Cedar has read the same schema, so this is ours to mend; the bundle is not used.
        findings.found.append(error.finding)
        return
    for policy in looking:
        checker.check(policy, findings)


class _Checker:
    def __init__(self, bundle: Bundle) -> None:
        self._files = bundle.files
        self._actions = _actions("schema/tools.cedarschema", bundle.schemas.tools)
        logged = _actions("schema/events.cedarschema", bundle.schemas.logged)
        self._events: dict[str, Events] = {
            scope: derive(parse(Source(f"schema/{scope}.dwschema", text)), logged)
            for scope, text in bundle.schemas.events.items()
        }

    def check(self, policy: Policy, findings: Findings) -> None:
        file = policy.location.file
        source = Source(file, self._files.get(file, ""))
        reached = reach(policy.node, self._actions)
        for leaf in policy.leaves:
            found = accept(leaf.condition, source)
            if not found:
                found = typing.check(
                    leaf.condition, self._events[leaf.scope], reached, self._actions, source
                )
            findings.found += found


def _actions(name: str, text: str) -> CedarActions:
    return cedar_schema.read(Source(name, text))
