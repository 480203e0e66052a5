"""`CedarActions` → a Cedar schema's text again, with truths over history in contexts.

Every name is written out, so that it means the same wherever it stands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from bridle.language.events.actions import (
    Action,
    ActionKey,
    Attribute,
    CedarActions,
    CedarType,
    EntityType,
    Form,
)

_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\0": "\\0"}


def augmented(actions: CedarActions, truths: Mapping[ActionKey, Collection[str]]) -> str:
    """Return the schema with a required `Bool` of each name in the context of each action.

    A name that a context has already is replaced.
    """
    spaces = dict[str, list[str]]()
    for entity in actions.entities.values():
        space, _, name = entity.name.rpartition("::")
        spaces.setdefault(space, []).append(_entity(entity, name))
    for action in actions:
        space = action.key[0].removesuffix("Action").removesuffix("::")
        spaces.setdefault(space, []).append(_action(action, truths.get(action.key, ())))
    return "\n".join(_namespace(space, lines) for space, lines in spaces.items())


def _namespace(space: str, lines: list[str]) -> str:
    body = "\n".join(lines)
    return f"namespace {space} {{\n{body}\n}}" if space else body


def _entity(entity: EntityType, name: str) -> str:
    if entity.ids is not None:
        return f"entity {name} enum [{', '.join(map(quoted, entity.ids))}];"
    inside = f" in [{', '.join(entity.parents)}]" if entity.parents else ""
    tags = f" tags {_type(entity.tags)}" if entity.tags is not None else ""
    return f"entity {name}{inside} = {_record(entity.attributes)}{tags};"


def _action(action: Action, truths: Collection[str]) -> str:
    groups = ", ".join(f"{kind}::{quoted(name)}" for kind, name in action.parents)
    head = f"action {quoted(action.key[1])}" + (f" in [{groups}]" if groups else "")
    if not action.judged:
        return head + ";"
    attributes = {n: a for n, a in action.context.attributes.items() if n not in truths}
    lines = [_attribute(name, attribute) for name, attribute in attributes.items()]
    lines += [f"{quoted(name)}: __cedar::Bool" for name in truths]
    return (
        f"{head} appliesTo {{ principal: [{', '.join(action.principals)}], "
        f"resource: [{', '.join(action.resources)}], context: {{ {', '.join(lines)} }} }};"
    )


def _record(attributes: Mapping[str, Attribute]) -> str:
    return "{ " + ", ".join(_attribute(n, a) for n, a in attributes.items()) + " }"


def _attribute(name: str, attribute: Attribute) -> str:
    return f"{quoted(name)}{'' if attribute.required else '?'}: {_type(attribute.type)}"


def _type(cedar: CedarType) -> str:
    if cedar.form is Form.SET and cedar.item is not None:
        return f"Set<{_type(cedar.item)}>"
    if cedar.form is Form.RECORD:
        return _record(cedar.attributes)
    return f"__cedar::{cedar.name}" if cedar.form is Form.PLAIN else cedar.name


def quoted(text: str) -> str:
    """Return a Cedar string."""
    return '"' + "".join(_ESCAPES.get(c, c) for c in text) + '"'
