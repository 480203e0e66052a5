"""Random policies: conditions over history within permits and forbids, tagged, inline, mixed."""

from __future__ import annotations

from random import Random

from msgspec import Struct

from bridle.language.temporal import ast
from differential import writing
from differential.conditions import Author
from differential.worlds import BOOL, World

Part = "Marker | Plain | Joined"


class Marker(Struct, frozen=True, tag=True):
    """`temporal { … }`."""

    condition: ast.Condition


class Plain(Struct, frozen=True, tag=True):
    """A condition in Cedar itself."""

    text: str


class Joined(Struct, frozen=True, tag=True):
    """`(left op right)`; `!` takes the left only, `if` all three."""

    op: str
    parts: tuple[Marker | Plain | Joined, ...]


class Clause(Struct, frozen=True):
    """`when { … }` or `unless { … }`."""

    keyword: str
    part: Marker | Plain | Joined


class Macro(Struct, frozen=True):
    """`def temporal name(?a, …) { body };`."""

    name: str
    parameters: tuple[str, ...]
    body: ast.Condition | ast.Term


class Policy(Struct, frozen=True):
    """A rule. `scope` are the actions it names; `constraint` is how."""

    effect: str
    scope: tuple[str, ...]
    constraint: str
    clauses: tuple[Clause, ...]
    macros: tuple[Macro, ...] = ()


def policy(rnd: Random, world: World) -> Policy:
    """Make up a policy."""
    constraint, scope = _scope(rnd, world)
    author = Author(rnd, world, scope)
    effect = rnd.choice(["permit", "permit", "forbid"])
    count = rnd.choice([1, 1, 1, 1, 2])
    clauses = tuple(_clause(rnd, world, author) for _ in range(count))
    made = Policy(effect, scope, constraint, clauses)
    return made if markers(made) else policy(rnd, world)


def _scope(rnd: Random, world: World) -> tuple[str, tuple[str, ...]]:
    names = tuple(a.name for a in world.actions)
    action = f"{world.namespace}::Action"
    kind = rnd.random()
    if kind < 0.25:
        return "action", names
    if kind < 0.35:
        return f'action in {action}::"every"', names
    if kind < 0.5:
        some = tuple(rnd.sample(names, rnd.randint(1, len(names))))
        listed = ", ".join(f'{action}::"{name}"' for name in some)
        return f"action in [{listed}]", some
    one = rnd.choice(names)
    return f'action == {action}::"{one}"', (one,)


def _clause(rnd: Random, world: World, author: Author) -> Clause:
    keyword = rnd.choice(["when", "when", "when", "unless"])
    if rnd.random() < 0.75:
        return Clause(keyword, _marker(rnd, author))
    return Clause(keyword, _mixed(rnd, world, author, 2))


def _marker(rnd: Random, author: Author) -> Marker:
    return Marker(author.leaf(rnd.choice([1, 1, 2, 2, 2, 3, 3, 4])))


def _mixed(rnd: Random, world: World, author: Author, depth: int) -> Marker | Plain | Joined:
    if depth <= 0 or rnd.random() < 0.25:
        return _marker(rnd, author) if rnd.random() < 0.6 else Plain(_plain(rnd, world, author))
    op = rnd.choice(["&&", "&&", "||", "||", "!", "if"])
    arity = {"!": 1, "if": 3}.get(op, 2)
    return Joined(op, tuple(_mixed(rnd, world, author, depth - 1) for _ in range(arity)))


def _plain(rnd: Random, world: World, author: Author) -> str:
    options = [
        f'principal == {world.namespace}::User::"alice"',
        f'resource == {world.namespace}::Gateway::"gw"',
        "context.input.amount > 1",
        'context.input.user == "a"',
    ]
    slots = [world.action(name).inputs for name in author.scope]
    if all(any(s.path == "flag" and s.type == BOOL for s in each) for each in slots):
        options.append("context.input.flag")
    if all(any(s.path == "note" for s in each) for each in slots):
        options.append('(context.input has note && context.input.note == "a")')
    return rnd.choice(options)


# --- text ----------------------------------------------------------------------------------------


def text(policy: Policy) -> str:
    """Print a policy with the macros it calls."""
    clauses = "".join(f"\n{_clause_text(c)}" for c in policy.clauses)
    rule = f"{policy.effect} (principal, {policy.constraint}, resource){clauses};\n"
    return "".join(map(macro_text, policy.macros)) + rule


def macro_text(macro: Macro) -> str:
    listed = ", ".join(f"?{name}" for name in macro.parameters)
    body = macro.body
    terms = (ast.Count, ast.Sum, ast.AggregateCall)
    inner = writing.aggregate(body) if isinstance(body, terms) else writing.condition(body)
    return f"def temporal {macro.name}({listed}) {{ {inner} }};\n"


def _clause_text(clause: Clause) -> str:
    if isinstance(clause.part, Marker):
        return f"{clause.keyword} {_part(clause.part)}"
    return f"{clause.keyword} {{ {_part(clause.part)} }}"


def _part(part: Marker | Plain | Joined) -> str:
    match part:
        case Marker(condition=condition):
            return f"temporal {{ {writing.condition(condition)} }}"
        case Plain(text=text):
            return text
        case Joined(op="!", parts=(only,)):
            return f"!({_part(only)})"
        case Joined(op="if", parts=(condition, then, otherwise)):
            return f"(if {_part(condition)} then {_part(then)} else {_part(otherwise)})"
        case Joined(op=op, parts=(left, right)):
            return f"({_part(left)} {op} {_part(right)})"
    raise TypeError(part)


def markers(policy: Policy) -> list[ast.Condition]:
    """Give the conditions of a policy in the order they are written."""

    def within(part: Marker | Plain | Joined) -> list[ast.Condition]:
        match part:
            case Marker(condition=condition):
                return [condition]
            case Joined(parts=parts):
                return [c for p in parts for c in within(p)]
            case _:
                return []

    return [c for clause in policy.clauses for c in within(clause.part)]
