"""Event schemas as written, and as derived for the actions of one Cedar schema."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct, field

from bridle.language.events.actions import CedarType
from bridle.language.temporal.ast import Span

DEFAULT_MAX_WINDOW = 86_400
"""Seconds a window may look back where the event schema does not say."""


class Reference(Struct, frozen=True):
    """What a pin reads of the deciding request: `root` is `context`, `principal` or `resource`."""

    root: str
    path: tuple[str, ...] = ()


class SelectorType(Struct, frozen=True):
    """`principalType(A)` or `resourceType(A)`."""

    selector: str


class NamedType(Struct, frozen=True):
    """`String`, `Long`, `Ns::Entity`."""

    name: str


class RecordType(Struct, frozen=True):
    """`{ … }`: a group of fields."""

    members: tuple[Member, ...]


class Spread(Struct, frozen=True):
    """`...inputs(A)` or `...outputs(A)`."""

    selector: str
    span: Span = Span()


class Declared(Struct, frozen=True):
    """`[pin] name: type [= reference]`."""

    name: str
    type: SelectorType | NamedType | RecordType
    pin: Reference | None = None
    span: Span = Span()


Member: TypeAlias = Spread | Declared


class Declaration(Struct, frozen=True):
    """`[decision] event <A>::kind { … }`."""

    kind: str
    decision: bool
    members: tuple[Member, ...]
    span: Span = Span()


class EventSchema(Struct, frozen=True):
    """A whole `.dwschema` text. `max_window` is in seconds."""

    declarations: tuple[Declaration, ...]
    max_window: int = DEFAULT_MAX_WINDOW


class Pin(Struct, frozen=True):
    """A field (dotted path) that is forced to a value of the deciding request."""

    path: str
    reference: Reference


class DerivedEvent(Struct, frozen=True):
    """An event of one action: its fields by dotted path, with their Cedar types.

    A type is the text of a Cedar type (`String`, `Long`, `Bool`, `decimal`, `Set<String>`,
    `Ns::Entity`), several entity types where the action allows several. `groups` are the dotted
    paths that are no fields but have some. `types` are the same types as data, without those that
    the Cedar schema does not know.
    """

    namespace: tuple[str, ...]
    action: str
    kind: str
    decision: bool
    fields: dict[str, tuple[str, ...]]
    groups: frozenset[str]
    pins: tuple[Pin, ...] = ()
    types: dict[str, tuple[CedarType, ...]] = field(
        default_factory=dict[str, tuple[CedarType, ...]]
    )

    @property
    def written(self) -> str:
        """As conditions name it, without its fields."""
        return f'{"::".join(self.namespace)}::"{self.action}"::{self.kind}'


class Events(Struct, frozen=True):
    """All events of one Cedar schema. Found by (namespace joined by `::`, action, kind)."""

    events: dict[tuple[str, str, str], DerivedEvent]
    max_window: int

    @property
    def deciding(self) -> frozenset[str]:
        """The kinds that are judged."""
        return frozenset(e.kind for e in self.events.values() if e.decision)
