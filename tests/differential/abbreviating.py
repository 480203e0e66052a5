"""Turn a part of a condition into a macro and a call of it, without changing what it means."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec

from bridle.language.temporal import ast
from differential import trees
from differential.policies import Macro

PARTS = (ast.Formerly, ast.Previous, ast.Since, ast.Exists, ast.And, ast.Count, ast.Sum)
GROUND = (
    ast.IntegerLiteral, ast.TextLiteral, ast.TruthLiteral, ast.EntityLiteral, ast.ContextField,
    ast.ScopeField,
)  # fmt: skip
"""What is passed in. As an argument, `decimal("1.0")` is the call of a macro `decimal`."""


def abbreviated(
    rnd: Random, condition: ast.Condition, name: str
) -> tuple[ast.Condition, Macro] | None:
    """Move a random part of the condition into a macro; None where nothing lends itself."""
    # Before expansion the reference sees no variable within a call, and refuses what binds there.
    places = [(s, p) for s, p in trees.of_kind(condition, *PARTS) if not trees.free(p)]
    if not places:
        return None
    steps, part = rnd.choice(places)
    inside = _binders(part)
    if inside & trees.free(part):
        return None
    making = _Making(rnd, inside)
    body = making.windows(making.predicate(part))
    body = making.names(making.grounds(body))
    macro = Macro(name, tuple(making.arguments), body)
    called = ast.AggregateCall if isinstance(part, ast.Count | ast.Sum) else ast.Call
    call = called(name, tuple(making.arguments.values()))
    return trees.put(condition, steps, call), macro


def _binders(part: Any) -> frozenset[str]:
    return frozenset(binder.name for _, binder in trees.of_kind(part, ast.Binder))


class _Making:
    def __init__(self, rnd: Random, inside: frozenset[str]) -> None:
        self.rnd, self.inside = rnd, inside
        self.arguments: dict[str, Any] = {}

    def _parameter(self, argument: Any) -> str:
        for name, given in self.arguments.items():
            if given == argument and type(given) is type(argument):
                return name
        name = f"p{len(self.arguments)}"
        self.arguments[name] = argument
        return name

    def predicate(self, part: Any) -> Any:
        """Pass one predicate in; what it says of the macro's own variables is said in the body."""
        places = [(s, p) for s, p in trees.of_kind(part, ast.Predicate) if s]
        if not places or self.rnd.random() < 0.4:
            return part
        steps, predicate = self.rnd.choice(places)
        own = tuple(f for f in predicate.fields if trees.free(f) & self.inside)
        others = tuple(f for f in predicate.fields if f not in own)
        moved = tuple(f for f in others if self.rnd.random() < 0.2)
        kept = tuple(f for f in others if f not in moved)
        sigil = ast.Sigil(self._parameter(msgspec.structs.replace(predicate, fields=kept)))
        refined = (*own, *moved)
        return trees.put(part, steps, ast.Refine(sigil, refined) if refined else sigil)

    def windows(self, part: Any) -> Any:
        for steps, window in list(trees.of_kind(part, ast.Window)):
            if self.rnd.random() < 0.6:
                part = trees.put(part, steps, ast.Window(0, "s", self._parameter(window)))
        return part

    def grounds(self, part: Any) -> Any:
        for steps, term in list(trees.of_kind(part, *GROUND)):
            if self.rnd.random() < 0.3:
                part = trees.put(part, steps, ast.Parameter(self._parameter(term)))
        return part

    def names(self, part: Any) -> Any:
        """Make the macro's own variables fresh (or plain), and pass in those of the caller."""
        how = {name: self.rnd.choice("$$ ?") for name in sorted(self.inside)}
        return self._named(part, how)

    def _named(self, node: Any, how: dict[str, str]) -> Any:
        match node:
            case ast.Variable(name=name):
                return self._variable(name, how)
            case ast.Tp(variable=name):
                sigil, name = self._slot(name, how)
                return ast.Tp(name, sigil)
            case ast.Binder(name=name, type=kind):
                sigil, name = self._slot(name, how)
                return ast.Binder(name, kind, sigil)
            case ast.Sum(variable=name):
                sigil, name = self._slot(name, how)
                node = msgspec.structs.replace(node, variable=name, sigil=sigil)
        if isinstance(node, tuple):
            return tuple(self._named(each, how) for each in node)
        if isinstance(node, msgspec.Struct):
            changed = {f: self._named(v, how) for f, v in trees.children(node)}
            return msgspec.structs.replace(node, **changed)
        return node

    def _variable(self, name: str, how: dict[str, str]) -> ast.Term:
        sigil, name = self._slot(name, how)
        made = {"$": ast.FreshBinder, "?": ast.Parameter, "": ast.Variable}
        return made[sigil](name)

    def _slot(self, name: str, how: dict[str, str]) -> tuple[str, str]:
        sigil = how.get(name, "?")
        if sigil == "?":
            return "?", self._parameter(ast.Variable(name))
        return sigil.strip(), name
