"""Where a path of `context`, `principal` or `resource` leads in the requests of one action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec import Struct

from bridle.language.events.actions import Action, Attribute, CedarActions, Form
from bridle.language.temporal.meaning import kinds
from bridle.language.temporal.meaning.kinds import Kind


class Lost(Struct, frozen=True):
    """A path that leads nowhere, and why."""

    why: str


def in_context(path: tuple[str, ...], action: Action) -> Kind | Lost:
    """Return what lies at `context.<path>`."""
    return _within(action.context.attributes, path)


def in_scope(
    path: tuple[str, ...], types: Sequence[str], actions: CedarActions
) -> Kind | Lost | None:
    """Return what lies at a path that begins with `principal` or `resource`.

    It must lie there for each of `types`, and be the same. None where that cannot be told.
    """
    if len(path) == 1:
        return kinds.of_entities(types)
    found = dict[str, Kind]()
    for name in types:
        declared = actions.entities.get(name)
        if declared is None:
            return None
        kind = _attribute(declared.attributes, path[1:])
        if isinstance(kind, Lost):
            return Lost(f"{name}: {kind.why}")
        found[name] = kind
    if len(set(found.values())) > 1:
        return Lost("it is " + ", ".join(f"{k} of {n}" for n, k in sorted(found.items())[:4]))
    return next(iter(found.values()), None)


def _attribute(attributes: Mapping[str, Attribute], path: tuple[str, ...]) -> Kind | Lost:
    if path[0] not in attributes and path[0] in {"id", "type"}:
        return kinds.STRING if len(path) == 1 else Lost(f"`{path[0]}` has no fields")
    return _within(attributes, path)


def _within(attributes: Mapping[str, Attribute], path: tuple[str, ...]) -> Kind | Lost:
    """Follow a path that is not empty."""
    here, found = attributes, None
    for index, name in enumerate(path):
        if found is not None and found.type.form is not Form.RECORD:
            return Lost(f"`{path[index - 1]}` has no fields")
        found = here.get(name)
        if found is None:
            return Lost(f"there is no `{name}`")
        here = found.type.attributes
    return kinds.RECORD if found is None else kinds.of_type(found.type)
