"""A small office to judge in: bundles made by hand around policy text, and cases in them."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from bridle.bundle.bundle import Bundle, Detector, Manifest, Schemas
from bridle.engine.case import Case, GovernanceCase, Judgement, MissionView, Typed
from bridle.engine.engine import Engine
from bridle.engine.flow.source import Origin, Origins
from bridle.language.compile import compile_file
from bridle.language.policy import Policy, PolicySetName
from bridle.model.finding import Location
from bridle.model.identity import Agent, ApproverGroup, Team, User, Workload
from bridle.model.tool import Argument, Domain, EffectClass, System, Tool

NOW = 1_700_000_000_000

ENTITY_TYPES = """
entity Team;
entity User in [Team] = { "name"?: String, "level"?: Long };
entity Agent in [Team] = { "owner": User, "team"?: Team, "version": String, "rank"?: Long }
  tags String;
entity Workload;
entity Domain;
entity System in [Domain] = { "owner": String, "environment": String, "labels": Set<String> };
entity Mission;
"""
MISSION_TYPE = """{"id": String, "template": String, "purpose": String, "labels": Set<String>,
  "untrusted": Bool, "clearance": Set<String>}"""
SURROUNDINGS = f"""
  "mission": {MISSION_TYPE},
  "user": User, "chain": {{"depth": Long, "agents": Set<Agent>}}, "executor"?: Workload,
  "system": {{"now": Long}}
"""
GROUPS = """
action "call";
action "read" in ["call"];
action "write" in ["call"];
action "irreversible" in ["call"];
action "release";
"""
FACT = '{"length": Long, "found": Set<String>}'
ORIGIN = """{"sources": Set<System>, "domains": Set<Domain>, "labels": Set<String>,
  "trusted": Bool, "prompted": Bool, "unknown": Bool}"""
INPUTS = {
    "mail.send": """{"to": Set<String>, "body": String, "urgent"?: Bool, "count"?: Long,
        "rate"?: decimal, "tone"?: String, "meta"?: {"tag": String, "note"?: String}}""",
    "pay.refund": '{"order": Long, "amount": Long, "note"?: String}',
    "desk.read": '{"id": Long}',
    "web.get": '{"url": String}',
}
OUTPUTS = {"desk.read": '{"text": String, "customer"?: String}', "mail.send": '{"id": String}'}
EFFECTS = {
    "mail.send": "write",
    "pay.refund": "irreversible",
    "desk.read": "read",
    "web.get": "read",
}
SINKS_OF = {
    "mail.send": ("amount", "content", "recipient", "selector"),
    "pay.refund": ("amount", "content", "selector"),
    "desk.read": ("selector",),
    "web.get": ("selector",),
}
FLOW_OF = {
    "mail.send": """"to": O, "body": O, "urgent"?: O, "count"?: O, "rate"?: O, "tone"?: O,
        "meta"?: O""",
    "pay.refund": '"order": O, "amount": O, "note"?: O',
    "desk.read": '"id": O',
    "web.get": '"url": O',
}
SYSTEM_OF = {"mail.send": "mail", "pay.refund": "bank", "desk.read": "desk", "web.get": "web"}
DOMAIN_OF = {"mail": "internet", "web": "internet", "bank": "finance", "desk": "support"}
TEAM_OF = {"boss": "leads", "triage": "support", "clerk": "support", "loner": ""}
OWNER_OF = {"boss": "ben", "triage": "ana", "clerk": "ana", "loner": "cyd"}

PRELUDE = 'permit (principal, action in Action::"release", resource);'


def _facts(properties: tuple[str, ...]) -> str:
    return "{" + ", ".join(f'"{p}"?: {FACT}' for p in properties) + "}"


def _flow(tool: str) -> str:
    names = FLOW_OF[tool].replace(" O", f" {ORIGIN}")
    sinks = ", ".join(f'"{s}"?: {ORIGIN}' for s in SINKS_OF[tool])
    return f'"flow": {{{names}, "any": {ORIGIN}}}, "sinks": {{{sinks}}}, '


def _tool_actions() -> str:
    lines: list[str] = []
    for tool, typed in INPUTS.items():
        output = f'"output": {OUTPUTS[tool]}, ' if tool in OUTPUTS else ""
        for name, group, extra, facts in (
            (tool, EFFECTS[tool], _flow(tool), ("to", "body", "tone", "note", "url", "meta")),
            (f"{tool}:result", "release", output, ("text", "customer", "id", "value")),
        ):
            lines.append(
                f'action "{name}" in ["{group}"] appliesTo {{ principal: [Agent], '
                f'resource: [System], context: {{ "input": {typed}, {extra}'
                f'"facts": {_facts(facts)}, {SURROUNDINGS} }} }};'
            )
    return "\n".join(lines)


def lean(schema: str) -> str:
    """Make what every context shares optional, as the generator's lean form does."""
    for name in ("facts", "flow", "sinks", "mission", "user", "chain", "system"):
        schema = schema.replace(f'"{name}": ', f'"{name}"?: ')
    # Of origins, each by itself.
    return schema.replace(f'": {ORIGIN}', f'"?: {ORIGIN}')


TOOLS_SCHEMA = ENTITY_TYPES + GROUPS + _tool_actions()
GOVERNANCE_SCHEMA = (
    ENTITY_TYPES
    + 'action "governance";\n'
    + "\n".join(
        f'action "{name}" in ["governance"] appliesTo {{ principal: [User], resource: [Mission], '
        f'context: {{ "mission": {MISSION_TYPE}, "system": {{"now": Long}} }} }};'
        for name in ("start_mission", "add_prompt")
    )
    + '\naction "delegate" in ["governance"] appliesTo { principal: [Agent], resource: [Mission], '
    f'context: {{ "mission": {MISSION_TYPE}, '
    '"user": User, "system": {"now": Long}, "to": Agent, "depth": Long, '
    '"tools": Set<String>, "effects": Set<String>, "expires_ms": Long, "task": Bool} };'
)

_STRING = {"type": "string"}
_INTEGER = {"type": "integer"}


def _object(properties: dict[str, Any], required: list[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


TOOLS = (
    Tool(
        name="mail.send",
        system="mail",
        effect=EffectClass.WRITE,
        wire="mail.send",
        input=_object(
            {
                "to": {"type": "array", "items": _STRING},
                "body": {"type": "string", "maxLength": 400},
                "urgent": {"type": "boolean"},
                "count": _INTEGER,
                "rate": {"type": "number"},
                "tone": {"type": "string", "enum": ["kind", "firm"]},
                "meta": _object({"tag": _STRING, "note": _STRING}, ["tag"]),
            },
            ["to", "body"],
        ),
        output=_object({"id": _STRING}, ["id"]),
        arguments=(
            Argument("to", sink="recipient"),
            Argument("body", sink="content"),
            Argument("count", sink="amount", int64=True),
        ),
    ),
    Tool(
        name="pay.refund",
        system="bank",
        effect=EffectClass.IRREVERSIBLE,
        wire="pay.refund",
        input=_object(
            {"order": _INTEGER, "amount": _INTEGER, "note": _STRING}, ["order", "amount"]
        ),
        arguments=(Argument("note", sink="content"), Argument("amount", sink="amount")),
    ),
    Tool(
        name="desk.read",
        system="desk",
        effect=EffectClass.READ,
        wire="desk.read",
        input=_object({"id": _INTEGER}, ["id"]),
        output=_object({"text": _STRING, "customer": _STRING}, ["text"]),
    ),
    Tool(
        name="web.get",
        system="web",
        effect=EffectClass.READ,
        wire="web.get",
        input=_object({"url": _STRING}, ["url"]),
    ),
)


def policies(
    text: str, set_name: PolicySetName = PolicySetName.TOOLS, file: str = "policies/a.dw"
) -> tuple[Policy, ...]:
    """Compile policy text; what does not compile fails the test."""
    compiled, findings = compile_file(file, text, set_name)
    assert not findings, [str(f) for f in findings]
    return compiled


def prelude() -> Policy:
    """Return the permit that releases results unless a forbid says otherwise."""
    (made,) = policies(f'@id("prelude")\n{PRELUDE}')
    node = made.node
    digest = hashlib.sha256(PRELUDE.encode()).hexdigest()
    return Policy("bridle.release", "permit", PRELUDE, digest, Location("prelude"), node)


def bundle(text: str | tuple[Policy, ...], governance: str = "", **change: Any) -> Bundle:
    """Return a bundle around these policies."""
    tools = policies(text) if isinstance(text, str) else text
    rules = policies(governance, PolicySetName.GOVERNANCE, "governance/g.dw")
    fields: dict[str, Any] = {
        "digest": "0" * 64,
        "root": "",
        "files": {},
        "manifest": Manifest(name="office", detectors=(Detector("customer_id", "C-[0-9]{6}"),)),
        "domains": {d: Domain(d) for d in ("internet", "finance", "support", "empty")},
        "systems": {
            s: System(s, domain=d, owner="ops", environment="production", labels=("plain",))
            for s, d in DOMAIN_OF.items()
        },
        "tools": {t.name: t for t in TOOLS},
        "teams": {t: Team(t) for t in ("leads", "support", "nobody")},
        "users": {
            "ana": User("ana", name="Ana", teams=("support",), attributes={"level": 1}),
            "ben": User("ben", name="Ben", teams=("leads", "support"), attributes={"level": 3}),
            "cyd": User("cyd"),
        },
        "agents": {
            a: Agent(
                a,
                owner=OWNER_OF[a],
                team=team,
                version="2" if a == "boss" else "1",
                tags={"tier": "gold"} if a != "loner" else {},
                attributes={"rank": 9} if a == "boss" else {},
            )
            for a, team in TEAM_OF.items()
        },
        "workloads": {"w1": Workload("w1"), "w2": Workload("w2")},
        "approvers": {
            "leads": ApproverGroup("leads", users=("ben",), need=1),
            "board": ApproverGroup("board", teams=("leads",), need=2),
        },
        "missions": {},
        "policies": (*tools, prelude(), *rules),
        "schemas": Schemas(
            tools=TOOLS_SCHEMA, governance=GOVERNANCE_SCHEMA, judging=lean(TOOLS_SCHEMA)
        ),
    }
    return Bundle(**{**fields, **change})


MISSION = MissionView(id="m-1", template="desk", purpose="answer mail", labels=("personal",))
MAIL = {"to": ["x@y.example"], "body": "hello"}
NOWHERE = {
    "sources": [], "domains": [], "labels": [], "trusted": False, "prompted": False,
    "unknown": True,
}  # fmt: skip


def whence(tool: str = "mail.send", names: tuple[str, ...] = ("to", "body")) -> dict[str, Any]:
    """Return `flow` and `sinks` of arguments that nobody knows anything of."""
    flow = dict.fromkeys((*names, "any"), NOWHERE)
    return {"flow": flow, "sinks": dict.fromkeys(SINKS_OF[tool], NOWHERE)}


class Told:
    """A flow that says of each argument what it was told, and of any other nothing."""

    def __init__(self, tool: str, origins: dict[str, Origin], labels: tuple[str, ...] = ()) -> None:
        self._sinks = {a.path: a.sink for t in TOOLS if t.name == tool for a in t.arguments}
        self._origins = origins
        self.labels = frozenset(labels)

    def origins(self, tool: str, value: Mapping[str, Any]) -> Origins:
        there = {name: o for name, o in self._origins.items() if name in value}
        sinks: dict[str, list[Origin]] = {}
        for name, origin in there.items():
            sinks.setdefault(self._sinks.get(name, "selector"), []).append(origin)
        return Origins(
            arguments=there,
            sinks={sink: _united(each) for sink, each in sinks.items()},
            any=_united(there.values()),
        )


def _united(origins: Iterable[Origin]) -> Origin:
    some = tuple(origins)
    return Origin(
        sources=frozenset(s for o in some for s in o.sources),
        domains=frozenset(s for o in some for s in o.domains),
        labels=frozenset(s for o in some for s in o.labels),
        trusted=all(o.trusted for o in some),
        prompted=all(o.prompted for o in some),
        unknown=any(o.unknown for o in some),
    )


ARGUMENTS: dict[str, dict[str, Any]] = {
    "mail.send": MAIL,
    "pay.refund": {"order": 7, "amount": 300},
    "desk.read": {"id": 7},
    "web.get": {"url": "https://docs.example/"},
}


def case(engine: Engine, tool: str = "mail.send", args: object = None, **change: Any) -> Case:
    """Return a case of the triage agent. `args` is a value, or the exact text."""
    text = args if isinstance(args, str) else encode(ARGUMENTS[tool] if args is None else args)
    typed = engine.normalise(tool, text)
    assert isinstance(typed, Typed), typed
    fields: dict[str, Any] = {
        "tool": tool,
        "typed": typed,
        "agent": "triage",
        "user": "ana",
        "mission": MISSION,
        "now": NOW,
        "executor": "w1",
    }
    return Case(**{**fields, **change})


def judge(text: str, tool: str = "mail.send", args: object = None, **change: Any) -> Judgement:
    """Judge one action under these policies."""
    engine = Engine(bundle(text))
    return engine.judge(case(engine, tool, args, **change))


def governance_case(action: str = "start_mission", user: str = "ana") -> GovernanceCase:
    return GovernanceCase(action=action, user=user, mission=MISSION, now=NOW)


def encode(value: object) -> str:
    return msgspec.json.encode(value).decode()


def ids(judgement: Judgement) -> list[str]:
    """Return the policies of the agent's reasons."""
    return [r.policy for r in judgement.reasons]


def codes(judgement: Judgement) -> set[str]:
    return {r.code.value for r in judgement.reasons}
