"""How origins are put to the policies: `context.flow` and `context.sinks`. It finds none itself."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from msgspec import Struct

from bridle.bundle.schema.flow import ANY, flow_keys, sink_keys
from bridle.engine.case import Case, Typed
from bridle.engine.cedar.entities import uid
from bridle.engine.flow.source import Origin, Origins
from bridle.model.tool import Tool

View = dict[str, Any]


class _Keys(Struct, frozen=True):
    """What a tool's arguments are called, and what they can mean."""

    arguments: tuple[str, ...]
    sinks: tuple[str, ...]


class OriginViews:
    """Makes the views of a bundle's tools. Each tool is prepared on its first use and kept."""

    __slots__ = ("_keys", "_tools")

    def __init__(self, tools: Mapping[str, Tool]) -> None:
        self._tools = tools
        self._keys: dict[str, _Keys] = {}

    def views(self, case: Case, typed: Typed, reads: Collection[str]) -> View:
        """Return `flow` and `sinks`, as far as anybody reads them, of these arguments."""
        if "flow" not in reads and "sinks" not in reads:
            return {}
        keys = self._of(case.tool)
        known = _known(case, typed, keys)
        found: View = {}
        if "flow" in reads:
            found["flow"] = _flow(case, typed, keys.arguments, known)
        if "sinks" in reads:
            # A meaning that the schema does not know is not left out: Cedar refuses the request.
            found["sinks"] = {sink: _view(origin) for sink, origin in known.sinks.items()}
        return found

    def _of(self, tool: str) -> _Keys:
        known = self._keys.get(tool)
        if known is None:
            declared = self._tools[tool]
            known = _Keys(tuple(flow_keys(declared)), sink_keys(declared))
            self._keys[tool] = known
        return known


def unknown(labels: Iterable[str]) -> Origin:
    """Return the origin of what nobody knows anything of: it carries these labels."""
    return Origin(labels=frozenset(labels))


def _known(case: Case, typed: Typed, keys: _Keys) -> Origins:
    if case.flow is not None:
        return case.flow.origins(case.tool, typed.value)
    nobody = unknown(case.mission.labels)
    return Origins(arguments={}, sinks=dict.fromkeys(keys.sinks, nobody), any=nobody)


def _flow(case: Case, typed: Typed, names: tuple[str, ...], known: Origins) -> View:
    """Return an origin for each argument that is there; a null counts as absent, as in `input`."""
    read = case.flow.labels if case.flow is not None else ()
    nobody = unknown((*case.mission.labels, *read))
    # INVARIANT: I2. What no origin is known of is shown as unknown, never left out: `has` would
    # say that the argument is absent, and a forbid that guards itself so would not apply.
    found = {
        name: _view(known.arguments.get(name, nobody))
        for name in names
        if typed.value.get(name) is not None
    }
    return {**found, ANY: _view(known.any)}


def _view(origin: Origin) -> View:
    return {
        "sources": [uid("System", name) for name in sorted(origin.sources)],
        "domains": [uid("Domain", name) for name in sorted(origin.domains)],
        "labels": sorted(origin.labels),
        "trusted": origin.trusted,
        "prompted": origin.prompted,
        "unknown": origin.unknown,
    }
