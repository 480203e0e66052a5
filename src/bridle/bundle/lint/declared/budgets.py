"""Budgets that nothing can ever use up, and use that anybody could report."""

from __future__ import annotations

from collections.abc import Iterable

from bridle.bundle.bundle import Bundle
from bridle.bundle.parse import agents, missions
from bridle.bundle.parse.table import Findings
from bridle.bundle.parse.toml import Document
from bridle.model.budget import Budget
from bridle.model.mission import MissionTemplate
from bridle.model.tool import Tool


def check(bundle: Bundle, documents: dict[str, Document], findings: Findings) -> None:
    """Check the budgets of missions, agents and users. `documents` are the TOML files."""
    templates = bundle.missions.values()
    for mission in templates:
        lint = _Lint(findings, documents[missions.FILE], ("missions", mission.id))
        lint.idle(mission.budgets, _tools(bundle, [mission]))
    for agent in bundle.agents.values():
        lint = _Lint(findings, documents[agents.FILE], ("agents", agent.id))
        lint.idle(agent.budgets, _tools(bundle, [m for m in templates if agent.id in m.agents]))
    for user in bundle.users.values():
        lint = _Lint(findings, documents[agents.FILE], ("users", user.id))
        lint.idle(user.budgets, _tools(bundle, templates))
    _unproved(bundle, documents[agents.FILE], findings)


class _Lint:
    """Looks at the budgets of one who pays."""

    def __init__(self, findings: Findings, document: Document, path: tuple[str, str]) -> None:
        self.findings, self.document, self.path = findings, document, path

    def idle(self, budgets: tuple[Budget, ...], tools: list[Tool]) -> None:
        for budget in budgets:
            if not any(_costs(budget, tool) for tool in tools):
                self.findings.warning(
                    self.document.at((*self.path, "budgets", budget.name)),
                    "idle_budget",
                    f"nothing that {self.path[1]} can do uses up the budget {budget.name}",
                    "name a tool in `measure` that lies within reach, or drop the budget",
                )


def _costs(budget: Budget, tool: Tool) -> bool:
    measure = budget.cost_of(tool)
    return measure.startswith("input.") or measure.strip("0.") != ""


def _tools(bundle: Bundle, templates: Iterable[MissionTemplate]) -> list[Tool]:
    return [
        tool
        for tool in bundle.tools.values()
        if (system := bundle.systems.get(tool.system)) is not None
        and any(template.reaches(tool.name, system.domain) for template in templates)
    ]


def _unproved(bundle: Bundle, document: Document, findings: Findings) -> None:
    for workload in bundle.workloads.values():
        if workload.reports_use and not workload.key:
            findings.warning(
                document.at(("workloads", workload.id, "reports_use")),
                "unproved_use",
                f"whoever acts in a session with {workload.id} can lower what budgets charge",
                "give the workload a `key`, so that only it is believed",
            )
