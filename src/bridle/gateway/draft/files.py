"""The rest of a draft: people, a mission, policies that err on the safe side, and scenarios."""

from __future__ import annotations

import json
from collections.abc import Sequence

from bridle.bundle.check import check_files
from bridle.engine.case import Refusal
from bridle.engine.normalise import Normaliser
from bridle.gateway.draft import spelling
from bridle.gateway.draft.samples import sample
from bridle.gateway.draft.systems import Drafted
from bridle.model.tool import EffectClass

_MOST_SCENARIOS = 200

_MANIFEST = """\
# A bundle says who may do what. `bridle check` reads it, `bridle test` runs its scenarios, and
# nothing of it counts before a human activates it: `bridle activate`.
format = 1
name = {name}
version = "1"

# Users (of agents.toml) who may start, stop and activate.
operators = ["me"]

# Who and what `bridle mcp` and `bridle decide` assume when nothing else is said.
[defaults]
mission = "work"
user = "me"
agent = "assistant"
executor = "local"
"""

PEOPLE = """\
# Who takes part. Agents decide, workloads carry out, users answer for it.

[users.me]
name = "Me"

[agents.assistant]
owner = "me"

[workloads.local]
tools = ["*"]

# Who may release what is held.
[approvers.owners]
users = ["me"]
need = 1
"""

_MISSIONS = """\
# All work happens in a mission: the outer bounds within which policies decide.

[missions.work]
purpose = {purpose}
agents = ["assistant"]
tools = ["{system}.*"]
domains = ["{system}"]
expires = "8h"

# `calls` counts every action.
[missions.work.budgets.calls]
limit = 500
window = "1h"
"""

GOVERNANCE = """\
// Who may start missions and prompt their agents. This set alone decides it.

@id("people-start-missions")
@reason("declared users start missions and prompt them")
permit (
    principal,
    action in [Action::"start_mission", Action::"add_prompt"],
    resource
);
"""

_PERMIT = """\
// Policies are Cedar. What no permit allows is denied, and a forbid always wins.
// The effect classes are in systems.toml; name single tools as `action == Action::"NAME"`.

@id("assistant-works-here")
@reason("the assistant works with the tools of {system}")
permit (
    principal == Agent::"assistant",
    action in Action::"call",
    resource == System::"{system}"
);
"""

_HOLD = """
// @hold meets the objection by asking a human.
@id("writes-wait")
@reason("what changes something needs an owner's approval")
@hold("owners")
forbid (
    principal,
    action in Action::"write",
    resource == System::"{system}"
);
"""

_DENY = """
// A forbid without a remedy is final.
@id("nothing-irreversible")
@reason("nothing is done here that cannot be undone")
forbid (
    principal,
    action in Action::"irreversible",
    resource == System::"{system}"
);
"""

_RULES = {EffectClass.WRITE: _HOLD, EffectClass.IRREVERSIBLE: _DENY}
_VERDICTS = {
    EffectClass.READ: ("runs", 'expect = "allow"'),
    EffectClass.WRITE: ("waits for an owner", 'expect = "hold"\npolicy = "writes-wait"'),
    EffectClass.IRREVERSIBLE: ("is denied", 'expect = "deny"\npolicy = "nothing-irreversible"'),
}

_SCENARIOS = """\
# Scenarios: actions in, verdicts out. `bridle test` runs them. The arguments are made up.
"""

_SCENARIO = """
[[scenario]]
name = {name}

[[scenario.step]]
agent = "assistant"
tool = "{tool}"
args = {args}
{verdict}
"""


def manifest(name: str) -> str:
    """Return bridle.toml."""
    return _MANIFEST.format(name=spelling.text(name))


def missions(system: str, server: str) -> str:
    """Return missions.toml."""
    purpose = spelling.text(spelling.comment(f"Work with {server or system}"))
    return _MISSIONS.format(system=system, purpose=purpose)


def policies(system: str, tools: Sequence[Drafted]) -> str:
    """Return the policies, with a rule for each effect class that there is."""
    present = {tool.effect.value for tool in tools}
    rules = [rule for effect, rule in _RULES.items() if effect.value in present]
    return "".join(rule.format(system=system) for rule in (_PERMIT, *rules))


def scenarios(bundle: dict[str, str], tools: Sequence[Drafted]) -> str:
    """Return a scenario for each tool whose arguments could be made up; empty without any."""
    loaded, _ = check_files(bundle)
    if loaded is None:
        return ""
    engine = Normaliser(loaded)
    found = [_scenario(engine, tool) for tool in tools[:_MOST_SCENARIOS]]
    return _SCENARIOS + "".join(found) if any(found) else ""


def _scenario(engine: Normaliser, tool: Drafted) -> str:
    args = sample(tool.definition["inputSchema"])
    try:
        text = json.dumps(args, ensure_ascii=False, allow_nan=False)
        if isinstance(engine.normalise(tool.name, text), Refusal):
            return ""
        shown = spelling.value(args)
    except ValueError:
        return ""
    what, verdict = _VERDICTS[EffectClass(tool.effect.value)]
    name = spelling.text(f"{tool.name} {what}")
    return _SCENARIO.format(name=name, tool=tool.name, args=shown, verdict=verdict)
