"""Rules over history and the histories they look back on, for `bench.sequences`.

`RULES` conditions that all have to be answered for one action: each kind of the library's constant
ones, over windows that differ, so that no two are equal. None objects. The history is that of one
mission on a hundred accounts; everything in it lies within every window.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench import workload
from bench.calls import Ask, WorkloadError
from bridle.bundle.bundle import Bundle
from bridle.engine.case import Case, MissionView, Refusal, Typed
from bridle.engine.engine import Engine
from bridle.engine.temporal.atoms import Atomiser
from bridle.engine.temporal.event import Event
from bridle.model.event import EventKind

RULES = 50
ACCOUNTS = 100
APART_MS = 100  # between two events
AGENT, OTHER, USER, EXECUTOR = "a", "b", "u", "w"

_WHICH = "input.account: context.input.account"


def _of(tool: str, kind: str, more: str = "") -> str:
    return f'Action::"pay.{tool}"::{kind}{{ {_WHICH}{more} }}'


_CALL, _ENDED = _of("refund", "request"), 'Action::"pay.refund"::error{}'
_NEVER, _NEVER_ENDED = _of("close", "request"), 'Action::"pay.close"::error{}'

KINDS = {
    "at_most": f"at_most(1000000, {{w}}, {_CALL}, {_ENDED})",
    "sum_at_most": "sum_at_most(1000000000, {w}, amount, "
    f"{_of('refund', 'request', ', input.amount: amount')}, {_ENDED})",
    "cooldown": f"cooldown({{w}}, {_NEVER}, {_NEVER_ENDED})",
    "forbidden_after": f"forbidden_after({{w}}, {_NEVER}, {_NEVER_ENDED})",
    "requires_before": f"requires_before({{w}}, {_of('draft', 'response')})",
    "requires_since": f"requires_since({{w}}, {_of('draft', 'response')}, {_NEVER})",
    "no_repeat_failure": f"no_repeat_failure(3, {{w}}, {_of('refund', 'error')})",
    "distinct_actors": f"distinct_actors({{w}}, {_of('draft', 'response')})",
    "first_time": f"first_time({{w}}, {_of('close', 'response')})",
    "previous": f"!(previous within {{w}} {_of('close', 'response')})",
}


def rules(count: int = RULES, *, minutes: int = 1440) -> str:
    """Return so many forbids over the one action, and the permit."""
    kinds = list(KINDS.items())
    texts = [
        f'@id("{kinds[n % len(kinds)][0].replace("_", "-")}-{n}")\n'
        'forbid (principal, action == Action::"pay.refund", resource)\n'
        f"unless temporal {{ {kinds[n % len(kinds)][1].replace('{w}', window(n, minutes))} }};\n"
        for n in range(count)
    ]
    return "\n".join([*texts, '@id("else")\npermit (principal, action, resource);\n'])


def window(number: int, minutes: int) -> str:
    """A window of at most so many minutes, another for each round of kinds."""
    return f"{minutes - number // len(KINDS)}m"


TOOLS = ("refund", "draft", "close")


def write_bundle(folder: Path, files: dict[str, str]) -> Path:
    """Write a bundle with these policy files and return its folder."""
    tools = "".join(
        f'[tools."pay.{name}"]\nsystem = "pay"\neffect = "read"\nidempotent = true\n'
        f'[tools."pay.{name}".input]\ntype = "object"\nrequired = ["account", "amount"]\n'
        f'[tools."pay.{name}".input.properties]\naccount = {{ type = "string" }}\n'
        'amount = { type = "integer" }\n'
        for name in TOOLS
    )
    everything = {
        "bridle.toml": 'format = 1\nname = "sequences"\nversion = "1"\n'
        'durability = "relaxed"\nrelaxed_ms = 1000\n[limits]\nhistory_events = 1000000\n',
        "systems.toml": '[domains.office]\n[systems.pay]\ndomain = "office"\nowner = "y"\n' + tools,
        "agents.toml": f'[users.{USER}]\n[agents.{AGENT}]\nowner = "{USER}"\n'
        f'[agents.{OTHER}]\nowner = "{USER}"\n[workloads.{EXECUTOR}]\n',
        "missions.toml": f'[missions.{workload.MISSION}]\npurpose = "settle what is due"\n'
        f'agents = ["{AGENT}", "{OTHER}"]\ntools = ["*"]\ndomains = ["office"]\n',
    } | files
    for name, text in everything.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


def args(account: int) -> str:
    """Return the arguments of an action on an account."""
    return json.dumps({"account": f"ACC-{account:04}", "amount": 5})


ASK = Ask(tool="pay.refund", args=args(7), agent=AGENT, user=USER, executor=EXECUTOR)


@dataclass(frozen=True)
class Step:
    """One event to come: what happened, to which account, in which request, by whom."""

    tool: str
    kind: EventKind
    account: int
    request: int
    agent: str = AGENT


def steps(count: int) -> Iterator[Step]:
    """Yield so many events. The last ones are drafts and refunds of the account asked about."""
    for number in range(count):
        turn, account = number % 4, number // 4 % ACCOUNTS
        if number >= count - 4:
            account = 7
        tool, agent = ("draft", OTHER) if turn < 2 else ("refund", AGENT)
        kind = EventKind.REQUEST if turn % 2 == 0 else EventKind.RESPONSE
        yield Step(tool, kind, account, number // 2, agent)


class Teller:
    """Makes events of one mission as a governor would."""

    def __init__(self, engine: Engine, atoms: Atomiser, mission: str) -> None:
        self._engine = engine
        self._atoms = atoms
        self._mission = MissionView(id=mission, template=workload.MISSION)
        self._typed: dict[tuple[str, int], Typed] = {}

    def events(self, found: Iterable[Step], *, until: int) -> list[Event]:
        """Return the events in order, the last of them at `until` (milliseconds)."""
        told = list(found)
        began = until - APART_MS * len(told)
        return [self.event(step, began + APART_MS * n) for n, step in enumerate(told, 1)]

    def event(self, step: Step, now: int) -> Event:
        """Return one event."""
        case = self.case(step, now)
        return self._engine.event(case, step.kind, self._atoms)

    def case(self, step: Step, now: int) -> Case:
        """Return an action as it is judged."""
        return Case(
            tool=f"pay.{step.tool}",
            typed=self._arguments(f"pay.{step.tool}", step.account),
            agent=step.agent,
            user=USER,
            mission=self._mission,
            now=now,
            executor=EXECUTOR,
            id=f"act_{step.request:026}",
        )

    def _arguments(self, tool: str, account: int) -> Typed:
        if (tool, account) not in self._typed:
            typed = self._engine.normalise(tool, args(account))
            if isinstance(typed, Refusal):
                raise WorkloadError(typed.text)
            self._typed[tool, account] = typed
        return self._typed[tool, account]


def engine_of(folder: Path, files: dict[str, str]) -> Engine:
    """Return the engine of a bundle with these policy files."""
    from bridle.bundle.load import load

    return Engine(load(write_bundle(folder, files)))


__all__ = ["Bundle", "Engine", "Teller", "engine_of", "rules", "steps", "write_bundle"]
