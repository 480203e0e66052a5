"""An event schema and the actions of a Cedar schema → the events there can be, field by field.

Every action, groups included, has an event of every kind. Names that no condition could write
(other than letters, digits and `_`) are left out, so that a dotted path has one meaning.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from bridle.language.events.actions import Action, CedarActions, CedarType, Form
from bridle.language.events.ast import (
    Declaration,
    Declared,
    DerivedEvent,
    Events,
    EventSchema,
    Member,
    NamedType,
    Pin,
    RecordType,
    SelectorType,
    Spread,
)
from bridle.language.events.cedar_types import PLAIN

_GROUPS = {"inputs": "input", "outputs": "output"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def derive(schema: EventSchema, actions: CedarActions) -> Events:
    """Bind the selectors of `schema` to each action."""
    found = (
        _Derivation(action, declaration, actions).event()
        for action in actions
        for declaration in schema.declarations
    )
    return Events({("::".join(e.namespace), e.action, e.kind): e for e in found}, schema.max_window)


class _Derivation:
    def __init__(self, action: Action, declaration: Declaration, actions: CedarActions) -> None:
        self._action = action
        self._declaration = declaration
        self._actions = actions
        self._fields = dict[str, tuple[str, ...]]()
        self._types = dict[str, tuple[CedarType, ...]]()
        self._groups = set[str]()
        self._pins = list[Pin]()

    def event(self) -> DerivedEvent:
        for member in self._declaration.members:
            self._member(member, "")
        space, name = self._action.key
        return DerivedEvent(
            tuple(space.split("::")),
            name,
            self._declaration.kind,
            self._declaration.decision,
            self._fields,
            frozenset(self._groups),
            tuple(self._pins),
            self._types,
        )

    def _member(self, member: Member, prefix: str) -> None:
        if isinstance(member, Spread):
            group = _GROUPS[member.selector]
            self._groups.add(prefix + group)
            for path, kind in spread(self._action, group):
                if kind.form is Form.RECORD:
                    self._groups.add(prefix + path)
                else:
                    self._add(prefix + path, (kind,))
        else:
            self._declared(member, prefix + member.name)

    def _declared(self, member: Declared, path: str) -> None:
        if member.pin is not None:
            self._pins.append(Pin(path, member.pin))
        if isinstance(member.type, RecordType):
            self._groups.add(path)
            for inner in member.type.members:
                self._member(inner, path + ".")
        elif isinstance(member.type, SelectorType):
            principal = member.type.selector == "principalType"
            names = self._action.principals if principal else self._action.resources
            self._add(path, tuple(CedarType(Form.ENTITY, n) for n in names))
        else:
            self._named(member.type, path)

    def _named(self, kind: NamedType, path: str) -> None:
        self._fields[path] = (kind.name,)
        meant = named(kind.name, self._action.key[0], self._actions)
        if meant is not None:
            self._types[path] = (meant,)

    def _add(self, path: str, kinds: tuple[CedarType, ...]) -> None:
        self._fields[path] = tuple(str(kind) for kind in kinds)
        self._types[path] = kinds


def spread(action: Action, group: str) -> Iterator[tuple[str, CedarType]]:
    """Yield the paths under `context.<group>` of an action, `input.…`: records before their fields.

    Bounded, since types are (see `cedar_types`).
    """
    top = action.context.attributes.get(group)
    waiting = [] if top is None or top.type.form is not Form.RECORD else [(group, top.type)]
    while waiting:
        path, kind = waiting.pop()
        if path != group:
            yield path, kind
        waiting.extend(
            (f"{path}.{name}", attribute.type)
            for name, attribute in reversed(kind.attributes.items())
            if _NAME.fullmatch(name)
        )


def named(name: str, action_type: str, actions: CedarActions) -> CedarType | None:
    """Return the type that an event schema names, as seen from an action; none where unknown."""
    if name in PLAIN:
        return CedarType(Form.PLAIN, name)
    space = action_type.removesuffix("Action")
    for meant in (name, space + name):
        if meant in actions.entities:
            return CedarType(Form.ENTITY, meant)
    return None
