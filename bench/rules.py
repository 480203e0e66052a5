"""The bundle that peers are compared on: rules that all forbid something else than what is asked.

The shape of each peer's own example (bench/peer_worker.py): of `count` rules all but the last name
one dangerous action and an owner, the last names two actions; the call matches none of them. What
the peer allows by default, a single permit allows here, beside the `count` rules.
"""

from __future__ import annotations

from pathlib import Path

from bench import workload
from bench.calls import Ask

READ = Ask(tool="desk.read", args='{"rows":5}', agent="a", user="u", executor="w")
# The same question about a tool that writes: its decisions are fsynced in the same bundle.
WRITE = Ask(tool="desk.write", args='{"rows":5}', agent="a", user="u", executor="w")

_TOOLS = 99  # dangerous actions; beyond as many rules they are named again


def policies(count: int) -> str:
    """Return the Cedar text: `count` forbids, of which none matches, and one permit."""
    named = [
        f'@id("danger-{n}")\nforbid (principal, action == Action::"desk.danger_{n % _TOOLS}", '
        'resource)\nwhen { resource.owner == "x" };\n'
        for n in range(count - 1)
    ]
    last = (
        '@id("drop-or-delete")\nforbid (principal, action in '
        '[Action::"desk.drop", Action::"desk.delete"], resource);\n'
    )
    return "\n".join([*named, last, '@id("else")\npermit (principal, action, resource);\n'])


def write_bundle(folder: Path, count: int) -> Path:
    """Write the bundle with `count` rules and return its folder."""
    (folder / "policies").mkdir(parents=True)
    dangers = [f"danger_{n}" for n in range(min(count - 1, _TOOLS))]
    effects = dict.fromkeys(("drop", "delete", "write", *dangers), "write") | {"read": "read"}
    tools = "".join(
        f'[tools."desk.{name}"]\nsystem = "desk"\neffect = "{effect}"\nidempotent = true\n'
        f'[tools."desk.{name}".input]\ntype = "object"\n'
        f'[tools."desk.{name}".input.properties]\nrows = {{ type = "integer" }}\n'
        for name, effect in effects.items()
    )
    files = {
        "policies/all.cedar": policies(count),
        "bridle.toml": f'format = 1\nname = "rules-{count}"\nversion = "1"\n'
        'durability = "relaxed"\nrelaxed_ms = 1000\n',
        "systems.toml": '[domains.office]\n[systems.desk]\ndomain = "office"\nowner = "y"\n'
        + tools,
        "agents.toml": '[users.u]\n[agents.a]\nowner = "u"\n[workloads.w]\n',
        "missions.toml": f'[missions.{workload.MISSION}]\npurpose = "settle what is due"\n'
        'agents = ["a"]\ntools = ["*"]\ndomains = ["office"]\nlabels = ["internal"]\n',
    }
    for name, text in files.items():
        (folder / name).write_text(text, "utf-8")
    return folder
