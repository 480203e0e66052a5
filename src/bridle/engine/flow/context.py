"""How origins are put to the policies: `context.flow` and `context.sinks`. It finds none itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from msgspec import Struct

from bridle.bundle.schema.flow import ANY, flow_keys, sink_keys
from bridle.engine.case import Case, Typed
from bridle.engine.cedar.answer import Uid
from bridle.engine.cedar.entities import uid
from bridle.engine.flow.source import Origin, Origins
from bridle.model.tool import Tool

View = dict[str, Any]
_FLOW, _SINKS, _WHOLE = "flow", "sinks", "*"


class _Wanted(Struct, frozen=True):
    """What policies read of one tool's origins.

    `flow` are the arguments (None: not even whether there are any), and `any` is whether their
    union is read. `sinks` are the meanings, with `_WHOLE` all of them; `possible` are those that
    the tool's arguments can have.
    """

    flow: tuple[str, ...] | None
    any: bool
    sinks: frozenset[str] | None
    possible: tuple[str, ...]


class OriginViews:
    """Makes the views of a bundle's tools. Each tool is prepared on its first use and kept."""

    __slots__ = ("_domains", "_systems", "_tools", "_wanted")

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self._tools = tools
        self._wanted: dict[str, _Wanted] = {}
        self._systems: dict[str, Uid] = {}
        self._domains: dict[str, Uid] = {}

    def views(self, case: Case, typed: Typed, reads: Collection[str]) -> View:
        """Return `flow` and `sinks` of these arguments, as far as policies read them.

        `reads` is what they read (see `context_reads`): for one tool always the same.
        """
        if _FLOW not in reads and _SINKS not in reads:
            return {}
        wanted = self._of(case.tool, reads)
        known = _known(case, typed, wanted)
        found: View = {}
        if wanted.flow is not None:
            found[_FLOW] = self._flow(case, typed, wanted, known)
        if wanted.sinks is not None:
            found[_SINKS] = {
                sink: self._view(origin)
                for sink, origin in known.sinks.items()
                # A meaning that the schema does not know is not left out where it is read: Cedar
                # refuses the request.
                if sink in wanted.sinks or _WHOLE in wanted.sinks
            }
        return found

    def _flow(self, case: Case, typed: Typed, wanted: _Wanted, known: Origins) -> View:
        """Return an origin for each argument that is there; a null is absent, as in `input`."""
        found: View = {}
        for name in wanted.flow or ():
            if typed.value.get(name) is not None:
                # INVARIANT: I2. What no origin is known of is shown as unknown, never left out:
                # `has` would say that the argument is absent, and a forbid that guards itself so
                # would not apply.
                found[name] = self._view(known.arguments.get(name) or _nobody_knows(case))
        if wanted.any:
            found[ANY] = self._view(known.any)
        return found

    def _view(self, origin: Origin) -> View:
        return {
            "sources": [self._systems.get(name) or self._system(name) for name in origin.sources],
            "domains": [self._domains.get(name) or self._domain(name) for name in origin.domains],
            "labels": tuple(origin.labels),
            "trusted": origin.trusted,
            "prompted": origin.prompted,
            "unknown": origin.unknown,
        }

    def _system(self, name: str) -> Uid:
        return self._systems.setdefault(name, uid("System", name))

    def _domain(self, name: str) -> Uid:
        return self._domains.setdefault(name, uid("Domain", name))

    def _of(self, tool: str, reads: Collection[str]) -> _Wanted:
        known = self._wanted.get(tool)
        if known is None:
            known = self._wanted[tool] = _wanted(self._tools[tool], reads)
        return known


def _wanted(tool: Tool, reads: Collection[str]) -> _Wanted:
    names = {n.removeprefix("flow.") for n in reads if n.startswith("flow.")}
    whole = _WHOLE in names
    sinks = frozenset(n.removeprefix("sinks.") for n in reads if n.startswith("sinks."))
    return _Wanted(
        flow=tuple(n for n in flow_keys(tool) if whole or n in names) if _FLOW in reads else None,
        any=whole or ANY in names,
        sinks=sinks if _SINKS in reads else None,
        possible=sink_keys(tool),
    )


def _known(case: Case, typed: Typed, wanted: _Wanted) -> Origins:
    if case.flow is not None:
        return case.flow.origins(case.tool, typed.value)
    nobody = _nobody_knows(case)
    return Origins(arguments={}, sinks=dict.fromkeys(wanted.possible, nobody), any=nobody)


def _nobody_knows(case: Case) -> Origin:
    """Return the origin of a value of which nothing is known."""
    read: Iterable[str] = case.flow.labels if case.flow is not None else ()
    return Origin(labels=frozenset((*case.mission.labels, *read)))
