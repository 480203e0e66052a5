"""`missions.toml` → mission templates."""

from __future__ import annotations

from bridle.bundle.parse import budgets
from bridle.bundle.parse.agents import Identities
from bridle.bundle.parse.systems import Landscape
from bridle.bundle.parse.table import Findings, Table, named, refer
from bridle.bundle.parse.toml import Document
from bridle.model.mission import MissionTemplate

FILE = "missions.toml"
MOST_CONSTANTS = 256
LONGEST_CONSTANT = 4_096
"""Characters."""


def read(
    document: Document, land: Landscape, people: Identities, findings: Findings
) -> dict[str, MissionTemplate]:
    """Read the file and check what it refers to."""
    table = Table(document, findings, document.data)
    found = {name: _mission(name, t, land, people) for name, t in table.tables("missions")}
    table.close()
    return found


def _mission(name: str, table: Table, land: Landscape, people: Identities) -> MissionTemplate:
    mission = MissionTemplate(
        id=named(table, name, "a mission"),
        purpose=table.text("purpose"),
        agents=table.texts("agents"),
        tools=table.texts("tools"),
        domains=table.texts("domains"),
        labels=table.texts("labels"),
        clearance=table.texts("clearance"),
        expires_ms=table.duration("expires", 28_800_000),
        budgets=budgets.read(table, land, people.approvers),
        success=table.text("success"),
        failure=table.text("failure"),
        max_depth=table.integer("max_depth", 8, 0, 8),
        constants=_constants(table),
    )
    _references(mission, table, land, people)
    table.close()
    return mission


def _constants(table: Table) -> tuple[str, ...]:
    found = table.texts("constants")
    if len(found) > MOST_CONSTANTS:
        table.bad("constants", f"a mission has at most {MOST_CONSTANTS} constants")
    for index, text in enumerate(found):
        if not text.strip() or len(text) > LONGEST_CONSTANT:
            table.findings.error(
                table.at("constants", index),
                "bad_value",
                f"a constant is a text of 1 to {LONGEST_CONSTANT} characters",
                "write the values that the task relies on: addresses, accounts, folders",
            )
    return found


def _references(
    mission: MissionTemplate, table: Table, land: Landscape, people: Identities
) -> None:
    for index, agent in enumerate(mission.agents):
        refer(table.findings, table.at("agents", index), agent, people.agents, "agent")
    for index, domain in enumerate(mission.domains):
        refer(table.findings, table.at("domains", index), domain, land.domains, "domain")
    for index, pattern in enumerate(mission.tools):
        hit = land.tools_named(pattern)
        if not hit:
            table.findings.error(
                table.at("tools", index),
                "unknown_reference",
                f"no tool matches {pattern[:80]!r}",
                "patterns are exact names, `prefix.*` or `*`",
            )
        elif not any(land.domain_of(t) in mission.domains for t in hit):
            table.findings.warning(
                table.at("tools", index),
                "out_of_domain",
                f"no tool that {pattern[:80]!r} matches lies in a domain of this mission",
                "add its domain to `domains`, or drop the pattern",
            )
