"""Which arguments of a tool have an origin that policies can read, and what they can mean."""

from __future__ import annotations

from bridle.bundle.schema.paths import split
from bridle.bundle.schema.shape import Record, input_typing, properties
from bridle.model.tool import Argument, Tool

ANY = "any"
"""The key under which the union of all origins stands. An argument of that name has no other."""

ORIGIN = {
    "sources": "Set<System>",
    "domains": "Set<Domain>",
    "labels": "Set<String>",
    "trusted": "Bool",
    "prompted": "Bool",
    "unknown": "Bool",
}
"""What policies see of an origin, with its Cedar types."""


def flow_keys(tool: Tool) -> dict[str, bool]:
    """Return the arguments that stand in `context.flow`, and whether each is always there.

    Those that have no type in `context.input` are among them: their origin is known all the same.
    """
    shape = input_typing(tool.input).shape
    typed = shape.fields if isinstance(shape, Record) else {}
    names, _ = properties(tool.input)
    return {n: n in typed and typed[n].required for n in names if n != ANY}


def sink_keys(tool: Tool) -> tuple[str, ...]:
    """Return what the arguments of a tool can mean: the keys of `context.sinks`, sorted."""
    declared = {split(a.path): a.sink for a in tool.arguments}
    names, closed = properties(tool.input)
    found = set(declared.values())
    # What is declared nowhere is a selector, down to the keys of open objects.
    if not closed or any((name,) not in declared for name in names):
        found.add(Argument("").sink)
    return tuple(sorted(found))
