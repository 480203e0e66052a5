"""One trial of an engine: a governor, agents that dispatch, a workload that carries out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import bridle
from adapters.conformance.bench import Bench
from adapters.conformance.sink import Sink
from bridle.client.worker import Worker
from bridle.model import calls
from server.carrying import FILES, Site, serving
from server.test_dispatching import AGENTS, PERMITS, RULES, WORKER

_TOOL = """
[tools."NAME"]
system = "web"
effect = "write"
timeout = "30s"
EXTRA
[tools."NAME".input]
type = "object"
required = ["id"]
properties = { id = { type = "integer" } }
[tools."NAME".output]
type = "object"
properties = { page = { type = "integer" }, pin = { type = "string" } }
"""
SYSTEMS = '[domains.saas]\n[domains.house]\n[systems.web]\ndomain = "saas"\n' + "".join(
    _TOOL.replace("NAME", name).replace("EXTRA", extra)
    for name, extra in (("page.get", ""), ("page.put", "idempotent = true"))
)
REDACTED = """
@id("pin") @reason("pins stay where they are") @modify("drop output.pin")
forbid (principal, action in [Action::"page.get:result", Action::"page.put:result"], resource)
when { context.output has pin };
"""
HANDED = """
@id("scouts") permit (principal == Agent::"scout", action == Action::"delegate", resource)
when { context has workload && context.workload == Workload::"worker" };
"""
FILED = {
    "agents.toml": AGENTS,
    "missions.toml": FILES["missions.toml"]
    + "max_depth = 3\n[missions.office.budgets.calls]\nlimit = 100\n",
    "policies/limits.dw": RULES + REDACTED,
    "governance/permits.dw": PERMITS + HANDED,
}


class Trial(NamedTuple):
    """Everything of one trial."""

    folder: Path
    site: Site
    mission: bridle.Mission
    clerk: bridle.Agent
    carrier: Worker
    bench: Bench
    sink: Sink

    def dispatched(self, *ids: int, task: str = "t", by: bridle.Agent | None = None) -> str:
        """Dispatch both tools for these pages."""
        one_of = {"id": bridle.one_of(*ids)}
        return (by or self.clerk).dispatch(
            "worker", task=task, tools={"page.get": one_of, "page.put": one_of}
        )

    def numbers(self) -> list[int]:
        """The pages that were really done, in order."""
        return [number for _, number in self.sink.seen()]

    def attempts(self, state: str = "ok") -> list[dict[str, Any]]:
        return self.site.ana.rows(calls.Attempts(state=state))

    def charged(self) -> int:
        """How many actions the mission has been charged."""
        (row,) = self.site.ana.rows(calls.Missions(mission=self.mission.id))
        return sum(int(budget["used"]) for budget in row["budgets"])

    def approval(self) -> str:
        """Wait for the one hold that is pending."""
        rows = until(lambda: self.site.ana.rows(calls.Approvals()))
        (row,) = rows
        return str(row["id"])

    def answer(self, approval: str, *, approve: bool) -> None:
        self.site.ana.done(calls.Answer(approval=approval, approve=approve, as_user="ben"))


def until(look: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Look until there is something, or the time is up."""
    end = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < end:
        time.sleep(0.05)
    return found


@contextmanager
def trial(folder: Path, bench: Bench, sink: Sink, *, limit: int = 100) -> Iterator[Trial]:
    """Serve a governor in `folder`, open a mission of so many calls, connect as the workload."""
    missions = FILED["missions.toml"].replace("limit = 100", f"limit = {limit}")
    files = {**FILED, "missions.toml": missions}
    with serving(folder, "http://127.0.0.1:1", systems=SYSTEMS, files=files, sealed={}) as site:
        mission = site.ana.start_mission("office", user="ana")
        with bridle.worker(folder, credential=WORKER, timeout=2.0) as carrier:
            clerk = mission.agent("clerk")
            yield Trial(folder, site, mission, clerk, carrier, bench, sink)
