"""The desk bundle with policies that look back, and a history of it that is kept in memory."""

import json
from functools import cache
from pathlib import Path
from typing import Any

from msgspec import structs

from bridle.bundle.check import check_files
from bridle.bundle.folder import is_bundle_file
from bridle.engine.case import Case, Judgement, MissionView, Typed
from bridle.engine.engine import Engine
from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.event import Event, Read
from bridle.engine.temporal.partition import Partition
from bridle.model.event import EventKind

DESK = Path(__file__).parents[1] / "bundles" / "desk"
MISSION = MissionView("m-1", "ticket-desk", labels=("personal",))


@cache
def files() -> dict[str, str]:
    names = [p.relative_to(DESK).as_posix() for p in DESK.rglob("*") if p.is_file()]
    return {n: (DESK / n).read_text("utf-8") for n in names if is_bundle_file(n)}


@cache
def engine(text: str, folder: str = "policies", *, compiled: bool = True) -> Engine:
    """Return the engine of the desk with one more file of policies."""
    bundle, found = check_files({**files(), f"{folder}/new.dw": text})
    assert bundle is not None, [str(f) for f in found]
    return Engine(bundle, compiled=compiled)


class Kept:
    """Partitions by scope and key. It notes what it is asked."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.atoms = Atomiser()
        self.asked: list[tuple[str, str, tuple[str, ...]]] = []
        self._partitions: dict[tuple[str, str], Partition] = {}

    def ask(
        self, scope: str, agent: str, names: tuple[str, ...], event: Event, read: Read
    ) -> dict[str, bool]:
        self.asked.append((scope, agent, names))
        return self._partition(scope, agent).ask(names, event, read)

    def add(self, case: Case, kind: EventKind = EventKind.REQUEST, **parts: Any) -> None:
        """Add an event to every partition that it enters."""
        event = self.engine.event(case, kind, self.atoms, **parts)
        for scope in self.engine.programs:
            agents = (case.agent, *case.chain) if scope == "agent" else ("",)
            for agent in agents:
                self._partition(scope, agent).add(event)

    def _partition(self, scope: str, agent: str) -> Partition:
        key = scope, agent if scope == "agent" else ""
        if key not in self._partitions:
            self._partitions[key] = Partition(self.engine.programs[scope], self.atoms)
        return self._partitions[key]


def case(engine: Engine, tool: str, args: dict[str, Any], **change: Any) -> Case:
    typed = engine.normalise(tool, json.dumps(args))
    assert isinstance(typed, Typed), typed
    fields: dict[str, Any] = {
        "tool": tool, "typed": typed, "agent": "triage", "user": "ana", "mission": MISSION,
        "now": 0, "executor": "worker-1", "id": "a-1",
    }  # fmt: skip
    return Case(**{**fields, **change})


def codes(judged: Judgement) -> set[str]:
    return {r.code.value for r in judged.reasons}


def at(case: Case, seconds: int, history: Kept | None = None, **change: Any) -> Case:
    """Return a case some seconds later, with an id of its own."""
    return structs.replace(case, now=seconds * 1_000, id=f"a-{seconds}", history=history, **change)
