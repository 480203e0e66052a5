"""The bundle of the kill suite, what its keys mean, and where everything of a trial lies."""

import hashlib
from pathlib import Path

LEASE_MS = 700

BRIDLE = """
format = 1
name = "kill-tests"
version = "1"
durability = "relaxed"
operators = ["ana", "ben"]
[limits]
pending_holds = 500
"""

_KEY = """
input = { type = "object", required = ["key"], properties = { key = { type = "string" } } }
"""

SYSTEMS = f"""
[domains.house]
[systems.log]
domain = "house"

[tools."log.append"]
system = "log"
effect = "write"
timeout = "{LEASE_MS}ms"
no_effect = ["refused"]
{_KEY}
[tools."log.index"]
system = "log"
effect = "write"
idempotent = true
timeout = "{LEASE_MS}ms"
{_KEY}
[tools."log.read"]
system = "log"
effect = "read"
idempotent = true
timeout = "{LEASE_MS}ms"
{_KEY}
[tools."log.seal"]
system = "log"
effect = "write"
timeout = "{LEASE_MS}ms"
{_KEY}
[tools."log.burn"]
system = "log"
effect = "write"
{_KEY}
"""

AGENTS = """
[users.ana]
[users.ben]
[agents.clerk]
owner = "ana"
[agents.porter]
owner = "ana"
[agents.clerk.budgets.calls]
limit = 1000000
[agents.porter.budgets.calls]
limit = 1000000
[users.ana.budgets.calls]
limit = 1000000
[workloads.worker]
tools = ["*"]
[approvers.leads]
users = ["ben"]
"""

MISSIONS = """
[missions.office]
agents = ["clerk", "porter"]
tools = ["log.*"]
domains = ["house"]
expires = "8h"
[missions.office.budgets.calls]
limit = 1000000
"""

POLICIES = """
@id("work") permit (principal, action in Action::"call", resource);
@id("no-fire") @reason("nothing is burnt")
forbid (principal, action == Action::"log.burn", resource);
@id("seals") @reason("a lead seals") @hold("leads")
forbid (principal, action == Action::"log.seal", resource);
"""

_TOOLS = ("append",) * 10 + ("index",) * 3 + ("read",) * 3 + ("seal",) * 2 + ("burn",)


def make(folder: Path) -> Path:
    """Write the bundle into the folder of a trial."""
    bundle = folder / "bundle"
    (bundle / "policies").mkdir(parents=True)
    files = {"bridle": BRIDLE, "systems": SYSTEMS, "agents": AGENTS, "missions": MISSIONS}
    for name, text in files.items():
        (bundle / f"{name}.toml").write_text(text)
    (bundle / "policies" / "office.dw").write_text(POLICIES)
    return bundle


def tool_of(key: str) -> str:
    """Each key names one step of a plan, so it always means the same tool."""
    return f"log.{_TOOLS[hashlib.sha256(key.encode()).digest()[0] % len(_TOOLS)]}"


def may_repeat(key: str) -> bool:
    return tool_of(key) in ("log.index", "log.read")
