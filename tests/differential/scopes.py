"""A bundle whose policies look back in every scope, and the same history as the reference sees it.

Each scope is a program of its own, under the event schema that the bundle has for it.
"""

from __future__ import annotations

import json
from importlib.resources import files
from random import Random
from typing import Any

from msgspec import Struct

from bridle.engine.case import Case, MissionView
from bridle.engine.engine import Engine
from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.event import Event, Read
from bridle.engine.temporal.partition import Partition
from bridle.language.temporal import ast
from bridle.model.event import EventKind
from differential import trees, writing
from differential.conditions import Author
from differential.values import Ref, written
from differential.worlds import BOOL, LONG, STRING, Action, Kind, Slot, Type, World

FOLDERS = {
    "mission": "policies", "user": "policies/user", "agent": "policies/agent",
    "tenant": "policies/tenant",
}  # fmt: skip
JUDGED = "desk.comment"
INPUT = (Slot("id", LONG), Slot("body", STRING), Slot("internal", BOOL, True))

SCHEMA = """
entity User; entity Agent; entity System;
type In = { id: Long, body: String, internal?: Bool };
action "desk.comment", "desk.delete_ticket" appliesTo { principal: [Agent], resource: [System],
  context: { input: In, output?: {}, mission: { id: String }, user: User } };
"""


class Office(World, frozen=True):
    """What conditions of a scope can speak of. There are no namespaces."""

    scope: str = "mission"

    @property
    def user(self) -> Type:
        return ("Agent",)

    @property
    def gateway(self) -> Type:
        return ("System",)

    def reserved(self) -> tuple[Slot, ...]:
        fields = [
            Slot("callerPrincipal", ("Agent",)), Slot("callerResource", ("System",)),
            Slot("requestId", STRING), Slot("mission.id", STRING),
        ]  # fmt: skip
        return (*fields, Slot("user", ("User",))) if self.scope == "user" else tuple(fields)

    def names(self, kind: Type) -> list[str]:
        known = {"Agent": ["triage", "researcher"], "User": ["ana", "ben"], "System": ["desk"]}
        return known[kind[-1]]

    def shown(self, kind: Type) -> list[ast.Term]:
        terms: dict[Type, list[ast.Term]] = {
            STRING: [ast.ContextField(("mission", "id"))],
            ("Agent",): [ast.ScopeField(("principal",))],
            ("System",): [ast.ScopeField(("resource",))],
            ("User",): [ast.ContextField(("user",))],
        }
        return terms.get(kind, [])


def office(scope: str) -> Office:
    """Say what there is to speak of in a scope."""
    kinds = tuple(
        Kind(name, name == "request", outputs=False)
        for name in ("request", "response", "error", "held")
    )
    actions = (Action(JUDGED, INPUT, ()), Action("desk.delete_ticket", INPUT[:1], ()))
    return Office("", actions, kinds, custom=True, scope=scope)


def condition(rnd: Random, scope: str) -> ast.Condition:
    """Make up a condition for policies of a scope."""
    author = Author(rnd, office(scope), (JUDGED,))
    parts = [author.leaf(rnd.choice([1, 2, 2, 3])) for _ in range(rnd.choice([1, 1, 2]))]
    return trees.chain([part for each in parts for part in trees.conjuncts(each)])


def policy(name: str, leaf: ast.Condition) -> str:
    """Print a policy of the bundle that forbids where the condition holds."""
    head = f'@id("{name}") forbid (principal, action == Action::"{JUDGED}", resource)'
    return f"{head}\nwhen temporal {{ {writing.condition(leaf)} }};\n"


def alone(leaf: ast.Condition) -> str:
    """Print a program that permits where the condition holds."""
    head = f'permit (principal, action == Action::"{JUDGED}", resource)'
    return f"{head}\nwhen temporal {{ {writing.condition(leaf)} }};\n"


def event_schema(scope: str) -> str:
    """Read the event schema that bundles have for a scope."""
    return files("bridle.bundle").joinpath(f"events/{scope}.dwschema").read_text("utf-8")


class Act(Struct, frozen=True):
    """One thing that happened: by whom, for whom, with what."""

    time: int
    kind: EventKind
    tool: str
    agent: str
    user: str
    mission: str
    id: str
    args: dict[str, Any]

    def line(self, scope: str) -> str:
        """Print it as the reference reads it."""
        context = {"input": self.args, "mission": {"id": self.mission}, "user": _user(self.user)}
        logged: dict[str, Any] = {
            "input": self.args,
            "callerPrincipal": Ref(f'Agent::"{self.agent}"'),
            "callerResource": Ref('System::"desk"'),
            "requestId": self.id,
            "mission": {"id": self.mission},
        }
        logged |= {"user": _user(self.user)} if scope == "user" else {}
        logged |= {"error": {"code": "failed"}} if self.kind is EventKind.ERROR else {}
        pairs = (
            ", ".join(f"{k}: {written(v)}" for k, v in each.items()) for each in (context, logged)
        )
        shown, kept = pairs
        return (
            f'@{self.time} scope(principal: Agent::"{self.agent}", resource: System::"desk") '
            f'request_context({shown}) Action::"{self.tool}"::{self.kind.value}({kept})'
        )


def _user(name: str) -> Ref:
    return Ref(f'User::"{name}"')


def acts(rnd: Random, count: int) -> list[Act]:
    """Make up what happened, across missions, users and agents."""
    time, made = 0, []
    for _ in range(count):
        time += rnd.choice([0, 1, 1, 2, 5])
        tool = rnd.choice([JUDGED, JUDGED, "desk.delete_ticket"])
        args: dict[str, Any] = {"id": rnd.choice([1, 1, 2, 3])}
        if tool == JUDGED:
            args |= {"body": rnd.choice(["a", "b"])}
            args |= {"internal": rnd.random() < 0.5} if rnd.random() < 0.5 else {}
        made.append(
            Act(
                time,
                rnd.choice([EventKind.REQUEST, EventKind.REQUEST, *EventKind]),
                tool,
                rnd.choice(["triage", "triage", "researcher"]),
                rnd.choice(["ana", "ana", "ben"]),
                rnd.choice(["m-1", "m-1", "m-2"]),
                rnd.choice(["r1", "r2", "r3"]),
                args,
            )
        )
    return made


class Histories:
    """The partitions of every scope, as a governor keeps them; it notes what it answered."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.atoms = Atomiser(str.swapcase)
        self.told: dict[str, bool] = {}
        self.case: Case | None = None
        self._partitions: dict[tuple[str, str], Partition] = {}

    def ask(
        self, scope: str, agent: str, names: tuple[str, ...], event: Event, read: Read
    ) -> dict[str, bool]:
        """Answer from the partition that is the case's own."""
        assert self.case is not None
        told = self._partition(scope, self.case, agent).ask(names, event, read)
        self.told |= told
        return told

    def add(self, case: Case, kind: EventKind, error: str) -> None:
        """Let an event into every scope that looks back."""
        event = self.engine.event(case, kind, self.atoms, error=error)
        for scope in self.engine.programs:
            self._partition(scope, case, case.agent).add(event)

    def _partition(self, scope: str, case: Case, agent: str) -> Partition:
        keys = {"mission": case.mission.id, "user": case.user, "agent": agent, "tenant": ""}
        key = scope, keys[scope]
        if key not in self._partitions:
            self._partitions[key] = Partition(self.engine.programs[scope], self.atoms)
        return self._partitions[key]


def case_of(engine: Engine, act: Act, history: Histories) -> Case:
    """Return the case that an act makes."""
    typed = engine.normalise(act.tool, json.dumps(act.args))
    return Case(
        tool=act.tool, typed=typed, agent=act.agent, user=act.user,
        mission=MissionView(act.mission, "ticket-desk"), now=act.time * 1000,
        executor="worker-1", id=act.id, history=history,
    )  # fmt: skip
