"""What policies see of a mission: what it is for, and the labels of all that it has read."""

from __future__ import annotations

from collections.abc import Iterator

from bridle.bundle.bundle import Bundle
from bridle.engine.case import MissionView
from bridle.model.mission import MissionTemplate
from bridle.model.tool import Tool
from bridle.store.rows import MissionRow


def view(bundle: Bundle, mission: MissionRow) -> MissionView:
    """Return a mission as policies of this bundle see it."""
    template = bundle.missions.get(mission.template)
    return MissionView(
        id=mission.id,
        template=mission.template,
        purpose=template.purpose if template is not None else "",
        labels=labels(bundle, mission),
        untrusted=not mission.vouched,
        clearance=template.clearance if template is not None else (),
    )


def labels(bundle: Bundle, mission: MissionRow) -> tuple[str, ...]:
    """Return the labels of everything that a mission has read, sorted. They never grow fewer."""
    template = bundle.missions.get(mission.template)
    declared = template.labels if template is not None else ()
    if not mission.labelled:
        # INVARIANT: I2 — of a mission from before labels were kept nobody knows what it has read:
        # it may be all that it can reach.
        declared = (*declared, *_carried(bundle, template))
    if not mission.labels:
        return tuple(sorted(set(declared)))
    return tuple(sorted({*declared, *mission.labels}))


def of_tool(bundle: Bundle, tool: Tool) -> tuple[str, ...]:
    """Return the labels that whatever a tool returns carries."""
    return tuple(sorted({*tool.labels, *bundle.systems[tool.system].labels}))


def reachable_systems(bundle: Bundle, mission: MissionRow) -> set[tuple[str, str]]:
    """Return the systems, with their domains, that a mission may have read of."""
    tools = _reachable(bundle, bundle.missions.get(mission.template))
    return {(tool.system, bundle.systems[tool.system].domain) for tool in tools}


def _carried(bundle: Bundle, template: MissionTemplate | None) -> set[str]:
    found = {label for given in bundle.manifest.detected.values() for label in given}
    return found.union(*(of_tool(bundle, tool) for tool in _reachable(bundle, template)))


def _reachable(bundle: Bundle, template: MissionTemplate | None) -> Iterator[Tool]:
    for tool in bundle.tools.values():
        domain = bundle.systems[tool.system].domain
        if template is None or template.reaches(tool.name, domain):
            yield tool
