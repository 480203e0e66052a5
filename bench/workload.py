"""The agent workload: a bundle of any number of policies, one action in it, a bare Cedar call.

Ten forbids that hold for every tool (nine where only ten policies are asked for), exactly one
permit that matches the action, every other permit scoped to another tool; nine conditions and an
`unless` in each permit; ten argument fields; 259 entities; about 450 bytes of context.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cedarpy

AGENT, USER, TOOL, SYSTEM, EXECUTOR = "agent-7", "user-7", "pay.t0", "system-2", "worker-1"
MISSION = "desk"
NOW = 1_790_000_000_000

ARGS: dict[str, Any] = {
    "account": "ACC-000123",
    "amount": 1250,
    "currency": "EUR",
    "region": "eu-west",
    "channel": "api",
    "reference": "2026-11-0042",
    "tenant": "acme",
    "risk": 12,
    "failures": 0,
    "urgent": False,
}

TEXT = json.dumps(ARGS)


def effect(**args: Any) -> dict[str, Any]:
    """Do next to nothing: what the tool does is not what is measured."""
    return {"booked": True, "reference": args["reference"]}


_TYPES = {str: "string", int: "integer", bool: "boolean"}

FORBIDS = {
    "suspended": 'principal.hasTag("status") && principal.getTag("status") == "suspended"',
    "depth": "context.chain.depth > 3",
    "secret-then-public": 'context.mission.labels.contains("secret") && '
    'resource.labels.contains("public")',
    "budget": "context.input.amount > 1000000",
    "untrusted-personal-send": 'context.mission.labels.contains("untrusted") && '
    'context.mission.labels.contains("personal") && context.input.channel == "mail"',
    "clearance": 'resource.labels.contains("secret") && '
    '!context.mission.labels.contains("cleared")',
    "domain": 'resource in Domain::"quarantine"',
    "tenant": 'context.input.tenant != "acme"',
    "failures": "context.input.failures > 5",
    "risk": 'context.input.risk > 80 && context.mission.template != "incident"',
}

PERMIT = """@id("permit-{n}")
permit (principal in Team::"team-2", action == Action::"{tool}", resource in Domain::"domain-2")
when {{
    context.input.account like "ACC-*" &&
    context.input.amount > 0 &&
    context.input.amount <= 50000 &&
    ["EUR", "USD", "GBP"].contains(context.input.currency) &&
    context.input.region like "eu-*" &&
    context.input.channel == "api" &&
    context.input.risk < 50 &&
    context.mission.template == "desk" &&
    resource.environment == "production"
}}
unless {{ context.input.urgent && context.input.amount > 10000 }};
"""


def policies(count: int) -> list[str]:
    """Return the Cedar texts: forbids, then permits for other tools, then the one that matches."""
    names = list(FORBIDS)[: min(len(FORBIDS), count - 1)]
    forbids = [
        f'@id("{name}")\nforbid (principal, action in Action::"call", resource)\n'
        f"when {{ {FORBIDS[name]} }};\n"
        for name in names
    ]
    others = count - len(forbids) - 1
    tools = other_tools(count)
    permits = [PERMIT.format(n=n, tool=tools[n % len(tools)]) for n in range(1, others + 1)]
    return [*forbids, *permits, PERMIT.format(n=0, tool=TOOL)]


def other_tools(count: int) -> list[str]:
    """Names of the tools the action does not use: one for each permit, at most 99."""
    return [f"pay.t{n}" for n in range(1, max(2, min(100, count - 10)))]


def sliced(count: int) -> str:
    """Return, as one Cedar text, the policies that can apply to the action."""
    scope = (f'Action::"{TOOL}"', 'Action::"call"')
    return "".join(text for text in policies(count) if any(f"{s}," in text for s in scope))


def write_bundle(folder: Path, count: int, durability: str = "relaxed") -> Path:
    """Write the bundle with `count` policies and return its folder.

    `relaxed` (its tools only read): a commit returns before its fsync, which follows later.
    """
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "all.cedar").write_text("\n".join(policies(count)), "utf-8")
    for name, text in (
        ("bridle.toml", _manifest(count, durability)),
        ("systems.toml", _systems(count)),
        ("agents.toml", _agents()),
        ("missions.toml", _missions()),
    ):
        (folder / name).write_text(text, "utf-8")
    return folder


def _manifest(count: int, durability: str) -> str:
    return (
        f'format = 1\nname = "bench-{count}"\nversion = "1"\n'
        f'durability = "{durability}"\nrelaxed_ms = 1000\n'
        f'[defaults]\nmission = "{MISSION}"\nuser = "{USER}"\nagent = "{AGENT}"\n'
        f'executor = "{EXECUTOR}"\n'
    )


def _systems(count: int) -> str:
    lines = [f"[domains.domain-{n}]\n" for n in range(5)] + ["[domains.quarantine]\n"]
    lines += [
        f'[systems.system-{n}]\ndomain = "domain-{n % 5}"\nowner = "ops"\n'
        'environment = "production"\nlabels = ["internal"]\n'
        for n in range(12)
    ]
    properties = "".join(
        f'{name} = {{ type = "{_TYPES[type(value)]}" }}\n' for name, value in ARGS.items()
    )
    for tool in (TOOL, *other_tools(count)):
        lines.append(
            f'[tools."{tool}"]\nsystem = "{SYSTEM}"\neffect = "read"\nidempotent = true\n'
            f'[tools."{tool}".input]\ntype = "object"\nrequired = {json.dumps(list(ARGS))}\n'
            f'[tools."{tool}".input.properties]\n{properties}'
        )
    return "".join(lines)


def _agents() -> str:
    lines = [f'[teams.team-{n}]\nname = "Team {n}"\n' for n in range(5)]
    lines += [f'[users.user-{n}]\nteams = ["team-{n % 5}"]\n' for n in range(120)]
    lines += [
        f'[agents.agent-{n}]\nowner = "user-{n}"\nteam = "team-{n % 5}"\n'
        'tags = { status = "active" }\n'
        for n in range(114)
    ]
    return "".join([*lines, "[workloads.worker-1]\n", "[workloads.worker-2]\n"])


def _missions() -> str:
    domains = json.dumps([f"domain-{n}" for n in range(5)])
    return (
        f'[missions.{MISSION}]\npurpose = "settle what is due"\nagents = ["{AGENT}"]\n'
        f'tools = ["*"]\ndomains = {domains}\nlabels = ["internal"]\n'
    )


def context(mission: str) -> str:
    """Return the Cedar context of the action as JSON text."""
    return json.dumps(
        {
            "input": ARGS,
            "facts": {},
            "mission": {
                "id": mission,
                "template": MISSION,
                "purpose": "settle what is due",
                "labels": ["internal"],
                "untrusted": False,
                "clearance": [],
            },
            "user": {"type": "User", "id": USER},
            "chain": {"depth": 0, "agents": [{"type": "Agent", "id": AGENT}]},
            "system": {"now": NOW},
            "executor": {"type": "Workload", "id": EXECUTOR},
        },
        separators=(",", ":"),
    )


class Bare:
    """One bare `cedarpy.is_authorized`: prepared handles, policies sliced by hand, schema."""

    def __init__(self, count: int, schema: str, entities: list[dict[str, Any]]) -> None:
        self.schema = cedarpy.Schema.from_str(schema)
        self.policies = cedarpy.PolicySet.from_str(sliced(count))
        self.entities = cedarpy.Entities.from_json_str(json.dumps(entities), self.schema)
        self.request = {
            "principal": {"type": "Agent", "id": AGENT},
            "action": {"type": "Action", "id": TOOL},
            "resource": {"type": "System", "id": SYSTEM},
            "context": context("mis_" + "0" * 26),
        }

    def __call__(self) -> cedarpy.AuthzResult:
        """Ask once, through the public function."""
        return cedarpy.is_authorized(self.request, self.policies, self.entities, self.schema)
