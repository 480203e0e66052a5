"""Random policy sets and requests for the office: scopes, remedies, chains, failing policies."""

from itertools import pairwise

import msgspec

from bridle.engine.case import Case, Typed
from bridle.engine.flow.source import Origin
from engine import judging

AGENTS = tuple(judging.TEAM_OF)
TOOLS = tuple(judging.INPUTS)

_PRINCIPALS = (
    *["principal"] * 8,
    'principal == Agent::"triage"',
    'principal == Agent::"boss"',
    'principal in Team::"support"',
    'principal in Team::"leads"',
    'principal in Team::"nobody"',
    "principal is Agent",
    "principal is User",
    'principal is Agent in Team::"support"',
    'principal in Agent::"clerk"',
)
_ACTIONS = (
    *["action"] * 3,
    *['action in Action::"call"'] * 3,
    'action in Action::"read"',
    'action in Action::"write"',
    'action in Action::"irreversible"',
    'action in Action::"release"',
    'action in [Action::"write", Action::"irreversible"]',
    'action in [Action::"desk.read:result", Action::"read"]',
    'action == Action::"write"',
    *(f'action == Action::"{t}"' for t in TOOLS),
    *(f'action == Action::"{t}:result"' for t in TOOLS),
    *(f'action in Action::"{t}"' for t in TOOLS),
)
_RESOURCES = (
    *["resource"] * 8,
    'resource == System::"mail"',
    'resource in System::"desk"',
    'resource in Domain::"internet"',
    'resource in Domain::"finance"',
    'resource in Domain::"empty"',
    "resource is System",
    "resource is Domain",
    'resource is System in Domain::"internet"',
)
_MAIL = 'action == Action::"mail.send" && '
_ATOMS = (
    *["true"] * 7,
    "false",
    'principal.owner in Team::"leads"',
    "principal.owner == context.user",
    "principal.owner has level && principal.owner.level > 2",
    "principal has rank && principal.rank > 3",
    'principal has team && principal.team == Team::"support"',
    'principal.version == "2"',
    'principal.hasTag("tier") && principal.getTag("tier") == "gold"',
    'principal in Team::"support"',
    "principal is Agent",
    'principal == Agent::"boss"',
    'action in Action::"write"',
    'action in [Action::"read", Action::"release"]',
    'action == Action::"pay.refund"',
    'resource in Domain::"internet"',
    'resource.labels.contains("plain")',
    'resource.owner == "ops" && resource.environment like "prod*"',
    'resource is System in Domain::"finance"',
    'context.user in Team::"leads"',
    "context.user has level && context.user.level >= 3",
    "context.chain.depth > 1",
    'context.chain.agents.contains(Agent::"boss")',
    'context has executor && context.executor == Workload::"w1"',
    "context has executor",
    'context.mission.labels.contains("personal")',
    'context.mission.labels.containsAny(["secret", "public"])',
    'context.mission.purpose like "*mail*"',
    f"context.system.now > {judging.NOW}",
    'context has input && context.input has body && context.input.body like "*secret*"',
    _MAIL + 'context.input.to.contains("x@y.example")',
    _MAIL + "context.input.to.isEmpty()",
    _MAIL + 'context.input.to.containsAll(["a@b.example", "x@y.example"])',
    _MAIL + "context.input has urgent && context.input.urgent",
    _MAIL + "context.input has count && context.input.count > 10",
    _MAIL + 'context.input has rate && context.input.rate.greaterThan(decimal("1.5"))',
    _MAIL + 'context.input has rate && context.input.rate.lessThanOrEqual(decimal("0.25"))',
    _MAIL + 'context.input has tone && context.input.tone == "firm"',
    _MAIL + 'context.input has meta && context.input.meta.tag == "vip"',
    _MAIL + 'context.input has meta.note && context.input.meta.note != ""',
    "context.mission.untrusted",
    "context.mission.clearance.containsAll(context.mission.labels)",
    "context has flow && !context.flow.any.trusted",
    'context has flow && context.flow.any.sources.contains(System::"web")',
    'context has flow && context.flow.any.domains.contains(Domain::"internet")',
    'context has flow && context.flow.any.labels.containsAny(["secret", "personal"])',
    'context has flow && context.flow has to && context.flow.to.sources == [System::"desk"]',
    "context has flow && context.flow has body && context.flow.body.prompted",
    "context has sinks && context.sinks has recipient && !context.sinks.recipient.trusted",
    "context has sinks.selector.unknown && context.sinks.selector.unknown",
    _MAIL + "context.flow.to.labels.containsAll(context.flow.body.labels)",
    _MAIL + "resource in context.flow.to.domains",
    'context.facts has body && context.facts.body.found.contains("email")',
    "context.facts has body && context.facts.body.length > 10",
    'action == Action::"pay.refund" && context.input.amount > 100',
    'action == Action::"pay.refund" && context.input.amount * 2 == context.input.order',
    'context has output && context.output has customer && context.output.customer != ""',
    'action == Action::"desk.read:result" && context.output.text like "*555*"',
)
_RISKY = (
    'context.input.tone == "kind"',
    "context.input.count + 9223372036854775807 > 0",
    "context.input.amount - 9 > 9223372036854775807 - context.input.amount",
    'principal.getTag("tier") == "gold"',
    "principal.rank > 3",
    'User::"nobody-knows".level > 1',
    'context.executor == Workload::"w1"',
    'context.output.text == ""',
    "context.input.id < 8",
    'context.input.body.contains("x")',
    "context.user.level > 1",
    "context.flow.tone.trusted",
    "context.sinks.amount.unknown",
    'decimal(context.input.body).lessThan(decimal("1.0"))',
)
# A condition together with a change that (mostly) settles it.
_CHANGES = (
    (_MAIL + "context.flow has tone && context.flow.tone.unknown", "drop input.tone"),
    (_MAIL + "context.input has count && context.input.count > 10", "clamp input.count 0..10"),
    (_MAIL + "context.input has urgent", "drop input.urgent"),
    (_MAIL + "context.input has meta", "drop input.meta"),
    (
        _MAIL + 'context.input has rate && context.input.rate.greaterThan(decimal("1.5"))',
        "clamp input.rate 0.5..1.5",
    ),
    (_MAIL + 'context.input.body like "*secret*"', "redact input.body: customer_id, email"),
    (_MAIL + 'context.input.body == "hello"', 'set input.body "bye"'),
    (_MAIL + 'context.input.body == "bye"', 'set input.body "hello"'),
    (_MAIL + 'context.input.body == "bye"', 'set input.body "cut"; drop input.urgent'),
    (_MAIL + 'context.input.body == "cut"', 'set input.body "end"'),
    (_MAIL + 'context.input.body == "end"', 'set input.body "end."'),
    (_MAIL + "context.facts has body && context.facts.body.length > 10", "truncate input.body 10"),
    (_MAIL + "context.facts has body && context.facts.body.length > 10", "truncate input.body 12"),
    (
        'context.facts has body && context.facts.body.found.contains("email")',
        "redact input.body: email",
    ),
    (_MAIL + 'context.input.to.contains("x@y.example")', "set input.to []"),
    (_MAIL + 'context.input has tone && context.input.tone == "firm"', 'set input.tone "kind"'),
    (_MAIL + "context.input has tone", 'set input.tone "rude"'),
    ('action == Action::"pay.refund" && context.input.amount > 100', "clamp input.amount ..100"),
    ('action == Action::"pay.refund" && context.input.amount < 150', "set input.amount 500"),
    ("true", 'set input.body "always"'),
    ("context has output && context.output has customer", "drop output.customer"),
    (
        'action == Action::"desk.read:result" && context.output.text like "*555*"',
        'replace output.text /[0-9]+/ -> "no"',
    ),
    ("true", 'set output.text "x"'),
)
_LADDER = ("hello", "bye", "cut", "end", "end.")
_VALUES = {
    "mail.send": {
        "to": ([], ["x@y.example"], ["x@y.example", "a@b.example"]),
        "body": (
            "hello",
            "hello",
            "bye",
            "cut",
            "end",
            "a secret of C-123456",
            "mail me: ana@shop.example",
            "long enough to be cut",
        ),
        "urgent": (None, True, False),
        "count": (None, 1, 10, 11, 12, 2**63 - 1),
        "rate": (None, None, "0.25", "1.5", "1.5001", "7"),
        "tone": (None, "kind", "firm"),
        "meta": (None, {"tag": "vip"}, {"tag": "x", "note": "n"}),
    },
    "pay.refund": {"order": (7, 200), "amount": (1, 100, 101, 300), "note": (None, "hello")},
    "desk.read": {"id": (7, 8, -1)},
    "web.get": {"url": ("https://docs.example/",)},
}
_RESULTS = {
    "mail.send": ('{"id":"1"}',),
    "pay.refund": ('"done"', "7", "null", '{"any":[1,2]}'),
    "desk.read": (
        '{"text":"call 555"}',
        '{"text":"x","customer":"C-123456"}',
        '{"text":"555 ana@shop.example","customer":""}',
        '{"text":7}',
    ),
    "web.get": ('"some text"', '{"a":"ana@shop.example"}'),
}


def random_policies(rnd, number=None):
    """Return policy text. Half of the sets have a permit for everything, as real ones often do."""
    texts = []
    if rnd.random() < 0.8:
        texts.append('@id("p-all")\npermit (principal, action in Action::"call", resource);\n')
    count = number or rnd.randint(3, 9)
    texts += [_policy(rnd, f"{rnd.choice('abcxyz')}{n}") for n in range(count)]
    flavour = rnd.random()
    if flavour < 0.15:
        texts += _ladder(rnd)
    elif flavour < 0.3:
        texts += [_change(rnd, f"{n}{i}", "hello", f"rival {i}") for i, n in enumerate("ba")]
    elif flavour < 0.4:
        texts += [_tried(n, rnd.choice(_RISKY)) for n in ("s1", "s2")]
    rnd.shuffle(texts)
    return "".join(texts)


def _ladder(rnd):
    """Changes that follow from one another: as many rounds as there are steps."""
    steps = list(pairwise(_LADDER))[: rnd.randint(2, 4)]
    return [_change(rnd, f"l{i}", *step) for i, step in enumerate(steps)]


def _change(rnd, name, given, then):
    return (
        f'@id("{name}{rnd.randint(10, 99)}")\n@modify("set input.body \\"{then}\\"")\n'
        'forbid (principal, action == Action::"mail.send", resource) '
        f'when {{ context.input.body == "{given}" }};\n'
    )


def _tried(name, condition):
    return (
        f'@id("{name}")\n@enforce("shadow")\n'
        f"forbid (principal, action, resource) when {{ {condition} }};\n"
    )


def _policy(rnd, name):
    scope = f"{rnd.choice(_PRINCIPALS)}, {rnd.choice(_ACTIONS)}, {rnd.choice(_RESOURCES)}"
    if rnd.random() < 0.3:
        return f'@id("{name}")\npermit ({scope}){_conditions(rnd)};\n'
    shadow = '@enforce("shadow")\n' if rnd.random() < 0.15 else ""
    reason = '@reason("because")\n' if rnd.random() < 0.3 else ""
    kind = rnd.random()
    if kind < 0.4:
        condition, change = rnd.choice(_CHANGES)
        quoted = change.replace('"', '\\"')
        scope = f"{rnd.choice(_PRINCIPALS)}, {rnd.choice(_ACTIONS[:6])}, {rnd.choice(_RESOURCES)}"
        return (
            f'@id("{name}")\n{reason}@modify("{quoted}")\n'
            f"forbid ({scope}) when {{ {condition} }};\n"
        )
    hold = ""
    if kind < 0.75:
        groups = rnd.choice(("leads", "board", "leads:2", "leads:3, board", "board:1", "board:4"))
        hold = f'@hold("{groups}")\n'
    return f'@id("{name}")\n{shadow}{reason}{hold}forbid ({scope}){_conditions(rnd)};\n'


def _conditions(rnd):
    clauses = [
        f" {rnd.choice(('when', 'when', 'when', 'unless'))} {{ {_condition(rnd)} }}"
        for _ in range(rnd.choice((0, 1, 1, 1, 2)))
    ]
    return "".join(clauses)


def _condition(rnd, depth=0):
    shape = rnd.random()
    if depth < 2 and shape < 0.3:
        word = rnd.choice(("&&", "||"))
        return f"({_condition(rnd, depth + 1)}) {word} ({_condition(rnd, depth + 1)})"
    if depth < 2 and shape < 0.38:
        return f"!({_condition(rnd, depth + 1)})"
    if depth < 2 and shape < 0.43:
        parts = [_condition(rnd, depth + 1) for _ in range(3)]
        return f"if {parts[0]} then ({parts[1]}) else ({parts[2]})"
    return rnd.choice(_RISKY if rnd.random() < 0.04 else _ATOMS)


def random_arguments(rnd, tool):
    chosen = {k: rnd.choice(v) for k, v in _VALUES[tool].items()}
    kept = {k: v for k, v in chosen.items() if v is not None}
    rate = kept.pop("rate", None)
    text = judging.encode(kept)
    return text if rate is None else f'{text[:-1]},"rate":{rate}}}'


def random_result(rnd, tool):
    return rnd.choice(_RESULTS[tool])


def random_case(rnd, engine):
    tool = rnd.choice((*TOOLS, "mail.send", "mail.send"))
    typed = engine.normalise(tool, random_arguments(rnd, tool))
    assert isinstance(typed, Typed), typed
    chain = tuple(rnd.choice(AGENTS) for _ in range(rnd.choice((0, 0, 0, 1, 2, 3))))
    return Case(
        tool=tool,
        typed=typed,
        agent=rnd.choice(AGENTS),
        user=rnd.choice(("ana", "ben", "cyd")),
        mission=random_mission(rnd),
        flow=random_flow(rnd, tool),
        now=judging.NOW + rnd.choice((-1, 0, 1)),
        executor=rnd.choice(("", "w1", "w2")),
        chain=chain,
        requesters=rnd.choice(((), (), (), AGENTS[:2], *((a,) for a in AGENTS))),
    )


def random_mission(rnd):
    if rnd.random() < 0.5:
        return judging.MISSION
    return msgspec.structs.replace(
        judging.MISSION,
        labels=random_labels(rnd),
        untrusted=rnd.random() < 0.5,
        clearance=random_labels(rnd),
    )


def random_flow(rnd, tool):
    """Nobody who knows, or one who knows of some of the arguments."""
    if rnd.random() < 0.2:
        return None
    names = [n for n in _VALUES[tool] if rnd.random() < 0.9]
    return judging.Told(tool, {n: random_origin(rnd) for n in names}, random_labels(rnd))


def random_origin(rnd):
    systems = [s for s in judging.DOMAIN_OF if rnd.random() < 0.3]
    return Origin(
        sources=frozenset(systems),
        domains=frozenset(judging.DOMAIN_OF[s] for s in systems),
        labels=frozenset(random_labels(rnd)),
        trusted=rnd.random() < 0.5,
        prompted=rnd.random() < 0.3,
        unknown=rnd.random() < 0.4,
    )


def random_labels(rnd):
    return tuple(n for n in ("personal", "secret", "public") if rnd.random() < 0.4)


def random_waived(rnd, office):
    """Approve a few objections, some of them in an older text."""
    holds = [p for p in office.policies if p.hold]
    few = [p for p in holds if rnd.random() < 0.4] if rnd.random() < 0.4 else []
    return frozenset((p.id, p.digest if rnd.random() < 0.8 else "0" * 64) for p in few)
