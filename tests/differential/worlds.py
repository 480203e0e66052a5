"""What a random case is about: actions with typed arguments, and the events they leave behind."""

from __future__ import annotations

from random import Random

from msgspec import Struct

from bridle.language.temporal import ast

STRING, LONG, BOOL, DECIMAL = ("String",), ("Long",), ("Bool",), ("decimal",)

USERS = ["alice", "alice", "bob", "cyd"]
GATEWAYS = ["gw", "gw", "far"]

Type = tuple[str, ...]


class Slot(Struct, frozen=True):
    """A typed argument. `path` is dotted, at most two deep."""

    path: str
    type: Type
    optional: bool = False


class Action(Struct, frozen=True):
    """A tool: what it takes, what it may give back."""

    name: str
    inputs: tuple[Slot, ...]
    outputs: tuple[Slot, ...]


class Kind(Struct, frozen=True):
    """A kind of event. `pins` are reserved fields with the value of the request they must have."""

    name: str
    deciding: bool
    outputs: bool
    pins: tuple[tuple[str, str], ...] = ()


class World(Struct, frozen=True):
    """A Cedar schema and an event schema. `custom` is false for the built-in event schema."""

    namespace: str
    actions: tuple[Action, ...]
    kinds: tuple[Kind, ...]
    custom: bool
    max_window: int = 86_400
    pinned: str = ""
    wide: bool = False
    """Whether values near the ends of `Long` occur."""

    @property
    def path(self) -> tuple[str, ...]:
        return tuple(name for name in self.namespace.split("::") if name)

    @property
    def user(self) -> Type:
        return (*self.path, "User")

    @property
    def gateway(self) -> Type:
        return (*self.path, "Gateway")

    def names(self, kind: Type) -> list[str]:
        """Give the names of entities of a type."""
        return USERS if kind == self.user else GATEWAYS

    def shown(self, kind: Type) -> list[ast.Term]:
        """Give what the request shows of a type, beside its arguments."""
        terms: dict[Type, list[ast.Term]] = {
            STRING: [ast.ContextField(("tenant",)), ast.ScopeField(("principal", "dept"))],
            LONG: [ast.ScopeField(("principal", "rank"))],
            self.user: [ast.ScopeField(("principal",))],
            self.gateway: [ast.ScopeField(("resource",))],
        }
        return terms.get(kind, [])

    def action(self, name: str) -> Action:
        return next(a for a in self.actions if a.name == name)

    def kind(self, name: str) -> Kind:
        return next(k for k in self.kinds if k.name == name)

    def reserved(self) -> tuple[Slot, ...]:
        """Give the fields every event has beside its arguments."""
        fields = [
            Slot("callerPrincipal", self.user), Slot("callerResource", self.gateway),
            Slot("requestId", STRING),
        ]  # fmt: skip
        if not self.custom:
            return (*fields, Slot("sessionId", STRING))
        return (*fields, Slot("tenant", STRING), Slot("tenantKey", STRING), Slot("dept", STRING))

    def fields(self, action: str, kind: str) -> tuple[Slot, ...]:
        """Give the fields of one event by their full dotted path."""
        made = [_prefixed("input", s) for s in self.action(action).inputs]
        if self.kind(kind).outputs:
            made += [_prefixed("output", s) for s in self.action(action).outputs]
        return (*made, *self.reserved())


def _prefixed(group: str, slot: Slot) -> Slot:
    return Slot(f"{group}.{slot.path}", slot.type, slot.optional)


PINNINGS = {
    "none": {},
    "principal": {"*": [("callerPrincipal", "principal")]},
    "resource": {"*": [("callerResource", "resource")]},
    "tenant": {"*": [("tenant", "context.tenant")]},
    "tenant and principal": {
        "*": [("tenant", "context.tenant"), ("callerPrincipal", "principal")]
    },
    "another name": {"*": [("tenantKey", "context.tenant")]},
    "attribute": {"*": [("dept", "principal.dept")]},
    "requests only": {"request": [("callerPrincipal", "principal")]},
    "all but errors": {
        "request": [("tenant", "context.tenant")], "response": [("tenant", "context.tenant")],
        "attempt": [("tenant", "context.tenant")],
    },
    "one on all, one on requests": {
        "*": [("callerPrincipal", "principal")], "request": [("tenant", "context.tenant")]
    },
    "one symmetric, one not": {
        "*": [("callerPrincipal", "principal"), ("tenantKey", "context.tenant")]
    },
}  # fmt: skip
"""Which fields are pinned on which kinds; `*` is every kind."""

UNIVERSAL = {
    "principal", "resource", "tenant", "tenant and principal", "one on all, one on requests",
    "one symmetric, one not", "built in",
}  # fmt: skip
"""The pinnings under which a history is seen by its own key only."""


def world(rnd: Random) -> World:
    """Make up a schema."""
    namespace = rnd.choice(["D", "D", "D", "Far::Off"])
    user = (*namespace.split("::"), "User")
    names = ["A", "B", "C", "D"][: rnd.choice([2, 2, 2, 3, 4])]
    actions = tuple(Action(name, _inputs(rnd, user), _outputs(rnd)) for name in names)
    if rnd.random() < 0.2:
        return World(namespace, actions, DEFAULT_KINDS, custom=False, pinned="built in",
                     wide=rnd.random() < 0.15)  # fmt: skip
    pinned = rnd.choice(["none", "none", *PINNINGS])
    return World(
        namespace,
        actions,
        _kinds(rnd, pinned),
        custom=True,
        max_window=rnd.choice([86_400, 86_400, 10, 60, 172_800]),
        pinned=pinned,
        wide=rnd.random() < 0.15,
    )


PRINCIPAL = (("callerPrincipal", "principal"),)
DEFAULT_KINDS = (
    Kind("request", deciding=True, outputs=False, pins=PRINCIPAL),
    Kind("response", deciding=False, outputs=True, pins=PRINCIPAL),
    Kind("error", deciding=False, outputs=False, pins=PRINCIPAL),
)


def _kinds(rnd: Random, pinned: str) -> tuple[Kind, ...]:
    names = ["request", "response", "error"]
    if rnd.random() < 0.25:
        names.append("attempt")
    deciding = {"request"} | {n for n in ("response", "attempt") if rnd.random() < 0.25}
    pins = PINNINGS[pinned]
    return tuple(
        Kind(n, n in deciding, n == "response", (*pins.get("*", ()), *pins.get(n, ())))
        for n in names
    )


def _inputs(rnd: Random, user: Type) -> tuple[Slot, ...]:
    always = [Slot("user", STRING), Slot("amount", LONG)]
    sometimes = [
        Slot("flag", BOOL), Slot("score", DECIMAL), Slot("owner", user), Slot("note", STRING, True),
        Slot("level", LONG, True), Slot("tags", ("Set", "String")), Slot("meta.kind", STRING),
        Slot("meta.size", LONG),
    ]  # fmt: skip
    return (*always, *(s for s in sometimes if rnd.random() < 0.5))


def _outputs(rnd: Random) -> tuple[Slot, ...]:
    slots = [
        Slot("ok", BOOL, True), Slot("amount", LONG, True), Slot("ref", STRING, True),
        Slot("score", DECIMAL, True),
    ]  # fmt: skip
    return tuple(s for s in slots if rnd.random() < 0.7) or (slots[0],)


# --- text ----------------------------------------------------------------------------------------


def cedar_schema(world: World) -> str:
    """Print the schema of the actions."""
    lines = [
        f"namespace {world.namespace} {{",
        "  entity Gateway;",
        "  entity User = { dept?: String, rank?: Long };",
        '  action "every";',
    ]
    for action in world.actions:
        lines.append(  # noqa: PERF401 - as the lines before
            f'  action "{action.name}" in ["every"] appliesTo {{\n'
            f"    principal: [User], resource: [Gateway],\n"
            f"    context: {{ input: {_record(action.inputs, world)}, "
            f"output?: {_record(action.outputs, world)}, tenant: String }}\n  }};"
        )
    return "\n".join([*lines, "}", ""])


def _record(slots: tuple[Slot, ...], world: World) -> str:
    groups: dict[str, list[Slot]] = {}
    plain = []
    for slot in slots:
        head, _, rest = slot.path.partition(".")
        if rest:
            groups.setdefault(head, []).append(Slot(rest, slot.type, slot.optional))
        else:
            plain.append(f"{head}{'?' * slot.optional}: {cedar_type(slot.type, world)}")
    plain += [f"{name}: {_record(tuple(inner), world)}" for name, inner in groups.items()]
    return "{ " + ", ".join(plain) + " }"


def cedar_type(kind: Type, world: World) -> str:
    if kind[0] == "Set":
        return f"Set<{kind[1]}>"
    return kind[-1] if kind == world.user else "::".join(kind)


def event_schema(world: World) -> str | None:
    """Print the event schema; None is the built-in one."""
    if not world.custom:
        return None
    lines = [] if world.max_window == 86_400 else [f"max_window = {world.max_window}s", ""]
    for kind in world.kinds:
        pins = dict(kind.pins)
        lines.append(f"{'decision ' * kind.deciding}event <A>::{kind.name} {{")
        lines.append("  ...inputs(A),")
        lines += ["  ...outputs(A),"] if kind.outputs else []
        lines += [_reserved(s, pins, world) for s in world.reserved()]
        lines.append("}")
    return "\n".join([*lines, ""])


def _reserved(slot: Slot, pins: dict[str, str], world: World) -> str:
    types = {world.user: "principalType(A)", world.gateway: "resourceType(A)"}
    kind = types.get(slot.type, "::".join(slot.type))
    if slot.path in pins:
        return f"  pin {slot.path}: {kind} = {pins[slot.path]},"
    return f"  {slot.path}: {kind},"
