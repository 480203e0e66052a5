"""What a Cedar schema says about actions: their groups, who may do them on what, their context.

Plain data with the few questions that conditions over history ask of it. Reading the text is the
job of `cedar_schema`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct, field

ActionKey: TypeAlias = tuple[str, str]
"""The type of an action (`Ns::Action`, or `Action`) and its id."""


class Form(StrEnum):
    """What a Cedar type is made of."""

    PLAIN = "plain"
    ENTITY = "entity"
    SET = "set"
    RECORD = "record"


class CedarType(Struct, frozen=True):
    """A type with its names resolved. `name` is that of a plain or of an entity type, qualified.

    `size` and `depth` are those of the type written out in full: a type that common types share is
    one object here, and can be far longer as text.
    """

    form: Form
    name: str = ""
    item: CedarType | None = None
    attributes: dict[str, Attribute] = field(default_factory=dict[str, "Attribute"])
    size: int = 1
    depth: int = 1

    def __str__(self) -> str:
        if self.form is Form.SET:
            return f"Set<{self.item}>"
        return "{…}" if self.form is Form.RECORD else self.name


class Attribute(Struct, frozen=True):
    """One attribute of a record or an entity type."""

    type: CedarType
    required: bool = True


class EntityType(Struct, frozen=True):
    """`name` is qualified. `ids` are the only ids it has, where the schema lists them."""

    name: str
    parents: tuple[str, ...] = ()
    attributes: dict[str, Attribute] = field(default_factory=dict[str, Attribute])
    tags: CedarType | None = None
    ids: tuple[str, ...] | None = None


class Action(Struct, frozen=True):
    """`parents` are the groups it lies in directly. What applies to nothing is only a group."""

    key: ActionKey
    parents: tuple[ActionKey, ...]
    principals: tuple[str, ...]
    resources: tuple[str, ...]
    context: CedarType

    @property
    def judged(self) -> bool:
        """Whether requests for it exist."""
        return bool(self.principals and self.resources)

    @property
    def written(self) -> str:
        """As policies name it."""
        return f'{self.key[0]}::"{self.key[1]}"'


class CedarActions:
    """The actions and entity types of one Cedar schema."""

    def __init__(self, actions: Iterable[Action], entities: Iterable[EntityType]) -> None:
        self.actions = {a.key: a for a in actions}
        self.entities = {e.name: e for e in entities}
        self._members = dict[ActionKey, list[ActionKey]]()
        for action in self.actions.values():
            for parent in action.parents:
                self._members.setdefault(parent, []).append(action.key)
        self._ancestors = dict[str, frozenset[str]]()

    def __iter__(self) -> Iterator[Action]:
        return iter(self.actions.values())

    def judged(self) -> tuple[Action, ...]:
        """Return the actions that requests exist for."""
        return tuple(a for a in self if a.judged)

    def below(self, keys: Iterable[ActionKey]) -> tuple[Action, ...]:
        """Return the judged ones among these actions and what lies in them, at any depth."""
        waiting, seen = list(keys), dict[ActionKey, None]()
        while waiting:
            key = waiting.pop()
            if key not in seen:
                seen[key] = None
                waiting.extend(self._members.get(key, ()))
        found = (self.actions.get(key) for key in seen)
        return tuple(a for a in found if a is not None and a.judged)

    def ancestors(self, entity: str) -> frozenset[str]:
        """Return the entity types whose members entities of this type may be."""
        if entity not in self._ancestors:
            waiting, seen = [entity], set[str]()
            while waiting:
                declared = self.entities.get(waiting.pop())
                fresh = set(declared.parents if declared else ()) - seen
                seen |= fresh
                waiting.extend(fresh)
            self._ancestors[entity] = frozenset(seen)
        return self._ancestors[entity]
