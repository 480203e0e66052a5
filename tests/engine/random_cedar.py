"""Random Cedar expressions and requests over a schema with every type; operands often clash."""

import msgspec

from bridle.engine.cedar.answer import Request
from bridle.engine.cedar.entities import uid

LONGS = (
    *(0, 1, 1, 2) * 4, -(2**63), -(2**63) + 1, -2, -1, 3, 2**31, 2**32, 2**62, 2**63 - 2, 2**63 - 1,
)  # fmt: skip
TEXTS = (
    "", "a", "b", "ab", "aba", "abab", "a*b", "*", "**", "\\", "\\*", 'q"q', "1.5", "0", "true",
    'User::"ana"', "Ü", "U\u0308", "\U0001f600", "x\ny", "\u0000", "ana", "k", "team", "aXbXa",
)  # fmt: skip
DECIMALS = (
    "0.0", "-0.0", "0.1", "0.10", "1.5", "-1.5", "-0.5", "1.5001", "01.5", "922337203685477.5807",
    "-922337203685477.5808", "3.0",
)  # fmt: skip
BAD_DECIMALS = (
    "", "1", "1.", ".5", "1.23456", "+1.0", " 1.0", "1.0\n", "1e3", "922337203685477.5808",
    "-922337203685477.5809", "9" * 30 + ".0", "0" * 30 + "1.0", "\u0661.\u0662", "NaN", "--1.0",
    "1.-5",
)  # fmt: skip
USERS = ("ana", "ben", "cyd", "ghost")
AGENTS = ("triage", "boss", "loner", "ghost")
SYSTEMS = ("mail", "none")
DOMAINS = ("inside", "none")
TEAMS = ("leads", "support", "none", "all")
ATTRIBUTES = (
    "name", "level", "score", "flags", "nums", "box", "boss", "peers", "a", "b", "in", "c",
    "missing", "s", "n", "t", "d", "u", "set", "texts", "sets", "rec", "users", "boxes", "odd name",
    "type", "id", "flow", "any", "from", "near", "ok",
)  # fmt: skip

_ATTRS = """
  "name"?: String, "level"?: Long, "score"?: decimal, "flags"?: Set<Bool>, "nums"?: Set<Long>,
  "box"?: {"a"?: Long, "b"?: Bool, "in"?: {"c"?: String}}, "boss"?: User, "peers"?: Set<User>
"""
_BOX = """{"a"?: Long, "b"?: Bool, "c"?: {"a"?: decimal}, "odd name"?: Long,
  "type"?: String, "id"?: String}"""
SCHEMA = f"""
type Origin = {{ "from": Set<System>, "near"?: Set<Domain>, "labels": Set<String>, "ok": Bool }};
entity Team in [Team];
entity User in [Team] = {{ {_ATTRS} }} tags Long;
entity Agent in [Team] = {{ {_ATTRS} }} tags String;
entity System in [Domain];
entity Domain;
action "call";
action "write" in ["call"];
action "plain";
action "go" in ["write"] appliesTo {{ principal: [Agent, User], resource: [System, Team],
  context: {{
  "must": Long, "s"?: String, "n"?: Long, "t"?: Bool, "d"?: decimal, "u"?: User, "set"?: Set<Long>,
  "texts"?: Set<String>, "flags"?: Set<Bool>, "sets"?: Set<Set<Long>>, "rec"?: {_BOX},
  "users"?: Set<User>, "boxes"?: Set<{_BOX}>, "teams"?: Set<Team>,
  "flow"?: {{ "any": Origin, "a"?: Origin, "odd name"?: Origin }}
}} }};
"""
_TEAM = [
    {"uid": uid("Team", "leads"), "attrs": {}, "parents": [uid("Team", "all")]},
    {"uid": uid("Team", "support"), "attrs": {}, "parents": [uid("Team", "leads")]},
    {"uid": uid("Team", "all"), "attrs": {}, "parents": []},
]
ENTITIES = [
    *_TEAM,
    {"uid": uid("Domain", "inside"), "attrs": {}, "parents": []},
    {"uid": uid("System", "mail"), "attrs": {}, "parents": [uid("Domain", "inside")]},
    {
        "uid": uid("User", "ana"),
        "attrs": {
            "name": "ana", "level": 1, "score": "1.5", "flags": [True, False], "nums": [0, 1],
            "box": {"a": 1, "b": True, "in": {"c": "a"}}, "boss": uid("User", "ben"),
            "peers": [uid("User", "ben"), uid("User", "ghost")],
        },
        "parents": [uid("Team", "support")],
        "tags": {"k": 1, "a": -5},
    },
    {
        "uid": uid("User", "ben"),
        "attrs": {"level": 2**63 - 1, "flags": [True], "nums": [], "boss": uid("User", "ghost")},
        "parents": [uid("Team", "leads")],
    },
    {"uid": uid("User", "cyd"), "attrs": {}, "parents": []},
    {
        "uid": uid("Agent", "triage"),
        "attrs": {"name": "b", "level": -1, "box": {}, "boss": uid("User", "ana"), "peers": []},
        "parents": [uid("Team", "support")],
        "tags": {"k": "a", "": "empty"},
    },
    {"uid": uid("Agent", "boss"), "attrs": {"score": "-0.5"}, "parents": [uid("Team", "all")]},
    {"uid": uid("Agent", "loner"), "attrs": {}, "parents": []},
]  # fmt: skip

_KINDS = ("bool", "long", "text", "decimal", "set", "record", "entity")


def quoted(text):
    """A Cedar string literal."""
    plain = "".join(c if c.isalnum() and c.isascii() else f"\\u{{{ord(c):x}}}" for c in text)
    return f'"{plain}"'


def _pattern(rnd):
    parts = [
        rnd.choice(("*", "*", r"\*", "a", "b", "ab", r"\u{2a}", r"\\", "X", "", r"\u{fc}"))
        for _ in range(4)
    ]
    return '"' + "".join(parts[: rnd.randint(0, 4)]) + '"'


def expression(rnd, kind="bool", depth=4):
    """Return the text of an expression that is mostly of this kind."""
    if rnd.random() < 0.1:
        kind = rnd.choice(_KINDS)
    if depth == 0 or rnd.random() < 0.12:
        return _leaf(rnd, kind)
    if rnd.random() < 0.06:
        parts = [expression(rnd, k, depth - 1) for k in ("bool", kind, kind)]
        return f"(if {parts[0]} then {parts[1]} else {parts[2]})"
    if kind != "bool" and rnd.random() < 0.15:
        return _got(rnd, depth)
    return _MADE[kind](rnd, depth - 1)


def _leaf(rnd, kind):
    attribute = {
        "bool": ("context.t", "context.flow.any.ok", "context.flow.a.ok"),
        "long": ("context.n", "principal.level"),
        "text": ("context.s", "principal.name"), "decimal": ("context.d", "principal.score"),
        "set": ("context.set", "context.texts", "context.flags", "context.sets", "context.users",
                "context.boxes", "principal.nums", "principal.flags", "context.teams",
                "context.flow.any.from", "context.flow.a.near", "context.flow.any.labels"),
        "record": ("context.rec", "principal.box", "context", "context.flow", "context.flow.any"),
        "entity": ("principal", "action", "resource", "context.u", "principal.boss"),
    }[kind]  # fmt: skip
    if rnd.random() < 0.3:
        return rnd.choice(attribute)
    return _literal(rnd, kind)


_SETS = (
    "[]", "[0]", "[1]", "[0, 1, 1]", "[true]", "[false]", '["a", 1, true]', "[[], [1]]", "[[1]]",
    "[[true]]", "[{a: 1}]", "[{a: true}]",
)  # fmt: skip
_RECORDS = (
    "{}", "{a: 1}", "{a: true}", "{a: true, b: 1}", "{a: [1]}", "{a: [true]}",
    '{"odd name": 0, a: {c: "a"}}',
)  # fmt: skip


def _literal(rnd, kind):
    return {
        "bool": lambda: rnd.choice(("true", "false")),
        "long": lambda: f"({rnd.choice(LONGS)})",
        "text": lambda: quoted(rnd.choice(TEXTS)),
        "decimal": lambda: _decimal(rnd),
        "set": lambda: rnd.choice(_SETS),
        "record": lambda: rnd.choice(_RECORDS),
        "entity": lambda: _entity(rnd),
    }[kind]()


def _decimal(rnd):
    choices = DECIMALS if rnd.random() < 0.8 else BAD_DECIMALS
    return f"decimal({quoted(rnd.choice(choices))})"


_ENTITIES = (
    ("User", USERS), ("Agent", AGENTS), ("Team", TEAMS), ("System", SYSTEMS),
    ("Action", ("go", "write", "call", "none")), ("Domain", DOMAINS), ("Nothing", ("x",)),
)  # fmt: skip


def _entity(rnd):
    kind, names = rnd.choice(_ENTITIES)
    return f'{kind}::"{rnd.choice(names)}"'


def _got(rnd, depth):
    if rnd.random() < 0.2:
        base = expression(rnd, "entity", depth - 1)
        return f"({base}).getTag({expression(rnd, 'text', 0)})"
    base = expression(rnd, rnd.choice(("record", "entity")), depth - 1)
    name = rnd.choice(ATTRIBUTES)
    return f"({base})[{quoted(name)}]"


def _truth(rnd, depth):
    def e(kind):
        return "(" + expression(rnd, kind, depth) + ")"

    def n(*parts):
        return rnd.choice(parts)

    some = rnd.choice(_KINDS)
    makers = (
        lambda: f"!{e('bool')}",
        lambda: f"{e('bool')} {n('&&', '||')} {e('bool')}",
        lambda: f"{e('bool')} {n('&&', '||')} {e('bool')}",
        lambda: f"{e(some)} {n('==', '!=')} {e(some)}",
        lambda: f"{e(some)} {n('==', '!=')} {e(rnd.choice(_KINDS))}",
        lambda: f"{e(n('bool', 'long'))} {n('==', '!=', '<', '>=')} {e(n('bool', 'long'))}",
        lambda: f"{e('bool')} {n('&&', '||')} {e(some)}",
        lambda: f"{_literal(rnd, some)} {n('==', '!=')} {_literal(rnd, some)}",
        lambda: f"{n('true', 'false', '1', '0')} {n('<', '<=', '>', '>=')} {n('true', '1')}",
        lambda: f"{e(n('set', 'record'))} {n('==', '!=')} {e(n('set', 'record'))}",
        lambda: f"{e('long')} {n('<', '<=', '>', '>=')} {e('long')}",
        lambda: f"{e('entity')} in {e('entity')}",
        lambda: f"{e('entity')} in [{e('entity')}, {e('entity')}]",
        lambda: f"{e('entity')} in {e('set')}",
        lambda: f"{e('entity')} is {n('User', 'Agent', 'Team', 'Nothing')}",
        lambda: f"{e('entity')} is {n('User', 'Agent')} in {e('entity')}",
        lambda: f"{e('text')} like {_pattern(rnd)}",
        lambda: f"{quoted(rnd.choice(TEXTS))} like {_pattern(rnd)}",
        lambda: f"{e('text')} like {_pattern(rnd)}",
        lambda: f"{e('set')}.contains({e(some)})",
        lambda: f"{e('set')}.contains({_literal(rnd, n('bool', 'long', 'record', 'set'))})",
        lambda: f"{e('set')}.{n('containsAll', 'containsAny')}({e('set')})",
        lambda: f"{e(some)}.{n('contains', 'containsAll', 'containsAny')}({e(rnd.choice(_KINDS))})",
        lambda: f"{e('set')}.isEmpty()",
        lambda: f"{e(n('record', 'entity'))} has {quoted(rnd.choice(ATTRIBUTES))}",
        lambda: (
            f"{e(n('record', 'entity'))} has "
            + n("box.a", "boss.name", "box.b.c", "a.c", "rec.c.a", "flow.a.near", "flow.any.ok")
        ),
        lambda: f"{e('entity')}.hasTag({e('text')})",
        lambda: f"{e('decimal')}.{n('less', 'greater')}Than{n('', 'OrEqual')}({e('decimal')})",
    )
    return rnd.choice(makers)()


def _number(rnd, depth):
    one, other = (f"({expression(rnd, 'long', depth)})" for _ in "ab")
    return rnd.choice((f"{one} + {other}", f"{one} - {other}", f"{one} * {other}", f"-{one}"))


def _set(rnd, depth):
    kind = rnd.choice(_KINDS)
    return "[" + ", ".join(expression(rnd, kind, depth) for _ in range(rnd.randint(0, 3))) + "]"


def _record(rnd, depth):
    names = rnd.sample(("a", "b", "c", "odd name", "level", "\u00fc", "Z"), rnd.randint(0, 3))
    return (
        "{"
        + ", ".join(f"{quoted(n)}: {expression(rnd, rnd.choice(_KINDS), depth)}" for n in names)
        + "}"
    )


_MADE = {
    "bool": _truth,
    "long": _number,
    "text": lambda rnd, depth: _leaf(rnd, "text"),
    "decimal": lambda rnd, depth: (
        f"decimal({expression(rnd, 'text', depth)})"
        if rnd.random() < 0.2
        else _leaf(rnd, "decimal")
    ),
    "set": _set,
    "record": _record,
    "entity": lambda rnd, depth: _leaf(rnd, "entity"),
}

_SCOPES = (
    *[""] * 24, ' == Agent::"triage"', ' in Team::"leads"', " is Agent", " is User",
    ' is Agent in Team::"all"', ' in Agent::"loner"', ' in Agent::"ghost"', ' == User::"ghost"',
)  # fmt: skip
_ACTIONS = (
    *["action"] * 30, 'action == Action::"go"', 'action in Action::"call"',
    'action in Action::"plain"',
    'action in [Action::"plain", Action::"write"]', "action in []", 'action == Action::"none"',
)  # fmt: skip
_RESOURCES = (
    *[""] * 15,
    ' in Domain::"inside"',
    " is Team",
    ' == Team::"leads"',
    ' is Team in Team::"all"',
)


def policy(rnd, name):
    """Return the text of one policy."""
    effect = rnd.choice(("permit", "forbid"))
    clauses = "".join(_clause(rnd) for _ in range(rnd.choice((0, 1, 1, 1, 1, 2))))
    scope = (
        f"principal{rnd.choice(_SCOPES)}, {rnd.choice(_ACTIONS)}, resource{rnd.choice(_RESOURCES)}"
    )
    return f'@id("{name}") {effect} ({scope}){clauses};\n'


def _clause(rnd):
    made = expression(rnd, depth=rnd.choice((1, 1, 2, 2, 3, 4)))
    return f"\n{rnd.choice(('when', 'when', 'unless'))} {{ {made} }}"


def request(rnd):
    """Return a request that fits the schema."""
    kind, names = rnd.choice((("Agent", AGENTS), ("Agent", AGENTS), ("User", USERS)))
    place = rnd.choice(
        (("System", "mail"), ("System", "none"), ("Team", "leads"), ("Team", "support"))
    )
    return Request(uid(kind, rnd.choice(names)), uid("Action", "go"), uid(*place), context(rnd))


def context(rnd):
    """Return a context with every combination of what is there and what is not."""

    def some(choices, most=3):
        return [rnd.choice(choices) for _ in range(rnd.randint(0, most))]

    full = {
        "s": rnd.choice(TEXTS),
        "n": rnd.choice(LONGS),
        "t": rnd.choice((True, False)),
        "d": rnd.choice(DECIMALS),
        "u": uid("User", rnd.choice(USERS)),
        "set": some(LONGS),
        "texts": some(TEXTS),
        "flags": some((True, False)),
        "sets": [some((0, 1), 2) for _ in range(rnd.randint(0, 3))],
        "rec": _box(rnd),
        "users": [uid("User", n) for n in some(USERS)],
        "boxes": [_box(rnd) for _ in range(rnd.randint(0, 3))],
        "teams": tuple(uid("Team", n) for n in some(TEAMS)),
        "flow": {"any": _origin(some), **{n: _origin(some) for n in some(("a", "odd name"), 2)}},
    }
    return {"must": 1, **{k: v for k, v in full.items() if rnd.random() < 0.8}}


def _origin(some):
    near = [uid("Domain", n) for n in some(DOMAINS)]
    return {
        "from": [uid("System", n) for n in some(SYSTEMS)],
        "labels": tuple(some(TEXTS)),
        "ok": bool(some((1,), 1)),
        **({"near": near} if near else {}),
    }


HOSTILE = (
    None, 1.0, 1.5, -0.0, 2**63, -(2**63) - 1, 10**40, True, False, 0, 1, "", "1.5", "1.50000",
    "\ud800", {}, [], [None], [[]], [True, 1], {"a": 1}, {"a": None}, {"a": "1"}, ["\udc00"],
    {"c": {"a": "x"}},
    uid("User", "ana"), uid("Agent", "boss"), uid("User", "\ud800"), {**uid("User", "ana"), "x": 1},
    {"type": "User"}, {"type": "User", "id": 1}, [uid("User", "ana"), "ana"], 'User::"ana"',
    {"__entity": uid("User", "ana")}, {"__extn": {"fn": "decimal", "arg": "1.5"}},
    {"fn": "decimal", "arg": "1.5"}, {"__extn": {"fn": "ip", "arg": "10.0.0.1"}}, {"__expr": "1"},
    *BAD_DECIMALS,
)  # fmt: skip
_STRANGERS = (
    {}, {"type": "Agent"}, uid("System", "mail"), uid("Nothing", "x"), uid("agent", "triage"),
    uid("Agent", "\ud800"), {**uid("Agent", "triage"), "x": "y"}, {"type": "Agent", "id": 1},
    uid("Action", "go"), uid("Action", "call"), uid("Action", "none"), uid("Team", "ghost"),
    {"__entity": uid("Agent", "triage")}, uid("", ""), uid(" Agent", "triage"),
)  # fmt: skip


def hostile_request(rnd):
    """Return a request with one thing in it that mostly does not fit."""
    made = request(rnd)
    if rnd.random() < 0.15:
        who = rnd.choice(("principal", "action", "resource"))
        return msgspec.structs.replace(made, **{who: rnd.choice(_STRANGERS)})
    return msgspec.structs.replace(made, context=_spoilt(rnd, made.context))


def _spoilt(rnd, value):
    """Replace, add or take away something, at any depth."""
    shape = rnd.random()
    if isinstance(value, dict) and value and shape < 0.7:
        name = rnd.choice(sorted(value))
        return {**value, name: _spoilt(rnd, value[name])}
    if isinstance(value, list | tuple) and value and shape < 0.5:
        return [_spoilt(rnd, value[0]), *value[1:]]
    if isinstance(value, dict) and shape < 0.8:
        return {**value, rnd.choice((*ATTRIBUTES, "Extra", "__entity")): rnd.choice(HOSTILE)}
    if isinstance(value, dict) and value and shape < 0.9:
        gone = rnd.choice(sorted(value))
        return {k: v for k, v in value.items() if k != gone}
    return rnd.choice(HOSTILE)


def _box(rnd):
    full = {
        "a": rnd.choice((0, 1, *LONGS)),
        "b": rnd.choice((True, False)),
        "c": rnd.choice(({}, {"a": rnd.choice(DECIMALS)})),
        "odd name": rnd.choice((0, 1)),
        "type": "User",
        "id": "ana",
    }
    return {k: v for k, v in full.items() if rnd.random() < 0.5}
