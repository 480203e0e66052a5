"""`[boundaries]` of `bridle.toml` → the rules it asks for: each key is a rule of the library.

A rule stands as `true`, as a table of what narrows it, or as an array of such tables. What it says
is in `docs/boundaries.md`; here is what it is made of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from bridle.bundle.boundaries import Boundaries, Rule, actions, written
from bridle.bundle.parse.systems import Landscape
from bridle.bundle.parse.table import Findings, Table, labels, milliseconds, refer
from bridle.bundle.parse.toml import Document
from bridle.bundle.schema.shape import properties
from bridle.language.temporal.printing import quoted
from bridle.model.tool import EffectClass, Tool

KEY = "boundaries"
MOST = 256
"""Rules of one bundle."""

_WRITES = (EffectClass.WRITE.value, EffectClass.IRREVERSIBLE.value)
_EFFECTS = tuple(effect.value for effect in EffectClass)
_PATH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_WINDOW = "24h"


def read(document: Document, land: Landscape, findings: Findings) -> Boundaries:
    """Read the rules and write them as policies. What is wrong with one is found at its place."""
    table = Table(document, findings, document.data).table(KEY)
    reader = _Reader(land)
    found = [rule for name in _KINDS for rule in reader.rules(table, name)]
    table.close()
    if len(found) > MOST:
        findings.error(table.at(), "too_large", f"these are more than {MOST} rules")
    return written(found[:MOST])


class _Reader:
    def __init__(self, land: Landscape) -> None:
        self.land = land

    def rules(self, table: Table, name: str) -> Iterator[Rule]:
        """Yield what one key asks for."""
        match table.raw(name):
            case None:
                return
            case True:
                asked = [("", Table(table.document, table.findings, {}, (*table.path, name)))]
            case list():
                asked = [(f".{n}", each) for n, each in enumerate(table.array(name), 1)]
            case dict():
                asked = [("", table.table(name))]
            case _:
                table.bad(
                    name,
                    f"`{name}` is true, a table, or an array of tables",
                    "a rule that is not wanted is left out",
                )
                return
        for number, inner in asked:
            made = tuple(_KINDS[name](self, inner, f"boundary.{name}{number}"))
            inner.close()
            yield from made

    def recipients(self, table: Table, name: str) -> Iterator[Rule]:
        """Whom something goes to is said by a trusted source alone."""
        yield self._sink(table, name, "recipient", "nobody we trust named this recipient")

    def locators(self, table: Table, name: str) -> Iterator[Rule]:
        """Where something is fetched from, or put, is said by a trusted source alone."""
        yield self._sink(table, name, "locator", "nobody we trust named this address")

    def _sink(self, table: Table, name: str, sink: str, reason: str) -> Rule:
        untrusted = f"context.sinks has {sink} && !context.sinks.{sink}.trusted"
        systems = table.texts("from")
        for index, system in enumerate(systems):
            refer(table.findings, table.at("from", index), system, self.land.systems, "system")
        _some(table, "from")
        if systems:
            named = ", ".join(f"System::{quoted(system)}" for system in systems)
            untrusted += f" &&\n    context.sinks.{sink}.sources.containsAny([{named}])"
        return self._narrowed(table, name, reason, ("call",), untrusted)

    def labels(self, table: Table, name: str) -> Iterator[Rule]:
        """What carries one of these labels stays out of these domains."""
        kept = labels(table)
        for key in ("labels", "domains"):
            if not table.raw(key):
                _missing(table, key)
        carried = f"context.flow.any.labels.containsAny([{', '.join(map(quoted, kept))}])"
        reason = "data of this kind does not go there"
        yield self._narrowed(table, name, reason, ("call",), carried)

    def untrusted(self, table: Table, name: str) -> Iterator[Rule]:
        """After something untrusted was read, a human looks at each change."""
        if not table.raw("hold"):
            _missing(table, "hold")
        reason = "the agents have read what nobody vouches for, so a human has to agree"
        yield self._narrowed(table, name, reason, _WRITES, "context.mission.untrusted")

    def clearance(self, table: Table, name: str) -> Iterator[Rule]:
        """Nothing is read above the mission's clearance, and nothing changed once it was."""
        reason = table.text("reason", "this mission is not cleared for such data")
        for label, names in sorted(self._carrying().items()):
            cleared = f"{{ context.mission.clearance.contains({quoted(label)}) }}"
            scope = actions(names)
            yield self._rule(table, f"{name}.read.{label}", reason, action=scope, unless=cleared)
        within = "{ context.mission.clearance.containsAll(context.mission.labels) }"
        yield self._rule(table, f"{name}.write", reason, action=actions(_WRITES), unless=within)

    def _carrying(self) -> dict[str, list[str]]:
        """Return the tools by the labels that their results carry."""
        found = dict[str, list[str]]()
        for name, tool in sorted(self.land.tools.items()):
            system = self.land.systems.get(tool.system)
            for label in {*tool.labels, *(system.labels if system else ())}:
                found.setdefault(label, []).append(name)
        return found

    def ordered(self, table: Table, name: str) -> Iterator[Rule]:
        """A record is changed only after the same record was read."""
        ends = {key: table.text(key, required=True) for key in ("read", "write")}
        keys = {"write": table.text("key", required=True)}
        keys["read"] = table.text("read_key", keys["write"])
        for end, tool in ends.items():
            refer(table.findings, table.at(end), tool, dict(self.land.tools), "tool")
            at = "read_key" if end == "read" and table.has("read_key") else "key"
            _input(table, at, keys[end], self.land.tools.get(tool))
        done = f"Action::{quoted(ends['read'])}::response"
        same = f"input.{keys['read']}: context.input.{keys['write']}"
        yield self._rule(
            table,
            name,
            table.text("reason", "what was not read before is not changed"),
            action=f"action == Action::{quoted(ends['write'])}",
            unless=f"temporal {{ requires_before({_window(table)}, {done}{{ {same} }}) }}",
        )

    def planned(self, table: Table, name: str) -> Iterator[Rule]:
        """Nothing is done but the steps of a plan that was checked, as it has them."""
        deviates = "!(context has plan && !context.plan.deviates)"
        reason = "this is no step of a plan that was checked"
        yield self._narrowed(table, name, reason, ("call",), deviates)

    def _narrowed(
        self, table: Table, name: str, reason: str, groups: tuple[str, ...], condition: str
    ) -> Rule:
        """Return a rule over what `tools`, `effects` and `domains` leave of it."""
        domains = table.texts("domains")
        for index, domain in enumerate(domains):
            refer(table.findings, table.at("domains", index), domain, self.land.domains, "domain")
        places = [f"Domain::{quoted(domain)}" for domain in domains]
        among = (f"resource in [{', '.join(places)}]",) if len(places) > 1 else ()
        return self._rule(
            table,
            name,
            table.text("reason", reason),
            action=self._actions(table, groups),
            resource=f"resource in {places[0]}" if len(places) == 1 else "resource",
            when=(*among, condition),
        )

    def _actions(self, table: Table, groups: tuple[str, ...]) -> str:
        effects = table.texts("effects")
        for index, effect in enumerate(effects):
            known = dict.fromkeys(_EFFECTS)
            refer(table.findings, table.at("effects", index), effect, known, "effect")
        _some(table, "effects", "tools", "domains")
        if not table.has("tools"):
            return actions(effects or groups)
        kinds = effects or (_EFFECTS if groups == ("call",) else groups)
        named = dict[str, None]()
        for index, pattern in enumerate(table.texts("tools")):
            hit = [t.name for t in self.land.tools_named(pattern) if t.effect in kinds]
            if not hit:
                table.findings.error(
                    table.at("tools", index),
                    "unknown_reference",
                    f"no tool that this rule covers matches {pattern[:80]!r}",
                    "patterns are exact names, `prefix.*` or `*`",
                )
            named |= dict.fromkeys(hit)
        return actions(named)

    @staticmethod
    def _rule(  # noqa: PLR0913 - the parts of a policy, each by its name
        table: Table,
        name: str,
        reason: str,
        *,
        action: str,
        resource: str = "resource",
        when: tuple[str, ...] = (),
        unless: str = "",
    ) -> Rule:
        return Rule(
            id=name,
            place=table.at(),
            reason=reason,
            action=action,
            resource=resource,
            when=when,
            unless=unless,
            hold=table.text("hold"),
            shadow=table.flag("shadow"),
        )


_KINDS: dict[str, Callable[[_Reader, Table, str], Iterator[Rule]]] = {
    "no_untrusted_recipient": _Reader.recipients,
    "trusted_locator_only": _Reader.locators,
    "no_label_to_domain": _Reader.labels,
    "untrusted_context_needs_approval": _Reader.untrusted,
    "clearance": _Reader.clearance,
    "read_before_write": _Reader.ordered,
    "plan_only": _Reader.planned,
}

RULES = tuple(_KINDS)
"""The names of the rules."""


def _missing(table: Table, key: str) -> None:
    table.findings.error(table.at(), "missing_key", f"`{key}` is missing here")


def _some(table: Table, *keys: str) -> None:
    """Refuse an empty list, which could mean nothing or everything."""
    for key in keys:
        if table.raw(key) == []:
            table.bad(key, f"`{key}` names nothing", "leave it out for a rule over all of them")


def _window(table: Table) -> str:
    asked = milliseconds(table.text("within", _WINDOW))
    if asked < 1_000 or asked % 1_000:
        table.bad("within", "`within` is a number of whole seconds, such as 30s, 15m, 8h or 7d")
    return f"{max(asked, 1_000) // 1_000}s"


def _input(table: Table, key: str, path: str, tool: Tool | None) -> None:
    """Check that a tool takes an argument, and that a policy can name it."""
    if tool is None or not path:
        return
    if not _PATH.fullmatch(path) or path.partition(".")[0] not in properties(tool.input)[0]:
        table.bad(key, f"`{tool.name}` has no argument {path[:80]!r} that policies can name")
