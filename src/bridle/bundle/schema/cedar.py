"""Tools and identities → Cedar schema text, for the tools set and for governance."""

from __future__ import annotations

import json
from collections.abc import Iterable

from bridle.bundle.schema.extra import Extra
from bridle.bundle.schema.flow import ANY, ORIGIN, flow_keys, sink_keys
from bridle.bundle.schema.shape import (
    Fraction,
    Integer,
    Many,
    Record,
    Shape,
    Text,
    Truth,
    input_typing,
    output_typing,
    texts,
)
from bridle.model.tool import Tool

RESERVED_ACTIONS = frozenset(
    {
        "call", "read", "write", "irreversible", "release", "governance", "start_mission",
        "add_prompt", "delegate", "vend_credential", "closing", "end_mission",
    }
)  # fmt: skip
"""Names that no tool may have."""

CLOSING, END_MISSION = "closing", "end_mission"
"""The action that ends a mission, and its group: forbids on it are obligations."""

GOVERNANCE_ACTIONS = ("start_mission", "add_prompt", "delegate", "vend_credential")

WHOLE = "value"
"""The key under which `facts` of a result stand when the result is not a typed object."""

_MISSION = (
    '{"id": String, "template": String, "purpose": String, "labels": Set<String>, '
    '"untrusted": Bool, "clearance": Set<String>}'
)
_SYSTEM = '{"now": Long}'
_CHAIN = '{"depth": Long, "agents": Set<Agent>}'


def tools_schema(
    tools: Iterable[Tool],
    extra: Extra,
    history: Iterable[str] = (),
    *,
    lean: bool = False,
    closing: bool = True,
) -> str:
    """Return the schema of actions, of results and (with `closing`) of the end of a mission.

    `history` are the names of conditions over history: actions carry a truth for each, results
    none. With `lean`, what `context` holds beside `input` and `output`, origins each by itself, is
    optional, so that a request may leave out what no policy reads. Policies are never validated
    under that form.
    """
    mark = "?" if lean else ""
    past = _history(history, mark)
    lines = [
        _entities(extra),
        _ORIGIN,
        _PLAN,
        'action "call";',
        'action "read" in ["call"];',
        'action "write" in ["call"];',
        'action "irreversible" in ["call"];',
        'action "release";',
    ]
    for tool in tools:
        lines += _actions(tool, mark, past)
    if closing:
        lines += [f'action "{CLOSING}";', _end(past)]
    return "\n".join(lines) + "\n"


def logged_schema(tools: Iterable[Tool], extra: Extra) -> str:
    """Return the schema that events are derived from: calls with their results.

    Elsewhere a result is known to its own action alone; a response has it beside the arguments.
    """
    lines = [_entities(extra)]
    for tool in tools:
        context = f'"input": {_text(input_typing(tool.input).shape)}, {_output(tool)}'
        # No groups: an event is of one tool, and a condition that names a group is refused.
        lines.append(f"action {quoted(tool.name)} appliesTo {_request(context)};")
    return "\n".join(lines) + "\n"


def governance_schema(extra: Extra) -> str:
    """Return the schema of the governance set."""
    vending = (
        f'{{"mission": {_MISSION}, "user": User, "system": {_SYSTEM}, "tool": String, '
        '"effect": String, "executor": String}'
    )
    handover = (
        f'{{"mission": {_MISSION}, "user": User, "system": {_SYSTEM}, "to": Agent, "depth": Long, '
        '"tools": Set<String>, "effects": Set<String>, "expires_ms": Long, "task": Bool, '
        '"workload"?: Workload}'
    )
    own = f'{{"mission": {_MISSION}, "system": {_SYSTEM}}}'
    lines = [_entities(extra), 'action "governance";']
    for name, principal, resource, shape in (
        ("start_mission", "User", "Mission", own),
        ("add_prompt", "User", "Mission", own),
        ("delegate", "Agent", "Mission", handover),
        ("vend_credential", "Agent", "System", vending),
    ):
        lines.append(
            f'action "{name}" in ["governance"] appliesTo '
            f"{{ principal: [{principal}], resource: [{resource}], context: {shape} }};"
        )
    return "\n".join(lines) + "\n"


def quoted(text: str) -> str:
    """Return a Cedar string literal."""
    return json.dumps(text, ensure_ascii=False) if text.isprintable() else _escaped(text)


def fact_keys(tool: Tool) -> tuple[str, ...]:
    """Return the keys of `context.facts` when this tool's arguments are judged."""
    return texts(tool.input)


def result_fact_keys(tool: Tool) -> tuple[str, ...]:
    """Return the keys of `context.facts` when this tool's result is judged."""
    if tool.output is None or output_typing(tool.output).shape is None:
        return (WHOLE,)
    return texts(tool.output)


def _escaped(text: str) -> str:
    plain = "".join(c if c.isprintable() and c not in '"\\' else f"\\u{{{ord(c):x}}}" for c in text)
    return f'"{plain}"'


def _entities(extra: Extra) -> str:
    def attributes(name: str, own: str) -> str:
        more = extra.attributes.get(name, "")
        return ", ".join(part for part in (own, more) if part)

    return "\n".join(
        (
            "entity Team;",
            f"entity User in [Team] = {{ {attributes('User', _USER)} }};",
            f"entity Agent in [Team] = {{ {attributes('Agent', _AGENT)} }} tags String;",
            "entity Workload;",
            "entity Domain;",
            f"entity System in [Domain] = {{ {attributes('System', _OF_SYSTEM)} }};",
            "entity Mission;",
        )
    )


_ORIGIN = f"type Origin = {{ {', '.join(f'{quoted(n)}: {t}' for n, t in ORIGIN.items())} }};"
_PLAN = 'type Plan = { "digest": String, "step": String, "deviates": Bool };'
_USER = '"name"?: String'
_AGENT = '"owner": User, "team"?: Team, "version": String, "author"?: User'
_OF_SYSTEM = '"owner": String, "environment": String, "labels": Set<String>'


def _history(names: Iterable[str], mark: str) -> str:
    truths = ", ".join(f'"{name}"{mark}: Bool' for name in sorted(set(names)))
    return f', "history"{mark}: {{{truths}}}' if truths else ""


def _end(past: str) -> str:
    context = f'{{"mission": {_MISSION}, "user": User, "system": {_SYSTEM}{past}}}'
    return (
        f'action "{END_MISSION}" in ["{CLOSING}"] appliesTo '
        f"{{ principal: [User], resource: [Mission], context: {context} }};"
    )


def _actions(tool: Tool, mark: str, past: str) -> list[str]:
    typed = f'"input": {_text(input_typing(tool.input).shape)}, '
    return [
        _action(
            tool.name,
            tool.effect.value,
            typed,
            f'{_shared(fact_keys(tool), mark)}, {_flow(tool, mark)}, "plan"?: Plan{past}',
        ),
        _action(
            f"{tool.name}:result",
            "release",
            f"{typed}{_output(tool)}",
            _shared(result_fact_keys(tool), mark),
        ),
    ]


def _action(name: str, group: str, own: str, shared: str) -> str:
    return f"action {quoted(name)} in [{quoted(group)}] appliesTo {_request(own + shared)};"


def _request(context: str) -> str:
    return f"{{ principal: [Agent], resource: [System], context: {{{context}}} }}"


def _shared(fact_names: tuple[str, ...], mark: str) -> str:
    """Return the attributes that every context has; `mark` makes them optional."""
    return (
        f'"facts"{mark}: {_facts(fact_names)}, "mission"{mark}: {_MISSION}, "user"{mark}: User, '
        f'"chain"{mark}: {_CHAIN}, "executor"?: Workload, "system"{mark}: {_SYSTEM}'
    )


def _output(tool: Tool) -> str:
    shape = output_typing(tool.output).shape if tool.output is not None else None
    return f'"output": {_text(shape)}, ' if shape is not None else ""


def _flow(tool: Tool, mark: str) -> str:
    arguments = "".join(
        f"{quoted(name)}{mark if always else '?'}: Origin, "
        for name, always in flow_keys(tool).items()
    )
    sinks = ", ".join(f"{quoted(sink)}?: Origin" for sink in sink_keys(tool))
    return f'"flow"{mark}: {{{arguments}{quoted(ANY)}{mark}: Origin}}, "sinks"{mark}: {{{sinks}}}'


def _facts(names: tuple[str, ...]) -> str:
    one = '{"length": Long, "found": Set<String>}'
    return "{" + ", ".join(f"{quoted(name)}?: {one}" for name in names) + "}"


_PLAIN: dict[type[Shape], str] = {
    Text: "String",
    Truth: "Bool",
    Integer: "Long",
    Fraction: "decimal",
}


def _text(shape: Shape | None) -> str:
    if isinstance(shape, Many):
        return f"Set<{_text(shape.item)}>"
    if isinstance(shape, Record):
        inner = (
            f"{quoted(name)}{'' if field.required else '?'}: {_text(field.shape)}"
            for name, field in shape.fields.items()
        )
        return "{" + ", ".join(inner) + "}"
    return _PLAIN[type(shape)] if shape is not None else "{}"
